"""Networks that pool their outputs over time, from what the walk found: classifiers, forecasters, language models over
a window; and taggers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras.activations import Function
from app.importers.keras.parts import encoder_of, for_rows, head_of, linear_layers, output_tensors, pooled_network
from app.importers.keras.recurrent import stacked, widened
from app.importers.keras.understood import Understood
from app.importers.keras.values import Linear, Piece, Repeat, Steps, Vector
from app.importers.layout import require
from app.importers.parts import prefixed, two_labels
from app.store.classifier import Classifier
from app.store.encoders import SeriesEncoder, TextEncoder
from app.store.forecaster import Forecaster, ValueDecoder
from app.store.language_model import LanguageModel
from app.store.stages import LinearStage, RecurrenceStage
from app.store.tagger import Tagger
from app.store.window_language_model import WindowLanguageModel

Tensors = Mapping[str, Tensor]


def classifier(understood: Understood) -> tuple[Classifier, Tensors]:
    """A last layer without a function is taken for logits."""
    vector = _vector(understood)
    network = pooled_network(vector)
    head = head_of(vector.layers, _pooled_size(vector))
    function = head.last.function
    single = len(head.last.bias) == 1
    require(
        function.is_softmax or function.activation in ("sigmoid", "none"),
        f"a classifier ends in softmax, sigmoid or logits; this Keras model ends in {function.activation}",
    )
    require(
        not (single and function.is_softmax),
        "the Keras model ends in a softmax over one output, which is always 1: it has nothing to say",
    )
    output = output_tensors(head.last)
    if single:
        output = prefixed(two_labels(output, "output."), "output.")
    architecture = Classifier(
        encoder=network.encoder,
        pooling=network.pooling,
        attention=network.attention,
        window=network.window,
        norm=network.norm,
        head=head.layers,
        labels=len(output["output.bias"]),
        outputs="sigmoid" if _are_independent(understood, head.last) and not single else "softmax",
    )
    return architecture, {**network.tensors, **head.tensors, **output}


def _are_independent(understood: Understood, last: Linear) -> bool:
    """Whether each label has a probability of its own."""
    return last.function.activation == "sigmoid" or (last.free and understood.loss.startswith("binary"))


def window_language_model(
    understood: Understood, *, window: int, pad: int | None, pad_side: Literal["left", "right"] = "left"
) -> tuple[WindowLanguageModel, Tensors]:
    """`pad` is the id before a short text; of one-hot rows it may be one more than there are, a row of zeros."""
    vector = _vector(understood)
    embedding = understood.embedding
    if embedding is None:
        embedding = torch.eye(understood.root.first_size)
    size = len(embedding)
    if pad is not None and pad >= size:
        embedding = torch.cat((embedding, embedding.new_zeros(pad + 1 - size, embedding.shape[1])))
    network = pooled_network(vector, embedding=embedding)
    head = head_of(vector.layers, _pooled_size(vector))
    last = for_rows(head.last, len(embedding))
    assert isinstance(network.encoder, TextEncoder)
    architecture = WindowLanguageModel(
        encoder=network.encoder,
        pooling=network.pooling,
        attention=network.attention,
        window=window,
        norm=network.norm,
        pad=pad,
        pad_side=pad_side,
        head=head.layers,
    )
    return architecture, {**network.tensors, **head.tensors, **output_tensors(last)}


def tagger(understood: Understood) -> tuple[Tagger, Tensors]:
    """A label for each step."""
    steps, linear = _over_steps(understood.output)
    encoder = encoder_of(steps)
    head = head_of(linear, steps.size)
    assert isinstance(encoder.config, TextEncoder)
    require(
        head.last.function.is_softmax or head.last.function.activation == "none",
        f"a tagger ends in softmax or logits; this Keras model ends in {head.last.function.activation}",
    )
    architecture = Tagger(encoder=encoder.config, head=head.layers, labels=len(head.last.bias))
    return architecture, {**prefixed(encoder.tensors, "encoder."), **head.tensors, **output_tensors(head.last)}


def language_model(understood: Understood) -> tuple[LanguageModel, Tensors]:
    """A recurrence that gives the next id after each step, and keeps its state."""
    steps, linear = _over_steps(understood.output)
    embedding = understood.embedding
    if embedding is None:
        embedding = torch.eye(understood.root.first_size)
    pieces = _one_recurrence(steps.pieces)
    require(len(linear) <= 2, "a language model has at most two layers after its recurrence")
    readout = linear[0] if len(linear) == 2 else None
    require(
        readout is None or readout.function.activation == "tanh",
        "the layer before the last one of a language model must have the function tanh",
    )
    stage = pieces.stage
    assert isinstance(stage, RecurrenceStage)
    architecture = LanguageModel(
        vocabulary_size=len(embedding),
        recurrence=stage.recurrence,
        readout_size=None if readout is None else len(readout.bias),
    )
    last = for_rows(_fitted(linear[-1], steps.size if readout is None else None, stage), len(embedding))
    tensors = {
        "encoder.embedding.weight": embedding,
        **prefixed(pieces.tensors, "encoder."),
        **prefixed(output_tensors(last), "decoder."),
    }
    if readout is not None:
        readout = _fitted(readout, steps.size, stage)
        tensors |= {"decoder.readout.weight": readout.weight, "decoder.readout.bias": readout.bias}
    return architecture, tensors


def _fitted(layer: Linear, inputs: int | None, stage: RecurrenceStage) -> Linear:
    """A layer over a recurrence that was widened: the further units count nothing."""
    width = stage.recurrence.hidden_size
    if inputs is None or inputs == width:
        return layer
    wide = layer.weight.new_zeros(len(layer.bias), width)
    wide[:, :inputs] = layer.weight
    return replace(layer, weight=wide)


def _one_recurrence(pieces: Sequence[Piece]) -> Piece:
    """Recurrences in one direction as the layers of one. Raises ImportFailed if they differ in more than their size."""
    require(
        bool(pieces) and all(isinstance(piece.stage, RecurrenceStage) for piece in pieces),
        "only recurrent layers may stand between the embedding and the layers on each step of this network",
    )
    made = stacked(pieces)
    if len(made) > 1:
        made = stacked(widened(pieces))
    require(len(made) == 1, "its recurrent layers differ in their functions, which is not supported in this network")
    return made[0]


def forecaster(understood: Understood, *, targets: int) -> tuple[Forecaster, Tensors]:
    """Raises ImportFailed if the outputs are no whole number of rows of `targets`."""
    output = understood.output
    if isinstance(output, Steps):
        return _repeated(output, targets) if isinstance(output.origin, Repeat) else _per_step(output, targets)
    vector = _vector(understood)
    network = pooled_network(vector)
    head = head_of(vector.layers, _pooled_size(vector))
    assert isinstance(network.encoder, SeriesEncoder)
    require(not len(head.last.bias) % targets, f"{len(head.last.bias)} outputs are no rows of {targets} targets")
    function = head.last.function
    architecture = Forecaster(
        encoder=network.encoder,
        pooling=network.pooling,
        attention=network.attention,
        window=network.window,
        norm=network.norm,
        head=head.layers,
        targets=targets,
        horizon=len(head.last.bias) // targets,
        output_activation=function.activation,
        slope=function.slope,
    )
    return architecture, {**network.tensors, **head.tensors, **output_tensors(head.last)}


def _per_step(output: Steps, targets: int) -> tuple[Forecaster, Tensors]:
    """A row for each of the steps that were read."""
    steps, linear = _over_steps(output)
    encoder = encoder_of(steps)
    head = head_of(linear, steps.size)
    assert isinstance(encoder.config, SeriesEncoder)
    require(output.count is not None, "a forecast for each step of the input needs an input of a fixed length")
    _check_targets(head.last, targets)
    architecture = Forecaster(
        encoder=encoder.config,
        head=head.layers,
        targets=targets,
        horizon=output.count or 1,
        per_step=True,
        output_activation=head.last.function.activation,
        slope=head.last.function.slope,
    )
    return architecture, {**prefixed(encoder.tensors, "encoder."), **head.tensors, **output_tensors(head.last)}


def _repeated(output: Steps, targets: int) -> tuple[Forecaster, Tensors]:
    """RepeatVector: a decoder that reads the summary in each step."""
    assert isinstance(output.origin, Repeat)
    vector = output.origin.vector
    require(vector.is_plain, "a layer between the encoder and RepeatVector is not supported")
    network = pooled_network(vector)
    steps, linear = _over_steps(output)
    head_size = steps.size
    recurrence = _one_recurrence(steps.pieces)
    stage = recurrence.stage
    assert isinstance(stage, RecurrenceStage)
    assert isinstance(network.encoder, SeriesEncoder)
    require(
        stage.recurrence.directions == 1 and not stage.recurrence.reverse,
        "a decoder after RepeatVector must read in one direction, forward",
    )
    head = head_of(linear, head_size)
    _check_targets(head.last, targets)
    decoder = ValueDecoder(
        **stage.recurrence.settings,
        hidden_size=stage.recurrence.hidden_size,
        layers=stage.recurrence.layers,
        reads="summary",
    )
    first = [_fitted(linear[0], steps.size, stage), *linear[1:]]
    head = head_of(first, stage.recurrence.hidden_size)
    architecture = Forecaster(
        encoder=network.encoder,
        pooling=network.pooling,
        attention=network.attention,
        window=network.window,
        head=head.layers,
        targets=targets,
        horizon=output.origin.count,
        decoder=decoder,
        output_activation=head.last.function.activation,
        slope=head.last.function.slope,
    )
    tensors = {**network.tensors, **prefixed(recurrence.tensors, "decoder."), **head.tensors}
    return architecture, {**tensors, **output_tensors(head.last)}


def _check_targets(last: Linear, targets: int) -> None:
    require(len(last.bias) == targets, f"the network forecasts {len(last.bias)} columns, not {targets}")


def _vector(understood: Understood) -> Vector:
    assert isinstance(understood.output, Vector)
    return understood.output


def _pooled_size(vector: Vector) -> int:
    return sum(
        part.steps.size if part.pooling != "flatten" else part.steps.size * (part.steps.count or 1)
        for part in vector.parts
    )


def _over_steps(value: object) -> tuple[Steps, list[Linear]]:
    """Steps without the linear layers that end them, and those."""
    assert isinstance(value, Steps)
    place = len(value.pieces)
    while place and isinstance(value.pieces[place - 1].stage, LinearStage):
        place -= 1
    linear = linear_layers(value.pieces[place:])
    if not linear:
        raise ImportFailed("the Keras model has no Dense layer over the outputs of its steps")
    if value.is_softmax:
        linear[-1] = replace(linear[-1], function=Function(is_softmax=True))
    return value.up_to(place), linear
