"""Server-sent events of a native request that streams."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel, Field

from app.api.events import described_event, described_stream, event, event_in_blocks
from app.api.problems import Problem
from app.tasks.answers.token_results import EmittedToken, SentenceResult
from app.tasks.answers.transcript import SentenceOutput
from app.tasks.answers.usage import Usage, usage_of
from app.tasks.job import Job, Output


class StreamedToken(BaseModel):
    """Event `token`: new text for one input. The joined texts of all its events are the text of its result."""

    input: int = Field(description="The index of the input in the request, from 0.")
    text: str
    tokens: list[EmittedToken] | None = Field(None, description="Only with `logprobs`: the tokens of the text.")


class StreamedResult(BaseModel):
    """Event `result`: the result of one input."""

    input: int = Field(description="The index of the input in the request, from 0.")
    result: SentenceResult


class StreamDone(BaseModel):
    """Event `done`: all results have been sent."""

    usage: Usage


STREAMED = described_stream(
    "The results; with `stream`, events `token`, `result` and `done`, or `error` as the last event",
    described_event("token", StreamedToken),
    described_event("result", StreamedResult),
    described_event("done", StreamDone),
    described_event("error", Problem),
    example='event: token\ndata: {"input":0,"text":"파일"}\n\n'
    'event: token\ndata: {"input":0,"text":" 열기"}\n\n'
    'event: result\ndata: {"input":0,"result":{"text":"파일 열기","score":-0.31,"finish_reason":"stop",'
    '"model":"translate-en-ko","version":1}}\n\n'
    'event: done\ndata: {"usage":{"inputs":1,"source_tokens":3,"emitted_tokens":2}}\n\n',
)


async def stream_events(
    items: AsyncGenerator[tuple[int, Any], None], jobs: Sequence[Job]
) -> AsyncGenerator[bytes, None]:
    """An event for each delta and each output, and a last event with the usage."""
    outputs: dict[int, Output] = {}
    async with aclosing(items):
        async for index, item in items:
            if isinstance(item, SentenceOutput):
                outputs[index] = item
                result = StreamedResult.model_construct(input=index, result=item.result)
                if item.sentence.has_pieces:
                    async for block in event_in_blocks("result", result.model_dump(exclude_none=True)):
                        yield block
                else:
                    yield event("result", result)
            elif item.tokens is not None:
                token = {"input": index, "text": item.text, "tokens": item.tokens}
                async for block in event_in_blocks("token", token):
                    yield block
            else:
                yield event("token", StreamedToken(input=index, text=item.text))
    yield event("done", StreamDone(usage=usage_of(jobs, [outputs[index] for index in range(len(jobs))])))
