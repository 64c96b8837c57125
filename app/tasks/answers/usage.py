"""What a request used."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from app.tasks.job import Job, Output


class Usage(BaseModel):
    """What a request used."""

    inputs: int = Field(description="Inputs answered.", examples=[1])
    source_tokens: int = Field(description="Tokens read; 0 for images.", examples=[9])
    emitted_tokens: int = Field(description="Tokens decoded, of all hypotheses; 0 for labels.", examples=[0])


def usage_of(jobs: Sequence[Job], outputs: Sequence[Output]) -> Usage:
    """The sum over all inputs of a request."""
    return Usage(
        inputs=len(jobs),
        source_tokens=sum(job.read.tokens for job in jobs),
        emitted_tokens=sum(output.emitted_tokens for output in outputs),
    )
