"""Stages: what comes before a recurrence and after it, step by step or over neighbouring steps. Free of torch.

`app/models/stages.py` computes them. A stage makes (steps, features) of (steps, features).
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.part import Epsilon, Part, Size
from app.store.recurrence import Activation, Join, MaskedOutputs, Recurrence, Slope

Kernel = Annotated[int, Field(gt=0, le=1025)]  # steps of a convolution over time
Stride = Annotated[int, Field(gt=0, le=1025)]
Zeros = Annotated[int, Field(ge=0, le=1025)]  # added on both sides of a source, as in PyTorch
MOST_NEEDED = 10_000  # steps that a source must have, and that a window over neighbouring steps has
BatchNorm = Annotated[
    bool | Literal["before", "after"], Field(description="Before or after the linear layer; true is after.")
]


class Layer(Part):
    """A linear layer, batch normalisation before or after it if it has one, and a function.

    `before` is batch normalisation, linear layer, function (fastai). `slope` is that of leaky_relu.
    """

    size: Size
    batch_norm: BatchNorm = False
    epsilon: Epsilon = 1e-5
    activation: Activation = "relu"
    slope: Slope = 0.01

    @property
    def norm(self) -> Literal["before", "after"] | None:
        """Where its batch normalisation is."""
        return "after" if self.batch_norm is True else self.batch_norm or None


Head = Annotated[tuple[Layer, ...], Field(max_length=16)]


class StagePart(Part):
    """Base of the stages.

    `is_pointwise`: a step of its output needs that step of the source alone. `keeps_mask`: steps that a recurrence does
    not read are known behind it too, as in Keras; a convolution and a pooling make new steps, which are all read.
    """

    @property
    def is_pointwise(self) -> bool:
        return True

    @property
    def keeps_mask(self) -> bool:
        return True

    @property
    def keeps_steps(self) -> bool:
        """Whether it makes one step of each."""
        return True

    def output_size(self, before: int) -> int:
        """Features of a step that it makes of steps with `before` features."""
        return before

    def steps(self, before: int) -> int:
        """The number of steps that it makes of `before` steps; below 1, there are too few."""
        return before

    def least(self, after: int) -> int:
        """The fewest steps of which it makes `after` steps."""
        return after


class Block(StagePart):
    """Convolutions over time, one for each of `kernels`, all of `width` features.

    `plain`: each convolution has batch normalisation and relu after it (Wang et al. 2017, section II.B).
    `residual`: the same, and a shortcut from before the first one is added before the last relu; where the width or the
    number of steps changes, the shortcut is a convolution of one step (Wang et al. 2017, section II.C, after He et al.
    2016).

    `padding` is zeros: `same` on both sides, the extra one of an even kernel after the steps; `causal` before them.

    `stride`: the first convolution keeps one step in `stride`. `pool` ends the block with the maximum over `pool` steps
    around every second one. Both keep the first step, so n steps become n / stride, rounded up.
    """

    kind: Literal["plain", "residual"]
    width: Size
    kernels: tuple[Kernel, ...] = Field(min_length=1, max_length=8)
    batch_norm: bool = True
    padding: Literal["same", "causal"] = "same"
    stride: Annotated[int, Field(gt=0, le=64)] = 1
    pool: Kernel | None = None

    @property
    def is_pointwise(self) -> bool:
        return False

    @property
    def keeps_mask(self) -> bool:
        return False

    @property
    def keeps_steps(self) -> bool:
        return self.stride == 1 and self.pool is None

    def output_size(self, before: int) -> int:
        return self.width

    def steps(self, before: int) -> int:
        strided = -(-before // self.stride)
        return strided if self.pool is None else -(-strided // 2)

    def least(self, after: int) -> int:
        strided = after if self.pool is None else 2 * (after - 1) + 1
        return (strided - 1) * self.stride + 1

    def describe(self) -> str:
        return f"{self.kind} {'-'.join(map(str, self.kernels))} x {self.width}"


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
    def reach(self) -> int:
        """Steps from the first of a window to its last, both included."""
        raise NotImplementedError

    @property
    def moves_by(self) -> int:
        """Steps from a window to the next."""
        raise NotImplementedError

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


class LinearStage(Layer, StagePart):
    """A `Layer` on every step."""

    kind: Literal["linear"] = "linear"

    def output_size(self, before: int) -> int:
        return self.size

    def describe(self) -> str:
        return f"linear layer of {self.size}"


class Affine(StagePart):
    """Each feature times its scale, plus its shift, and a function. Batch normalisation and Keras' Normalization are
    that, once they are trained."""

    kind: Literal["affine"] = "affine"
    activation: Activation = "none"
    slope: Slope = 0.01

    def describe(self) -> str:
        return "scale and shift"


class LayerNorm(StagePart):
    """Layer normalisation of each step (Ba et al. 2016)."""

    kind: Literal["layer_norm"] = "layer_norm"
    epsilon: Epsilon = 1e-5

    def describe(self) -> str:
        return "layer normalisation"


class RecurrenceStage(StagePart):
    """A recurrence of its own: a layer of another size, or of another kind, than the next one."""

    kind: Literal["recurrence"] = "recurrence"
    recurrence: Recurrence
    join: Join = "concatenate"
    masked_outputs: MaskedOutputs = "repeat"

    @property
    def is_pointwise(self) -> bool:
        return False

    def output_size(self, before: int) -> int:
        return self.recurrence.joined_size(self.join)

    def describe(self) -> str:
        return self.recurrence.describe()


Stage = Annotated[
    Block | Convolution | Pool | LinearStage | Affine | LayerNorm | RecurrenceStage, Field(discriminator="kind")
]
Stages = Annotated[tuple[Stage, ...], Field(max_length=64)]


def size_after(stages: Stages, features: int) -> int:
    """Features after the stages. Raises ValueError for a stage that reads another number of them."""
    for number, stage in enumerate(stages):
        if isinstance(stage, RecurrenceStage) and stage.recurrence.input_size != features:
            read = stage.recurrence.input_size
            raise ValueError(f"stage {number} has recurrence.input_size {read}, but a step before it has {features}")
        features = stage.output_size(features)
    return features


def steps_after(stages: Stages, steps: int) -> int:
    """Steps after the stages; below 1, the source is too short for them."""
    for stage in stages:
        steps = stage.steps(steps) if steps > 0 else 0
    return steps


def least_before(stages: Stages, steps: int) -> int:
    """The fewest steps of a source of which the stages make `steps`."""
    for stage in reversed(stages):
        steps = stage.least(steps)
    return steps


def describe(stages: Stages) -> str:
    """The stages in words."""
    kinds = {stage.kind for stage in stages}
    if kinds and all(isinstance(stage, Block) for stage in stages) and len(kinds) == 1:
        return f"{len(stages)} {kinds.pop()} block{'s' if len(stages) > 1 else ''}"
    return ", ".join(stage.describe() for stage in stages)
