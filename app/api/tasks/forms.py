"""Pydantic forms of a task's requests: JSON body, multipart form, and query string."""

from functools import cache
from typing import Any

from pydantic import BaseModel, create_model

from app.api.options import Options
from app.tasks.options import TaskOptions
from app.tasks.task import Task


class RequestOptions(TaskOptions, Options):
    """Options of a task's request, without its inputs."""


class TaskRequest(RequestOptions):
    """A request to a task in JSON."""

    inputs: Any


@cache
def options_form(task: Task) -> type[RequestOptions]:
    """The options of a task."""
    return _form(task, "Options", task.options, Options)


@cache
def json_form(task: Task, inputs: type[BaseModel]) -> type[TaskRequest]:
    """The JSON body of a task, with the member of `inputs`."""
    return _form(task, "Request", task.options, Options, inputs)


def _form(task: Task, suffix: str, *bases: type[BaseModel]) -> type[Any]:
    form: type[Any] = create_model(f"{task.verb.capitalize()}{suffix}", __base__=bases, __doc__=task.face.inputs)
    return form
