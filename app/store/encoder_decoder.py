"""A text or an image to tokens, as a manifest describes it."""

from typing import Annotated, Literal, Self, assert_never

from pydantic import Field, model_validator

from app.store.decoder import Decoder
from app.store.encoders import TextEncoder
from app.store.image_encoder import ImageEncoder
from app.store.network import NetworkPart
from app.store.recurrence import Recurrence


class EncoderDecoder(NetworkPart):
    """A text or an image to a sequence of tokens."""

    kind: Literal["encoder_decoder"] = "encoder_decoder"
    encoder: Annotated[TextEncoder | ImageEncoder, Field(discriminator="kind")]
    decoder: Decoder

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.decoder.attention.kind == "dot" and self.encoder.memory_size != self.decoder.hidden_size:
            raise ValueError("dot attention needs a memory as wide as the decoder's hidden_size")
        source = self.encoder.recurrence if isinstance(self.encoder, TextEncoder) else None
        if not self._state_fits(source):
            raise ValueError(
                f"bridge '{self.decoder.bridge}' needs a text encoder whose last state has the shape of the decoder's"
            )
        if self.decoder.first_input == "summary" and self.encoder.summary_size != self.decoder.embedding_size:
            raise ValueError("first_input 'summary' needs an encoder summary as wide as the decoder's embedding")
        return self

    @property
    def least_steps(self) -> int:
        """See `NetworkPart.least_steps`."""
        return 1 if isinstance(self.encoder, ImageEncoder) else self.encoder.least_steps()

    def _state_fits(self, source: Recurrence | None) -> bool:
        """Whether the bridge can make the decoder's first state from the encoder's last."""
        decoder = self.decoder
        if source is None or source.cell != decoder.cell:
            return decoder.bridge in ("zeros", "linear", "tanh")
        match decoder.bridge:
            case "zeros" | "linear" | "tanh":
                return True
            case "copy":
                rows, width = source.layers if source.directions == 1 else 0, source.hidden_size
            case "join":
                rows, width = source.layers, source.output_size
            case "layerwise" | "layerwise_tanh":
                rows, width = source.layers, decoder.hidden_size
            case "first":
                rows, width = min(source.layers * source.directions, decoder.layers), source.hidden_size
            case _:
                assert_never(decoder.bridge)
        return (rows, width) == (decoder.layers, decoder.hidden_size)

    def describe(self) -> str:
        return f"{self.encoder.describe()}, {self.decoder.describe()}"
