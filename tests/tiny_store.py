"""A model store with networks so small that they load in a blink: real files, random weights. Its models have the names
of the shipped ones, so that examples run; `tests/tiny_numbers.py` has one of each further kind."""

from pathlib import Path
from typing import Literal

import torch
from tokenizers import Tokenizer

from app.models.networks import build_network
from app.store.attention import Attention
from app.store.block import Block
from app.store.classifier import Classifier
from app.store.decoder import Decoder
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import FramesEncoder, SeriesEncoder, TextEncoder
from app.store.forecaster import Forecaster
from app.store.image_encoder import ImageEncoder, ResNet
from app.store.image_input import ImageInput
from app.store.language_model import LanguageModel
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.registers import Registers
from app.store.scaling import Standard
from app.store.series_input import Feature, SeriesInput
from app.store.tagger import Tagger
from app.store.text_input import TokenizerUse
from training.cards import CardText
from training.loop import BOS, EOS, PAD, UNK
from training.publish import publish
from training.subwords import train_subwords

VOCABULARY = 420
IMAGE_SIZE = 64
_CONVOLUTIONS = ("encoder.front.", "encoder.branch.")  # of series
TEXTS = [
    "a warm and funny film that i would gladly see again",
    "the plot makes no sense and the acting is worse",
    "do you want to save the changes before closing the file",
    "정말 재미있게 봤어요 강력 추천합니다",
    "돈이 아깝다 최악의 영화",
    "파일을 닫기 전에 변경 사항을 저장할까요",
]


def _classifier(name: str, language: str, *, directions: Literal[1, 2] = 2) -> Manifest:
    recurrence = Recurrence(cell="lstm", input_size=12, hidden_size=10, directions=directions)
    encoder = TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence)
    return Manifest(
        name=name,
        version=1,
        task="sentiment",
        description="Tiny and untrained.",
        default=directions == 2,
        source_language=language,
        architecture=Classifier(encoder=encoder, pooling=("last", "max", "mean"), labels=2),
        tokenizer=TokenizerUse(),
        labels=("negative", "positive"),
        limits=TokenLimits(source_tokens=2000),
        parameters=1,
        files={},
        licence="Apache-2.0",
    )


def _decoder(attention: Attention, context: str) -> Decoder:
    return Decoder.model_validate(
        {
            "vocabulary_size": VOCABULARY,
            "embedding_size": 12,
            "cell": "lstm",
            "hidden_size": 14,
            "layers": 2,
            "attention": attention,
            "context": context,
            "readout": ("hidden", "context"),
            "bridge": "tanh",
        }
    )


def _translator() -> Manifest:
    recurrence = Recurrence(cell="gru", input_size=12, hidden_size=9, directions=2)
    architecture = EncoderDecoder(
        encoder=TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence),
        decoder=_decoder(Attention(kind="general"), "output"),
    )
    return Manifest(
        name="translate-en-ko",
        version=1,
        task="translation",
        description="Tiny and untrained.",
        default=True,
        source_language="en",
        target_language="ko",
        architecture=architecture,
        tokenizer=TokenizerUse(append=(EOS,)),
        registers=Registers(tokens={"polite": 300, "formal": 301}),
        decoding=Decoding(bos=BOS, eos=EOS, suppress=(PAD, BOS, UNK), max_tokens=24),
        limits=TokenLimits(source_tokens=120, max_tokens=4000),
        parameters=1,
        files={},
        licence="Apache-2.0",
    )


