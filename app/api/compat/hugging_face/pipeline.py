"""A pipeline of Hugging Face: the tasks behind a route, by their kinds, and the shared parts of these routes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic import BaseModel, TypeAdapter
from starlette.datastructures import FormData
from starlette.responses import Response

from app.api.body import JSON, TIMEOUT_PARAMETER, json_body, query_parameters, read_fields
from app.api.openapi.deferred import Deferred
from app.api.options import Options
from app.api.service import Service
from app.store.description import AnswerName, SourceName
from app.tasks.task import Task


@dataclass(frozen=True)
class Pipeline:
    """A route `/hf/{name}/{model}` for models whose task has these kinds."""

    name: str
    source: SourceName
    answer: AnswerName
    continues: bool = False

    @property
    def path(self) -> str:
        return f"/hf/{self.name}/{{model}}"

    def task_of(self, service: Service, chosen: Options) -> Task:
        """The task of the chosen model. Raises ModelNotFound for a model of other kinds, and ModelUnavailable."""
        return service.task_with(chosen, self.source, self.answer, continues=self.continues)


def chosen_by(request: Request) -> Options:
    """The model, from the path, and the other options, from the query. Raises RequestValidationError."""
    named = FormData([*request.query_params.multi_items(), ("model", request.path_params["model"])])
    return read_fields(named, Options)


def described(example: str, form: type[BaseModel], examples: dict[str, Any], **others: Any) -> Deferred:
    """Members of an OpenAPI operation that FastAPI does not see."""
    return Deferred(lambda: _described(example, form, examples, others))


def _described(example: str, form: type[BaseModel], examples: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    model = {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "Name of a model of this task in `GET /v1/models`.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        "example": example,
    }
    return {
        "parameters": [model, *query_parameters(Options, leave_out={"model"}), TIMEOUT_PARAMETER],
        "requestBody": {"required": True, "content": json_body(form, examples) | others},
    }


def list_response(form: "TypeAdapter[list[Any]]", answer: Sequence[Any]) -> Response:
    """A list in JSON."""
    return Response(form.dump_json(list(answer), exclude_none=True), media_type=JSON)
