"""Whole networks, built from an architecture: a classifier, and an encoder-decoder."""

from typing import assert_never

import torch
from torch import Tensor, nn

from app.models.decoders import Decoder
from app.models.encoders import Encoded, ImageEncoder, TextEncoder
from app.models.pooling import pooled, pooled_prefixes
from app.models.state import State
from app.store.architecture import Classifier as ClassifierConfig
from app.store.architecture import EncoderDecoder as EncoderDecoderConfig
from app.store.architecture import ImageEncoder as ImageEncoderConfig
from app.store.architecture import LanguageModel as LanguageModelConfig
from app.store.architecture import TextEncoder as TextEncoderConfig

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


class Classifier(nn.Module):
    """A text to a label: encoder outputs pooled over time, one linear layer."""

    def __init__(self, config: ClassifierConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.encoder = TextEncoder(config.encoder, dropout=dropout)
        self.output = nn.Linear(len(config.pooling) * config.encoder.memory_size, config.labels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """tokens (batch, source), lengths (batch,) to logits (batch, labels)."""
        return self.label(self.encoder(tokens, lengths), lengths)

    def label(self, encoded: Encoded, lengths: Tensor) -> Tensor:
        """An encoded source to logits (batch, labels)."""
        return self._logits([pooled(pooling, encoded, lengths) for pooling in self.config.pooling])

    def label_prefixes(self, encoded: Encoded) -> Tensor:
        """A source encoded in one direction to the logits of each of its prefixes (batch, source, labels). They are
        undefined past a row's length."""
        return self._logits([pooled_prefixes(pooling, encoded) for pooling in self.config.pooling])

    def _logits(self, features: list[Tensor]) -> Tensor:
        logits: Tensor = self.output(self.dropout(torch.cat(features, -1)))
        return logits


class EncoderDecoder(nn.Module):
    """A text or an image to tokens. In a language model encoder and decoder share embedding and recurrence."""

    def __init__(
        self,
        config: EncoderDecoderConfig | LanguageModelConfig,
        *,
        dropout: float = 0.0,
        mean: list[float] = IMAGENET_MEAN,
        std: list[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder: TextEncoder | ImageEncoder
        match config.encoder:
            case ImageEncoderConfig() as image:
                self.encoder = ImageEncoder(image, mean=mean, std=std)
            case TextEncoderConfig() as text:
                self.encoder = TextEncoder(text, dropout=dropout)
            case _:
                assert_never(config.encoder)
        self.decoder = Decoder(config.decoder, memory_size=config.encoder.memory_size, dropout=dropout)
        if isinstance(config, LanguageModelConfig):
            assert isinstance(self.encoder, TextEncoder)
            self.decoder.share(self.encoder)

    def encode(self, source: Tensor, lengths: Tensor) -> State:
        """Tokens (batch, source) or images (batch, height, width, 3) to the state before the first token."""
        return self.decoder.start(self.encoder(source, lengths))

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """See `Decoder.step`."""
        return self.decoder.step(tokens, state)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Logits (batch, target, vocabulary), with the target tokens (batch, target) as inputs, for training."""
        return self.decoder.unroll(target, self.encode(source, lengths))


def build_network(
    architecture: ClassifierConfig | EncoderDecoderConfig | LanguageModelConfig, *, mean: list[float], std: list[float]
) -> Classifier | EncoderDecoder:
    """The network of an architecture, with random weights."""
    match architecture:
        case ClassifierConfig():
            return Classifier(architecture)
        case EncoderDecoderConfig() | LanguageModelConfig():
            return EncoderDecoder(architecture, mean=mean, std=std)
        case _:
            assert_never(architecture)
