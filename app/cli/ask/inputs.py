"""What `unroll ask` is to ask about: texts or image files, from arguments, a file of lines or the standard input."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import click

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")


def read_inputs(arguments: Iterable[str], file: Path | None, stdin: BinaryIO, *, images: bool) -> list[str]:
    """One string an input; of images it is the path. Raises click.UsageError."""
    arguments = list(arguments)
    if file is not None and arguments:
        raise click.UsageError("give inputs as arguments or by --file, not both")
    if file is not None:
        inputs = _lines(file.read_bytes(), str(file))
    elif arguments == ["-"]:
        inputs = _lines(stdin.read(), "the standard input")
    else:
        inputs = arguments
    if images:
        inputs = [path for given in inputs for path in _images(given)]
    if not inputs:
        raise click.UsageError("there is no input; give some as arguments, - for the standard input, or --file FILE")
    return inputs


def _lines(content: bytes, where: str) -> list[str]:
    """Cut at line ends alone: a text may hold other separators, which Python takes for some."""
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise click.UsageError(f"line {number} of {where} is not UTF-8") from error
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _images(given: str) -> list[str]:
    """The path, or the image files in it by name if it is a folder."""
    folder = Path(given)
    if not folder.is_dir():
        return [given]
    return sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
