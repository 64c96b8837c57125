"""The layers behind an encoder from what the walk found: those of a head, and the output layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras.activations import Function
from app.importers.keras.values import Linear, Piece, Steps
from app.importers.layout import require
from app.importers.parts import prefixed
from app.importers.stacks import widened_output
from app.store.layer import Layer
from app.store.stages import LinearStage


@dataclass(frozen=True)
class Head:
    """The layers of a head, and its last one, with the tensors of the layers by our names."""

    layers: tuple[Layer, ...]
    last: Linear
    tensors: Mapping[str, Tensor]


def head_of(layers: Sequence[Linear], size: int) -> Head:
    """Linear layers over a vector of this size. Raises ImportFailed for a softmax in the middle."""
    linear = list(layers) or [Linear(torch.eye(size), torch.zeros(size))]
    *inner, last = linear
    tensors: dict[str, Tensor] = {}
    configs = []
    for number, layer in enumerate(inner):
        if layer.function.is_softmax:
            raise ImportFailed("the Keras model has a layer after a softmax, which is not supported")
        function = layer.function
        configs.append(Layer(size=len(layer.weight), activation=function.activation, slope=function.slope))
        tensors |= {f"{number}.weight": layer.weight, f"{number}.bias": layer.bias}
    return Head(tuple(configs), last, prefixed(tensors, "head."))


def linear_layers(pieces: Sequence[Piece]) -> list[Linear]:
    """Stages that are linear layers on each step, as such."""
    made = []
    for piece in pieces:
        stage = piece.stage
        assert isinstance(stage, LinearStage)
        function = Function(stage.activation, stage.slope)
        made.append(Linear(piece.tensors["weight"], piece.tensors["bias"], function))
    return made


def output_tensors(last: Linear) -> dict[str, Tensor]:
    """The output layer by our names."""
    return {"output.weight": last.weight, "output.bias": last.bias}


def for_rows(last: Linear, rows: int) -> Linear:
    """An output layer with as many outputs as the network has ids. The ones that Keras has no output for are never
    decoded."""
    missing = rows - len(last.bias)
    require(missing >= 0, f"the network writes {len(last.bias)} ids and reads {rows}")
    if not missing:
        return last
    weight = torch.cat((last.weight, last.weight.new_zeros(missing, last.weight.shape[1])))
    return replace(last, weight=weight, bias=torch.cat((last.bias, last.bias.new_full((missing,), -1e9))))


def with_inputs(layer: Linear, width: int) -> Linear:
    """A layer over a recurrence that was widened: the further units count nothing."""
    return replace(layer, weight=widened_output(layer.weight, width))


def over_steps(steps: Steps) -> tuple[Steps, list[Linear]]:
    """Steps without the linear layers that end them, and those. Raises ImportFailed if there are none."""
    place = len(steps.pieces)
    while place and isinstance(steps.pieces[place - 1].stage, LinearStage):
        place -= 1
    linear = linear_layers(steps.pieces[place:])
    require(bool(linear), "the Keras model has no Dense layer over the outputs of its steps")
    if steps.is_softmax:
        linear[-1] = replace(linear[-1], function=Function(is_softmax=True))
    return steps.up_to(place), linear
