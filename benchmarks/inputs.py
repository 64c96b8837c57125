"""What is sent: realistic inputs of each job, fixed by a seed, as HTTP bodies and as what the engine gets of them."""

import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from app.engine.client import EngineView
from app.engine.messages import Pixels, Tokens
from app.errors import ModelNotFound, UnknownLanguage
from app.store.model_store import read_store
from app.tasks.catalog import Catalog, Entry
from app.tasks.images import ImageLimits, read_image
from benchmarks.texts import manual, review, spread

_SEED = 20
TEXTS, PHOTOS = 512, 64  # inputs of a job
_LIMITS = ImageLimits(bytes=12_000_000, pixels=50_000_000)


@dataclass(frozen=True)
class Workload:
    """One job: the version that does it, and its inputs. `bodies[i]` over HTTP is `sources[i]` to the engine.

    `max_tokens` is the model's own limit of an answer, 0 for a label.
    """

    job: str
    model: str
    folder: Path
    max_tokens: int
    path: str
    content_type: str
    bodies: list[bytes]
    sources: list[Tokens | Pixels]


def workload(job: str, store: Path) -> Workload | None:
    """The inputs of `sentiment`, `caption` or `translate`; None when the store has no usable model for it."""
    try:
        return _JOBS[job](Catalog(read_store(store)), store)
    except (ModelNotFound, UnknownLanguage):
        return None


def _sentiment(catalog: Catalog, store: Path) -> Workload:
    entry = catalog.default("sentiment", EngineView((), 0), source="en")
    source = random.Random(_SEED)
    words = [_log_normal(source, median=20, sigma=0.7, least=2, most=120) for _ in range(TEXTS - TEXTS // 32)]
    words += [source.randint(200, 400) for _ in range(TEXTS // 32)]
    return _texts("sentiment", entry, store, [review(count, source) for count in spread(words, source)])


def _translate(catalog: Catalog, store: Path) -> Workload:
    entry = catalog.default("translation", EngineView((), 0), source="en")
    source = random.Random(_SEED)
    words = [_log_normal(source, median=8, sigma=0.7, least=3, most=40) for _ in range(TEXTS)]
    return _texts("translate", entry, store, [manual(count, source) for count in spread(words, source)])


def _log_normal(source: random.Random, *, median: float, sigma: float, least: int, most: int) -> int:
    return min(most, max(least, round(median * source.lognormvariate(0, sigma))))


def _texts(job: str, entry: Entry, store: Path, texts: list[str]) -> Workload:
    """Texts longer than the model takes are left out."""
    most = entry.manifest.limits.source_tokens
    pairs = [(text, entry.tokenizer.encode(text)) for text in texts]
    pairs = [(text, ids) for text, ids in pairs if most is None or len(ids) <= most]
    named = {"model": entry.manifest.name, "version": entry.manifest.version}
    bodies = [json.dumps({"inputs": text, **named}).encode() for text, _ in pairs]
    return _workload(job, entry, store, "application/json", bodies, [Tokens(ids) for _, ids in pairs])


def _caption(catalog: Catalog, store: Path) -> Workload:
    entry = catalog.default("captioning", EngineView((), 0))
    assert entry.manifest.image is not None
    size = entry.manifest.image.size
    bodies = _photos(PHOTOS)
    sources = [Pixels(size, read_image(body, index, size, _LIMITS)) for index, body in enumerate(bodies)]
    return _workload("caption", entry, store, "image/jpeg", bodies, list(sources))


def _photos(count: int) -> list[bytes]:
    """JPEG files of crops of one photo in other colours, 640 x 480 and 224 x 224 by turns, with a camera's noise:
    without it a picture blown up from a small one would be too easy to decode."""
    source, noise = random.Random(_SEED), np.random.default_rng(_SEED)
    original = Image.open(io.BytesIO(files("app.web").joinpath("static/example.webp").read_bytes())).convert("RGB")
    photos = []
    for index in range(count):
        width, height = (640, 480) if index % 2 == 0 else (224, 224)
        side = source.uniform(0.6, 1.0)
        left, top = (source.uniform(0, (1 - side) * edge) for edge in original.size)
        box = (left, top, left + side * original.width, top + side * original.height)
        photo = original.resize((width, height), Image.Resampling.BICUBIC, box=box)
        photo = ImageEnhance.Color(photo).enhance(source.uniform(0.3, 1.7))
        photo = ImageEnhance.Brightness(photo).enhance(source.uniform(0.6, 1.4))
        grain = np.asarray(photo) + noise.normal(0, 5, (height, width, 3))
        content = io.BytesIO()
        Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(content, "JPEG", quality=88)
        photos.append(content.getvalue())
    return photos


def _workload(
    job: str, entry: Entry, store: Path, content_type: str, bodies: list[bytes], sources: list[Tokens | Pixels]
) -> Workload:
    manifest = entry.manifest
    folder = store / manifest.name / str(manifest.version)
    query = f"?model={manifest.name}&version={manifest.version}" if content_type.startswith("image/") else ""
    max_tokens = manifest.decoding.max_tokens if manifest.decoding else 0
    return Workload(job, manifest.key, folder, max_tokens, f"/v1/{job}{query}", content_type, bodies, sources)


_JOBS: dict[str, Callable[[Catalog, Path], Workload]] = {
    "sentiment": _sentiment,
    "caption": _caption,
    "translate": _translate,
}
JOBS = tuple(_JOBS)
