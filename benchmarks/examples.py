"""Twenty inputs for each of the included models, not chosen: the first of its test data, with what the data says."""

import base64
import io
import tarfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from app.store.manifest import Manifest
from app.tasks.registry import BY_NAME
from training.data import read_contrast, read_flickr8k, read_nsmc
from training.enko import read_phrases
from training.lm_en_general import test_texts as english_tests
from training.moving_digits import DIRECTIONS, clips_of, read_digits
from training.tags import as_written, read_tags
from training.weather import FEATURES, TARGETS, read_weather, windows_of

COUNT = 20
BEGUN = 6  # most words of a text that a language model continues
DRAWN = {"temperature": 0.7, "top_p": 0.9, "seed": 1, "max_tokens": 24}  # options of completions


class Example(NamedTuple):
    """An input as docs/models.md shows it, what the test data says of it, and the input of a request."""

    shown: str
    reference: str
    value: Any


def bodies_of(manifest: Manifest, data: Path) -> tuple[str, list[tuple[Example, dict[str, Any]]]]:
    """The route, and examples with the request of each. `data`: the folder with the raw data."""
    options = DRAWN if manifest.task == "completion" else {}
    path = BY_NAME[manifest.task].face.path
    return path, [
        (example, {"inputs": example.value, "model": manifest.name, **options})
        for example in _examples(manifest, data)[:COUNT]
    ]


def _examples(manifest: Manifest, data: Path) -> list[Example]:
    language: Literal["en", "ko"] = "ko" if manifest.source_language == "ko" else "en"
    match manifest.task:
        case "captioning":
            return _photos(data)
        case "forecasting":
            return _weather(data)
        case "classification":
            return _clips(data)
        case "translation":
            return [Example(pair.source, pair.target, pair.source) for pair in read_phrases(data, "test")]
        case "tagging":
            return _tagged(data)
        case "sentiment":
            rated = read_contrast(data, language, "test")
            return [Example(row.text, f"{row.degree:+.2f}", row.text) for row in rated]
        case "completion":
            return _begun(_korean(data) if language == "ko" else next(iter(english_tests(data).values())))
        case _:
            raise NotImplementedError(f"benchmarks/examples.py has no inputs for the task {manifest.task}: add them")


def _korean(data: Path) -> list[str]:
    return [row.text for row in read_nsmc(data, "test", neutral=True)]


def _begun(texts: list[str]) -> list[Example]:
    """The first half of each text, of at most `BEGUN` words, and the rest."""
    found = []
    for words in (text.split() for text in texts):
        half = min(BEGUN, (len(words) + 1) // 2)
        begun, rest = " ".join(words[:half]), " ".join(words[half:])
        if rest:
            found.append(Example(begun, f"… {rest}", begun))
    return found


def _tagged(data: Path) -> list[Example]:
    """Sentences as people write them, with the tags of the treebank."""
    found = []
    for sentence in read_tags(data, "test")[:COUNT]:
        text = as_written(sentence.words).text
        pairs = zip(sentence.words, sentence.tags, strict=True)
        found.append(Example(text, " ".join(f"{word}/{tag}" for word, tag in pairs), text))
    return found


def _photos(data: Path) -> list[Example]:
    """The first photos of the test split, each with its file and first reference, as JPEG in base64."""
    photos = read_flickr8k(data, "test")[:COUNT]
    found = []
    with tarfile.open(data / "flickr8k.tar") as archive:
        for photo in photos:
            file = archive.extractfile(f"flickr8k/images/{photo.file}")
            assert file is not None
            jpeg = io.BytesIO()
            Image.open(file).convert("RGB").save(jpeg, "JPEG", quality=92)
            found.append(Example(f"`{photo.file}`", photo.captions[0], base64.b64encode(jpeg.getvalue()).decode()))
    return found


def _weather(data: Path) -> list[Example]:
    """The first windows of 2015, with the days after each."""
    windows = windows_of(read_weather(data), "test")
    return [
        Example(
            f"the six days before {windows.days[place][0]}",
            columns(TARGETS, windows.targets[place].tolist()),
            _by_name(windows.inputs[place]),
        )
        for place in range(COUNT)
    ]


def _by_name(rows: Tensor) -> list[dict[str, float]]:
    return [dict(zip(FEATURES, [round(number, 1) for number in row], strict=True)) for row in rows.tolist()]


def columns(names: tuple[str, ...] | list[str], rows: list[list[float]]) -> str:
    """Rows of numbers in words, column by column."""
    numbers = [", ".join(f"{row[place]:.1f}" for row in rows) for place in range(len(names))]
    return "; ".join(f"{name} {column}" for name, column in zip(names, numbers, strict=True))


def _clips(data: Path) -> list[Example]:
    """The first digits of the test split, each in another direction until all have been."""
    digits = read_digits(data, "test")[:COUNT]
    clips = clips_of(digits, torch.Generator().manual_seed(1))
    names = list(DIRECTIONS)
    found = []
    for number in range(len(digits)):
        place = number * len(names) + number % len(names)
        direction = names[int(clips.directions[place])]
        frames = [_png(frame) for frame in clips.frames[place]]
        found.append(Example(f"digit {number + 1} of the test split", direction, {"frames": frames}))
    return found


def _png(frame: Tensor) -> str:
    """A frame (height, width, 3) as a file in base64."""
    file = io.BytesIO()
    Image.fromarray(frame.numpy()).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
