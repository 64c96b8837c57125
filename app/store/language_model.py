"""A text to its next tokens, with a state that is kept, as a manifest describes it."""

from typing import Literal, Self

from pydantic import model_validator

from app.store.decoder import Decoder
from app.store.encoders import TextEncoder
from app.store.network import NetworkPart
from app.store.part import Size, VocabularySize
from app.store.recurrence import Recurrence


class LanguageModel(NetworkPart):
    """A text to its next tokens (Mikolov et al. 2010; with LSTM: Sundermeyer et al. 2012): one recurrence reads a
    prefix and continues it.

    Encoder and decoder share embedding and recurrence. `readout_size` adds a tanh layer before the output layer.
    `tied_output`: the output layer's weights are the embedding's (Press and Wolf 2017).
    """

    kind: Literal["language_model"] = "language_model"
    vocabulary_size: VocabularySize
    recurrence: Recurrence
    readout_size: Size | None = None
    tied_output: bool = False

    @model_validator(mode="after")
    def _reads_forward(self) -> Self:
        if self.recurrence.directions != 1 or self.recurrence.reverse:
            raise ValueError("recurrence.directions of a language model must be 1, without reverse")
        if self.tied_output and self.readout_size != self.recurrence.input_size:
            raise ValueError("tied_output needs readout_size equal to recurrence.input_size")
        return self

    @property
    def encoder(self) -> TextEncoder:
        """Encodes the prefix."""
        return TextEncoder(vocabulary_size=self.vocabulary_size, recurrence=self.recurrence)

    @property
    def decoder(self) -> Decoder:
        """Continues it: the same embedding and recurrence, and an output layer."""
        return Decoder(
            vocabulary_size=self.vocabulary_size,
            embedding_size=self.recurrence.input_size,
            **self.recurrence.settings,
            hidden_size=self.recurrence.hidden_size,
            layers=self.recurrence.layers,
            readout_size=self.readout_size,
            tied_output=self.tied_output,
            bridge="copy",
        )

    def describe(self) -> str:
        return f"{self.recurrence.describe()} language model over {self.vocabulary_size} tokens"
