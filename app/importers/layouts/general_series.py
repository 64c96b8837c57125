"""Forecasters and classifiers of series, recognised by their structure: recurrences over numbers, and a head."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.importers.chain import Chain
from app.importers.checkpoint import Checkpoint
from app.importers.column_names import MAY_BE_LABELS
from app.importers.general_answer import answer_of
from app.importers.general_chain import chain_in, is_one_hot, known_chain, one_or_two
from app.importers.general_encoder import encoder_parts
from app.importers.general_options import OUTPUTS, options_of
from app.importers.general_understanding import understanding_of
from app.importers.layout import Columns, Converted, Given, Layout, Needs, Understanding
from app.importers.options import Option
from app.importers.rows import ORDER, steps_first
from app.importers.side_by_side import check_steps, of_steps
from app.importers.windows import SHORT, series_input, window_option
from app.store.classifier import Classifier
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster

_LABELLED = ("class", "label", "categor")
_MOST_FEATURES = 4096
_IMAGE = 64  # more may be the output of another network
_WORDS = 500  # more numbers a step are hardly a series


class _OverSeries(Layout):
    """Recurrences over numbers, without an embedding."""

    is_classifier: bool

    def matches(self, checkpoint: Checkpoint) -> bool:
        chain = chain_in(checkpoint)
        if chain is None or chain.table is not None or chain.crf is not None or is_one_hot(checkpoint, chain):
            return False
        return _has_labels(checkpoint, chain) == self.is_classifier

    def fits(self, checkpoint: Checkpoint) -> bool:
        chain = chain_in(checkpoint)
        return chain is not None and chain.table is None and chain.crf is None

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        chain = known_chain(checkpoint)
        window = of_steps(window_option(checkpoint), chain)
        return [window, SHORT, *self._more(chain), *options_of(chain)]

    @abstractmethod
    def _more(self, chain: Chain) -> list[Option]: ...

    def _encoder(self, chain: Chain, given: Given) -> tuple[SeriesEncoder, dict[str, Any]]:
        check_steps(chain, given.values, "window")
        parts = encoder_parts(chain, given.values)
        assert parts.recurrence is not None
        encoder = SeriesEncoder(
            features=chain.features, front=tuple(parts.front), recurrence=parts.recurrence, back=tuple(parts.back)
        )
        return encoder, dict(parts.tensors)


class SeriesForecaster(_OverSeries):
    """As many outputs as targets, or a multiple of them: the steps of the horizon, one after the other."""

    name = "series-forecaster"
    source = "a forecaster of series, recognised by its structure"
    is_classifier = False

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        chain = known_chain(checkpoint)
        understood = understanding_of(chain, f"{chain.outputs} number{'s' if chain.outputs > 1 else ''} ahead")
        label = [
            "whether the outputs are numbers or the logits of labels (--layout series-classifier) is not in the file"
        ]
        label = label if chain.outputs > 1 else []
        return Understanding(understood.facts, [*source_doubts(checkpoint, chain), *understood.unsure, *label])

    def _more(self, chain: Chain) -> list[Option]:
        fed = chain.outputs == chain.features and not chain.front
        return (
            [
                Option(
                    "feedback",
                    "steps after those that the network gives at once: none; window: forecast rows are appended to it",
                    "none",
                    ("none", "window"),
                    assumed=True,
                )
            ]
            * fed
            + [ORDER] * (len(_targets(chain)) > 2)
            + [
                Option(
                    "output_activation",
                    "the function on the output",
                    "none",
                    ("none", "relu", "sigmoid", "tanh"),
                    assumed=True,
                )
            ]
        )

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        chain = known_chain(checkpoint)
        return Needs(columns=Columns(chain.features, _targets(chain)))

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        chain = known_chain(checkpoint)
        (encoder, tensors), answer = self._encoder(chain, given), answer_of(chain, given.values)
        count = len(given.targets)
        if given.values.given.get("order") == "targets":
            answer = replace(answer, tensors=steps_first(answer.tensors, count))
        return Converted(
            architecture=Forecaster.model_validate(
                {
                    "encoder": encoder,
                    "targets": len(given.targets),
                    "horizon": chain.outputs // len(given.targets),
                    "feedback": given.values.given.get("feedback", "none"),
                    "output_activation": given.values.text("output_activation"),
                    **answer.members,
                }
            ),
            tensors={**tensors, **answer.tensors},
            series=series_input(given),
        )


class SeriesClassifier(_OverSeries):
    """One output has a sigmoid, and is that of the second label."""

    name = "series-classifier"
    source = "a classifier of series, recognised by its structure"
    is_classifier = True

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        chain = known_chain(checkpoint)
        understood = understanding_of(
            chain, "a sigmoid" if chain.outputs == 1 else f"{chain.outputs} labels of a series"
        )
        doubts = [*source_doubts(checkpoint, chain), *understood.unsure, *_label_doubts(checkpoint, chain)]
        return Understanding(understood.facts, doubts)

    def _more(self, chain: Chain) -> list[Option]:
        return [OUTPUTS] if chain.outputs > 1 else []

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        chain = known_chain(checkpoint)
        return Needs(labels=max(2, chain.outputs), columns=Columns(chain.features))

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        chain = known_chain(checkpoint)
        (encoder, tensors), answer = self._encoder(chain, given), one_or_two(answer_of(chain, given.values))
        return Converted(
            architecture=Classifier.model_validate(
                {
                    "encoder": encoder,
                    "labels": answer.outputs,
                    "outputs": given.values.given.get("outputs", "softmax"),
                    **answer.members,
                }
            ),
            tensors={**tensors, **answer.tensors},
            series=series_input(given),
        )


def source_doubts(checkpoint: Checkpoint, chain: Chain) -> list[str]:
    """Whether the numbers of a step are those of a series."""
    names = [checkpoint.name_of(path) for path in checkpoint.networks]
    if chain.features < _IMAGE and not any("decoder" in name.lower() for name in names):
        return []
    if chain.features < _WORDS:
        return [
            f"{chain.features} numbers a step may be features that another network makes of images or words, which is "
            "not in the files: give its file, too, if there is one (--checkpoint ENCODER --checkpoint DECODER)"
        ]
    return [
        f"{chain.features:,} numbers a step are many for a series. One-hot rows of a vocabulary are read with "
        "--vocab FILE; a text that tf-idf or a count of words made one row is not supported: nothing recurs in it"
    ]


def _label_doubts(checkpoint: Checkpoint, chain: Chain) -> list[str]:
    """Whether names of the files that made this a classifier may be columns."""
    lists = _labels_in(checkpoint, chain)
    if _is_named_for_labels(chain) or not lists or any(not path.endswith(MAY_BE_LABELS) for path in lists):
        return []
    return [
        f"whether {checkpoint.name_of(lists[0])} are labels, or columns that the network forecasts (--layout "
        "series-forecaster), is not in the file"
    ]


def _labels_in(checkpoint: Checkpoint, chain: Chain) -> list[str]:
    """The paths of lists that have as many names as there are labels."""
    return [path for path, words in checkpoint.labels.items() if len(words) == max(2, chain.outputs)]


def _has_labels(checkpoint: Checkpoint, chain: Chain) -> bool:
    """Whether the outputs are labels: the files have as many names, or the last layer is named for them."""
    return bool(_labels_in(checkpoint, chain)) or _is_named_for_labels(chain)


def _is_named_for_labels(chain: Chain) -> bool:
    return any(word in chain.head[-1].linear.prefix.lower() for word in _LABELLED)


def _targets(chain: Chain) -> list[int]:
    """The numbers of targets that the outputs may have, the usual one first: all features, or one some steps ahead."""
    outputs, features = chain.outputs, chain.features
    divisors = [number for number in range(1, min(outputs, _MOST_FEATURES) + 1) if outputs % number == 0]
    usual = features if features in divisors and outputs == features else 1
    return [usual, *(number for number in divisors if number != usual)]
