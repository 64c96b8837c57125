"""Files that are compressed as a whole by gzip, zlib or bzip2, as joblib does and as word lists are."""

import bz2
import zlib
from typing import Any

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import TooLarge, Unreadable
from app.importers.formats.unpickling import Unpickling

_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_ZLIB = tuple(bytes((0x78, level)) for level in (0x01, 0x5E, 0x9C, 0xDA))


def matches(content: bytes, bounds: Bounds) -> bool:
    return content.startswith((_GZIP, _BZIP2)) or (content.startswith(_ZLIB) and not content[:64].isascii())


def parse(content: bytes, unpickling: Unpickling) -> Any:
    if unpickling.parse_inside is None:
        raise Unreadable("it is compressed twice")
    inner = _unpacked(content, unpickling.bounds.tensors)
    if inner[257:262] == b"ustar":
        raise Unreadable("it is a compressed tar archive (.tar.gz): unpack it, and give the file with the weights")
    return unpickling.parse_inside(inner)


def _unpacked(content: bytes, most: int) -> bytes:
    try:
        if content.startswith(_BZIP2):
            made = bz2.BZ2Decompressor().decompress(content, most + 1)
        else:
            made = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(content, most + 1)
    except (OSError, ValueError, zlib.error, EOFError) as error:
        raise Unreadable(f"it is compressed, and damaged: {error}") from error
    if len(made) > most:
        raise TooLarge(f"it unpacks to more than {most} bytes, the limit for a file of its size")
    return made
