"""Realistic inputs of each job, fixed by a seed, as HTTP bodies and as engine sources."""

import io
import itertools
import json
import random
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from app.engine.client import EngineView
from app.engine.protocol import AnswerSpec, Decode, Forecast, Label, Pixels, Series, Source, Table, Tokens
from app.errors import ModelNotFound, UnknownLanguage
from app.store.description import SourceName
from app.store.forecaster import Forecaster
from app.store.manifest import Manifest
from app.store.series_input import SeriesInput
from app.tasks.catalog import Entry, open_catalog
from app.tasks.registry import BY_NAME, CHECKS
from app.tasks.scaling import scaled
from app.tasks.sources.image import target_of
from app.tasks.sources.image_files import read_image
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.place import place_of_image
from benchmarks.series import random_rows
from benchmarks.texts import manual, review, spread

_SEED = 20
TEXTS, PHOTOS, SERIES, LONG_TEXTS = 512, 64, 512, 32  # inputs of a job
LONG_SOURCE, LONG_ANSWER = 2000, 512  # most tokens of long ones
TEXTS_AND_IMAGES = ("sentiment", "caption", "translate")
JOBS = (*TEXTS_AND_IMAGES, "forecast", "classify")
_TASKS: dict[str, tuple[str, SourceName, str | None]] = {
    "sentiment": ("sentiment", "text", "en"),
    "caption": ("captioning", "image", None),
    "translate": ("translation", "text", "en"),
    "forecast": ("forecasting", "series", None),
    "classify": ("classification", "series", None),
}
_LIMITS = SourceLimits(text_chars=0, image_bytes=12_000_000, image_pixels=50_000_000)


@dataclass(frozen=True)
class Workload:
    """One job: the version that does it, and its inputs. `bodies[i]` over HTTP is `sources[i]` to the engine.

    `answer` is what the engine computes. `timeout_ms`, sent as a header, is how long an answer is of use.
    """

    job: str
    model: str
    folder: Path
    answer: AnswerSpec
    path: str
    content_type: str
    bodies: list[bytes]
    sources: list[Source]
    timeout_ms: int | None = None


def workload(job: str, store: Path) -> Workload | None:
    """The inputs of one of `JOBS`; None if the store has no usable model."""
    try:
        entry = _entry(job, store)
    except (ModelNotFound, UnknownLanguage):
        return None
    if job == "caption":
        return _caption(entry, store)
    if entry.manifest.series is not None:
        return _series(job, entry, store, entry.manifest.series)
    return _texts(job, entry, store, _ordinary(job))


