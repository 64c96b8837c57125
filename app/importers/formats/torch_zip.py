"""The zip archives of torch.save since 1.6: `<name>/data.pkl` and a record for each storage."""

import stat
import zipfile
from io import BytesIO
from typing import Any

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Refused, TooLarge, Unreadable
from app.importers.formats.storages import Storage, checked_reference
from app.importers.formats.unpickling import Unpickling

_MOST_COMPRESSED = 200  # a zip entry that unpacks to more than this many times its size is an attack


def matches(content: bytes, bounds: Bounds) -> bool:
    return content[:2] == b"PK"


def parse(content: bytes, unpickling: Unpickling) -> Any:
    try:
        archive = zipfile.ZipFile(BytesIO(content))
        records = _records(archive, unpickling.bounds)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise Unreadable(f"it is a damaged zip archive: {error}") from error
    pickles = [name for name in records if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise Unreadable("it is a zip archive that torch.save did not write")
    folder = pickles[0].removesuffix("data.pkl")
    order = archive.read(records[folder + "byteorder"]) if folder + "byteorder" in records else b"little"
    if order != b"little":
        raise Unreadable("its numbers are big-endian")
    storages: dict[str, Storage] = {}

    def storage(reference: Any) -> Storage:
        _, kind, key, _, count = checked_reference(reference, 5)[:5]
        known = storages.get(key)
        if known is None:
            record = records.get(f"{folder}data/{key}")
            if record is None or record.file_size < count * kind.size:
                raise Unreadable(f"a storage declares {count} numbers, but its record is smaller")
            known = storages[key] = Storage(kind, count, bytearray(archive.read(record)))
        return known

    made, _ = unpickling.load(archive.read(records[pickles[0]]), 0, storage=storage)
    return made


def _records(archive: zipfile.ZipFile, bounds: Bounds) -> dict[str, zipfile.ZipInfo]:
    """The entries of the archive, all checked before any is unpacked."""
    records: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in parts[0]:
            raise Refused(f"its entry {name[:80]!r} points outside the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Refused(f"its entry {name[:80]!r} is a link")
        if name in records:
            raise Refused(f"it has two entries {name[:80]!r}")
        if parts[-1] == "constants.pkl" or "code" in parts[1:-1] or parts[-1].endswith(".py"):
            raise Refused("it is a TorchScript archive, which contains a program. Save model.state_dict() instead")
        if info.file_size > _MOST_COMPRESSED * max(1, info.compress_size):
            raise TooLarge(f"its entry {name[:80]!r} unpacks to {info.file_size} bytes from {info.compress_size}")
        records[name] = info
    if sum(info.file_size for info in records.values()) > bounds.tensors:
        raise TooLarge(f"its entries unpack to more than {bounds.tensors} bytes, the limit for a file of its size")
    return records
