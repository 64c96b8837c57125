"""Parameters of a request under `/v2`."""

from fastapi import Request

from app.api.compat.open_inference.schemas import Parameters, SentenceParameters
from app.api.options import Options
from app.store.manifest import AnswerName, Manifest
from app.tasks.task import Task

_FORMS: dict[AnswerName, type[Parameters]] = {"tokens": SentenceParameters}  # of answer kinds with options of their own


def parameters_form(task: Task) -> type[Parameters]:
    """The parameters of a task. Unknown ones are refused."""
    return _FORMS.get(task.answer.kind, Parameters)


def chosen_by(request: Request, manifest: Manifest, parameters: Parameters) -> Options:
    """The model that answers, and when. Its version is open unless the path names it."""
    return Options(
        model=manifest.name,
        version=manifest.version if "version" in request.path_params else None,
        priority=parameters.native_priority,
        timeout_ms=parameters.milliseconds,
    )
