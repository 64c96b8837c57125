"""Input tensors of the Open Inference Protocol to the inputs of a task."""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, assert_never

import numpy as np

from app.api.compat.open_inference.binary import HEADER, unpack_bytes, unpack_floats
from app.api.compat.open_inference.schemas import InferRequest, InputTensor
from app.api.compat.open_inference.tensors import STATE, Tensor, sources_of, states_of
from app.api.tasks.image_body import decoded_images
from app.errors import InputError
from app.store.manifest import Manifest
from app.tasks.columns import ANY
from app.tasks.sources.series_place import SeriesPlace, shown
from app.tasks.task import Task


@dataclass(frozen=True)
class InputData:
    """The input tensor of a request. Its data is either `binary`, after the JSON, or `data`, in the JSON."""

    tensor: Tensor
    shape: list[int]
    data: list[Any]
    binary: memoryview | None

    @property
    def inputs(self) -> int:
        return self.shape[0]

    async def read(self, task: Task, manifest: Manifest) -> Sequence[Any]:
        """The inputs of a task for a model. A thread decodes files and arrays. Raises InputError, InvalidImage and
        InvalidSeries."""
        column = self.tensor.column
        is_short = column.type == "text" and len(self.data) <= self.inputs
        values = self._texts() if is_short else await asyncio.to_thread(self._values, manifest)
        return task.source.from_column(manifest, column, values, self.shape[1:])

    def one_text(self) -> str:
        """The text of a tensor of one element. Raises InputError."""
        if self.inputs != 1:
            raise InputError(
                f"{self.tensor.name} has {self.inputs} elements; send one, from which all inputs of a request go on"
            )
        return self._texts()[0]

    def _values(self, manifest: Manifest) -> Sequence[Any]:
        match self.tensor.column.type:
            case "text":
                return self._texts()
            case "file":
                if self.binary is None:
                    return decoded_images(self._strings())
                return unpack_bytes(self.binary, self.inputs, self.tensor.name)
            case "uint8":
                return self._rows(self._octets() if self.binary is None else self.binary)
            case "float32":
                return self._rows(
                    self._floats(manifest) if self.binary is None else unpack_floats(self.binary, self.tensor.name)
                )
            case _:
                assert_never(self.tensor.column.type)

    def _texts(self) -> list[str]:
        if self.binary is None:
            return self._strings()
        items = unpack_bytes(self.binary, self.inputs, self.tensor.name)
        try:
            return [item.decode() for item in items]
        except UnicodeDecodeError as error:
            raise InputError(f"{self.tensor.name} holds bytes that are not UTF-8: {error.reason}") from error

    def _rows(self, elements: Any) -> list[Any]:
        """The elements of each input."""
        if len(elements) != math.prod(self.shape):
            raise InputError(
                f"{self.tensor.name} has {len(elements)} elements, but shape {self.shape} needs {math.prod(self.shape)}"
            )
        size = math.prod(self.shape[1:])
        return [elements[place : place + size] for place in range(0, len(elements), size)]

    def _octets(self) -> bytes:
        elements = self._elements()
        types = set(map(type, elements))
        if types <= {int, float}:
            with suppress(ValueError, OverflowError):  # out of range, or not finite
                whole = [int(element) for element in elements] if float in types else elements
                if whole == elements:
                    return bytes(whole)
        index = next(index for index, element in enumerate(elements) if not _is_octet(element))
        raise InputError(
            f"{self._place(index, len(elements))}: {shown(elements[index])} is not a whole number from 0 to 255"
        )

    def _floats(self, manifest: Manifest) -> list[float]:
        elements = self._elements()
        if set(map(type, elements)) <= {int, float}:
            return elements
        index = next(index for index, element in enumerate(elements) if type(element) not in (int, float))
        wrong = f"{shown(elements[index])} is not a number; send NaN as bytes for a missing one"
        if manifest.series is None or len(elements) != math.prod(self.shape):
            raise InputError(f"{self._place(index, len(elements))}: {wrong}")
        one, row, column = map(int, np.unravel_index(index, self.shape))
        place = SeriesPlace.of(one, manifest)
        raise place.refused(wrong, row=row, column=place.features[column])

    def _place(self, index: int, count: int) -> str:
        """The place of an element, for errors: in a tensor of the right size, a number for each dimension."""
        if count != math.prod(self.shape):
            return f"element {index} of {self.tensor.name}"
        return f"{self.tensor.name}{[int(side) for side in np.unravel_index(index, self.shape)]}"

    def _strings(self) -> list[str]:
        elements = self._elements()
        if len(elements) != self.inputs:
            raise InputError(
                f"{self.tensor.name} has {len(elements)} elements, but shape {self.shape} needs {self.inputs}"
            )
        for index, element in enumerate(elements):
            if not isinstance(element, str):
                raise InputError(
                    f"element {index} of {self.tensor.name} is not a string; send BYTES in JSON as strings"
                )
        return elements

    def _elements(self) -> list[Any]:
        """The elements row by row, from flat or nested lists."""
        elements = self.data
        for _ in self.shape[1:]:
            if elements and all(type(element) is list for element in elements):
                elements = list(chain.from_iterable(elements))
        return elements


