"""File formats, one file each. The confined child process (`app.importers.untrusted`) parses bytes to plain data here.

A new format is a file beside this one and a line in `FORMATS`. Nothing here imports torch.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol

from app.importers.formats import (
    compressed,
    hdf5,
    hdf5_file,
    numpy_file,
    old_pickles,
    onnx_file,
    pickles,
    safetensors_file,
    text,
    unsupported,
    zips,
)
from app.importers.formats.bounds import Bounds
from app.importers.formats.storages import Views
from app.importers.formats.unpickling import Unpickling

_DIRECTORY = 1024 * 1024  # bytes at the end of a zip archive in which its names lie


class Format(Protocol):
    """A module of this folder."""

    def matches(self, content: bytes, bounds: Bounds) -> bool:
        """Whether a file with this content has the format."""

    def parse(self, content: bytes, unpickling: Unpickling) -> Any:
        """The content as plain data. Raises Refused, Unreadable or TooLarge."""


_INSIDE: tuple[Format, ...] = (zips, hdf5_file, numpy_file, safetensors_file, pickles, old_pickles, text)
FORMATS: tuple[Format, ...] = (*_INSIDE[:-2], onnx_file, compressed, unsupported, *_INSIDE[-2:])  # the first counts
_DEEPEST = 2  # files in files


def prepare(content: bytes) -> None:
    """Import what the file needs. The process cannot import after it is confined."""
    if hdf5_file.matches(content, Bounds(0)) or (zips.matches(content, Bounds(0)) and b".h5" in content[-_DIRECTORY:]):
        hdf5.load_library()


def parse(content: bytes, bounds: Bounds) -> Any:
    """A file as plain data. Raises Refused, Unreadable or TooLarge."""
    return _parse(content, FORMATS, Unpickling(bounds, Views(bounds)), 0)


def _parse(content: bytes, formats: Iterable[Format], unpickling: Unpickling, depth: int) -> Any:
    def parse_inside(inner: bytes) -> Any:
        return _parse(inner, _INSIDE, unpickling, depth + 1)

    unpickling = replace(unpickling, parse_inside=parse_inside if depth < _DEEPEST else None)
    found = next(known for known in formats if known.matches(content, unpickling.bounds))
    return found.parse(content, unpickling)
