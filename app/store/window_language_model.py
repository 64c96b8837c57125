"""A text to its next tokens, by a window that is read anew, as a manifest describes it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.decoder import Decoder
from app.store.encoders import TextEncoder
from app.store.pooled import PooledNetwork

MOST_SLOW_STEPS = 10_000  # of one token, through all layers whose steps are computed one by one


class WindowLanguageModel(PooledNetwork):
    """A text to its next tokens: each step reads the last `window` ids anew, and no state is kept (Bengio et al. 2003,
    with a recurrence; usual in Keras).

    `pad` is the id before a text that is shorter, or after it (`pad_side`); None reads it as it is. A text may begin
    with it, so that an empty one has a first id: there it is padding too.
    """

    kind: Literal["window_language_model"] = "window_language_model"
    encoder: TextEncoder
    window: Annotated[int, Field(gt=0, le=1000)]
    pad: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    pad_side: Literal["left", "right"] = "left"

    @model_validator(mode="after")
    def _padding_fits(self) -> Self:
        if self.pad is None and ("flatten" in self.pooling or self.encoder.least_steps() > 1):
            raise ValueError("pooling 'flatten', and stages that need more than one step, need 'pad'")
        if self.pad is not None and self.pad >= self.vocabulary_size:
            raise ValueError(f"pad is {self.pad}; the ids are 0 to {self.vocabulary_size - 1}")
        if (slow := self.encoder.slow_layers) * self.window > MOST_SLOW_STEPS:
            raise ValueError(
                f"each token would read {self.window} ids through {slow} layers of cells that torch.nn does not "
                f"compute; the limit of the window is {MOST_SLOW_STEPS // slow}"
            )
        return self

    @property
    def vocabulary_size(self) -> int:
        """Ids that it reads and writes."""
        return self.encoder.vocabulary_size

    @property
    def least_steps(self) -> int:
        """See `NetworkPart.least_steps`. A shorter text is padded."""
        return 1

    @property
    def fixed_steps(self) -> None:
        """See `NetworkPart.fixed_steps`. A text of any length becomes a window."""
        return None

    @property
    def decoder(self) -> Decoder:
        """What the engine knows of its answers: the ids that it writes, and that it attends to nothing."""
        recurrence = self.encoder.recurrence
        return Decoder(
            vocabulary_size=self.vocabulary_size,
            embedding_size=self.encoder.source_size,
            cell=recurrence.cell,
            hidden_size=recurrence.hidden_size,
            bridge="zeros",
        )

    def describe(self) -> str:
        pooling = " + ".join(self.pooling)
        return f"{self.encoder.describe()}, {pooling} pooling, language model over the last {self.window} tokens"
