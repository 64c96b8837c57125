"""Base of the stages. Free of torch."""

from app.store.part import Part


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
