"""Whole networks, built from an architecture: a classifier, and an encoder-decoder."""

import torch
from torch import Tensor, nn

from app.models.decoders import Decoder
from app.models.encoders import Encoded, ImageEncoder, TextEncoder
from app.models.state import State
from app.store.architecture import Classifier as ClassifierConfig
from app.store.architecture import EncoderDecoder as EncoderDecoderConfig
from app.store.architecture import ImageEncoder as ImageEncoderConfig
from app.store.architecture import LanguageModel as LanguageModelConfig

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


class Classifier(nn.Module):
    """Sequence to label: encoder outputs pooled over time, one linear layer."""

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
        mask = encoded.memory_mask.unsqueeze(2)
        pooled = []
        for pooling in self.config.pooling:
            if pooling == "last":
                pooled.append(encoded.summary)
            elif pooling == "max":
                pooled.append(encoded.memory.masked_fill(~mask, float("-inf")).amax(1))
            else:
                pooled.append(encoded.memory.sum(1) / lengths.unsqueeze(1))
        logits: Tensor = self.output(self.dropout(torch.cat(pooled, 1)))
        return logits

    def label_after_each(self, encoded: Encoded) -> Tensor:
        """An encoded source, read in one direction, to the logits (batch, source, labels) that `label` would give if it
        ended at each place. What stands past a row's length means nothing."""
        memory = encoded.memory
        steps = torch.arange(1, memory.shape[1] + 1, device=memory.device, dtype=memory.dtype)
        pooled = []
        for pooling in self.config.pooling:
            if pooling == "last":
                pooled.append(memory)
            elif pooling == "max":
                pooled.append(memory.cummax(1).values)
            else:
                pooled.append(memory.cumsum(1) / steps.view(1, -1, 1))
        logits: Tensor = self.output(self.dropout(torch.cat(pooled, 2)))
        return logits


class EncoderDecoder(nn.Module):
    """Sequence or image to sequence; a language model is one whose two halves share embedding and recurrence."""

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
        if isinstance(config.encoder, ImageEncoderConfig):
            self.encoder = ImageEncoder(config.encoder, mean=mean, std=std)
        else:
            self.encoder = TextEncoder(config.encoder, dropout=dropout)
        self.decoder = Decoder(config.decoder, memory_size=config.encoder.memory_size, dropout=dropout)
        if isinstance(config, LanguageModelConfig):
            assert isinstance(self.encoder, TextEncoder)
            self.decoder.share(self.encoder)

    def consume(self, source: Tensor, lengths: Tensor) -> State:
        """A source, tokens (batch, source) or images (batch, height, width, 3), to the state before the first token."""
        return self.decoder.start(self.encoder(source, lengths))

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """See `Decoder.step`."""
        return self.decoder.step(tokens, state)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Logits (batch, target, vocabulary) for target tokens (batch, target) fed in, as training does."""
        return self.decoder.unroll(target, self.consume(source, lengths))


def build_network(
    architecture: ClassifierConfig | EncoderDecoderConfig | LanguageModelConfig, *, mean: list[float], std: list[float]
) -> Classifier | EncoderDecoder:
    """The network a manifest describes, with random weights."""
    if isinstance(architecture, ClassifierConfig):
        return Classifier(architecture)
    return EncoderDecoder(architecture, mean=mean, std=std)
