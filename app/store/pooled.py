"""Networks whose encoder's outputs are pooled over time, as a manifest describes them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.encoder_part import Pooling
from app.store.encoders import RecurrentEncoder
from app.store.layer import Head
from app.store.network import NetworkPart
from app.store.part import Part, Size, Window
from app.store.recurrence import CELLS, Activation, Slope
from app.store.stages import LayerNorm

MOST_POOLED = 2**24  # features of a pooled source
PoolingParts = Annotated[tuple[Pooling, ...], Field(min_length=1, max_length=8)]


class AttentionPooling(Part):
    """Weights of the outputs over time, by a softmax over their scores.

    `linear`: a score is `activation` of a linear layer on an output (Yang et al. 2016 without their query; usual in
    Keras with tanh). `additive`: a linear layer on `activation` of a linear layer of `size` (Yang et al. 2016, section
    2.2). `dot`: the product with the summary, which is as wide as an output. Parameters: `attention.key` of additive,
    `attention.score` of both.
    """

    kind: Literal["linear", "additive", "dot"]
    size: Size | None = None
    activation: Activation | None = Field(None, description="Needed by linear and additive, and refused by dot.")
    slope: Slope = 0.01

    @model_validator(mode="after")
    def _parts_go_with_kind(self) -> Self:
        if (self.size is not None) != (self.kind == "additive"):
            raise ValueError("attention kind additive needs attention.size; linear and dot do not take it")
        if (self.activation is None) != (self.kind == "dot"):
            raise ValueError("attention kinds linear and additive need attention.activation; dot does not take it")
        return self


class PooledNetwork(NetworkPart):
    """Base of networks whose encoder's outputs are pooled over time. `window` is the length of every source, which
    pooling `flatten` needs; its features are step by step. `norm`: layer normalisation of what the head reads."""

    encoder: RecurrentEncoder
    pooling: PoolingParts = ("last",)
    attention: AttentionPooling | None = None
    window: Window | None = None
    norm: LayerNorm | None = None
    head: Head = ()

    @model_validator(mode="after")
    def _pooling_fits(self) -> Self:
        if (self.attention is not None) != ("attention" in self.pooling):
            raise ValueError("pooling 'attention' needs 'attention'; no other pooling takes it")
        if self.window is None and "flatten" in self.pooling:
            raise ValueError("pooling 'flatten' needs 'window', the length of every source")
        if self.window is not None and self.encoder.memory_length(self.window) < 1:
            raise ValueError(f"a window of {self.window} steps is too short for the stages of the encoder")
        if (
            self.attention is not None
            and self.attention.kind == "dot"
            and self.encoder.memory_size != self.encoder.summary_size
        ):
            raise ValueError("dot attention needs outputs as wide as the summary")
        if "last_cell" in self.pooling and not CELLS[self.encoder.recurrence.cell].has_cell:
            raise ValueError("pooling 'last_cell' needs a recurrence whose cell is lstm")
        if self.pooled_size > MOST_POOLED:
            raise ValueError(f"pooled, a source has {self.pooled_size:,} features; the limit is {MOST_POOLED:,}")
        return self

    @property
    def pooled_size(self) -> int:
        """Features of a pooled source, those of the encoder's branch included."""
        encoder = self.encoder
        steps = encoder.memory_length(self.window) if self.window is not None else 0
        sizes: dict[Pooling, int] = {
            "last": encoder.summary_size,
            "last_cell": encoder.summary_size,
            "flatten": steps * encoder.memory_size,
        }
        return sum(sizes.get(pooling, encoder.memory_size) for pooling in self.pooling) + encoder.branch_size

    @property
    def least_steps(self) -> int:
        """See `NetworkPart.least_steps`."""
        return self.fixed_steps or self.encoder.least_steps()

    @property
    def fixed_steps(self) -> int | None:
        """See `NetworkPart.fixed_steps`."""
        return self.window if "flatten" in self.pooling else None

    @property
    def reads_all_outputs(self) -> bool:
        """Whether its answer needs all outputs side by side, and not only what they are pooled to."""
        return bool({"attention", "flatten"} & set(self.pooling))
