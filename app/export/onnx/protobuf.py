"""Writes ONNX files: the few messages of onnx.proto that a graph needs, as protobuf.

The exporter of torch needs two more packages and unrolls a recurrence, or fixes its length; ONNX has operators for
whole recurrences.
"""

import struct
from collections.abc import Mapping, Sequence

from torch import Tensor

FLOAT, INT64, DOUBLE = 1, 7, 11
_TYPES = {"torch.float32": FLOAT, "torch.int64": INT64, "torch.float64": DOUBLE}
_IR_VERSION, _OPSET = 8, 17
_BYTES, _FIXED32 = 2, 5  # wire types
Attribute = int | float | str | Sequence[int] | Sequence[float] | Sequence[str]
Shape = Sequence[int | str]


def model(graph: bytes, producer: tuple[str, str], said: Mapping[str, str]) -> bytes:
    """ModelProto; `said` is metadata."""
    name, version = producer
    fields = [_number(1, _IR_VERSION), _text(2, name), _text(3, version), _message(7, graph)]
    fields.append(_message(8, _text(1, "") + _number(2, _OPSET)))
    fields += [_message(14, _text(1, key) + _text(2, value)) for key, value in said.items()]
    return b"".join(fields)


def graph(
    name: str, nodes: Sequence[bytes], tensors: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]
) -> bytes:
    """GraphProto."""
    lists = ((1, nodes), (5, tensors), (11, inputs), (12, outputs))
    return _text(2, name) + b"".join(_message(field, item) for field, items in lists for item in items)


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute]) -> bytes:
    """NodeProto."""
    fields = [_text(1, name) for name in inputs] + [_text(2, name) for name in outputs]
    fields += [_text(3, outputs[0]), _text(4, operator)]
    return b"".join([*fields, *(_message(5, _attribute(name, value)) for name, value in attributes.items())])


def tensor(name: str, values: Tensor) -> bytes:
    """TensorProto."""
    dims = b"".join(_number(1, size) for size in values.shape)
    raw = values.detach().contiguous().numpy().tobytes()
    return dims + _number(2, _TYPES[str(values.dtype)]) + _text(8, name) + _message(9, raw)


def value(name: str, kind: int, shape: Shape) -> bytes:
    """ValueInfoProto: a length of a shape is a number, or a name for any."""
    dims = b"".join(_message(1, _number(1, d) if isinstance(d, int) else _text(2, d)) for d in shape)
    return _text(1, name) + _message(2, _message(1, _number(1, kind) + _message(2, dims)))


def _attribute(name: str, value: Attribute) -> bytes:
    """AttributeProto."""
    said = _text(1, name)
    match value:
        case int():
            return said + _number(3, value) + _number(20, 2)
        case float():
            return said + _float(2, value) + _number(20, 1)
        case str():
            return said + _text(4, value) + _number(20, 3)
    if all(isinstance(item, int) for item in value):
        return said + b"".join(_number(8, int(item)) for item in value) + _number(20, 7)
    if all(isinstance(item, str) for item in value):
        return said + b"".join(_text(9, str(item)) for item in value) + _number(20, 8)
    return said + b"".join(_float(7, float(item)) for item in value) + _number(20, 6)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | _FIXED32) + struct.pack("<f", value)


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # negative numbers have ten bytes
    pieces = []
    while value > 127:
        pieces.append(value & 127 | 128)
        value >>= 7
    return bytes([*pieces, value])
