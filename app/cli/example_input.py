"""An input for a version that was just imported: what the user gives with `--try`, or an example."""

import io
import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any, assert_never

import click
from PIL import Image

from app.importers.importing import Conversion
from app.store.manifest import Manifest
from app.store.series_input import SeriesInput
from app.tasks.sources.frames import Clip
from app.tasks.sources.raw_series import CsvFile, JsonSeries

_MARKS = ("SOS", "EOS", "BOS", "PAD", "UNK")  # around a text, in vocabularies that write them like words
_WORDS = 6
_STEPS = 12  # of a model that reads a series of any length
_MOST_SHOWN = 60  # characters


def example_of(conversion: Conversion) -> tuple[Any, str]:
    """An input of the kind that the network reads, made of words that it knows, and the input in words."""
    manifest = conversion.manifest
    match manifest.source:
        case "text":
            text = _text(conversion)
            return text, repr(text)
        case "series":
            assert manifest.series is not None
            rows = _rows(manifest.series, manifest.architecture.least_steps)
            return JsonSeries(rows), f"{len(rows)} rows in the middle of their range"
        case "image":
            return _picture(manifest), "a grey picture"
        case "frames":
            return Clip([files("app.web").joinpath("static/example-clip.webp").read_bytes()]), "an example clip"
        case _:
            assert_never(manifest.source)


def given_input(manifest: Manifest, text: str) -> tuple[Any, str]:
    """The value of `--try`: a text, or a file; for series a CSV file, JSON, or numbers with commas between them (and
    semicolons between rows). Raises click.BadParameter."""
    path = Path(text)
    match manifest.source:
        case "text":
            return text, repr(text if len(text) < _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...")
        case "series":
            return _series(text), text if len(text) < _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
        case "image" | "frames":
            if not path.is_file():
                raise click.BadParameter(f"{text} is not the file of an image", param_hint="--try")
            content = path.read_bytes()
            return (content if manifest.source == "image" else Clip([content])), path.name
        case _:
            assert_never(manifest.source)


def _series(text: str) -> JsonSeries | CsvFile:
    path = Path(text)
    if "," not in text and path.is_file():
        content = path.read_bytes()
        return JsonSeries(json.loads(content)) if path.suffix == ".json" else CsvFile(content)
    try:
        if text.lstrip().startswith(("[", "{")):
            return JsonSeries(json.loads(text))
        rows = [[float(number) for number in row.split(",")] for row in text.split(";")]
        return JsonSeries(rows[0] if len(rows) == 1 else rows)
    except ValueError as error:
        raise click.BadParameter(
            f"{text} is no series: give a CSV file, JSON, or numbers such as 1,2,3 (1,2;3,4 for rows)",
            param_hint="--try",
        ) from error


def _text(conversion: Conversion) -> str:
    vocabulary = conversion.converted.source or conversion.converted.target
    assert vocabulary is not None
    known = vocabulary.tokenizer.get_vocab(with_added_tokens=False)
    words = [word for word in sorted(known, key=known.__getitem__) if word.isalpha() and word not in _MARKS]
    if not words:
        return "a"
    is_letters = all(len(word) == 1 for word in words)
    chosen = [words[place * len(words) // _WORDS] for place in range(_WORDS)] if len(words) >= _WORDS else words
    return ("" if is_letters else " ").join(chosen)


def _rows(series: SeriesInput, least: int) -> list[list[float]]:
    steps = series.window or max(_STEPS, least)
    rows = []
    for step in range(steps):
        wave = 0.1 * math.sin(step)
        rows.append([_at(0.5 + wave, feature.affine, feature.scaling is not None) for feature in series.features])
    return rows


def _at(place: float, affine: tuple[float, float], is_scaled: bool) -> float:
    """A number at a place of the scaled range, in the units of the series."""
    shift, scale = affine
    return place * scale + shift if is_scaled else place


def _picture(manifest: Manifest) -> bytes:
    assert manifest.image is not None
    file = io.BytesIO()
    Image.new("RGB", (manifest.image.size, manifest.image.size), (128, 128, 128)).save(file, "PNG")
    return file.getvalue()
