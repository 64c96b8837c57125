"""JSON bodies, form fields and query strings to validated forms."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.datastructures import ImmutableMultiDict

from app.api.long_json import long_json
from app.errors import UnsupportedMedia

JSON = "application/json"
_INLINE_BYTES = 65_536  # of JSON that are parsed in the event loop
_IS_NULL = {"type": "null"}
_ANNOTATIONS = {"title", "description", "default", "examples"}  # keywords of a schema that say nothing about types
NULL = "\0null"  # stands for null in an example until the OpenAPI document is complete
TIMEOUT_PARAMETER: dict[str, Any] = {
    "name": "X-Timeout-Ms",
    "in": "header",
    "required": False,
    "description": "Deadline of the answer in milliseconds; `timeout_ms` in the request takes precedence.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 9_999_999_999},
}
Form = TypeVar("Form", bound=BaseModel)


def media_type(request: Request) -> str:
    """The content type without its parameters, in lower case; empty when there is none."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def read_json(request: Request, form: type[Form]) -> Form:
    """The JSON body as a `form`. Raises UnsupportedMedia for another content type, and RequestValidationError.

    pydantic's parser is stricter than that of the standard library: it refuses lone surrogates, which tokenizers
    and answers cannot encode.
    """
    if media_type(request) != JSON:
        raise unsupported_content(request, JSON)
    return await read_long(await request.body(), form)


async def read_long(content: bytes, form: type[Form]) -> Form:
    """JSON as a `form`; a thread parses a long one, which would block the event loop. Raises RequestValidationError."""
    if is_long(content):
        return await asyncio.to_thread(_read_in_pieces, content, form)
    with _as_request_error(form):
        return form.model_validate_json(content, strict=True)


def is_long(content: bytes) -> bool:
    """Whether a thread reads a body, which would block the event loop."""
    return len(content) > _INLINE_BYTES


def _read_in_pieces(content: bytes, form: type[Form]) -> Form:
    try:
        values = long_json(content)
    except ValueError as error:
        raise RequestValidationError(
            [{"type": "json_invalid", "loc": ("body",), "msg": f"Invalid JSON: {error}"}]
        ) from error
    return checked(values, form)


def checked(values: object, form: type[Form], *where: str) -> Form:
    """The JSON value at `where` of a body as a `form`. Raises RequestValidationError."""
    with _as_request_error(form, *where):
        return form.model_validate(values, strict=True)


def read_fields(fields: ImmutableMultiDict[str, Any], form: type[Form]) -> Form:
    """The fields of an HTML form or a query string as a `form`. A repeated field becomes a list; a blank one counts as
    left out. Raises RequestValidationError."""
    given: dict[str, list[Any]] = {}
    for name, value in fields.multi_items():
        if value != "":
            given.setdefault(name, []).append(value)
    with _as_request_error(form):
        return form.model_validate({name: item if len(item) > 1 else item[0] for name, item in given.items()})


def unsupported_content(request: Request, *supported: str) -> UnsupportedMedia:
    """The error of a request whose content type is none of `supported`."""
    given = media_type(request) or "missing"
    one_of = "one of " if len(supported) > 1 else ""
    return UnsupportedMedia(f"the content type is {given}; send {one_of}{', '.join(supported)}")


def json_body(form: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI content of a JSON body that `read_json` reads; `app/api/openapi/document.py` names its parts."""
    schema = form.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        for name in part.get("properties", {}).keys() - part.get("required", ()):
            part["properties"][name] = _or_null(part["properties"][name])
    return {JSON: {"schema": schema, "examples": _with_nulls(examples)}}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an optional member, which may be `null` instead."""
    if _IS_NULL in schema.get("anyOf", ()):
        return schema
    described = {name: value for name, value in schema.items() if name in _ANNOTATIONS}
    types = {name: value for name, value in schema.items() if name not in _ANNOTATIONS}
    if "$ref" in types:
        described.pop("default", None)  # client generators do not read the default of an object
    return {"anyOf": [*types.get("anyOf", [types]), _IS_NULL], **described}


def _with_nulls(node: Any) -> Any:
    """An example with `NULL` for each null, since FastAPI drops nulls from the document."""
    if isinstance(node, dict):
        return {key: _with_nulls(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_nulls(item) for item in node]
    return NULL if node is None else node


def query_parameters(form: type[BaseModel], *, leave_out: Collection[str] = ()) -> list[dict[str, Any]]:
    """The OpenAPI parameters of a query string that `read_fields` reads. Defaults are left out: generated clients would
    send them beside the options in the body."""
    described = []
    for name, schema in form.model_json_schema()["properties"].items():
        if name not in leave_out:
            schema.pop("default", None)
            for part in (schema, *schema.get("anyOf", ())):
                for limit in ("pattern", "minLength"):  # a blank field counts as left out
                    part.pop(limit, None)
            description = schema.pop("description", "") or _description_within(schema)
            described.append(
                {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
            )
    return described


def _description_within(schema: dict[str, Any]) -> str:
    return next((str(part["description"]) for part in schema.get("anyOf", ()) if "description" in part), "")


@contextmanager
def _as_request_error(form: type[BaseModel], *where: str) -> Iterator[None]:
    """Raise pydantic's errors as FastAPI's RequestValidationError, which becomes a problem."""
    try:
        yield
    except ValidationError as error:
        raise RequestValidationError(
            [
                {"type": item["type"], "loc": ("body", *where, *item["loc"]), "msg": _message(item, form)}
                for item in error.errors(include_url=False, include_context=False, include_input=False)
            ]
        ) from error


def _message(mistake: ErrorDetails, form: type[BaseModel]) -> str:
    if mistake["type"] == "extra_forbidden":
        names = [field.alias or name for name, field in form.model_fields.items()]
        return f"is unknown here; the members are {', '.join(names)}"
    return mistake["msg"]
