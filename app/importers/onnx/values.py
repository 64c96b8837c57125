"""What values of a graph are, as far as the walk has come: steps, last states, vectors. Nothing is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from app.importers.onnx.axes import STATES, Axes


@dataclass(frozen=True)
class Steps:
    """A value for each step: the source, an embedding, outputs of a recurrence (of its number)."""

    recurrence: int | None = None
    axes: Axes = ()


@dataclass(frozen=True)
class Hidden:
    """Last states: number of the recurrence and direction of each."""

    states: tuple[tuple[int, int], ...]
    axes: Axes = STATES


@dataclass(frozen=True)
class Pooled:
    """Vectors of a source, side by side: the names of poolings, none after a layer of the head."""

    names: tuple[str, ...] = ()


Value = Steps | Hidden | Pooled


@dataclass
class Walk:
    constants: dict[str, Tensor]
    values: dict[str, Value] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    directions: list[int] = field(default_factory=list)
    pooling: str | None = None
    between: list[str] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)  # of the head, by name
    functions: dict[str, str] = field(default_factory=dict)  # of each layer
    nonlinearity: str | None = None
    window: int | None = None
    shape: Sequence[Any] = ()  # of the source

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of axes that are known."""
        return {str(axis): size for axis, size in enumerate(self.shape) if isinstance(size, int)}

    def constant(self, name: str) -> Tensor | None:
        return self.constants.get(name)

    def whole(self, name: str) -> list[int]:
        """The whole numbers of a constant; empty if it is none."""
        tensor = self.constants.get(name)
        return [] if tensor is None or tensor.is_floating_point() else [int(n) for n in tensor.flatten().tolist()]
