"""Stages: what comes before a recurrence and after it, step by step or over neighbouring steps. Free of torch.

`app/models/stages.py` computes them. A stage makes (steps, features) of (steps, features)."""

from typing import Annotated, Literal

from pydantic import Field

from app.store.block import Block
from app.store.layer import Layer
from app.store.part import Epsilon
from app.store.recurrence import Activation, Join, KeptInput, MaskedOutputs, Recurrence, Slope
from app.store.stage_part import StagePart
from app.store.windowed_stages import Convolution, Pool


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
    """A recurrence of its own: a layer of another size, or of another kind, than the next one. `keeps_input`: what it
    reads stands beside its outputs (a skip connection)."""

    kind: Literal["recurrence"] = "recurrence"
    recurrence: Recurrence
    join: Join = "concatenate"
    masked_outputs: MaskedOutputs = "repeat"
    keeps_input: KeptInput | None = None

    @property
    def is_pointwise(self) -> bool:
        return False

    def output_size(self, before: int) -> int:
        return self.recurrence.joined_size(self.join) + (before if self.keeps_input else 0)

    def describe(self) -> str:
        return self.recurrence.describe() + (" beside its input" if self.keeps_input else "")


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