def _captioner() -> Manifest:
    resnet = ResNet(block="basic", blocks=(1, 1, 1, 1), stem_width=4, widths=(4, 6, 8, 10))
    architecture = EncoderDecoder(
        encoder=ImageEncoder(resnet=resnet, image_size=IMAGE_SIZE),
        decoder=_decoder(Attention(kind="gated", size=8), "input"),
    )
    return Manifest(
        name="caption-en",
        version=1,
        task="captioning",
        description="Tiny and untrained.",
        default=True,
        target_language="en",
        architecture=architecture,
        tokenizer=TokenizerUse(),
        image=ImageInput(size=IMAGE_SIZE, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
        decoding=Decoding(bos=BOS, eos=EOS, suppress=(PAD, BOS, UNK), max_tokens=12),
        limits=TokenLimits(max_tokens=50),
        parameters=1,
        files={},
        licence="Apache-2.0",
    )


def _language_model(name: str, language: str) -> Manifest:
    recurrence = Recurrence(cell="lstm", input_size=12, hidden_size=14, layers=2)
    return Manifest(
        name=name,
        version=1,
        task="completion",
        description="Tiny and untrained.",
        default=True,
        source_language=language,
        architecture=LanguageModel(
            vocabulary_size=VOCABULARY, recurrence=recurrence, readout_size=12, tied_output=True
        ),
        tokenizer=TokenizerUse(prepend=(EOS, BOS)),
        decoding=Decoding(bos=BOS, eos=EOS, suppress=(PAD, BOS, UNK), max_tokens=12),
        limits=TokenLimits(source_tokens=2000, max_tokens=4000),
        parameters=1,
        files={},
        licence="Apache-2.0",
    )


def _weather() -> Manifest:
    """The features of the shipped forecaster: six days to the temperatures of the next three."""
    names = ("precipitation", "temp_max", "temp_min", "wind")
    rain, warmest, coldest, wind = (
        Feature(name=name, log1p=name == "precipitation", scaling=Standard(mean=5, std=6)) for name in names
    )
    blocks = (Block(kind="residual", width=6, kernels=(3, 3)),)
    encoder = SeriesEncoder(features=4, front=blocks, recurrence=Recurrence(cell="lstm", input_size=6, hidden_size=8))
    return Manifest(
        name="forecast-weather",
        version=1,
        task="forecasting",
        description="Tiny and untrained.",
        default=True,
        architecture=Forecaster(encoder=encoder, targets=2, horizon=3),
        series=SeriesInput(
            features=(rain, warmest, coldest, wind), targets=(warmest, coldest), window=6, interval="1 day"
        ),
        parameters=1,
        files={},
        licence="Apache-2.0",
    )


def _moving_digits() -> Manifest:
    """Six frames of 32 x 32 pixels to one of eight directions, as the shipped model."""
    resnet = ResNet(block="basic", blocks=(1, 1, 1, 1), stem_width=4, widths=(4, 6, 8, 10))
    encoder = FramesEncoder(
        image=ImageEncoder(resnet=resnet, image_size=32, output="pooled"),
        recurrence=Recurrence(cell="lstm", input_size=10, hidden_size=12),
    )
    directions = ("up", "up-right", "right", "down-right", "down", "down-left", "left", "up-left")
    return Manifest(
        name="classify-digits-motion",
        version=1,
        task="classification",
        description="Tiny and untrained.",
        default=True,
        architecture=Classifier(encoder=encoder, pooling=("last",), labels=8),
        image=ImageInput(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        frames=6,
        labels=directions,
        parameters=1,
        files={},
        licence="Apache-2.0",
    )


def _tagger() -> Manifest:
    """Some universal tags, at the last token of a word, as the shipped model."""
    recurrence = Recurrence(cell="lstm", input_size=12, hidden_size=10, directions=2)
    encoder = TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence)
    return Manifest(
        name="tag-en",
        version=1,
        task="tagging",
        description="Tiny and untrained.",
        default=True,
        source_language="en",
        architecture=Tagger(encoder=encoder, labels=4),
        tokenizer=TokenizerUse(),
        labels=("NOUN", "VERB", "DET", "PUNCT"),
        tag_at="last",
        limits=TokenLimits(source_tokens=2000),
        parameters=1,
        files={},
        licence="Apache-2.0",
    )


FORWARD = {
    "sentiment-en-gru": "sentiment-en-uni"
}  # an included model of which examples carry the state, and its small one


def drafts() -> list[Manifest]:
    """Manifests of the seven models of texts and images, before they are published."""
    return [
        _classifier("sentiment-en", "en"),
        _classifier("sentiment-en-uni", "en", directions=1),
        _classifier("sentiment-ko", "ko"),
        _translator(),
        _captioner(),
        _language_model("lm-en", "en"),
        _language_model("lm-ko", "ko"),
    ]


def all_drafts() -> list[Manifest]:
    """Manifests of all models of the tiny store."""
    return [*drafts(), _weather(), _moving_digits(), _tagger()]


def publish_tiny(draft: Manifest, store: Path, tokenizer: Path, *, seed: int = 0, spread: float = 4) -> Path:
    """Random weights, spread widely so that answers differ from input to input, and an end that comes now and then."""
    torch.manual_seed(seed)
    image = draft.image
    network = build_network(
        draft.architecture, mean=list(image.mean if image else ()), std=list(image.std if image else ())
    )
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1 and ".resnet." not in name and not name.startswith(_CONVOLUTIONS):
                parameter.mul_(spread)
            if name == "decoder.output.bias" and draft.task == "translation":
                parameter[EOS] += 0.6  # about half of all sentences end within 30 tokens, others never
    return publish(
        network, tokenizer, store, draft, CardText("Random weights.", "Answers mean nothing.", "Apache-2.0.")
    )


def tiny_tokenizer(folder: Path) -> Path:
    """A tokenizer file over `TEXTS`."""
    tokenizer: Tokenizer = train_subwords(TEXTS, size=VOCABULARY)
    path = folder / "tiny-tokenizer.json"
    tokenizer.save(str(path))
    return path


def make_tiny_store(folder: Path) -> Path:
    """A store in `folder` with all these models."""
    tokenizer = tiny_tokenizer(folder)
    for draft in all_drafts():
        publish_tiny(draft, folder / "store", tokenizer)
    return folder / "store"
