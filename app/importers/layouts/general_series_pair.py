"""Encoder-decoders over numbers (seq2seq forecasting, LSTM autoencoders), recognised by their structure: one state
dict, or one for each side."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.general_options import FUNCTIONS
from app.importers.layout import Columns, Converted, Given, Layout, Needs, Understanding, known, require
from app.importers.options import Option, OptionValues
from app.importers.parts import linear, prefixed
from app.importers.series_pair import SeriesPair, series_pair_in
from app.importers.windows import SHORT, series_input, window_option
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster, ValueDecoder
from app.store.layer import Layer
from app.store.recurrence import Recurrence

_HORIZONS = ("horizon", "output_chunk_length", "pred_len", "prediction_length", "target_len", "target_length")
_READS = Option(
    "decoder_reads",
    "what each step of the decoder reads: fed, the row before; summary, the encoder's last state again",
    "fed",
    ("fed", "summary"),
    readings=("fed", "summary"),
)
_FIRST_INPUT = Option(
    "first_input",
    "what the decoder reads first: last, the targets of the last row of the series; zeros",
    "last",
    ("last", "zeros"),
    depends="each gives other numbers, and no error: look at what forward() gives the decoder before its loop",
    readings=("last", "zeros"),
    idle_where=("decoder_reads", "summary"),
)
_FIRST_STATE = Option(
    "first_state",
    "the decoder's first state, where it reads the summary in each step: zeros; encoder, the encoder's last state",
    "zeros",
    ("zeros", "encoder"),
    readings=("zeros", "encoder"),
    idle_where=("decoder_reads", "fed"),
)


class SeriesPairForecaster(Layout):
    """The last layer has one output for each target."""

    name = "series-encoder-decoder"
    source = "an encoder-decoder from a series to the rows that follow, recognised by its structure"

    def matches(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.once(series_pair_in) is not None

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        pair = _pair(checkpoint)
        sizes = " -> ".join(str(size) for size in (pair.decoder.hidden_size, *(group.outputs for group in pair.head)))
        facts = [
            f"encoder {pair.names[0]}: {pair.encoder.describe()}, {pair.encoder.input_size} numbers a step",
            f"decoder {pair.names[1]}: {pair.decoder.describe()}, which reads {_WORDS[pair.reads[0]]}",
            f"head {', '.join(group.name for group in pair.head)}: {sizes}, {pair.targets} a row",
        ]
        unsure = []
        if len(pair.reads) > 1:
            unsure.append("whether the decoder reads the row before or the encoder's last state (decoder_reads)")
        if "fed" in pair.reads:
            unsure.append("what the decoder reads first is not in the file (first_input)")
        if "summary" in pair.reads and pair.continues:
            unsure.append("which state the decoder starts from is not in the file (first_state)")
        return Understanding(facts, unsure)

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        pair = _pair(checkpoint)
        options = [
            window_option(checkpoint),
            SHORT,
            Option(
                "horizon",
                "rows that a forecast has"
                + (", unless a request asks for another number" if "fed" in pair.reads else ""),
                str(checkpoint.whole_setting(*_HORIZONS) or 1),
                kind="whole",
            ),
        ]
        options += [_READS] * (len(pair.reads) > 1)
        options += [_FIRST_INPUT] * ("fed" in pair.reads)
        options += [_FIRST_STATE] * ("summary" in pair.reads and pair.continues)
        if len(pair.head) > 1:
            meaning = "the function between the layers after the decoder"
            options.append(Option("activation", meaning, "relu", FUNCTIONS, readings=FUNCTIONS[:3]))
        if pair.decoder.cell == "rnn_tanh":
            options.append(Option("nonlinearity", "nonlinearity of nn.RNN", "tanh", ("tanh", "relu")))
        functions = ("none", "relu", "sigmoid", "tanh")
        return [*options, Option("output_activation", "the function on the output", "none", functions, assumed=True)]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        pair = _pair(checkpoint)
        return Needs(columns=Columns(pair.encoder.input_size, [pair.targets]))

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        pair, values = _pair(checkpoint), given.values
        decoder = _decoder(pair, values)
        if decoder.reads == "fed" and decoder.first_input == "last":
            _check_targets(given)
        try:
            architecture = Forecaster(
                encoder=SeriesEncoder(
                    features=pair.encoder.input_size, recurrence=_with_function(pair.encoder, values)
                ),
                decoder=decoder,
                targets=pair.targets,
                horizon=values.number("horizon"),
                head=tuple(
                    Layer.model_validate({"size": group.outputs, "activation": values.text("activation")})
                    for group in pair.head[:-1]
                ),
                **_output(values),
            )
        except ValidationError as error:
            raise ImportFailed(f"the parts do not fit together: {error.errors()[0]['msg']}") from error
        return Converted(architecture=architecture, tensors=_tensors(pair), series=series_input(given))


_WORDS = {"fed": "its row before", "summary": "the encoder's last state in each step"}


def _pair(checkpoint: Checkpoint) -> SeriesPair:
    return known(checkpoint.once(series_pair_in), "encoder-decoder over numbers")


def _decoder(pair: SeriesPair, values: OptionValues) -> ValueDecoder:
    reads = values.given.get("decoder_reads", pair.reads[0])
    made = _with_function(pair.decoder, values)
    members: dict[str, Any] = {"reads": reads}
    if reads == "fed":
        members["first_input"] = values.text("first_input")
    else:
        members["continues"] = values.given.get("first_state") == "encoder"
    return ValueDecoder(**made.settings, hidden_size=made.hidden_size, layers=made.layers, **members)


def _check_targets(given: Given) -> None:
    """Raises ImportFailed unless the last row of a series has the targets, on the scale of the decoder's rows."""
    features = {feature.name: feature for feature in given.features}
    missing = [target.name for target in given.targets if target.name not in features]
    require(
        not missing,
        f"the decoder begins with the last row of the series, which has no column {', '.join(missing)}: name the "
        f"targets among the features ({', '.join(list(features)[:8])}), or set first_input=zeros",
    )
    others = [target.name for target in given.targets if features[target.name] != target]
    require(
        not others,
        f"the decoder begins with the last row of the series, whose {', '.join(others)} has another scaling than the "
        "target: give one --scaler for the features, or set first_input=zeros",
    )


def _with_function(recurrence: Recurrence, values: OptionValues) -> Recurrence:
    if recurrence.cell != "rnn_tanh" or values.given.get("nonlinearity") != "relu":
        return recurrence
    return recurrence.model_copy(update={"cell": "rnn_relu"})


def _output(values: OptionValues) -> dict[str, Any]:
    return {"output_activation": values.text("output_activation")}


def _tensors(pair: SeriesPair) -> Tensors:
    *inner, last = pair.head
    tensors = prefixed(pair.encoder_weights, "encoder.recurrence.")
    tensors |= prefixed(pair.decoder_weights, "decoder.recurrence.")
    for number, group in enumerate(inner):
        tensors |= prefixed(linear(group.tensors, ""), f"head.{number}.")
    return tensors | prefixed(linear(last.tensors, ""), "output.")
