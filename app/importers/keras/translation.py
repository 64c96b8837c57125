"""Encoder-decoders, from the training models that are saved: an encoder whose last states start a decoder, perhaps with
attention between their outputs; or a decoder that reads the encoder's summary in each step (RepeatVector)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras.parts import Encoder, encoder_of, for_rows, linear_layers, source_of
from app.importers.keras.recurrent import stacked, widened
from app.importers.keras.understood import Understood
from app.importers.keras.values import Attended, Beside, Linear, Piece, Repeat, Steps
from app.importers.layout import require
from app.importers.parts import prefixed
from app.store.attention import Attention
from app.store.decoder import Bridge, Decoder
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder
from app.store.stages import LinearStage, RecurrenceStage

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Pair:
    """Encoder and decoder of a model, before their conversion. `parts` are what the layers of `linear` read; the steps
    of `decoder` are the recurrence alone. `source` takes the place of the encoder's embedding."""

    encoder: Steps
    decoder: Steps
    parts: Sequence[Steps | Attended]
    linear: Sequence[Linear]
    repeats: int | None = None
    source: Tensor | None = None

    @property
    def embedding(self) -> Tensor:
        """The embedding of the source."""
        return _embedding(self.encoder) if self.source is None else self.source

    @property
    def attended(self) -> Attended | None:
        return next((part for part in self.parts if isinstance(part, Attended)), None)

    @property
    def rows(self) -> tuple[int, int]:
        """Ids that the encoder and the decoder read."""
        return len(_embedding(self.encoder)), len(self.linear[-1].bias)


def pair_of(understood: Understood) -> Pair:
    """Raises ImportFailed if the parts are not those of an encoder-decoder."""
    output = understood.output
    assert isinstance(output, Steps)
    place = len(output.pieces)
    while place and isinstance(output.pieces[place - 1].stage, LinearStage):
        place -= 1
    linear = linear_layers(output.pieces[place:])
    require(bool(linear), "the decoder of the Keras model has no Dense layer at its end")
    before = output.up_to(place)
    if isinstance(output.origin, Repeat):
        vector = output.origin.vector
        if not vector.is_plain or [part.pooling for part in vector.parts] != ["last"]:
            raise ImportFailed("RepeatVector must repeat the last output of an encoder")
        return Pair(vector.parts[0].steps, before, (before,), linear, output.origin.count)
    parts: Sequence[Steps | Attended] = (before,)
    decoder = before
    if isinstance(before.origin, Beside):
        require(not before.pieces, "only Dense layers may follow the attention of a decoder")
        parts = before.origin.parts
        decoder = next(part if isinstance(part, Steps) else part.query for part in parts)
    if not decoder.started_by:
        raise ImportFailed("the decoder of the Keras model does not start from the last states of an encoder")
    encoder = max((state.steps for state in decoder.started_by), key=lambda steps: len(steps.pieces))
    return Pair(encoder, decoder, parts, linear)


def encoder_decoder(pair: Pair, *, zero_row: bool = False) -> tuple[EncoderDecoder, Tensors]:
    """The network. `zero_row` gives one-hot sources one more id, whose row is zeros.

    Raises ImportFailed for what ours has no place for."""
    if zero_row:
        rows = _embedding(pair.encoder)
        pair = replace(pair, source=torch.cat((rows, rows.new_zeros(1, rows.shape[1]))))
    return _repeating(pair) if pair.repeats is not None else _started(pair)


