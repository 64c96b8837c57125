"""Pydantic forms of a task's requests: JSON body, multipart form, and query string."""

from functools import cache
from typing import Annotated, Any, assert_never

from pydantic import BaseModel, Field, create_model

from app.api.options import Inputs, Options
from app.store.manifest import SourceName
from app.tasks.options import TaskOptions
from app.tasks.task import Task


class RequestOptions(TaskOptions, Options):
    """Options of a task's request, without its inputs."""


class TaskRequest(RequestOptions):
    """A request to a task in JSON."""

    inputs: list[str]


class TextInputs(BaseModel):
    """One text or a list of texts."""

    inputs: Inputs = Field(description="One text, or a list of texts.")


class ImageInputs(BaseModel):
    """One image or a list of images in base64; a `data:` URL is accepted too."""

    inputs: Inputs = Field(description="One image file in base64, or a list.")


class ImageFiles(BaseModel):
    """Images as files."""

    images: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(
        description="One or more JPEG, PNG or WebP files."
    )


@cache
def options_form(task: Task) -> type[RequestOptions]:
    """The options of a task."""
    return _form(task, "Options", task.options, Options)


@cache
def json_form(task: Task) -> type[TaskRequest]:
    """The JSON body of a task."""
    return _form(task, "Request", task.options, Options, _inputs(task.source.kind))


def _inputs(kind: SourceName) -> type[BaseModel]:
    match kind:
        case "text":
            return TextInputs
        case "image":
            return ImageInputs
        case _:
            assert_never(kind)


@cache
def multipart_form(task: Task, files: type[BaseModel]) -> type[BaseModel]:
    """The multipart form of a task whose inputs are files."""
    return _form(task, "Form", task.options, Options, files)


def _form(task: Task, suffix: str, *bases: type[BaseModel]) -> type[Any]:
    form: type[Any] = create_model(f"{task.verb.capitalize()}{suffix}", __base__=bases, __doc__=task.face.inputs)
    return form
