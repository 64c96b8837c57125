"""Rows of numbers to the rows that follow, as a manifest describes it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.encoders import SeriesEncoder
from app.store.part import Layers, Size
from app.store.pooled import PooledNetwork
from app.store.recurrence import Activation, CellSettings, Recurrence, Slope

Horizon = Annotated[int, Field(gt=0, le=10_000)]  # steps ahead


class ValueDecoder(CellSettings):
    """A recurrence that makes rows of numbers.

    `reads` is the input of its steps. `fed`: the row before; its state starts as the encoder's last one, and it makes
    as many rows as are wanted (Sutskever et al. 2014, section 2, over numbers). The first input is the last row of the
    source (`last`; its targets) or zeros. `summary`: the pooled source, in each step; its state starts at zero, or as
    the encoder's last one (`continues`), and it makes the rows of the horizon (Keras: RepeatVector).
    """

    hidden_size: Size
    layers: Layers = 1
    reads: Literal["fed", "summary"] = "fed"
    first_input: Literal["last", "zeros"] = "last"
    continues: bool = Field(False, description="With `summary`, start from the encoder's last state.")

    def recurrence(self, input_size: int) -> Recurrence:
        """Its recurrence over inputs of that size. All values are validated already."""
        return Recurrence.model_construct(
            **self.settings, input_size=input_size, hidden_size=self.hidden_size, layers=self.layers
        )


class Forecaster(PooledNetwork):
    """Rows of numbers to the rows that follow: an encoder, its outputs pooled over time, the layers of `head`, one
    linear layer with `horizon` x `targets` outputs, step by step, and a function.

    `feedback` makes the steps after these. `none`: there are no more. `state`: a forecast row is the next input of the
    recurrence, which continues from its state. `window`: it is appended to the window, whose first row leaves, and the
    window is read anew. Both need a horizon of 1 and as many targets as features.

    With `decoder` the head follows each of its steps; `horizon` is the usual number of them if it is fed. `per_step`:
    the head follows each of the last `horizon` outputs, and makes one row of each (darts: BlockRNNModel).
    """

    kind: Literal["forecaster"] = "forecaster"
    encoder: SeriesEncoder
    targets: Size
    horizon: Horizon = 1
    feedback: Literal["none", "state", "window"] = "none"
    decoder: ValueDecoder | None = None
    output_activation: Activation = "none"
    slope: Slope = 0.01
    per_step: bool = False

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        shape = (self.horizon, self.targets, self.decoder, self.per_step)
        if self.feedback != "none" and shape != (1, self.encoder.features, None, False):
            raise ValueError("feedback needs horizon 1, as many targets as features, no decoder and no per_step")
        if self.feedback == "state":
            encoder = self.encoder
            if not encoder.is_divisible or encoder.front or encoder.back or encoder.keeps_input:
                raise ValueError(
                    "feedback 'state' needs a recurrence in one direction, without stages, branch, mask or keeps_input"
                )
            if self.pooling != ("last",):
                raise ValueError("feedback 'state' needs pooling 'last'")
        if self.per_step and (self.pooling != ("last",) or self.decoder is not None or self.encoder.branch):
            raise ValueError("per_step takes no pooling, no decoder and no branch: it reads the last outputs")
        if self.decoder is not None and self.decoder.reads == "fed":
            if self.pooling != ("last",) or self.encoder.branch:
                raise ValueError("a decoder of values continues the encoder's last state: no pooling, no branch")
            if self.decoder.first_input == "last" and self.targets > self.encoder.features:
                raise ValueError("first_input 'last' needs the targets among the features")
        if self.decoder is not None and (self.decoder.reads == "fed" or self.decoder.continues):
            recurrence = self.encoder.recurrence
            given = (recurrence.cell, recurrence.layers, recurrence.hidden_size, recurrence.directions)
            if given != (self.decoder.cell, self.decoder.layers, self.decoder.hidden_size, 1):
                raise ValueError("a decoder of values needs an encoder whose last state has the shape of its own")
        return self

    @property
    def is_stepwise(self) -> bool:
        """Whether it makes its rows one after the other, as many as are wanted."""
        return self.feedback != "none" or self.is_fed

    @property
    def is_fed(self) -> bool:
        """Whether a decoder reads its own rows."""
        return self.decoder is not None and self.decoder.reads == "fed"

    @property
    def least_steps(self) -> int:
        """See `PooledNetwork.least_steps`."""
        return self.encoder.least_steps(self.horizon) if self.per_step else super().least_steps

    @property
    def reads_all_outputs(self) -> bool:
        """See `PooledNetwork.reads_all_outputs`."""
        return self.per_step or super().reads_all_outputs

    def describe(self) -> str:
        ahead = "fed back" if self.feedback != "none" else f"{self.horizon} steps ahead"
        decoder = f", {self.decoder.words}-{self.decoder.hidden_size} decoder" if self.decoder else ""
        return f"{self.encoder.describe()}{decoder}, {self.targets} targets, {ahead}"