def _started(pair: Pair) -> tuple[EncoderDecoder, Tensors]:
    decoder, encoder = pair.decoder, pair.encoder
    recurrence = _one_recurrence(decoder.pieces)
    bridge, encoded = _bridge(pair, recurrence)
    attention, tensors = _attention(pair, encoder)
    readout = _readout(pair)
    embedding = _embedding(decoder)
    sizes = [decoder.size if name == "hidden" else encoder.size for name in readout]
    layers, readout_size = _layers(pair.linear)
    stage = recurrence.stage
    assert isinstance(stage, RecurrenceStage)
    assert isinstance(encoded.config, TextEncoder)
    first = _spread(layers[0], readout, sizes, stage.recurrence.hidden_size)
    layers = [first, *layers[1:]]
    output = for_rows(layers[-1], len(embedding))
    architecture = EncoderDecoder(
        encoder=encoded.config,
        decoder=Decoder(
            **stage.recurrence.settings,
            vocabulary_size=len(embedding),
            embedding_size=embedding.shape[1],
            hidden_size=stage.recurrence.hidden_size,
            layers=stage.recurrence.layers,
            attention=attention,
            context="output",
            readout=readout,
            readout_size=readout_size,
            bridge=bridge,
        ),
    )
    tensors = {
        **prefixed(encoded.tensors, "encoder."),
        **prefixed(tensors, "decoder.attention."),
        **prefixed(recurrence.tensors, "decoder."),
        "decoder.embedding.weight": embedding,
        "decoder.output.weight": output.weight,
        "decoder.output.bias": output.bias,
    }
    if readout_size is not None:
        tensors |= {"decoder.readout.weight": layers[0].weight, "decoder.readout.bias": layers[0].bias}
    return architecture, tensors


def _embedding(steps: Steps) -> Tensor:
    """The embedding of ids, or the rows of one-hot ids."""
    if steps.embedding is not None:
        return steps.embedding
    source_of(steps)
    return torch.eye(steps.first_size)


def _one_recurrence(pieces: Sequence[Piece]) -> Piece:
    """The decoder's recurrences as the layers of one."""
    for piece in pieces:
        stage = piece.stage
        if not isinstance(stage, RecurrenceStage):
            raise piece.layer.refuse("only recurrent layers may stand between the inputs and outputs of a decoder")
        if stage.recurrence.directions == 2 or stage.recurrence.reverse:
            raise piece.layer.refuse("a decoder reads forward only")
    made = stacked(pieces)
    if len(made) > 1:
        made = stacked(widened(pieces))
    require(len(made) == 1, "the decoder's recurrent layers differ in their functions, which is not supported")
    return made[0]


def _bridge(pair: Pair, decoder: Piece) -> tuple[Bridge, Encoder]:
    """How the encoder's last states start the decoder, and the encoder."""
    states, encoder, embedding = pair.decoder.started_by, pair.encoder, pair.embedding
    stage = decoder.stage
    assert isinstance(stage, RecurrenceStage)
    tensors = stage.recurrence.cell == "lstm"
    which = ["hidden", "cell"] if tensors else ["hidden"]
    if [state.which for state in states] != which * stage.recurrence.layers:
        raise ImportFailed(
            f"each of the {stage.recurrence.layers} layers of the decoder must start from the last "
            f"{' and '.join(which)} states of an encoder's layer"
        )
    each = states[:: len(which)]
    if any(
        state.steps.pieces[-1].layer.name != other.steps.pieces[-1].layer.name
        for state, other in zip(each, states[len(which) - 1 :: len(which)], strict=True)
    ):
        raise ImportFailed("hidden and cell state of a decoder's layer must be of one layer of the encoder")
    places = [len(state.steps.pieces) - 1 for state in each]
    pieces = list(encoder.pieces)
    if len(each) == 1:
        made = encoder_of(encoder, embedding=embedding, layers=pieces)
        recurrence, direction = made.config.recurrence, each[0].direction
        if recurrence.directions == 1:
            return "copy", made
        return ("join" if direction is None else _first(direction)), made
    if places != list(range(places[0], len(pieces))):
        raise ImportFailed("the layers of the decoder must start from the layers of the encoder in their order")
    last = pieces[places[0] :]
    one = stacked(last)
    if len(one) > 1:
        one = stacked(widened(last))
    require(len(one) == 1, "the layers of the encoder differ in their functions, which is not supported")
    made = encoder_of(encoder, embedding=embedding, layers=[*pieces[: places[0]], *one])
    return ("copy" if each[0].direction is None and made.config.recurrence.directions == 1 else "join"), made


def _first(direction: int) -> Bridge:
    require(direction == 0, "a decoder that starts from the backward state of an encoder is not supported")
    return "first"


