"""Options of the tasks as TypedDicts, out of the service's OpenAPI document."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEAD = '''# Generated from docs/openapi.json by `make client`; change the request of the service.
"""Options of each task as keyword arguments. An option that is left out has the default of the service or the model."""

from typing import Annotated, Any, Literal, TypedDict
'''
_TAG = "Tasks"
_JSON = "application/json"  # streams of pieces have the options of their task
_NOT_OPTIONS = ("inputs", "stream")
_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


def options_module(openapi: Path) -> str:
    """The source of `unroll_client/options.py`."""
    document = json.loads(openapi.read_bytes())
    names, classes = {}, []
    for path, operation in _tasks(document):
        names[path] = f"{operation['operationId'].title().replace('_', '')}Options"
        schema = operation["requestBody"]["content"][_JSON]["schema"]
        members = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
        lines = [f'class {names[path]}(TypedDict, total=False):\n    """Options of `POST {path}`."""\n']
        lines += [_member(name, member) for name, member in members.items() if name not in _NOT_OPTIONS]
        classes.append("\n".join(lines))
    by_path = ", ".join(f"{path!r}: {name}" for path, name in names.items())
    return "\n\n\n".join([_HEAD, *classes, f"OPTIONS: dict[str, type[Any]] = {{{by_path},}}"])


def _tasks(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if _TAG in operation["tags"] and _JSON in operation["requestBody"]["content"]:
                yield path, operation


def _member(name: str, schema: dict[str, Any]) -> str:
    """A member with its description, which may stand in the schema of its type."""
    described = [schema, *schema.get("anyOf", [])]
    description = next((part["description"] for part in described if "description" in part), "")
    types = " | ".join(dict.fromkeys(_types(schema)))
    return f"    {name}: Annotated[{types}, {json.dumps(description, ensure_ascii=False)}]"


def _types(schema: dict[str, Any]) -> Iterator[str]:
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            yield from _types(part)
    elif schema["type"] == "array":
        yield f"list[{' | '.join(_types(schema['items']))}]"
    elif "enum" in schema:
        yield f"Literal[{', '.join(map(repr, schema['enum']))}]"
    elif schema["type"] != "null":
        yield _TYPES[schema["type"]]
