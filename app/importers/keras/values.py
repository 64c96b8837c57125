"""What flows through the graph of a Keras model, as the walk sees it: steps with the stages that made them, vectors,
states, and what a decoder reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

import torch
from torch import Tensor

from app.importers.keras.activations import Function
from app.importers.keras.graph import Layer
from app.store.encoder_part import Pooling
from app.store.pooled import AttentionPooling
from app.store.recurrence import Recurrence
from app.store.stages import RecurrenceStage, Stage


@dataclass(frozen=True)
class Source:
    """An input of the model. `shape` is without the batch; None is any length. A `vectorization` makes ids of texts."""

    name: str
    shape: tuple[int | None, ...]
    vectorization: Layer | None = None


@dataclass(frozen=True)
class Piece:
    """A stage of ours, its tensors by the names in the stage, and the layer that it is from."""

    stage: Stage
    tensors: Mapping[str, Tensor]
    layer: Layer

    @property
    def recurrence(self) -> Recurrence:
        """Its recurrence, where the stage is one."""
        assert isinstance(self.stage, RecurrenceStage)
        return self.stage.recurrence


@dataclass(frozen=True)
class Repeat:
    """A vector in each of a number of steps."""

    vector: "Vector"
    count: int


@dataclass(frozen=True)
class Beside:
    """Steps side by side: a decoder's outputs and the contexts that they find."""

    parts: Sequence["Steps | Attended"]


@dataclass(frozen=True)
class Steps:
    """Steps with features. `embedding` (ids, features) reads the ids of a source.

    `mask` is what stands for a step that a recurrence does not read: an id, or a value. It is `known` until a layer of
    Keras loses it, and `read` once something has read it. `is_transposed`: the features of the source are the steps.
    `started_by` are the states that start the recurrences, in their order. `is_softmax` ends it.
    """

    origin: Source | Repeat | Beside
    size: int
    count: int | None
    embedding: Tensor | None = None
    pieces: Sequence[Piece] = ()
    mask: float | None = None
    known: bool = False
    read: bool = False
    is_transposed: bool = False
    started_by: Sequence["State"] = ()
    is_softmax: bool = False

    def then(self, piece: Piece) -> "Steps":
        """With one more stage."""
        stage = piece.stage
        count = None if self.count is None else max(0, stage.steps(self.count))
        known = self.known and stage.keeps_mask
        return replace(self, pieces=(*self.pieces, piece), size=stage.output_size(self.size), count=count, known=known)

    @property
    def first_size(self) -> int:
        """Features of a step before the stages."""
        match self.origin:
            case Repeat():
                return self.origin.vector.size
            case Beside():
                return sum(part.size for part in self.origin.parts)
            case Source() if self.embedding is not None:
                return self.embedding.shape[1]
            case Source():
                return (self.origin.shape[0] if self.is_transposed else self.origin.shape[1]) or 1
            case _:
                assert_never(self.origin)

    @property
    def table(self) -> Tensor:
        """The embedding of its ids, or the rows of one-hot ids."""
        return torch.eye(self.first_size) if self.embedding is None else self.embedding

    def up_to(self, place: int) -> "Steps":
        """With the first stages only."""
        size = self.first_size
        for piece in self.pieces[:place]:
            size = piece.stage.output_size(size)
        return replace(self, pieces=self.pieces[:place], size=size, is_softmax=False)

    @property
    def is_masked(self) -> bool:
        """Whether our stages hand a mask on to the next one."""
        return self.mask is not None and all(piece.stage.keeps_mask for piece in self.pieces)

    def by_mask(self, layer: Layer) -> "Steps":
        """As they are read by a layer that looks at the mask. Raises ImportFailed if Keras' mask and ours differ."""
        if self.is_masked and not self.known:
            raise layer.refuse("a layer before it loses the mask and keeps the steps, which is not supported")
        return replace(self, read=True) if self.is_masked else self

    @property
    def recurrences(self) -> list[int]:
        """The places of its recurrences among its stages."""
        return [number for number, piece in enumerate(self.pieces) if isinstance(piece.stage, RecurrenceStage)]


@dataclass(frozen=True)
class State:
    """A last state of the recurrence that ends `steps`; `direction` None is both, forward first."""

    steps: Steps
    which: Literal["hidden", "cell"]
    direction: int | None


@dataclass(frozen=True)
class Linear:
    """A linear layer (out, in) and a function. A `diagonal` one is only a scale and shift of each feature."""

    weight: Tensor
    bias: Tensor
    function: Function = field(default_factory=Function)
    diagonal: bool = False

    @property
    def free(self) -> bool:
        """Whether it has no function, so that what is linear can be taken in."""
        return self.function == Function()


@dataclass(frozen=True)
class Pooled:
    """Steps pooled over time. `attention` has the settings and tensors of that pooling."""

    steps: Steps
    pooling: Pooling
    attention: tuple[AttentionPooling, Mapping[str, Tensor]] | None = None


@dataclass(frozen=True)
class Vector:
    """Pooled steps side by side, perhaps layer normalisation, and linear layers over that. `shape` is what its features
    are made of: rows of targets."""

    parts: Sequence[Pooled]
    size: int
    layers: Sequence[Linear] = ()
    shape: tuple[int, ...] | None = None
    norm: Piece | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is over the pooled steps."""
        return not self.layers and self.norm is None

    @property
    def pooled_size(self) -> int:
        """Its features before the layers."""
        return sum(
            part.steps.size if part.pooling != "flatten" else part.steps.size * (part.steps.count or 1)
            for part in self.parts
        )

    def through(self, layer: Linear) -> "Vector":
        """With one more layer, which takes in a scale and shift before it."""
        layers = list(self.layers)
        if layers and layers[-1].free and layers[-1].diagonal:
            before = layers.pop()
            layer = replace(layer, weight=layer.weight @ before.weight, bias=layer.weight @ before.bias + layer.bias)
        return replace(self, layers=(*layers, layer), size=len(layer.weight), shape=None)

    def scaled(self, scale: Tensor, shift: Tensor) -> "Vector":
        """With each feature times its scale, plus its shift."""
        if self.layers and self.layers[-1].free:
            last = self.layers[-1]
            taken = replace(last, weight=last.weight * scale.unsqueeze(1), bias=last.bias * scale + shift)
            return replace(self, layers=(*self.layers[:-1], taken))
        return replace(self, layers=(*self.layers, Linear(torch.diag(scale), shift, diagonal=True)))

    def with_function(self, function: Function) -> "Vector":
        """With a function over its features."""
        if not (self.layers and self.layers[-1].free):
            self = self.scaled(torch.ones(self.size), torch.zeros(self.size))
        return replace(self, layers=(*self.layers[:-1], replace(self.layers[-1], function=function, diagonal=False)))


@dataclass(frozen=True)
class Attended:
    """The context that a decoder's outputs find in a memory. `scale` is (features,) for additive attention, one number
    for dot-product attention, None for 1."""

    query: Steps
    memory: Steps
    kind: Literal["dot", "additive"]
    scale: Tensor | None
    layer: Layer

    @property
    def size(self) -> int:
        return self.memory.size


@dataclass(frozen=True)
class Weights:
    """A weight for each of the steps, which sum to 1. `scored` are the steps with the layers that score them."""

    scored: Steps


@dataclass(frozen=True)
class Weighted:
    """Steps times their weights."""

    steps: Steps
    weights: Weights


Value = Source | Steps | State | Vector | Attended | Weights | Weighted