def long_texts(job: str, store: Path) -> Workload:
    """Texts as long as the model takes, to be answered as long as it can, within `LONG_SOURCE` and `LONG_ANSWER`
    tokens; for a job that `workload` has inputs for."""
    entry = _entry(job, store)
    limits = entry.manifest.limits
    most = min(LONG_SOURCE, limits.source_tokens or LONG_SOURCE)
    source = random.Random(_SEED)
    texts = [_of_tokens(job, entry, most - source.randrange(1 + most // 8), source) for _ in range(LONG_TEXTS)]
    work = _texts(job, entry, store, texts)
    answer = min(LONG_ANSWER, limits.max_tokens or LONG_ANSWER)
    return with_options(work, max_tokens=answer) if entry.manifest.decoding else work


def shorter_half(work: Workload) -> Workload:
    """The texts with at most the median number of tokens."""
    lengths = [len(source.ids) for source in work.sources if isinstance(source, Tokens)]
    middle = sorted(lengths)[len(lengths) // 2]
    chosen = [index for index, length in enumerate(lengths) if length <= middle]
    return replace(work, bodies=[work.bodies[i] for i in chosen], sources=[work.sources[i] for i in chosen])


def mixed(work: Workload, other: Workload, share: float) -> Workload:
    """All inputs of `work`, and evenly among them those of `other`: a `share` of what comes out."""
    between = round(1 / share) - 1
    theirs = itertools.cycle(zip(other.bodies, other.sources, strict=True))
    pairs = []
    for index, pair in enumerate(zip(work.bodies, work.sources, strict=True)):
        pairs += [next(theirs), pair] if index % between == 0 else [pair]
    return replace(work, bodies=[body for body, _ in pairs], sources=[source for _, source in pairs])


def text_of_tokens(job: str, store: Path, tokens: int, source: random.Random) -> tuple[str, int]:
    """A text with about this number of tokens, and that number."""
    entry = _entry(job, store)
    text = _of_tokens(job, entry, tokens, source)
    return text, len(entry.tokenizer.encode(text))


def with_options(work: Workload, **options: object) -> Workload:
    """The same inputs with these options in each request."""
    if work.content_type == "application/json":
        return replace(work, bodies=[json.dumps(json.loads(body) | options).encode() for body in work.bodies])
    return replace(work, path="&".join([work.path, *(f"{name}={value}" for name, value in options.items())]))


def _entry(job: str, store: Path) -> Entry:
    task, kind, language = _TASKS[job]
    selection, engines = BY_NAME[task].selection, EngineView((), 0)
    return open_catalog(store, CHECKS).default(selection, engines, kinds=(kind,), source=language)


def _ordinary(job: str) -> list[str]:
    source = random.Random(_SEED)
    if job == "translate":
        words = [_log_normal(source, median=8, sigma=0.7, least=3, most=40) for _ in range(TEXTS)]
        return [manual(count, source) for count in spread(words, source)]
    words = [_log_normal(source, median=20, sigma=0.7, least=2, most=120) for _ in range(TEXTS - TEXTS // 32)]
    words += [source.randint(200, 400) for _ in range(TEXTS // 32)]
    return [review(count, source) for count in spread(words, source)]


def _log_normal(source: random.Random, *, median: float, sigma: float, least: int, most: int) -> int:
    return min(most, max(least, round(median * source.lognormvariate(0, sigma))))


def _of_tokens(job: str, entry: Entry, tokens: int, source: random.Random) -> str:
    """A text with slightly fewer tokens than the limit, or equally many."""
    words = (manual if job == "translate" else review)(tokens, source).split()
    while (count := len(entry.tokenizer.encode(" ".join(words)))) > tokens:
        words = words[: min(len(words) - 1, len(words) * tokens // count)]
    return " ".join(words)


def _texts(job: str, entry: Entry, store: Path, texts: list[str]) -> Workload:
    """Texts that exceed the model's limit are omitted."""
    most = entry.manifest.limits.source_tokens
    pairs = [(text, entry.tokenizer.encode(text)) for text in texts]
    pairs = [(text, ids) for text, ids in pairs if most is None or len(ids) <= most]
    named = {"model": entry.manifest.name, "version": entry.manifest.version}
    bodies = [json.dumps({"inputs": text, **named}).encode() for text, _ in pairs]
    return _workload(job, entry, store, "application/json", bodies, [Tokens(ids) for _, ids in pairs])


def _caption(entry: Entry, store: Path) -> Workload:
    assert entry.manifest.image is not None
    wanted = entry.manifest.image
    bodies = _photos(PHOTOS)
    target = target_of(wanted)
    sources = [
        Pixels(target.size, read_image(body, place_of_image(index), target, _LIMITS))
        for index, body in enumerate(bodies)
    ]
    return _workload("caption", entry, store, "image/jpeg", bodies, list(sources))


def _series(job: str, entry: Entry, store: Path, read: SeriesInput) -> Workload:
    """Series as long as the window of the model. Without one their lengths are spread around a median of 60 steps."""
    source = random.Random(_SEED)
    lengths = [read.window or _log_normal(source, median=60, sigma=0.5, least=20, most=200) for _ in range(SERIES)]
    all_rows = [random_rows(read, steps, source) for steps in spread(lengths, source)]
    named = {"model": entry.manifest.name, "version": entry.manifest.version}
    bodies = [json.dumps({"inputs": rows.tolist(), **named}).encode() for rows in all_rows]
    sources = [Series(Table(len(read.features), scaled(rows, read.features).tobytes())) for rows in all_rows]
    return _workload(job, entry, store, "application/json", bodies, list(sources))


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
    job: str, entry: Entry, store: Path, content_type: str, bodies: list[bytes], sources: list[Source]
) -> Workload:
    manifest = entry.manifest
    folder = store / manifest.name / str(manifest.version)
    query = f"?model={manifest.name}&version={manifest.version}" if content_type.startswith("image/") else ""
    return Workload(job, manifest.key, folder, _answer(manifest), f"/v1/{job}{query}", content_type, bodies, sources)


def _answer(manifest: Manifest) -> AnswerSpec:
    """What a request without options asks for."""
    if manifest.decoding is not None:
        return Decode(manifest.decoding.max_tokens)
    if isinstance(manifest.architecture, Forecaster):
        return Forecast(manifest.architecture.horizon)
    return Label()
