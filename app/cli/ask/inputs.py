"""Inputs of `unroll ask` by source kind, from arguments, a file of lines or standard input."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, assert_never

import click
from unroll_client import Clip, Csv
from unroll_client.sources import SourceKind

_STDIN = "-"
_SERIES: tuple[SourceKind, ...] = ("series",)
_IMAGES = (".jpeg", ".jpg", ".png", ".webp")
_TABLES = (".csv", ".tsv")
_MOVING = (".gif", ".webp")
_KINDS: dict[SourceKind, str] = {
    "text": "a text",
    "words": "a text",
    "image": "the file of an image, or a folder of them",
    "series": f"a CSV file with a header row ({', '.join(_TABLES)}), or a folder of them",
    "frames": f"an animated image ({', '.join(_MOVING)}), or a folder with the images of one clip",
}


@dataclass(frozen=True)
class Given:
    """An input with its name in answers. `read` returns what the client sends, and raises OSError."""

    name: str
    read: Callable[[], Any]


def metavar(sources: Sequence[SourceKind]) -> str:
    """The argument in the help of a command."""
    return {"words": "TEXT", "series": "CSV"}.get(sources[0], sources[0].upper()) if len(sources) == 1 else "INPUT"


def describe_inputs(sources: Sequence[SourceKind]) -> str:
    """What an input is, for the help of a command."""
    kinds = "; or ".join(_KINDS[kind] for kind in sources)
    return f"An input is {kinds}.{' The input - is a CSV in standard input.' if sources == _SERIES else ''}"


def read_inputs(
    arguments: Sequence[str], file: Path | None, stdin: BinaryIO, sources: Sequence[SourceKind]
) -> list[Given]:
    """The inputs by name; files are read later. Raises click.UsageError."""
    if sources == _SERIES and file is None and arguments == (_STDIN,):
        content = stdin.read()
        return [Given(_STDIN, lambda: Csv(content))]
    inputs = [one for given in _given(list(arguments), file, stdin) for one in _named(given, sources)]
    if not inputs:
        raise click.UsageError("there is no input; give arguments, - for standard input, or --file FILE")
    return inputs


def _given(arguments: list[str], file: Path | None, stdin: BinaryIO) -> list[str]:
    if file is not None and arguments:
        raise click.UsageError("give inputs as arguments or with --file, not both")
    if file is not None:
        return _lines(file.read_bytes(), str(file))
    return _lines(stdin.read(), "standard input") if arguments == [_STDIN] else arguments


def _lines(content: bytes, where: str) -> list[str]:
    """Only line ends separate lines: `splitlines` also cuts at U+2028, which a text may contain."""
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise click.UsageError(f"line {number} of {where} is not UTF-8") from error
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _named(given: str, sources: Sequence[SourceKind]) -> list[Given]:
    """The inputs that an argument names."""
    kind = sources[0] if len(sources) == 1 else _kind_of(given, sources)
    match kind:
        case "image":
            return [Given(path, Path(path).read_bytes) for path in _files(given, _IMAGES)]
        case "series":
            return [Given(path, partial(_read_csv, path)) for path in _files(given, _TABLES)]
        case "frames":
            return [Given(given, partial(read_clip, given))]
        case "text" | "words":
            return [Given(given, lambda: given)]
        case _:
            assert_never(kind)


def _kind_of(given: str, sources: Sequence[SourceKind]) -> SourceKind:
    """The kind of an input of a task with several, which the end of a path tells."""
    suffix = Path(given).suffix.lower()
    if suffix in _TABLES and "series" in sources:
        return "series"
    if "frames" not in sources:
        return "text"
    if suffix in _IMAGES and suffix not in _MOVING and os.path.isfile(given):
        raise click.UsageError(f"{given} is one image; a clip is {_KINDS['frames']}")
    return "frames" if suffix in _MOVING or given.endswith("/") or os.path.isdir(given) else "text"


def _files(given: str, suffixes: Iterable[str]) -> list[str]:
    """The path of a file, or the files of a kind in a folder by name."""
    folder = Path(given)
    if not folder.is_dir():
        return [given]
    paths = sorted((path for path in folder.iterdir() if path.suffix.lower() in suffixes), key=_numbered)
    return [str(path) for path in paths]


def _numbered(path: Path) -> list[str | int]:
    """The name of a file with the numbers in it as numbers: 2.png is before 10.png."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", path.name)]


def _read_csv(path: str) -> Csv:
    return Csv(Path(path).read_bytes())


def read_clip(path: str) -> Clip:
    """The clip in an animated file, or in the files of a folder in the order of the numbers in their names. Raises
    OSError."""
    if not path.endswith("/") and not Path(path).is_dir():
        return Clip(Path(path).read_bytes())
    files = sorted((file for file in Path(path).iterdir() if file.suffix.lower() in _IMAGES), key=_numbered)
    if not files:
        raise FileNotFoundError(f"{path} has no images ({', '.join(_IMAGES)})")
    return Clip([file.read_bytes() for file in files])