def _is_octet(element: object) -> bool:
    return isinstance(element, int | float) and not isinstance(element, bool) and element in range(256)


@dataclass(frozen=True)
class Inputs:
    """The input tensors of a request: its source, and the state before it."""

    source: InputData
    given_state: InputData | None

    @property
    def state(self) -> str | None:
        """The state from which each input goes on. Raises InputError."""
        return None if self.given_state is None else self.given_state.one_text()


def inputs_of(body: InferRequest, tail: memoryview, task: Task, manifest: Manifest) -> Inputs:
    """The input tensors of a request to a model, checked against their names, datatypes and shapes. Raises
    InputError."""
    sources, states = ({tensor.name: tensor for tensor in of(task, manifest)} for of in (sources_of, states_of))
    takes, names = sources | states, " or ".join(sources) + (", and state beside it" if states else "")
    for place, other in enumerate(body.inputs):
        if other.name not in takes:
            raise InputError(f"inputs[{place}] is {other.name!r}; {manifest.name} takes {names}")
    counts = Counter(sent.name in sources for sent in body.inputs)
    if counts[True] != 1 or counts[False] > 1:
        raise InputError(f"the request has {len(body.inputs)} input tensors; {manifest.name} takes one, {names}")
    read = {sent.name: _read(sent, takes[sent.name], data) for sent, data in _with_data(body.inputs, tail)}
    return Inputs(next(read[name] for name in read if name in sources), read.get(STATE.name))


def _read(sent: InputTensor, tensor: Tensor, binary: memoryview | None) -> InputData:
    if sent.datatype != tensor.datatype:
        raise InputError(f"{sent.name} has the datatype {sent.datatype}; send {tensor.datatype}")
    if not _fits(sent.shape, tensor.shape):
        raise InputError(
            f"{sent.name} has the shape {sent.shape}; send {_shape_in_words(tensor)}, with no dimension of 0"
        )
    return InputData(tensor, sent.shape, sent.data or [], binary)


def _with_data(inputs: Sequence[InputTensor], tail: memoryview) -> list[tuple[InputTensor, memoryview | None]]:
    """The tensors, each with its bytes after the JSON, where they follow in the order of the tensors."""
    sizes = [sent.parameters.binary_data_size if sent.parameters else None for sent in inputs]
    for sent, size in zip(inputs, sizes, strict=True):
        if (size is None) == (sent.data is None):
            raise InputError(f"{sent.name} needs either 'data' or the parameter binary_data_size")
    whole = sum(size or 0 for size in sizes)
    if whole != len(tail):
        raise InputError(
            f"{len(tail)} bytes follow the JSON, but binary_data_size is {whole}: set it to the number of bytes, "
            f"and the header {HEADER} to the length of the JSON"
        )
    ends = accumulate(size or 0 for size in sizes)
    return [
        (sent, None if size is None else tail[end - size : end])
        for sent, size, end in zip(inputs, sizes, ends, strict=True)
    ]


def _fits(shape: list[int], expected: tuple[int, ...]) -> bool:
    if len(expected) == 1 and len(shape) == 2:  # as clients that batch send it
        expected = (*expected, 1)
    pairs = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(side > 0 and other in (ANY, side) for side, other in pairs)


def _shape_in_words(tensor: Tensor) -> str:
    """`[inputs, height, width, 3]`."""
    names = iter(("inputs", *tensor.column.sides))
    return f"[{', '.join(next(names) if side == ANY else str(side) for side in tensor.shape)}]"
