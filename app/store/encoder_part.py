"""Base of the encoders with a recurrence, as a manifest describes them. Nothing here imports torch."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from app.store.part import Part
from app.store.recurrence import Join, KeptInput, MaskedOutputs, Recurrence
from app.store.stages import RecurrenceStage, Stages, describe, least_before, size_after, steps_after
from app.store.windowed_stages import MOST_NEEDED

Pooling = Literal["last", "last_cell", "last_output", "max", "mean", "sum", "attention", "flatten"]
"""How outputs over time become one vector. `last`: the last states of the top layer, both directions joined.
`last_cell`: its last cell states, of an LSTM.
`last_output`: the output of the last step, after the stages of `back`; with two directions its backward half has read
one step. `max`, `mean`, `sum`: over the steps; those that the recurrence does not read count in `max` alone.
`attention`: a mean weighted by `AttentionPooling`. `flatten`: all steps side by side, of a source whose length is
fixed."""
_SLOWER = 10  # a step of a cell that torch.nn does not compute, in steps of one that it does


class EncoderPart(Part):
    """Base of the encoders with a recurrence: the stages of `front`, the recurrence, its directions joined by `join`,
    and the stages of `back` over its outputs.

    A subclass whose source may have masked steps, which a recurrence does not read, has `is_masked`. They keep the
    state; `masked_outputs` is what stands in the outputs there. `keeps_input`: what the recurrence reads stands beside
    its outputs, for `back` and pooling (a skip connection); its last states are without it.
    """

    front: Stages = ()
    recurrence: Recurrence
    join: Join = "concatenate"
    masked_outputs: MaskedOutputs = "repeat"
    keeps_input: KeptInput | None = None
    back: Stages = ()

    @property
    @abstractmethod
    def source_size(self) -> int:
        """Features of a step that the stages of `front` read."""

    @property
    def is_masked(self) -> bool:
        """Whether a source may have steps that the recurrence does not read."""
        return False

    @property
    def is_transposed(self) -> bool:
        """Whether the recurrence reads features as steps."""
        return False

    @model_validator(mode="after")
    def _recurrence_fits(self) -> Self:
        features = size_after(self.front, self.source_size)
        if self.recurrence.input_size != features:
            raise ValueError(
                f"recurrence.input_size is {self.recurrence.input_size}, but it reads {features} numbers a step"
            )
        size_after(self.back, self.output_size)
        if self.least_steps() > MOST_NEEDED:
            raise ValueError(f"the stages need {self.least_steps():,} steps; the limit is {MOST_NEEDED:,}")
        return self

    @property
    def summary_size(self) -> int:
        """Features of the summary, the joined last states."""
        return self.recurrence.joined_size(self.join)

    @property
    def output_size(self) -> int:
        """Features of an output before the stages of `back`."""
        return self.summary_size + (self.recurrence.input_size if self.keeps_input else 0)

    @property
    def memory_size(self) -> int:
        """Features of an output."""
        return size_after(self.back, self.output_size)

    @property
    def branch_size(self) -> int:
        """Features that a second path over the source adds to the pooled outputs."""
        return 0

    def memory_length(self, steps: int) -> int:
        """Outputs for a source of this number of steps; below 1, it is too short."""
        return steps_after(self.back, steps_after(self.front, steps))

    def least_steps(self, outputs: int = 1) -> int:
        """The fewest steps of a source with this number of outputs."""
        return least_before(self.front, least_before(self.back, outputs))

    @property
    def reads_steps_alone(self) -> bool:
        """Whether an input of the recurrence is made from one step of the source, and nothing else reads the source."""
        return all(stage.is_pointwise for stage in self.front)

    @property
    def keeps_steps(self) -> bool:
        """Whether there is one output for each step, in the order of the source."""
        return all(stage.keeps_steps for stage in (*self.front, *self.back)) and not self.recurrence.reverse

    @property
    def is_divisible(self) -> bool:
        """Whether a source can be encoded in chunks, each from the state after the one before."""
        return self.reads_forward and not self.is_masked

    @property
    def reads_forward(self) -> bool:
        """Whether no output changes with the steps after it."""
        forward = self.recurrence.directions == 1 and not self.recurrence.reverse
        return forward and self.reads_steps_alone and all(stage.is_pointwise for stage in self.back)

    def differing_beginnings(self, read: Sequence[bool]) -> list[int]:
        """The lengths of the beginnings of a source that may be encoded differently than the one before. `read` says
        which of its steps are not masked: what follows the first masked step in a row changes nothing."""
        alone = self.reads_steps_alone and all(stage.is_pointwise for stage in self.back)
        return [
            length
            for length in range(1, len(read) + 1)
            if not alone or length == 1 or read[length - 1] or read[length - 2]
        ]

    @property
    def slow_layers(self) -> int:
        """Layers, in each direction, of cells that torch.nn does not compute: a source passes them step by step."""
        stages = [stage.recurrence for stage in (*self.front, *self.back) if isinstance(stage, RecurrenceStage)]
        every = (self.recurrence, *stages)
        return sum(one.layers * one.directions for one in every if not one.is_usual)

    def whole_steps(self, limit: int) -> int:
        """The most steps of a source that is read as a whole, where `limit` is that of a network of usual cells."""
        if not self.slow_layers:
            return limit
        return max(self.least_steps(), limit // max(_SLOWER, self.slow_layers))

    def _describe(self, source: str) -> str:
        front = f"{describe(self.front)}, " if self.front else ""
        back = f", {describe(self.back)}" if self.back else ""
        kept = " beside its input" if self.keeps_input else ""
        return f"{front}{self.recurrence.describe()} encoder{kept} over {source}{back}"
