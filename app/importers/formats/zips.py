"""Zip archives, by what lies in them: torch.save since 1.6, `.keras`, numpy.savez."""

from typing import Any

from app.importers.formats import keras_zip, numpy_zip, torch_zip
from app.importers.formats.archive import Archive
from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Unreadable
from app.importers.formats.unpickling import Unpickling
from app.importers.formats.unsupported import SAVED_MODEL

_KINDS = (keras_zip, torch_zip, numpy_zip)


def matches(content: bytes, bounds: Bounds) -> bool:
    return content[:2] == b"PK"


def parse(content: bytes, unpickling: Unpickling) -> Any:
    archive = Archive(content, unpickling.bounds)
    for kind in _KINDS:
        if kind.matches(archive):
            return kind.parse(archive, unpickling)
    names = sorted(archive.sizes)
    if any(name.endswith("saved_model.pb") for name in names):
        raise Unreadable(SAVED_MODEL)
    raise Unreadable(
        f"it is a zip archive of {len(names)} files ({', '.join(names[:3])[:200] or 'empty'}), and neither torch.save, "
        "numpy nor Keras wrote it: unpack it, and give the file with the weights"
    )
