"""Parts of events that are the same for every answer kind."""

from pydantic import BaseModel, Field

from app.tasks.answers.usage import Usage


class OfInput(BaseModel):
    """An event about one input."""

    input: int = Field(description="The index of the input in the request, from 0.")


class StreamDone(BaseModel):
    """Event `done`: all results have been sent."""

    usage: Usage
