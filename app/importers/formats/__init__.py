"""File formats, one file each. The confined child process (`app.importers.untrusted`) parses bytes to plain data here.

A new format is a file beside this one and a line in `FORMATS`. Nothing here imports torch.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from app.importers.formats import hdf5, hdf5_file, numpy_file, old_pickles, pickles, safetensors_file, text, zips
from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Unreadable
from app.importers.formats.storages import Views
from app.importers.formats.unpickling import Unpickling

_DIRECTORY = 1024 * 1024  # bytes at the end of a zip archive in which its names lie


class Format(Protocol):
    """A module of this folder."""

    def matches(self, content: bytes, bounds: Bounds) -> bool:
        """Whether a file with this content has the format."""

    def parse(self, content: bytes, unpickling: Unpickling) -> Any:
        """The content as plain data. Raises Refused, Unreadable or TooLarge."""


FORMATS: tuple[Format, ...] = (
    zips,
    hdf5_file,
    numpy_file,
    safetensors_file,
    pickles,
    old_pickles,
    text,
)  # the first match counts
_INSIDE_PICKLES: tuple[Format, ...] = (zips, pickles)


def prepare(content: bytes) -> None:
    """Import what the file needs. The process cannot import after it is confined."""
    if hdf5_file.matches(content, Bounds(0)) or (zips.matches(content, Bounds(0)) and b".h5" in content[-_DIRECTORY:]):
        hdf5.load_library()


def parse(content: bytes, bounds: Bounds) -> Any:
    """A file as plain data. Raises Refused, Unreadable or TooLarge."""
    views = Views(bounds)

    def parse_inside(inner: bytes) -> Any:
        return _parse(inner, _INSIDE_PICKLES, Unpickling(bounds, views))

    return _parse(content, FORMATS, Unpickling(bounds, views, parse_inside))


def _parse(content: bytes, formats: Iterable[Format], unpickling: Unpickling) -> Any:
    for known in formats:
        if known.matches(content, unpickling.bounds):
            return known.parse(content, unpickling)
    raise Unreadable("a file inside it has an unknown format")
