"""Parameters of a request under `/v2`, by what the task answers."""

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
    """Which model is to answer, and when."""
    return Options(
        model=manifest.name,
        version=manifest.version,
        priority=parameters.rank,
        timeout_ms=parameters.milliseconds,
    )
