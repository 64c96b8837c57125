"""The inputs and tokens of a request."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from app.tasks.job import Job, Output


class Usage(BaseModel):
    """The inputs and tokens of a request."""

    inputs: int = Field(description="Number of answered inputs.", examples=[1])
    source_tokens: int = Field(description="Tokens of texts; 0 for other sources.", examples=[9])
    emitted_tokens: int = Field(description="Decoded tokens of all hypotheses; 0 for other answers.", examples=[0])
    kept_steps: int | None = Field(
        None,
        description="Only with a state or a session: the steps (tokens or rows) that it had read, which are not read "
        "again. They count for each input.",
        examples=[41],
    )


def usage_of(jobs: Sequence[Job], outputs: Sequence[Output]) -> Usage:
    """The sum over all inputs of a request."""
    return Usage(
        inputs=len(jobs),
        source_tokens=sum(job.tokens for job in jobs),
        emitted_tokens=sum(output.emitted_tokens for output in outputs),
        kept_steps=_kept_steps(jobs),
    )


def _kept_steps(jobs: Sequence[Job]) -> int | None:
    kept = [job.read.kept_steps for job in jobs]
    return None if all(steps is None for steps in kept) else sum(steps or 0 for steps in kept)
