"""Results of a task to output tensors of the Open Inference Protocol."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import BaseModel

from app.api.compat.open_inference.binary import pack_bytes, pack_floats
from app.api.compat.open_inference.schemas import OutputTensor, RequestedOutput
from app.api.compat.open_inference.tensors import STATE, Tensor, answers_of, states_of, tensor_of
from app.errors import InputError, TimedOut
from app.json_pieces import JsonArray
from app.store.manifest import Manifest
from app.tasks.answers.number_rows import ArrayRows
from app.tasks.columns import ANY, Column
from app.tasks.task import Task

_SCORES = "scores"
_FORMAT = "f"  # of a score in a classification: six decimals, as in Triton


@dataclass(frozen=True)
class OutputData:
    """An output tensor, with its elements row by row."""

    tensor: Tensor
    inputs: int
    values: Sequence[str] | Sequence[float]

    def labelled(self, most: int, labels: Sequence[str]) -> "OutputData":
        """The classification of scores: the best labels of each row, as `score:index:label`."""
        width = len(labels)
        most = min(most, width)
        best: list[str] = []
        for begin in range(0, len(self.values), width):
            row = [float(value) for value in self.values[begin : begin + width]]
            ranked = sorted(range(width), key=row.__getitem__, reverse=True)[:most]
            best += [f"{row[place]:{_FORMAT}}:{place}:{labels[place]}" for place in ranked]
        return OutputData(tensor_of(Column(self.tensor.name, "text", (most,))), self.inputs, best)

    def encoded(self, *, binary: bool) -> tuple[OutputTensor, bytes]:
        """The tensor in the JSON, and its binary data after the JSON."""
        one = self.tensor.column.shape
        rows = len(self.values) // (self.inputs * math.prod(side for side in one if side != ANY))
        shape = [self.inputs, *(rows if side == ANY else side for side in one)]
        head = OutputTensor(name=self.tensor.name, datatype=self.tensor.datatype, shape=shape)
        if not binary:
            return head.model_copy(update={"data": self.values}), b""
        content = pack_bytes(self.values) if self.tensor.datatype == "BYTES" else pack_floats(self.values)  # type: ignore[arg-type]
        return head.model_copy(update={"parameters": {"binary_data_size": len(content)}}), content


def outputs_of_results(results: Sequence[BaseModel], task: Task, manifest: Manifest) -> list[OutputData]:
    """Results as output tensors: one for each column of the answer kind, and the states if they have some. Raises
    TimedOut for results of other sizes."""
    outputs = []
    has_states = getattr(results[0], STATE.name, None) is not None
    for tensor in (*answers_of(task, manifest), *([STATE] if has_states else [])):
        column = tensor.column
        values: list[Any] = [getattr(result, column.name) for result in results]
        if column.shape:
            rows = list(map(_elements, values))
            if column.shape == (ANY,):
                rows = _padded(column, rows)
            if len(set(map(len, rows))) > 1:
                raise TimedOut("the deadline passed before all forecasts had all their steps; allow more time")
            values = list(chain.from_iterable(rows))
        outputs.append(OutputData(tensor, len(results), values))
    return outputs


def _elements(value: Any) -> Sequence[Any]:
    """The elements of one result, row by row."""
    if isinstance(value, ArrayRows):
        numbers: list[float] = value.rows.ravel().tolist()
        return numbers
    if isinstance(value, JsonArray):
        return value.values
    return list(value.values()) if isinstance(value, dict) else value


def _padded(column: Column, rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """Rows of one length: shorter ones end in empty texts, or in zeros."""
    longest = max(map(len, rows))
    empty: Any = "" if column.type == "text" else 0.0
    return [[*row, *[empty] * (longest - len(row))] for row in rows]


def check_outputs(requested: Sequence[RequestedOutput], task: Task, manifest: Manifest) -> None:
    """Check the requested outputs, before any work. Raises InputError."""
    names = [tensor.name for tensor in (*answers_of(task, manifest), *states_of(task, manifest))]
    seen: set[str] = set()
    for place, output in enumerate(requested):
        if output.name not in names:
            raise InputError(f"outputs[{place}] is {output.name!r}; {manifest.name} has {', '.join(names)}")
        if output.name in seen:
            raise InputError(f"outputs[{place}] repeats {output.name}; name each output once")
        seen.add(output.name)
        if output.parameters and output.parameters.classification and output.name != _SCORES:
            raise InputError(f"outputs[{place}] asks for a classification of {output.name}; only {_SCORES} has one")


def encoded(
    outputs: Sequence[OutputData], requested: Sequence[RequestedOutput], manifest: Manifest, *, binary: bool
) -> tuple[list[OutputTensor], bytes]:
    """The requested outputs, or all. `binary` applies to outputs without a parameter of their own."""
    by_name = {output.tensor.name: output for output in outputs}
    heads, tails = [], []
    for request in requested or [RequestedOutput(name=name) for name in by_name]:
        output, parameters = by_name[request.name], request.parameters
        if parameters and parameters.classification:
            output = output.labelled(parameters.classification, manifest.labels)
        own = parameters.binary_data if parameters else None
        head, tail = output.encoded(binary=binary if own is None else own)
        heads.append(head)
        tails.append(tail)
    return heads, b"".join(tails)
