"""The limit of the cell steps of one request: more could never be pending."""

from app.engine.protocol import Forecast
from app.errors import InputTooLong
from app.store.forecaster import Forecaster
from app.tasks.job import Job


def check_steps(steps: int, limit: int, index: int, job: Job) -> None:
    """Check the cell steps of the inputs up to input `index`, the last of which is `job`. Raises InputTooLong."""
    if steps > limit:
        raise InputTooLong(
            f"the inputs up to inputs[{index}] need about {steps} cell steps{_why(job)}; the limit of a request is "
            f"{limit} (max_pending_steps): {_advice(job)}",
            input=index,
            limit=limit,
        )


def _why(job: Job) -> str:
    architecture = job.entry.manifest.architecture
    if isinstance(job.request, Forecast) and isinstance(architecture, Forecaster) and architecture.feedback == "window":
        return f", a window of {job.read.steps} steps read for each step of a horizon of {job.request.horizon}"
    return ""


def _advice(job: Job) -> str:
    few = "send fewer or shorter inputs"
    return f"{few}, or set a smaller horizon" if isinstance(job.request, Forecast) else few
