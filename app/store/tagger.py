"""A text to a label for each token, as a manifest describes it."""

from typing import Literal, Self

from pydantic import model_validator

from app.store.classifier import Labels
from app.store.encoders import TextEncoder
from app.store.layer import Head
from app.store.network import NetworkPart


class Tagger(NetworkPart):
    """A text to a label for each token: an encoder, the layers of `head`, one linear layer.

    `crf`: a linear-chain conditional random field chooses the labels together (Lafferty et al. 2001; with an LSTM:
    Huang et al. 2015, section 2.5).
    """

    kind: Literal["tagger"] = "tagger"
    encoder: TextEncoder
    head: Head = ()
    labels: Labels
    crf: bool = False

    @model_validator(mode="after")
    def _has_an_output_for_each_token(self) -> Self:
        if not self.encoder.keeps_steps:
            raise ValueError("a tagger needs stages that make one step of each, and a recurrence without 'reverse'")
        return self

    def describe(self) -> str:
        return f"{self.encoder.describe()}, {self.labels} labels a token{', CRF' if self.crf else ''}"
