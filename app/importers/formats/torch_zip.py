"""The zip archives of torch.save since 1.6: `<name>/data.pkl` and a record for each storage."""

from typing import Any

from app.importers.formats.archive import Archive
from app.importers.formats.refusals import Refused, Unreadable
from app.importers.formats.storages import Storage, checked_reference
from app.importers.formats.unpickling import Unpickling


def matches(archive: Archive) -> bool:
    return any(name.endswith("/data.pkl") or _is_program(name) for name in archive.sizes)


def parse(archive: Archive, unpickling: Unpickling) -> Any:
    if any(_is_program(name) for name in archive.sizes):
        raise Refused(
            "it is a TorchScript archive, which contains a program. In Python, save its weights instead: "
            "torch.save(torch.jit.load('model.pt').state_dict(), 'weights.pt')"
        )
    pickles = [name for name in archive.sizes if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise Unreadable("it is a zip archive that torch.save did not write")
    folder = pickles[0].removesuffix("data.pkl")
    order = archive.read(folder + "byteorder") if folder + "byteorder" in archive.sizes else b"little"
    if order != b"little":
        raise Unreadable("its numbers are big-endian")
    storages: dict[str, Storage] = {}

    def storage(reference: Any) -> Storage:
        _, kind, key, _, count = checked_reference(reference, 5)[:5]
        known = storages.get(key)
        if known is None:
            record = f"{folder}data/{key}"
            if archive.sizes.get(record, -1) < count * kind.size:
                raise Unreadable(f"a storage declares {count} numbers, but its record is smaller")
            known = storages[key] = Storage(kind, count, bytearray(archive.read(record)))
        return known

    made, _ = unpickling.load(archive.read(pickles[0]), 0, storage=storage)
    return made


def _is_program(name: str) -> bool:
    parts = name.split("/")
    return parts[-1] == "constants.pkl" or "code" in parts[1:-1] or parts[-1].endswith(".py")
