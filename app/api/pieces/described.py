"""Streams of pieces in the OpenAPI document."""

import json
from typing import Any, Protocol

from pydantic import BaseModel

from app.api.body import TIMEOUT_PARAMETER
from app.api.pieces.answers import NDJSON
from app.api.problems import problems
from app.errors import UnrollError
from app.tasks.task import Task

_DESCRIPTION = """Reads a source that comes in pieces, for as long as the client likes. Each line of the body is a JSON
object: `inputs` is what came since the line before, and the other members, which may come with any line, hold from
there on. Each line of the answer, sent as soon as it is known, is the answer to all pieces so far; `usage` counts the
piece. With `return_state` it has the state, from which a later stream or request continues.

Only the new piece is read. A stream without pieces costs nothing but its memory, and ends after `stream_seconds`. A
mistake in a later piece is the last line of the answer: `{"error": problem}`. A WebSocket at this path has a message
for each line.
"""


class JsonBody(Protocol):
    """A body that is JSON without pieces."""

    @property
    def json(self) -> type[BaseModel]:
        """The model of the body."""


def described_pieces(task: Task, body: JsonBody, errors: list[type[UnrollError]]) -> dict[str, Any]:
    """The description of the route of a task's pieces, for FastAPI."""
    example = next(iter(task.face.examples.values()))
    content = {
        "schema": {"type": "string", "description": "Lines of JSON."},
        "itemSchema": _named(body.json.__name__),
        "examples": {"one": {"summary": "Two pieces", "value": _in_two_pieces(example["value"])}},
    }
    return {
        "operation_id": f"{task.verb}_pieces",
        "summary": f"{task.face.summary}, piece by piece",
        "description": _DESCRIPTION,
        "response_model": None,
        "responses": {
            200: {
                "description": "A line for each piece",
                "content": {NDJSON: {"itemSchema": _named(task.answer.form.__name__)}},
            },
            **problems(*errors),
        },
        "openapi_extra": {
            "parameters": [TIMEOUT_PARAMETER],
            "requestBody": {"required": True, "content": {NDJSON: content}},
        },
    }


def _in_two_pieces(value: dict[str, Any]) -> str:
    """Swagger UI would spread a single line over several."""
    inputs = value["inputs"]
    pieces = value | {"inputs": inputs[: len(inputs) // 2]}, {"inputs": inputs[len(inputs) // 2 :]}
    return "".join(json.dumps(piece) + "\n" for piece in pieces)


def _named(schema: str) -> dict[str, str]:
    """A schema of the same task without pieces."""
    return {"$ref": f"#/components/schemas/{schema}"}
