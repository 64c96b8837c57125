"""The manifest of an imported version."""

import time
from collections.abc import Sequence
from typing import assert_never

from pydantic import ValidationError

from app.errors import ImportFailed
from app.importers.labels import check_labels
from app.importers.layout import Converted
from app.models.networks import Network
from app.store.architecture import Architecture
from app.store.classifier import Classifier
from app.store.description import TaskName
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder
from app.store.forecaster import Forecaster
from app.store.image_encoder import ImageEncoder
from app.store.language_model import LanguageModel
from app.store.manifest import Manifest
from app.store.tagger import Tagger
from app.store.text_input import TokenizerUse
from app.store.window_language_model import WindowLanguageModel

_SENTIMENTS = {"negative", "positive", "neutral", "neg", "pos", "very negative", "very positive"}
SOURCE_FILE, TARGET_FILE = "tokenizer.json", "target_tokenizer.json"


def manifest_of(
    converted: Converted,
    network: Network,
    *,
    name: str,
    version: int,
    description: str,
    labels: Sequence[str],
    languages: tuple[str | None, str | None],
    licence: str,
    task: TaskName | None = None,
    default: bool = False,
) -> Manifest:
    """Without files: publishing adds them. Raises ImportFailed if no valid manifest can be made."""
    source = converted.source or converted.target
    target: TokenizerUse | None = None
    if converted.source is not None and converted.target is not None:
        target = converted.target.use.model_copy(update={"file": TARGET_FILE})
    labels = tuple(labels or converted.labels)
    architecture = converted.architecture
    if isinstance(architecture, Classifier | Tagger):
        check_labels(labels, architecture.labels)
    elif labels:
        raise ImportFailed("this network answers without labels: leave out --labels")
    try:
        return Manifest(
            name=name,
            version=version,
            task=task or converted.task or task_of(architecture, labels),
            description=description,
            default=default,
            default_since=int(time.time()) if default else 0,
            source_language=languages[0],
            target_language=languages[1],
            architecture=architecture,
            tokenizer=source.use.model_copy(update={"file": SOURCE_FILE}) if source else None,
            target_tokenizer=target,
            labels=labels,
            tag_at=converted.tag_at,
            image=converted.image,
            frames=converted.frames,
            series=converted.series,
            decoding=converted.decoding,
            limits=converted.limits,
            precision="float32",
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            files={},
            licence=licence,
        )
    except ValidationError as error:
        raise invalid(error, "the manifest would be invalid") from error


def task_of(architecture: Architecture, labels: Sequence[str]) -> TaskName:
    """The task that answers with a network of this kind."""
    match architecture:
        case Classifier():
            is_sentiment = isinstance(architecture.encoder, TextEncoder) and _SENTIMENTS.issuperset(
                label.lower() for label in labels
            )
            return "sentiment" if is_sentiment else "classification"
        case Tagger():
            return "tagging"
        case Forecaster():
            return "forecasting"
        case LanguageModel() | WindowLanguageModel():
            return "completion"
        case EncoderDecoder():
            return "captioning" if isinstance(architecture.encoder, ImageEncoder) else "translation"
        case _:
            assert_never(architecture)


def invalid(error: ValidationError, what: str) -> ImportFailed:
    """The first fault of a part of a manifest, as an error of the import."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "the whole"
    return ImportFailed(f"{what}, {where}: {first['msg'].removeprefix('Value error, ')}")
