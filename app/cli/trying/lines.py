"""A line of the prompt as an input of a model, by the kind of its source."""

from pathlib import Path
from typing import Any

from unroll_client import Csv
from unroll_client.service_info import ModelInfo

from app.cli.ask.inputs import read_clip

_WHAT = {
    "text": "a text",
    "image": "the path of an image (JPEG, PNG, WebP)",
    "frames": "the path of an animated GIF or WebP, or of a folder with the images of a clip",
    "series": "numbers such as 1 2 3, or the path of a CSV with a header row",
}


def describe_line(model: ModelInfo) -> str:
    """What to type for a model."""
    what = _WHAT[model.source]
    if model.series is not None and len(model.series.features) > 1:
        columns = ", ".join(model.series.features)
        return f"the path of a CSV with the columns {columns}, or rows of these numbers such as 1 2; 3 4"
    return what


def read_line(line: str, model: ModelInfo) -> Any:
    """What the client sends for a line. Raises OSError and ValueError."""
    match model.source:
        case "image":
            return _file(line).read_bytes()
        case "frames":
            return read_clip(str(_file(line)))
        case "series":
            return _series(line, features=len(model.series.features) if model.series else 1)
        case _:
            return line


def _file(line: str) -> Path:
    """The path in a line, which terminals quote when a file is dropped on them."""
    return Path(line.strip().strip("'\"").replace("\\ ", " ")).expanduser()


def _series(line: str, *, features: int) -> Csv | list[float] | list[list[float]]:
    path = _file(line)
    try:
        rows = [[float(number) for number in row.replace(",", " ").split()] for row in line.split(";") if row.strip()]
    except ValueError:
        return Csv(path.read_bytes())
    return rows[0] if len(rows) == 1 and features == 1 else rows
