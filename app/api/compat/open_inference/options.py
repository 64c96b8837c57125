"""Parameters of a request under `/v2`."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request

from app.api.compat.open_inference.schemas import (
    ContinuationParameters,
    ForecastParameters,
    Parameters,
    RequestedOutput,
    SentenceParameters,
    StateParameters,
    TextParameters,
    TranslationParameters,
)
from app.api.compat.open_inference.tensors import STATE
from app.api.options import Options
from app.api.sessions.turn import AskedSession
from app.errors import InputError
from app.store.manifest import Manifest
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.values_options import ValuesOptions
from app.tasks.options import RegisterOptions, SentenceOptions, TaskOptions, TextOptions
from app.tasks.task import Task

_FORMS: tuple[tuple[type[Parameters], tuple[type[TaskOptions], ...]], ...] = (
    (TranslationParameters, (DecodingOptions, SentenceOptions, RegisterOptions)),
    (ContinuationParameters, (DecodingOptions, TextOptions)),
    (SentenceParameters, (DecodingOptions,)),
    (ForecastParameters, (ValuesOptions,)),
    (TextParameters, (TextOptions,)),
    (Parameters, ()),
)


def parameters_form(task: Task) -> type[Parameters]:
    """The parameters of a task: the first form whose options the task has. Unknown ones are refused."""
    return next(form for form, options in _FORMS if all(issubclass(task.options, one) for one in options))


def sentence_form(task: Task) -> type[SentenceParameters]:
    """The parameters of a task that decodes text."""
    form = parameters_form(task)
    assert issubclass(form, SentenceParameters)  # since the options of the task are `DecodingOptions`
    return form


def with_states(parameters: dict[str, Any], state: str | None, outputs: Sequence[RequestedOutput]) -> dict[str, Any]:
    """Parameters with the state that is an input tensor, and whether one is among the outputs. Raises InputError."""
    given = dict(parameters)
    if state is not None:
        if STATE.name in given:
            raise InputError("state is an input tensor and a parameter; send it once")
        given[STATE.name] = state
    if any(output.name == STATE.name for output in outputs):
        given["return_state"] = True
    return given


def chosen_by(request: Request, manifest: Manifest, parameters: Parameters) -> Options:
    """The model that answers, and when. Its version is open unless the path names it."""
    return Options(
        model=manifest.name,
        version=manifest.version if "version" in request.path_params else None,
        priority=parameters.native_priority,
        timeout_ms=parameters.milliseconds,
    )


def sequence_of(manifest: Manifest, parameters: Parameters) -> AskedSession | None:
    """The sequence of a request, as a session: each model has sequences of its own, as in Triton."""
    if not parameters.sequence_id:
        return None
    name = f"{manifest.name}/{parameters.sequence_id}"
    starts, ends = parameters.sequence_start, parameters.sequence_end
    if not isinstance(parameters, StateParameters):
        return AskedSession(name, starts, ends)
    return AskedSession(name, starts, ends, parameters.state, parameters.return_state)
