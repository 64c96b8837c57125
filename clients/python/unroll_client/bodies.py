"""Inputs as requests carry them, and the bodies of requests."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class JsonInput:
    """A JSON value. A request has values of one `kind`. `size` is that of files in it, in bytes."""

    kind: str
    value: Any
    size: int = 0


@dataclass(frozen=True)
class ImageInput:
    """An image file, a part of a form."""

    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass(frozen=True)
class CsvInput:
    """A CSV file, which is a whole body."""

    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)


Input = JsonInput | ImageInput | CsvInput


def share_a_body(one: Input, other: Input) -> bool:
    """Whether one request can carry both."""
    if isinstance(one, JsonInput) and isinstance(other, JsonInput):
        return one.kind == other.kind
    return isinstance(one, ImageInput) and isinstance(other, ImageInput)


def body_of(inputs: Sequence[Input], options: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request with these inputs and options, as arguments of httpx. Raises TypeError."""
    if not all(share_a_body(inputs[0], item) for item in inputs[1:]):
        raise TypeError("a stream has inputs of one kind, and of CSVs a single one; open a stream for each")
    fields = {name: _field(item) for name, item in options.items()}
    images = [("images", ("image", item.content)) for item in inputs if isinstance(item, ImageInput)]
    if images:  # without the names of the files, which the service does not need
        return {"files": images, "data": fields}
    if inputs and isinstance(inputs[0], CsvInput):
        return {"content": inputs[0].content, "params": fields, "headers": {"Content-Type": "text/csv"}}
    values = [item.value for item in inputs if isinstance(item, JsonInput)]
    # ASCII, so that the service judges characters that UTF-8 cannot hold, and not the codec
    content = json.dumps({"inputs": values, **options}, default=_json_value).encode()
    return {"content": content, "headers": {"Content-Type": "application/json"}}


def _json_value(value: Any) -> Any:
    """Numbers of numpy and the like as numbers, and pandas' NA as null. Dates are texts, which the service ignores in
    columns that are no features."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Decimal):
        return float(value)
    return None if str(value) == "<NA>" else str(value)


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [str(item) for item in value] if isinstance(value, list | tuple) else str(value)
