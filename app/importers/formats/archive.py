"""Zip archives. All entries are checked before any is unpacked."""

import stat
import zipfile
import zlib
from io import BytesIO

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Refused, TooLarge, Unreadable

_ENCRYPTED = 0x1


class Archive:
    """The entries of an archive by name."""

    def __init__(self, content: bytes, bounds: Bounds) -> None:
        try:
            self._archive = zipfile.ZipFile(BytesIO(content))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise Unreadable(f"it is a damaged zip archive: {error}") from error
        self.sizes: dict[str, int] = {}
        for info in self._archive.infolist():
            if not info.filename.endswith("/"):
                self._check(info)
                self.sizes[info.filename] = info.file_size
        if sum(self.sizes.values()) > bounds.tensors:
            raise TooLarge(
                f"its entries unpack to {sum(self.sizes.values())} bytes; the limit for a file of its size is "
                f"{bounds.tensors}"
            )

    def _check(self, info: zipfile.ZipInfo) -> None:
        name = info.filename
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in parts[0]:
            raise Refused(f"its entry {name[:80]!r} points outside the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Refused(f"its entry {name[:80]!r} is a link")
        if name in self.sizes:
            raise Refused(f"it has two entries {name[:80]!r}")
        if info.flag_bits & _ENCRYPTED:
            raise Unreadable(f"its entry {name[:80]!r} is encrypted: unpack it with its password, and give the file")

    def read(self, name: str) -> bytes:
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError, OSError) as error:
            raise Unreadable(
                f"its entry {name[:80]!r} cannot be unpacked ({error}): unpack it, and give the file"
            ) from error
