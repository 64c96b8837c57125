"""Arrays in files of joblib. They lie as plain bytes in the middle of a pickle, each after a note of its shape."""

import os
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, BinaryIO

from app.importers.formats.numpy_arrays import Array, DType
from app.importers.formats.refusals import Unreadable
from app.importers.formats.storages import Views

WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"


def read_array(note: Mapping[str, Any], file: BinaryIO, views: Views, pickled: Callable[[], Any]) -> Any:
    """The array that follows in the file. `pickled` reads an array of objects, which is a pickle."""
    kind, shape = note.get("dtype"), note.get("shape")
    if isinstance(kind, DType) and kind.kind == "O":
        return pickled()
    if not isinstance(kind, DType) or not kind.known or not isinstance(shape, tuple):
        raise Unreadable("an array of joblib has an unknown type")
    if note.get("numpy_array_alignment_bytes") is not None:
        file.seek(int.from_bytes(file.read(1), "little"), os.SEEK_CUR)
    if any(type(length) is not int or length < 0 for length in shape):
        raise Unreadable("an array of joblib has an impossible shape")
    made = Array(views)
    made.fill(shape, kind, note.get("order") == "F", file.read(prod(shape) * kind.bytes))
    return made
