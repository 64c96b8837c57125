"""Pickles of protocol 2 and later, and the files of torch.save before 1.6: several pickles and then the storages."""

import struct
from typing import Any

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import TooLarge, Unreadable
from app.importers.formats.storages import Storage, checked_reference
from app.importers.formats.unpickling import Unpickling

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C


def matches(content: bytes, bounds: Bounds) -> bool:
    return content[:1] == b"\x80"


def parse(content: bytes, unpickling: Unpickling) -> Any:
    first, end = unpickling.load(content, 0)
    return _torch_legacy(content, end, unpickling) if first == _TORCH_MAGIC else first


def _torch_legacy(content: bytes, at: int, unpickling: Unpickling) -> Any:
    """After the magic number: protocol, system, the object, the keys of its storages, the storages."""
    for _ in range(2):
        _, at = unpickling.load(content, at)
    storages: dict[str, Storage] = {}
    left = len(content)

    def storage(reference: Any) -> Storage:
        nonlocal left
        _, kind, key, _, count, *view = checked_reference(reference, 5)
        if view and view[0] is not None:
            raise Unreadable("it has views of storages, which torch has not written since 0.4")
        known = storages.get(key)
        if known is None:
            left -= count * kind.size
            if left < 0:
                raise TooLarge(f"its storages are larger than the file: one declares {count} numbers")
            known = storages[key] = Storage(kind, count, bytearray(count * kind.size))
        return known

    made, at = unpickling.load(content, at, storage=storage)
    keys, at = unpickling.load(content, at)
    for key in keys if isinstance(keys, list) else ():
        found = storages.get(key)
        (count,) = struct.unpack_from("<q", content, at) if at + 8 <= len(content) else (-1,)
        if found is None or count != found.count or at + 8 + len(found.data) > len(content):
            raise Unreadable("its storages are damaged or cut short")
        found.data[:] = content[at + 8 : at + 8 + len(found.data)]
        at += 8 + len(found.data)
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise Unreadable("storages are missing")
    return made
