"""Graphs of ONNX as a state dict by torch's names, and what the graph says that a state dict does not: poolings and
functions.

The walk knows for each value what it is: nothing of it is computed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from app.errors import ImportFailed
from app.importers.onnx.axes import Unknown
from app.importers.onnx.constants import constant_of, fold
from app.importers.onnx.layers import FUNCTIONS, add, function, gemm, matmul
from app.importers.onnx.poolings import REDUCED, concat, reduced
from app.importers.onnx.recurrences import GATES, recurrence
from app.importers.onnx.shapes import gather, moved, pick, same
from app.importers.onnx.values import Steps, Value, Walk
from app.importers.reading import ForeignObject

_SAME = {"Cast", "Identity", "Dropout"}
_MOVED = {"Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten"}
_LOOPS = ("Loop", "Scan", "If")
_ADVICE = "give the file that the framework itself saved (.pth, .keras)"


_RULES: Mapping[str, Callable[[Walk, Mapping[str, Any], Sequence[Value]], Value]] = {
    **dict.fromkeys(_SAME, same),
    **dict.fromkeys(_MOVED, moved),
    **dict.fromkeys(REDUCED, reduced),
    **dict.fromkeys((*FUNCTIONS, "Softmax", "LogSoftmax"), function),
    "Gather": gather,
    "Slice": pick,
    "Concat": concat,
    "Gemm": gemm,
    "MatMul": matmul,
    "Add": add,
}


@dataclass(frozen=True)
class Graph:
    """Tensors by torch's names in the order of the graph, and values of options that the graph says."""

    tensors: Mapping[str, Tensor]
    answers: Mapping[str, str]
    window: int | None = None


def graph_of(stub: ForeignObject, name: str) -> Graph:
    """Raises ImportFailed for a graph with other parts."""
    graph = stub.state["graph"]
    constants = {key: tensor for key, tensor in graph["initializers"].items() if isinstance(tensor, Tensor)}
    walk = Walk(constants)
    for source, shape in graph["inputs"].items():
        if source not in constants:
            walk.values[source] = Steps(axes=tuple(str(axis) for axis in range(len(shape or ()))))
            walk.shape = walk.shape or shape or ()
    if loop := next((node for node in graph["nodes"] if node["op"] in _LOOPS), None):
        raise _refused(name, loop)
    for node in graph["nodes"]:
        try:
            _walk_node(walk, node)
        except (Unknown, KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise _refused(name, node) from error
    answers = _answers(walk)
    last = walk.layers[-1] if walk.layers else ""
    if answers.get("outputs") == "softmax":  # the name marks labels
        walk.tensors = {key.replace(f"{last}.", "classifier."): tensor for key, tensor in walk.tensors.items()}
    return Graph(walk.tensors, answers, walk.window)


def _refused(name: str, node: Mapping[str, Any]) -> ImportFailed:
    what = f"{node['op']}{' ' + node['name'] if node['name'] else ''}"
    if node["op"] in _LOOPS:
        return ImportFailed(
            f"{name}: the ONNX graph has graphs inside of its node {what}, and these are not read: only LSTM, GRU and "
            f"RNN nodes of the graph itself are (Keras and tf2onnx write a recurrence as a loop): {_ADVICE}"
        )
    return ImportFailed(f"{name}: node {what} of the ONNX graph is not known here: {_ADVICE}")


def _walk_node(walk: Walk, node: Mapping[str, Any]) -> None:
    operation, inputs, outputs = node["op"], node["inputs"], node["outputs"]
    data = [walk.values[name] for name in inputs if name in walk.values]
    if operation == "Constant":
        if isinstance(tensor := constant_of(node["attributes"]), Tensor):
            walk.constants[outputs[0]] = tensor
    elif not data:
        fold(walk, node)
    elif operation in GATES:
        recurrence(walk, node)
    elif operation in _RULES:
        walk.values[outputs[0]] = _RULES[operation](walk, node, data)
    elif operation == "Shape":
        pass
    else:
        raise Unknown


def _answers(walk: Walk) -> dict[str, str]:
    """Values of options, which hold where a layout has the option."""
    answers: dict[str, str] = {}
    if walk.pooling:
        answers["pooling"] = walk.pooling
    if walk.nonlinearity:
        answers["nonlinearity"] = walk.nonlinearity
    for option, names in (("activation", walk.layers[:-1]), ("front_activation", walk.between)):
        functions = {walk.functions.get(name, "none") for name in names}
        if len(functions) > 1:
            raise ImportFailed(f"layers of the ONNX graph have different functions ({', '.join(sorted(functions))})")
        if functions:
            answers[option] = functions.pop()
    last = walk.functions.get(walk.layers[-1]) if walk.layers else None
    answers["output_activation"] = "none" if last == "softmax" else last or "none"
    if last in ("softmax", "sigmoid"):
        answers["outputs"] = last
    return answers
