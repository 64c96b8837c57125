"""The header of a safetensors file: names, number types, shapes and places of its tensors. Nothing here imports torch.

Checked before a tensor is read or a network is built, so a damaged file costs neither time nor memory.
"""

import math
from io import BufferedReader
from typing import Annotated, NamedTuple

import msgspec

from app.errors import FileDamaged, printable
from app.store.regular_files import size_of

NUMBER_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8}
_LENGTH_BYTES = 8  # of the number before the header
_MOST_HEADER_BYTES = 4 * 2**20  # a ResNet-152 has 0.1 MB
_MOST_DIMENSIONS = 8
_METADATA = "__metadata__"

Whole = Annotated[int, msgspec.Meta(ge=0, lt=2**50)]


class TensorEntry(msgspec.Struct, frozen=True):
    """A tensor of a header; `data_offsets` are its first byte and the one after its last, counted from the header's
    end."""

    dtype: str
    shape: Annotated[tuple[Whole, ...], msgspec.Meta(max_length=_MOST_DIMENSIONS)]
    data_offsets: tuple[Whole, Whole]


class Header(NamedTuple):
    """The tensors by name, and the place in the file where their numbers begin."""

    tensors: dict[str, TensorEntry]
    start: int


def read_header(file: BufferedReader, name: str) -> Header:
    """The header of an open file. Afterwards its numbers are known to fill the file exactly. Raises FileDamaged."""
    file.seek(0)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + length
    if not 2 <= length <= _MOST_HEADER_BYTES or start > size_of(file):
        raise FileDamaged(f"{name} is not a safetensors file: its header would have {length:,} bytes")
    content = file.read(length)
    try:
        parts = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        tensors = {key: msgspec.json.decode(raw, type=TensorEntry) for key, raw in parts.items() if key != _METADATA}
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileDamaged(f"{name} is not a safetensors file: {printable(str(error))}") from error
    _check_places(tensors, size_of(file) - start, name)
    return Header(_with_present_names(tensors), start)


def _with_present_names(tensors: dict[str, TensorEntry]) -> dict[str, TensorEntry]:
    """The stages before the recurrence of a series were once called blocks."""
    old, present = "encoder.blocks.", "encoder.front."
    if any(key.startswith(present) for key in tensors):
        return tensors
    return {present + key.removeprefix(old) if key.startswith(old) else key: one for key, one in tensors.items()}


def _check_places(tensors: dict[str, TensorEntry], size: int, name: str) -> None:
    """Raises FileDamaged unless the tensors fill `size` bytes without gap or overlap."""
    end = 0
    for key, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        number = NUMBER_BYTES.get(tensor.dtype)
        if number is None:
            known = ", ".join(NUMBER_BYTES)
            words = f"{printable(key)} has the number type {printable(tensor.dtype)}"
            raise FileDamaged(f"{name} cannot be used: {words}; the types of weights are {known}")
        first, last = tensor.data_offsets
        if first != end or last - first != number * math.prod(tensor.shape):
            raise FileDamaged(f"{name} is damaged: {printable(key)} does not have the place that its shape needs")
        end = last
    if end != size:
        raise FileDamaged(f"{name} is damaged: it has {size:,} bytes of numbers, and its header names {end:,}")
