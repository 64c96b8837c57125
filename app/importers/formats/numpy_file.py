"""Files of `numpy.save`: an array of numbers or texts, or a pickle of objects."""

from math import prod
from typing import Any

from app.importers.formats.bounds import Bounds
from app.importers.formats.numpy_arrays import Array, is_saved, saved_header
from app.importers.formats.refusals import Unreadable
from app.importers.formats.unpickling import Unpickling


def matches(content: bytes, bounds: Bounds) -> bool:
    return is_saved(content)


def parse(content: bytes, unpickling: Unpickling) -> Any:
    kind, shape, fortran, start = saved_header(content)
    if kind.kind == "O":
        return unpickling.load(content, start)[0]
    if not kind.known:
        raise Unreadable("it is an array of numpy of a type that is not a plain number or text")
    made = Array(unpickling.views)
    made.fill(shape, kind, fortran, content[start : start + prod(shape) * kind.bytes])
    return made
