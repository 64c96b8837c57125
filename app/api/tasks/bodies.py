"""Bodies of native requests, by source kind."""

from collections.abc import Sequence
from typing import Any, Protocol, assert_never

from fastapi import Request

from app.api.service import Service
from app.api.tasks.forms import RequestOptions, TaskRequest
from app.api.tasks.image_body import ImageBody
from app.api.tasks.series_body import SeriesBody
from app.api.tasks.text_body import TextBody
from app.errors import UnrollError
from app.tasks.task import Task


class Body(Protocol):
    """Reads the inputs and options of a task's requests, and describes them in the OpenAPI document."""

    json: type[TaskRequest]  # the JSON body
    errors: tuple[type[UnrollError], ...]  # beyond those of every task

    async def read(self, request: Request, service: Service) -> tuple[Sequence[Any], RequestOptions]:
        """Inputs and options. Raises UnsupportedMedia, RequestValidationError and `errors`."""

    def described(self) -> dict[str, Any]:
        """Members of the OpenAPI operation: parameters and body."""


def body_of(task: Task) -> Body:
    """The body of a task's requests."""
    (kind,) = task.source.kinds
    match kind:
        case "text":
            return TextBody(task)
        case "image":
            return ImageBody(task)
        case "series":
            return SeriesBody(task)
        case "frames":
            raise NotImplementedError
        case _:
            assert_never(kind)
