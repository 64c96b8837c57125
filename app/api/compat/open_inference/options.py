"""Parameters of requests under `/v2`, by the answer kind of the task."""

from typing import assert_never

from app.api.compat.open_inference.schemas import Parameters, SentenceParameters
from app.api.options import Options
from app.store.manifest import Manifest
from app.tasks.task import Task


def parameters_form(task: Task) -> type[Parameters]:
    """The parameters that a task takes."""
    match task.answer.kind:
        case "label":
            return Parameters
        case "tokens":
            return SentenceParameters
        case kind:
            assert_never(kind)


def chosen_by(manifest: Manifest, parameters: Parameters) -> Options:
    """The model that answers, and when."""
    return Options(
        model=manifest.name,
        version=manifest.version,
        priority=parameters.native_priority,
        timeout_ms=parameters.milliseconds,
    )
