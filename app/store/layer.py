"""A linear layer with its norm and its function, as a manifest describes it."""

from typing import Annotated, Literal

from pydantic import Field

from app.store.part import Epsilon, Part, Size
from app.store.recurrence import Activation, Slope

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
