"""ONNX: a graph of operations, with its weights. Read as plain protobuf; nothing of the graph is run."""

from math import prod
from typing import Any

import numpy as np

from app.importers.formats.bounds import Bounds
from app.importers.formats.numpy_arrays import contiguous, tensor_of
from app.importers.formats.protobuf import BYTES, VARINT, Message, fields
from app.importers.formats.refusals import Refused, TooLarge, Unreadable
from app.importers.formats.storages import NumberType, TensorView
from app.importers.formats.stubs import Stub
from app.importers.formats.unpickling import Unpickling

_GRAPH, _OPSETS = 7, 8
_MODEL = {1, 2, 3, 4, 5, 6, _GRAPH, _OPSETS, 14, 20, 25, 26}  # the fields of a model
_DEEPEST = 8  # graphs in graphs
_DIMENSIONS = 8
_BFLOAT, _TEXT = 16, 8
_TYPES = {
    1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "b1", 10: "f2", 11: "f8", 12: "u4", 13: "u8",
    _BFLOAT: "u2",
}  # fmt: skip
_FLOATS, _INTS, _LONGS, _DOUBLES, _UNSIGNED, _RAW = 4, 5, 7, 10, 11, 9  # where a tensor may keep its numbers


def matches(content: bytes, bounds: Bounds) -> bool:
    if content[:1] != b"\x08":
        return False
    try:
        found = {(number, wire) for number, wire, _ in fields(content)}
    except Unreadable:
        return False
    return {(1, VARINT), (_GRAPH, BYTES)} <= found and {number for number, _ in found} <= _MODEL


def parse(content: bytes, unpickling: Unpickling) -> Stub:
    model = Message(content)
    graph = model.message(_GRAPH)
    assert graph is not None, "`matches` has found it"
    stub = Stub()
    stub.name = "onnx.Model"
    stub.state = {
        "producer": f"{model.text(2)} {model.text(3)}".strip(),
        "opsets": {opset.text(1): opset.whole(2) for opset in model.messages(_OPSETS)},
        "graph": _graph(graph, unpickling, 0),
    }
    return stub


def _graph(graph: Message, unpickling: Unpickling, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise TooLarge(f"its graphs are nested more than {_DEEPEST} deep")
    if graph.blocks(15):
        raise Unreadable("it has sparse weights, which are not known")
    return {
        "name": graph.text(2),
        "inputs": dict(map(_value, graph.messages(11))),
        "outputs": dict(map(_value, graph.messages(12))),
        "initializers": {tensor.text(8): _tensor(tensor, unpickling) for tensor in graph.messages(5)},
        "nodes": [_node(node, unpickling, depth) for node in graph.messages(1)],
    }


def _value(value: Message) -> tuple[str, list[int | str | None] | None]:
    """Name and shape of an input or output. A length is a number, or a name, or unknown."""
    kind = value.message(2)
    tensor = kind.message(1) if kind else None
    shape = tensor.message(2) if tensor else None
    if shape is None:
        return value.text(1), None
    return value.text(1), [
        length.whole(1) if 1 in length.numbers else length.text(2) or None for length in shape.messages(1)
    ]


def _node(node: Message, unpickling: Unpickling, depth: int) -> dict[str, Any]:
    return {
        "op": node.text(4),
        "name": node.text(3),
        "domain": node.text(7),
        "inputs": node.texts(1),
        "outputs": node.texts(2),
        "attributes": {attribute.text(1): _attribute(attribute, unpickling, depth) for attribute in node.messages(5)},
    }


def _attribute(attribute: Message, unpickling: Unpickling, depth: int) -> Any:
    kind = attribute.whole(20)
    if kind == 1:
        return attribute.float(2)
    if kind == 2:
        return attribute.whole(3)
    if kind == 3:
        return attribute.text(4)
    if kind in (4, 9):
        tensors = [_tensor(tensor, unpickling) for tensor in attribute.messages(5 if kind == 4 else 10)]
        return tensors if kind == 9 else next(iter(tensors), None)
    if kind in (5, 10):
        graphs = [_graph(graph, unpickling, depth + 1) for graph in attribute.messages(6 if kind == 5 else 11)]
        return graphs if kind == 10 else next(iter(graphs), None)
    if kind == 6:
        return np.frombuffer(_even(attribute.fixed(7), 4), "<f4").tolist()
    if kind == 7:
        return attribute.wholes(8)
    return attribute.texts(9) if kind == 8 else None


def _tensor(tensor: Message, unpickling: Unpickling) -> TensorView | list[str]:
    name = tensor.text(8)
    if tensor.whole(14) or tensor.blocks(13):
        raise Refused(
            f"its weights {name!r} lie in another file (external data): write one file, with "
            "onnx.save(onnx.load('model.onnx'), 'whole.onnx'), or torch.onnx.export(..., external_data=False)"
        )
    shape, kind = tuple(tensor.wholes(1)), tensor.whole(2)
    if kind == _TEXT:
        return tensor.texts(6)
    if kind not in _TYPES or len(shape) > _DIMENSIONS or any(not 0 <= length < 2**40 for length in shape):
        raise Unreadable(f"its weights {name!r} have an unknown number type, or an impossible shape")
    numbers = _numbers(tensor, kind)
    if numbers.size != prod(shape):
        raise Unreadable(f"its weights {name!r} have the shape {shape}, and {numbers.size} numbers")
    numbers = numbers.reshape(shape)
    if kind == _BFLOAT:
        return contiguous(NumberType("BF16", 2), shape, numbers.tobytes(), unpickling.views)
    made = tensor_of(numbers, unpickling.views)
    assert made is not None, "every type of _TYPES is known"
    return made


def _numbers(tensor: Message, kind: int) -> Any:
    """The numbers of a tensor, which are bytes or lists."""
    wanted = np.dtype(f"<{_TYPES[kind]}")
    if raw := tensor.blocks(_RAW):
        return np.frombuffer(_even(raw[-1], wanted.itemsize), wanted)
    if kind == 1:
        return np.frombuffer(_even(tensor.fixed(_FLOATS), 4), "<f4")
    if kind == 11:
        return np.frombuffer(_even(tensor.fixed(_DOUBLES), 8), "<f8")
    field = _UNSIGNED if kind in (12, 13) else _LONGS if kind == 7 else _INTS
    numbers = np.array(tensor.wholes(field), np.int64)
    if kind == 10:
        return numbers.astype(np.uint16).view(np.float16)
    return numbers.astype(wanted)


def _even(content: bytes, size: int) -> bytes:
    if len(content) % size:
        raise Unreadable("its numbers are damaged or cut short")
    return content