def _attention(pair: Pair, encoder: Steps) -> tuple[Attention, Tensors]:
    attended = pair.attended
    if attended is None:
        return Attention(), {}
    if len(attended.memory.pieces) != len(encoder.pieces):
        raise attended.layer.refuse("it must attend to the outputs of the last layer of the encoder")
    size = attended.memory.size
    if attended.kind == "additive":
        scale = torch.ones(size) if attended.scale is None else attended.scale.flatten()
        one, zero = torch.eye(size), torch.zeros(size)
        tensors = {"key.weight": one, "key.bias": zero, "query.weight": one.clone(), "query.bias": zero.clone()}
        return Attention(kind="additive", size=size), {**tensors, "score.weight": scale.unsqueeze(0)}
    if attended.scale is None:
        return Attention(kind="dot"), {}
    return Attention(kind="general"), {"key.weight": torch.eye(size) * attended.scale.flatten()[0]}


def _readout(pair: Pair) -> tuple[str, ...]:
    """What the first layer after the decoder reads, in its order."""
    names = tuple("context" if isinstance(part, Attended) else "hidden" for part in pair.parts)
    require(len(set(names)) == len(names), "a decoder with several outputs side by side is not supported")
    return names


def _layers(linear: Sequence[Linear]) -> tuple[list[Linear], int | None]:
    """The output layer, perhaps after one with tanh, whose size is the readout's."""
    layers = list(linear)
    while len(layers) > 1 and layers[0].free:
        first, second = layers[:2]
        joined = Linear(second.weight @ first.weight, second.weight @ first.bias + second.bias, second.function)
        layers = [joined, *layers[2:]]
    if len(layers) == 1:
        return layers, None
    if len(layers) == 2 and layers[0].function.activation == "tanh":
        return layers, len(layers[0].bias)
    functions = " and ".join(layer.function.activation for layer in layers[:-1])
    raise ImportFailed(
        f"between the recurrence of a decoder and its output only one Dense layer with tanh is supported, not "
        f"{functions}"
    )


def _spread(layer: Linear, readout: Sequence[str], sizes: Sequence[int], hidden: int) -> Linear:
    """The layer for a decoder that is wider than Keras'."""
    parts = []
    for name, part in zip(readout, torch.split(layer.weight, list(sizes), 1), strict=True):
        wide = part.new_zeros(len(part), hidden if name == "hidden" else part.shape[1])
        wide[:, : part.shape[1]] = part
        parts.append(wide)
    return replace(layer, weight=torch.cat(parts, 1))


def _repeating(pair: Pair) -> tuple[EncoderDecoder, Tensors]:
    """The summary is the input of each step, whatever was decoded before."""
    encoded = encoder_of(pair.encoder, embedding=pair.embedding)
    recurrence = _one_recurrence(pair.decoder.pieces)
    stage = recurrence.stage
    assert isinstance(stage, RecurrenceStage)
    assert isinstance(encoded.config, TextEncoder)
    layers, readout_size = _layers(pair.linear)
    first = _spread(layers[0], ("hidden",), (pair.decoder.size,), stage.recurrence.hidden_size)
    layers = [first, *layers[1:]]
    rows = len(layers[-1].bias)
    architecture = EncoderDecoder(
        encoder=encoded.config,
        decoder=Decoder(
            **stage.recurrence.settings,
            vocabulary_size=rows,
            embedding_size=1,
            hidden_size=stage.recurrence.hidden_size,
            layers=stage.recurrence.layers,
            attention=Attention(kind="fixed"),
            context="input",
            readout=("hidden",),
            readout_size=readout_size,
            bridge="zeros",
        ),
    )
    mine = dict(recurrence.tensors)
    name = "recurrence.weight_ih_l0"
    mine[name] = torch.cat((mine[name].new_zeros(len(mine[name]), 1), mine[name]), 1)  # the decoded token says nothing
    tensors = {
        **prefixed(encoded.tensors, "encoder."),
        **prefixed(mine, "decoder."),
        "decoder.embedding.weight": torch.zeros(rows, 1),
        "decoder.output.weight": layers[-1].weight,
        "decoder.output.bias": layers[-1].bias,
    }
    if readout_size is not None:
        tensors |= {"decoder.readout.weight": layers[0].weight, "decoder.readout.bias": layers[0].bias}
    return architecture, tensors
