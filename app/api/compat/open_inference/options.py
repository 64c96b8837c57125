"""Parameters of a request under `/v2`."""

from fastapi import Request

from app.api.compat.open_inference.schemas import (
    ContinuationParameters,
    ForecastParameters,
    Parameters,
    SentenceParameters,
    TextParameters,
    TranslationParameters,
)
from app.api.options import Options
from app.api.sessions.turn import AskedSession
from app.store.manifest import Manifest
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.values_options import ValuesOptions
from app.tasks.options import SentenceOptions, TaskOptions, TextOptions
from app.tasks.task import Task

_FORMS: tuple[tuple[type[Parameters], tuple[type[TaskOptions], ...]], ...] = (
    (TranslationParameters, (DecodingOptions, SentenceOptions)),
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
    return AskedSession(name, parameters.sequence_start, parameters.sequence_end)
