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
    source_tokens, kept = 0, None
    for job in jobs:
        source_tokens += job.tokens
        if job.read.kept_steps is not None:
            kept = (kept or 0) + job.read.kept_steps
    emitted_tokens = sum([output.emitted_tokens for output in outputs])
    return Usage(inputs=len(jobs), source_tokens=source_tokens, emitted_tokens=emitted_tokens, kept_steps=kept)
