"""safetensors: the length of a header, the header in JSON, the numbers."""

from safetensors import SafetensorError, deserialize

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Unreadable
from app.importers.formats.storages import NumberType, Storage, TensorView
from app.importers.formats.unpickling import Unpickling

_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def matches(content: bytes, bounds: Bounds) -> bool:
    """Tried before pickles: the length of a header may begin with the byte that begins a pickle."""
    return content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content)


def parse(content: bytes, unpickling: Unpickling) -> dict[str, TensorView]:
    try:
        entries = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise Unreadable(f"it is a damaged safetensors file: {error}") from error
    made = {}
    for name, entry in entries:
        size = _SIZES.get(entry["dtype"])
        if size is None:
            raise Unreadable(f"{name} has the number type {entry['dtype']}; the known ones are {', '.join(_SIZES)}")
        shape, step = tuple(entry["shape"]), 1
        strides: list[int] = []
        for length in reversed(shape):
            strides.insert(0, step)
            step *= length
        storage = Storage(NumberType(entry["dtype"], size), step, bytearray(entry["data"]))
        made[name] = unpickling.views.make(storage, 0, shape, tuple(strides))
    return made
