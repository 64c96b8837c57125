"""A source to a label, as a manifest describes it."""

from typing import Annotated, Literal

from pydantic import Field

from app.store.pooled import PooledNetwork, PoolingParts

Labels = Annotated[int, Field(ge=2, le=2**20)]


class Classifier(PooledNetwork):
    """A source to a label: an encoder, its outputs pooled over time, the layers of `head`, one linear layer.

    `outputs`: `softmax`, one label of all; `sigmoid`, a probability for each label, independent of the others.
    """

    kind: Literal["classifier"] = "classifier"
    pooling: PoolingParts
    labels: Labels
    outputs: Literal["softmax", "sigmoid"] = "softmax"

    @property
    def explains_steps(self) -> bool:
        """Whether each beginning of a source has a label."""
        return not self.encoder.is_transposed and "flatten" not in self.pooling and self.least_steps == 1

    @property
    def explains_in_one_pass(self) -> bool:
        """Whether one pass over a source gives the label after each of its steps."""
        poolings = {"attention", "flatten", "last_cell"} | ({"last"} if self._outputs_differ else set())
        encoder = self.encoder
        if encoder.is_masked:  # the state after each step is an output where the masked ones repeat it
            return encoder.reads_forward and encoder.masked_outputs == "repeat" and self._reads_state_alone
        return encoder.is_divisible and not poolings & set(self.pooling)

    @property
    def _reads_state_alone(self) -> bool:
        return self.pooling == ("last",) and not self._outputs_differ

    @property
    def _outputs_differ(self) -> bool:
        """Whether an output is more than the state after its step."""
        return bool(self.encoder.back) or self.encoder.keeps_input is not None

    def describe(self) -> str:
        labels = f"{self.labels} {'independent ' if self.outputs == 'sigmoid' else ''}labels"
        return f"{self.encoder.describe()}, {' + '.join(self.pooling)} pooling, {labels}"
