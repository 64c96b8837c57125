"""The parts of an image file, counted before it is decoded: each costs time, and a small file can have millions."""

import re
from collections.abc import Iterator

from app.errors import InputTooLong
from app.tasks.sources.place import Place

MAX_PARTS = 10_000  # chunks of a PNG, segments of a JPEG; files of 10 MB have some 2,000
MAX_SCANS = 100  # of a progressive JPEG; usual ones have about ten
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")  # not: a stuffed byte, a restart, a start of an image
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA


def check_parts(content: bytes, place: Place) -> None:
    """Raises InputTooLong for a file with too many parts or scans. `place` is where it is in the request."""
    scans = 0
    for parts, part in enumerate(_parts(content), 1):
        scans += part == _START_OF_SCAN
        for name, count, limit in (("segments or chunks", parts, MAX_PARTS), ("scans", scans, MAX_SCANS)):
            if count > limit:
                raise InputTooLong(
                    f"{place} has more than {limit} {name}; save it anew without metadata, as a baseline JPEG or a PNG",
                    input=place.input,
                    limit=limit,
                )


def _parts(content: bytes) -> Iterator[int | bytes]:
    """The segments of a JPEG, as markers, or the chunks of a PNG, as types, up to the end of the image."""
    if content.startswith(_JPEG):
        return _segments(content)
    return _chunks(content) if content.startswith(_PNG) else iter(())


def _segments(content: bytes) -> Iterator[int]:
    """See ITU-T T.81, annex B.1. Compressed data after a start of scan has no markers except restarts."""
    place = 2
    while found := _MARKER.search(content, place):
        place = found.end()
        marker = content[place - 1]
        yield marker
        if marker == _END_OF_IMAGE:
            return
        place += int.from_bytes(content[place : place + 2], "big")


def _chunks(content: bytes) -> Iterator[bytes]:
    """See the PNG specification, section 5.3: length, type, data, checksum."""
    place = len(_PNG)
    while kind := content[place + 4 : place + 8]:
        yield kind
        if kind == b"IEND":
            return
        place += 12 + int.from_bytes(content[place : place + 4], "big")
