"""Whole networks, built from an architecture: one class for each kind of answer."""

from typing import assert_never

from torch import Tensor, nn

from app.models.crf import LinearChainCrf
from app.models.decoders import Decoder
from app.models.encoders import Encoded, FramesEncoder, ImageEncoder, RecurrentEncoder, SeriesEncoder, TextEncoder
from app.models.forecaster import Forecaster
from app.models.head import Head
from app.models.pieces import InPieces
from app.models.pooling import attention_of, pooled, pooled_prefixes
from app.models.state import State
from app.models.window_language_model import WindowLanguageModel
from app.store.architecture import Architecture
from app.store.classifier import Classifier as ClassifierConfig
from app.store.encoder_decoder import EncoderDecoder as EncoderDecoderConfig
from app.store.encoders import FramesEncoder as FramesEncoderConfig
from app.store.encoders import SeriesEncoder as SeriesEncoderConfig
from app.store.encoders import TextEncoder as TextEncoderConfig
from app.store.forecaster import Forecaster as ForecasterConfig
from app.store.image_encoder import ImageEncoder as ImageEncoderConfig
from app.store.language_model import LanguageModel as LanguageModelConfig
from app.store.tagger import Tagger as TaggerConfig
from app.store.window_language_model import WindowLanguageModel as WindowLanguageModelConfig

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


class Classifier(nn.Module):
    """A source to a label: encoder outputs pooled over time, the layers of the head, one linear layer."""

    def __init__(
        self,
        config: ClassifierConfig,
        *,
        dropout: float = 0.0,
        mean: list[float] = IMAGENET_MEAN,
        std: list[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = _recurrent_encoder(config.encoder, dropout=dropout, mean=mean, std=std)
        self.attention = attention_of(config.attention, config.encoder.memory_size)
        self.head = Head(config.head, config.pooled_size, config.norm)
        self.output = nn.Linear(self.head.output_size, config.labels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, lengths: Tensor) -> Tensor:
        """A source as its encoder reads it, lengths (batch,) to logits (batch, labels)."""
        return self.label(self.encoder(source, lengths))

    def label(self, encoded: Encoded) -> Tensor:
        """An encoded source to logits (batch, labels)."""
        return self._logits(pooled(self.config.pooling, encoded, self.attention))

    def label_prefixes(self, encoded: Encoded) -> Tensor:
        """A source encoded in one direction to the logits of each of its prefixes (batch, source, labels). They are
        undefined past a row's length. The architecture must explain in one pass."""
        return self._logits(pooled_prefixes(self.config.pooling, encoded))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (..., labels) to the probability of each label, in float32."""
        logits = logits.float()
        match self.config.outputs:
            case "softmax":
                return logits.softmax(-1)
            case "sigmoid":
                return logits.sigmoid()
            case _:
                assert_never(self.config.outputs)

    def _logits(self, features: Tensor) -> Tensor:
        logits: Tensor = self.output(self.head(self.dropout(features)))
        return logits


class Tagger(nn.Module):
    """A text to a label for each token: encoder outputs, the layers of the head, one linear layer, perhaps a CRF."""

    def __init__(self, config: TaggerConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.encoder = TextEncoder(config.encoder, dropout=dropout)
        self.head = Head(config.head, config.encoder.memory_size)
        self.output = nn.Linear(self.head.output_size, config.labels)
        self.crf = LinearChainCrf(config.labels) if config.crf else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """tokens (batch, source), lengths (batch,) to logits (batch, source, labels)."""
        return self.logits(self.encoder(tokens, lengths))

    def logits(self, encoded: Encoded) -> Tensor:
        """An encoded source to logits (batch, source, labels). They are undefined past a row's length."""
        logits: Tensor = self.output(self.head(self.dropout(encoded.memory)))
        return logits

    def labels(self, logits: Tensor, lengths: Tensor) -> InPieces[Tensor]:
        """Logits in float32 to the label of each token (batch, source), undefined past a row's length. With a CRF they
        are those of the best sequence."""
        if self.crf is None:
            return logits.argmax(2)
        return (yield from self.crf.best_paths(logits, lengths))

    def probabilities(self, logits: Tensor, lengths: Tensor) -> InPieces[Tensor]:
        """Logits in float32 to the probability of each label (batch, source, labels), undefined past a row's length.
        With a CRF they are marginals."""
        if self.crf is None:
            return logits.softmax(2)
        return (yield from self.crf.marginals(logits, lengths))


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
        self.decoder = Decoder(
            config.decoder,
            memory_size=config.encoder.memory_size,
            summary_size=config.encoder.summary_size,
            state_size=config.encoder.recurrence.output_size if isinstance(config.encoder, TextEncoderConfig) else None,
            dropout=dropout,
        )
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


TokenNetwork = EncoderDecoder | WindowLanguageModel
"""A network that writes tokens, step by step."""
Network = Classifier | Tagger | Forecaster | TokenNetwork


def build_network(architecture: Architecture, *, mean: list[float], std: list[float]) -> Network:
    """The network of an architecture, with random weights. `mean` and `std` are those of images."""
    match architecture:
        case ClassifierConfig():
            return Classifier(architecture, mean=mean, std=std)
        case TaggerConfig():
            return Tagger(architecture)
        case ForecasterConfig():
            return Forecaster(architecture)
        case EncoderDecoderConfig() | LanguageModelConfig():
            return EncoderDecoder(architecture, mean=mean, std=std)
        case WindowLanguageModelConfig():
            return WindowLanguageModel(architecture)
        case _:
            assert_never(architecture)


def _recurrent_encoder(
    config: TextEncoderConfig | SeriesEncoderConfig | FramesEncoderConfig,
    *,
    dropout: float,
    mean: list[float],
    std: list[float],
) -> RecurrentEncoder:
    match config:
        case TextEncoderConfig():
            return TextEncoder(config, dropout=dropout)
        case SeriesEncoderConfig():
            return SeriesEncoder(config, dropout=dropout)
        case FramesEncoderConfig():
            return FramesEncoder(config, mean=mean, std=std, dropout=dropout)
        case _:
            assert_never(config)
