"""Bodies of native requests, by source kind."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, assert_never

from fastapi import Request

from app.api.service import Service
from app.api.tasks.forms import RequestOptions, TaskRequest
from app.api.tasks.frames_body import FramesBody
from app.api.tasks.image_body import ImageBody
from app.api.tasks.one_of_body import OneOfBody
from app.api.tasks.series_body import SeriesBody
from app.api.tasks.text_body import TextBody
from app.api.tasks.words_body import WordsBody
from app.errors import UnrollError
from app.store.description import SourceName
from app.tasks.sources.image import ImageSource
from app.tasks.sources.one_of import OneOf
from app.tasks.sources.words import WordsSource
from app.tasks.task import Task


class Body(Protocol):
    """Reads the inputs and options of a task's requests, and describes them in the OpenAPI document."""

    json: type[TaskRequest]  # the JSON body
    errors: tuple[type[UnrollError], ...]  # beyond those of every task

    async def read(self, request: Request, service: Service) -> tuple[Sequence[Any], RequestOptions]:
        """Inputs and options. Raises UnsupportedMedia, RequestValidationError and `errors`."""

    def described(self) -> dict[str, Any]:
        """Members of the OpenAPI operation: parameters and body."""


@cache
def body_of(task: Task) -> Body:
    """The body of a task's requests."""
    source = task.source
    if isinstance(source, OneOf):
        return OneOfBody(task, {kind: _part_of(task, kind) for kind in source.kinds})
    if isinstance(source, WordsSource):
        return WordsBody(task)
    return ImageBody(task) if isinstance(source, ImageSource) else _part_of(task, *source.kinds)


def _part_of(task: Task, kind: SourceName) -> TextBody | FramesBody | SeriesBody:
    match kind:
        case "text":
            return TextBody(task)
        case "frames":
            return FramesBody(task)
        case "series":
            return SeriesBody(task)
        case "image":
            raise AssertionError("no task reads images or something else")
        case _:
            assert_never(kind)
