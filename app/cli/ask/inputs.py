"""Inputs of `unroll ask` by source kind, from arguments, a file of lines or standard input."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import click
from unroll_client.sources import FILE_SUFFIXES, SourceKind


def metavar(source: SourceKind) -> str:
    """The argument in the help of a command."""
    return source.upper()


def describe_inputs(source: SourceKind) -> str:
    """What an input is, for the help of a command."""
    return (
        f"An input is a file ({source}), or a folder of files." if FILE_SUFFIXES[source] else f"An input is a {source}."
    )


def read_inputs(arguments: Iterable[str], file: Path | None, stdin: BinaryIO, source: SourceKind) -> list[str]:
    """A string for each input; of a file it is the path. Raises click.UsageError."""
    inputs = _given(list(arguments), file, stdin)
    if suffixes := FILE_SUFFIXES[source]:
        inputs = [path for given in inputs for path in _files(given, suffixes)]
    if not inputs:
        raise click.UsageError("there is no input; give arguments, - for standard input, or --file FILE")
    return inputs


def _given(arguments: list[str], file: Path | None, stdin: BinaryIO) -> list[str]:
    if file is not None and arguments:
        raise click.UsageError("give inputs as arguments or with --file, not both")
    if file is not None:
        return _lines(file.read_bytes(), str(file))
    return _lines(stdin.read(), "standard input") if arguments == ["-"] else arguments


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


def _files(given: str, suffixes: Sequence[str]) -> list[str]:
    """The path of a file, or the files of a kind in a folder by name."""
    folder = Path(given)
    if not folder.is_dir():
        return [given]
    return sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in suffixes)
