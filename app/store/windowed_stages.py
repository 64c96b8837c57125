"""Stages over neighbouring steps: convolutions and pools over time. Free of torch."""

from abc import abstractmethod
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.part import Size
from app.store.recurrence import Activation, Slope
from app.store.stage_part import StagePart

Kernel = Annotated[int, Field(gt=0, le=1025)]  # steps of a convolution over time
Stride = Annotated[int, Field(gt=0, le=1025)]
Zeros = Annotated[int, Field(ge=0, le=1025)]  # added on both sides of a source, as in PyTorch
MOST_NEEDED = 10_000  # steps that a source must have, and that a window over neighbouring steps has


class _Windowed(StagePart):
    """Base of stages that look at `reach` neighbouring steps at once, and move by a stride.

    `padding`: `valid` makes a step of each whole window. `same` makes one step in `stride`, rounded up, and spreads the
    windows around the source as TensorFlow does: the extra step of an odd number is after the source. A number adds as
    many steps on both sides (PyTorch).
    """

    padding: Literal["same", "causal", "valid"] | Zeros = "valid"

    @model_validator(mode="after")
    def _every_window_has_a_step(self) -> Self:
        if isinstance(self.padding, int) and 0 < self.padding >= self.reach:
            raise ValueError(f"padding is {self.padding}; it must be less than {self.reach}, the steps of a window")
        if self.reach > MOST_NEEDED:
            raise ValueError(f"a window of {self.reach:,} steps is too long; the limit is {MOST_NEEDED:,}")
        return self

    @property
    @abstractmethod
    def reach(self) -> int:
        """Steps from the first of a window to its last, both included."""

    @property
    @abstractmethod
    def moves_by(self) -> int:
        """Steps from a window to the next."""

    @property
    def is_pointwise(self) -> bool:
        return self.reach == self.moves_by == 1 and not (isinstance(self.padding, int) and self.padding)

    @property
    def keeps_mask(self) -> bool:
        return False

    @property
    def keeps_steps(self) -> bool:
        if self.moves_by > 1:
            return False
        if isinstance(self.padding, int):
            return self.reach == 2 * self.padding + 1
        return self.padding != "valid" or self.reach == 1

    def steps(self, before: int) -> int:
        if self.padding in ("same", "causal"):
            return -(-before // self.moves_by)
        padded = before + 2 * self.padding if isinstance(self.padding, int) else before
        return (padded - self.reach) // self.moves_by + 1 if before > 0 else 0

    def least(self, after: int) -> int:
        if self.padding in ("same", "causal"):
            return (after - 1) * self.moves_by + 1
        padded = 2 * self.padding if isinstance(self.padding, int) else 0
        return max(1, (after - 1) * self.moves_by + self.reach - padded)


class Convolution(_Windowed):
    """One convolution over time with a bias, and a function. `causal` adds zeros before the steps."""

    kind: Literal["convolution"] = "convolution"
    width: Size
    kernel: Kernel
    stride: Stride = 1
    dilation: Stride = 1
    padding: Literal["same", "causal", "valid"] | Zeros = "valid"
    activation: Activation = "none"
    slope: Slope = 0.01

    @property
    def reach(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    @property
    def moves_by(self) -> int:
        return self.stride

    def output_size(self, before: int) -> int:
        return self.width

    def describe(self) -> str:
        return f"convolution {self.kernel} x {self.width}"


class Pool(_Windowed):
    """The maximum or the mean over `size` neighbouring steps. Steps that `same` adds do not count; those of a number
    do not count in a maximum, and are zeros in a mean (PyTorch)."""

    kind: Literal["pool"] = "pool"
    function: Literal["max", "mean"] = "max"
    size: Kernel
    stride: Stride
    padding: Literal["same", "valid"] | Zeros = "valid"

    @model_validator(mode="after")
    def _half_of_a_window_has_steps(self) -> Self:
        if isinstance(self.padding, int) and 2 * self.padding > self.size:
            raise ValueError(f"padding of a pool is at most half its size, {self.size}")
        return self

    @property
    def reach(self) -> int:
        return self.size

    @property
    def moves_by(self) -> int:
        return self.stride

    def describe(self) -> str:
        return f"{self.function} of {self.size} steps"
