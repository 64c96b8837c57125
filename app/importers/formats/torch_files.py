"""A file of any known format to plain data: torch's zip and the older one, pickles, safetensors, JSON, word lists."""

import json
import stat
import struct
import zipfile
from io import BytesIO
from typing import Any

from safetensors import SafetensorError, deserialize

from app.importers.untrusted.bounds import Bounds
from app.importers.untrusted.refusals import Refused, TooLarge, Unreadable
from app.importers.untrusted.storages import UNTYPED, NumberType, Storage, TensorView, Views
from app.importers.untrusted.unpickler import PlainUnpickler, count_opcodes

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_RATIO = 200  # of what is unpacked to what is packed, beyond which a zip is made to do harm
_TYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def parse(content: bytes, bounds: Bounds) -> Any:
    """Raises Refused, Unreadable or TooLarge."""
    return _Parser(bounds, Views(bounds)).parse(content, is_nested=False)


class _Parser:
    def __init__(self, bounds: Bounds, views: Views) -> None:
        self._bounds = bounds
        self._views = views

    def parse(self, content: bytes, *, is_nested: bool) -> Any:
        if content[:2] == b"PK":
            return self._zip(content, is_nested)
        if content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content) and not is_nested:
            return self._safetensors(content)  # before pickles: the length of its header may look like one
        if content[:1] == b"\x80":
            return self._pickles(content, is_nested)
        if is_nested:
            raise Unreadable("it holds another file of a kind that is not known")
        if content[257:262] == b"ustar":
            raise Unreadable("it is a tar archive; open the file with torch and save its state_dict() again")
        return self._pickles(content, is_nested) if self._is_old_pickle(content) else _text(content)

    def _is_old_pickle(self, content: bytes) -> bool:
        """Pickles of protocols 0 and 1 have no mark of their own: one is what is read as one to its last byte."""
        try:
            return content.endswith(b".") and count_opcodes(content, 0, self._bounds) == len(content)
        except Unreadable:
            return False

    def _unpickle(self, content: bytes, start: int, **options: Any) -> tuple[Any, int]:
        """What a pickle makes, and where it ends."""
        end = count_opcodes(content, start, self._bounds)
        try:
            made = PlainUnpickler(BytesIO(content[start:end]), views=self._views, **options).load()
        except (Refused, Unreadable, TooLarge):
            raise
        except RecursionError as error:
            raise TooLarge("its pickle is nested too deeply") from error
        except MemoryError as error:
            raise TooLarge("its pickle asks for more memory than a file of its size can need") from error
        except Exception as error:  # whatever a broken pickle makes the unpickler stumble over
            raise Unreadable(f"its pickle is damaged: {type(error).__name__}: {error}") from error
        return made, end

    def _nested(self, is_nested: bool) -> Any:
        return None if is_nested else lambda content: self.parse(content, is_nested=True)

    def _pickles(self, content: bytes, is_nested: bool) -> Any:
        first, end = self._unpickle(content, 0, load_bytes=self._nested(is_nested))
        return self._legacy(content, end, is_nested) if first == _TORCH_MAGIC else first

    def _legacy(self, content: bytes, at: int, is_nested: bool) -> Any:
        """torch.save before 1.6: magic number, protocol, system, the object, the keys of its storages, and those."""
        for _ in range(2):
            _, at = self._unpickle(content, at)
        storages: dict[str, Storage] = {}
        left = len(content)

        def storage(reference: Any) -> Storage:
            nonlocal left
            _, kind, key, _, count, *view = _checked(reference, 5)
            if view and view[0] is not None:
                raise Unreadable("it has views of storages, which torch has not written since 0.4")
            known = storages.get(key)
            if known is None:
                left -= count * kind.size
                if left < 0:
                    raise TooLarge(f"its storages declare more than the file can hold, one of them {count} numbers")
                known = storages[key] = Storage(kind, count, bytearray(count * kind.size))
            return known

        made, at = self._unpickle(content, at, storage=storage, load_bytes=self._nested(is_nested))
        keys, at = self._unpickle(content, at)
        for key in keys if isinstance(keys, list) else ():
            found = storages.get(key)
            (count,) = struct.unpack_from("<q", content, at) if at + 8 <= len(content) else (-1,)
            if found is None or count != found.count or at + 8 + len(found.data) > len(content):
                raise Unreadable("its storages are damaged or cut short")
            found.data[:] = content[at + 8 : at + 8 + len(found.data)]
            at += 8 + len(found.data)
        if not isinstance(keys, list) or set(keys) != set(storages):
            raise Unreadable("it lacks storages")
        return made

    def _zip(self, content: bytes, is_nested: bool) -> Any:
        """torch.save since 1.6: `<name>/data.pkl` and a record for each storage."""
        try:
            archive = zipfile.ZipFile(BytesIO(content))
            records = _records(archive, self._bounds)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise Unreadable(f"it is a damaged zip: {error}") from error
        pickles = [name for name in records if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise Unreadable("it is a zip, but none that torch.save has written")
        folder = pickles[0].removesuffix("data.pkl")
        order = archive.read(records[folder + "byteorder"]) if folder + "byteorder" in records else b"little"
        if order != b"little":
            raise Unreadable("its numbers are big-endian")
        storages: dict[str, Storage] = {}

        def storage(reference: Any) -> Storage:
            _, kind, key, _, count = _checked(reference, 5)[:5]
            known = storages.get(key)
            if known is None:
                record = records.get(f"{folder}data/{key}")
                if record is None or record.file_size < count * kind.size:
                    raise Unreadable(f"a storage declares {count} numbers, but its record is smaller")
                known = storages[key] = Storage(kind, count, bytearray(archive.read(record)))
            return known

        content = archive.read(records[pickles[0]])
        made, _ = self._unpickle(content, 0, storage=storage, load_bytes=self._nested(is_nested))
        return made

    def _safetensors(self, content: bytes) -> dict[str, TensorView]:
        try:
            found = deserialize(content)  # type: ignore[no-untyped-call]
        except SafetensorError as error:
            raise Unreadable(f"it is a damaged safetensors file: {error}") from error
        made = {}
        for name, entry in found:
            size = _TYPES.get(entry["dtype"])
            if size is None:
                raise Unreadable(f"{name} has the number type {entry['dtype']}, which is not taken")
            shape, step = tuple(entry["shape"]), 1
            strides: list[int] = []
            for length in reversed(shape):
                strides.insert(0, step)
                step *= length
            kind = NumberType(entry["dtype"], size)
            storage = Storage(kind, step, bytearray(entry["data"]))
            made[name] = self._views.make(storage, 0, shape, tuple(strides))
        return made


def _checked(reference: Any, length: int) -> tuple[Any, ...]:
    if not isinstance(reference, tuple) or len(reference) < length or reference[0] != "storage":
        raise Unreadable("it refers to something that is no storage")
    kind, key, count = reference[1], reference[2], reference[4]
    if not isinstance(kind, NumberType) or not isinstance(key, str) or type(count) is not int or count < 0:
        raise Unreadable("it refers to a storage of a kind that is not known")
    return reference if kind is not UNTYPED else (*reference[:4], count, *reference[5:])


def _records(archive: zipfile.ZipFile, bounds: Bounds) -> dict[str, zipfile.ZipInfo]:
    """What the archive says of its entries, all of it checked before any is unpacked."""
    records: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in parts[0]:
            raise Refused(f"its entry {name[:80]!r} points outside the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Refused(f"its entry {name[:80]!r} is a link")
        if name in records:
            raise Refused(f"its entry {name[:80]!r} is there twice")
        if parts[-1] == "constants.pkl" or "code" in parts[1:-1] or parts[-1].endswith(".py"):
            raise Refused("it is a TorchScript archive, which holds a program. Save model.state_dict() instead")
        if info.file_size > _RATIO * max(1, info.compress_size):
            raise TooLarge(f"its entry {name[:80]!r} unpacks to {info.file_size} bytes from {info.compress_size}")
        records[name] = info
    if sum(info.file_size for info in records.values()) > bounds.tensors:
        raise TooLarge("its entries unpack to far more than the file")
    return records


def _text(content: bytes) -> Any:
    """JSON, or words, one a line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            "it is of no kind that is known: torch.save, pickle, safetensors, JSON or a list of words"
        ) from error
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"it is not valid JSON: {error}") from error
    lines = text.splitlines()
    if not any(lines):
        raise Unreadable("it is empty")
    return lines
