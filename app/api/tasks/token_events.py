"""Events of a stream of tokens."""

from collections.abc import AsyncGenerator

from pydantic import Field

from app.api.events import described_event, described_stream, event, event_in_blocks
from app.api.problems import Problem
from app.api.tasks.event_forms import OfInput, StreamDone
from app.tasks.answers.token_results import EmittedToken, SentenceResult
from app.tasks.answers.transcript import Delta, SentenceOutput


class StreamedToken(OfInput):
    """Event `token`: new text for one input. The joined texts of all its events are the text of its result."""

    text: str
    tokens: list[EmittedToken] | None = Field(None, description="Only with `logprobs`: the tokens of the text.")


class StreamedResult(OfInput):
    """Event `result`: the result of one input."""

    result: SentenceResult


STREAMED_TOKENS = described_stream(
    "The results; with `stream`, events `token`, `result` and `done`, or `error` as the last event",
    described_event("token", StreamedToken),
    described_event("result", StreamedResult),
    described_event("done", StreamDone),
    described_event("error", Problem),
    example='event: token\ndata: {"input":0,"text":"파일"}\n\n'
    'event: token\ndata: {"input":0,"text":" 열기"}\n\n'
    'event: result\ndata: {"input":0,"result":{"text":"파일 열기","score":-0.31,"finish_reason":"stop",'
    '"model":"translate-en-ko","version":2}}\n\n'
    'event: done\ndata: {"usage":{"inputs":1,"source_tokens":3,"emitted_tokens":2}}\n\n',
)


async def token_events(index: int, item: Delta | SentenceOutput) -> AsyncGenerator[bytes, None]:
    """The event of a delta, or of the result of an input."""
    if isinstance(item, SentenceOutput):
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
