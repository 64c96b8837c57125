"""The included models as a user of a general model server calls them: one class per job, whole batches.

Plain code, the same for every peer: float32, padded to the longest source, run until the slowest row ends. It uses the
project's networks, tokenizers, scaling and image reader, but nothing of its engine. The peers serve texts and images
only; series are called in process.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from app.models.forecaster import Forecaster
from app.models.networks import Classifier, EncoderDecoder, Network, build_network
from app.models.state import State
from app.store.decoding import Decoding
from app.store.manifest import Manifest
from app.store.model_store import Version, open_version
from app.store.series_input import SeriesInput
from app.store.weights import load_weights
from app.tasks.scaling import scaled, unscaled
from app.tasks.sources.image import target_of
from app.tasks.sources.image_files import read_image
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import place_of_image
from app.text.tokenizer import TextTokenizer

Answer = dict[str, Any]
Rows = list[list[float]]  # of a series, in the units of the data
_LIMITS = SourceLimits(text_chars=0, image_bytes=12 * 1024 * 1024, image_pixels=50_000_000)


class Model(Protocol):
    """Called by every server: raw inputs, such as texts or image files, to one answer each, in order."""

    def predict(self, batch: Sequence[Any]) -> list[Answer]: ...


class Sentiment:
    """Texts to labels with their scores."""

    def __init__(self, version: Version) -> None:
        network = _network(version)
        assert isinstance(network, Classifier)
        self._network = network
        self._labels = version.manifest.labels
        self._tokenizer = _tokenizer(version)

    @torch.inference_mode()
    def predict(self, batch: Sequence[str]) -> list[Answer]:
        tokens, lengths = _padded([self._tokenizer.encode(text) for text in batch])
        probabilities = self._network(tokens, lengths).softmax(1).tolist()
        return [_labelled(self._labels, row) for row in probabilities]


class Translation:
    """Sentences to sentences."""

    def __init__(self, version: Version) -> None:
        self._emitter = _Emitter(version)

    @torch.inference_mode()
    def predict(self, batch: Sequence[str]) -> list[Answer]:
        emitter = self._emitter
        tokens, lengths = _padded([emitter.tokenizer.encode(text) for text in batch])
        return emitter.emit(emitter.network.encode(tokens, lengths), len(batch))


class Caption:
    """Image files to sentences."""

    def __init__(self, version: Version) -> None:
        self._emitter = _Emitter(version)
        self._emitter.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        assert version.manifest.image is not None
        self._target = target_of(version.manifest.image)

    @torch.inference_mode()
    def predict(self, batch: Sequence[bytes]) -> list[Answer]:
        size = self._target.size
        pixels = b"".join(
            read_image(file, place_of_image(index), self._target, _LIMITS) for index, file in enumerate(batch)
        )
        images = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(len(batch), size, size, 3)
        state = self._emitter.network.encode(images, torch.ones(len(batch), dtype=torch.long))
        return self._emitter.emit(state, len(batch))


class Forecast:
    """Series of as many rows each to the rows that follow, in the units of the data."""

    def __init__(self, version: Version) -> None:
        network = _network(version)
        assert isinstance(network, Forecaster)
        self._network = network
        self._series = _series(version.manifest)

    @torch.inference_mode()
    def predict(self, batch: Sequence[Rows]) -> list[Answer]:
        forecasts = self._network(*_padded_series(batch, self._series)).numpy()
        return [{"values": unscaled(rows, self._series.targets).tolist()} for rows in forecasts]


class SeriesLabel:
    """Series to labels with their scores."""

    def __init__(self, version: Version) -> None:
        network = _network(version)
        assert isinstance(network, Classifier)
        self._network = network
        self._labels = version.manifest.labels
        self._series = _series(version.manifest)

    @torch.inference_mode()
    def predict(self, batch: Sequence[Rows]) -> list[Answer]:
        probabilities = self._network(*_padded_series(batch, self._series)).softmax(1).tolist()
        return [_labelled(self._labels, row) for row in probabilities]


class _Emitter:
    """Greedy decoding of a whole batch, until its slowest row ends."""

    def __init__(self, version: Version) -> None:
        network = _network(version)
        assert isinstance(network, EncoderDecoder)
        self.network = network
        self.tokenizer = _tokenizer(version)
        self._decoding = _decoding(version.manifest)
        self._suppressed = torch.zeros(network.config.decoder.vocabulary_size)
        self._suppressed[list(self._decoding.suppress)] = float("-inf")

    def emit(self, state: State, rows: int) -> list[Answer]:
        eos = self._decoding.eos
        previous = torch.full((rows,), self._decoding.bos)
        ended = torch.zeros(rows, dtype=torch.bool)
        steps: list[Tensor] = []
        for _ in range(self._decoding.max_tokens):
            logits, state, _ = self.network.step(previous, state)
            previous = (logits + self._suppressed).argmax(1)
            steps.append(previous)
            ended |= previous == eos
            if ended.all():
                break
        sentences: list[list[int]] = torch.stack(steps, 1).tolist()
        return [{"text": self.tokenizer.decode(_until(ids, eos))} for ids in sentences]


def _labelled(labels: Sequence[str], probabilities: list[float]) -> Answer:
    scores = dict(zip(labels, probabilities, strict=True))
    label = max(scores, key=scores.__getitem__)
    return {"label": label, "score": scores[label], "scores": scores}


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids


def _decoding(manifest: Manifest) -> Decoding:
    assert manifest.decoding is not None
    return manifest.decoding


def _series(manifest: Manifest) -> SeriesInput:
    assert manifest.series is not None
    return manifest.series


def _tokenizer(version: Version) -> TextTokenizer:
    assert version.manifest.tokenizer is not None  # of each model that the peers serve
    return TextTokenizer(version.folder, version.manifest.tokenizer)


def _network(version: Version) -> Network:
    manifest = version.manifest
    image = manifest.image
    mean, std = (list(image.mean), list(image.std)) if image else ([0.0] * 3, [1.0] * 3)
    network = build_network(manifest.architecture, mean=mean, std=std)
    load_weights(network, version)
    network.eval().requires_grad_(False)
    return network


def _padded(rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids (batch, longest), padded on the right, and lengths (batch,)."""
    longest = max(map(len, rows))
    padded = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return padded, torch.tensor([len(row) for row in rows])


def _padded_series(batch: Sequence[Rows], series: SeriesInput) -> tuple[Tensor, Tensor]:
    """Scaled rows (batch, longest, features), padded on the right, and lengths (batch,)."""
    rows = [torch.from_numpy(scaled(np.asarray(one, dtype=np.float64), series.features)) for one in batch]
    return pad_sequence(rows, batch_first=True), torch.tensor([len(one) for one in rows])


_JOBS: dict[str, Callable[[Version], Model]] = {
    "sentiment": Sentiment,
    "caption": Caption,
    "translate": Translation,
    "forecast": Forecast,
    "classify": SeriesLabel,
}


def load(job: str, folder: Path) -> Model:
    """The model of a job out of a folder of the store, on one torch thread, run once so that it is warm."""
    torch.set_num_threads(1)
    version = open_version(folder)
    model = _JOBS[job](version)
    if version.manifest.tokenizer is not None and version.manifest.image is None:
        model.predict(["Ready?", "Yes, it is ready."])
    return model
