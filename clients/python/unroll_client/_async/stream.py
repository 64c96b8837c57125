"""Sentences that are told while they are made: `for token in stream`. Whoever leaves early hangs up, which ends the
work on the service, too.

`Told` follows a stream without any I/O; `Stream` and `AsyncStream` read the events, and hold no reference to
themselves in what they read from: one that is dropped is closed at once.
"""

import json
from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from httpx_sse import ServerSentEvent
from pydantic import ValidationError

from unroll_client.answers import unexpected, with_usage
from unroll_client.calls import Call
from unroll_client.errors import ConnectionFailed, UnexpectedAnswer, problem_error
from unroll_client.results import Answers, SentenceResult, Token, Usage

Result = TypeVar("Result", SentenceResult, Answers[SentenceResult])


class Told:
    """What a stream has told so far."""

    def __init__(self, call: Call[SentenceResult]) -> None:
        self._call = call
        self._results: dict[int, SentenceResult] = {}
        self._usage: Usage | None = None

    def hear(self, event: ServerSentEvent) -> Token | None:
        """The token of an event, if it is one. Raises ProblemError and UnexpectedAnswer."""
        try:
            data: dict[str, Any] = json.loads(event.data)
            match event.event:
                case "token":
                    return Token.model_validate(data)
                case "result":
                    self._results[data["input"]] = SentenceResult.model_validate(data["result"])
                case "done":
                    self._usage = Usage.model_validate(data["usage"])
                case "error":
                    raise problem_error(int(data["status"]), data)
        except ValidationError as error:
            raise unexpected(f"event {event.event} of {self._call.path}", error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise UnexpectedAnswer(f"event {event.event} of {self._call.path} cannot be read: {error!r}") from error
        return None

    def result(self) -> SentenceResult | Answers[SentenceResult]:
        """What all was about. Raises ConnectionFailed if the end has not come, and UnexpectedAnswer."""
        if self._usage is None:
            raise ConnectionFailed(f"the stream of {self._call.path} ended before its end", sent=True)
        if self._results.keys() != set(range(len(self._call.inputs))):
            raise UnexpectedAnswer(f"the stream of {self._call.path} ended without a result for each input")
        results = [self._results[place] for place in range(len(self._call.inputs))]
        return with_usage(results[0], self._usage) if self._call.is_one else Answers(results, self._usage)


class Stream(Generic[Result]):
    """Tokens as they come. With one input `result()` is a result; with a list the tokens come mixed, and `result()` is
    a list."""

    def __init__(self, events: Generator[ServerSentEvent, None, None], told: Told) -> None:
        self._events = events
        self._told = told

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Token:
        for event in self._events:
            if token := self._told.hear(event):
                return token
        self._told.result()
        raise StopIteration

    def result(self) -> Result:
        """The result, just as it is without a stream; what has not come yet is waited for."""
        for event in self._events:
            self._told.hear(event)
        return cast(Result, self._told.result())

    def close(self) -> None:
        """Hang up."""
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(Generic[Result]):
    """`Stream`, for asyncio."""

    def __init__(self, events: AsyncGenerator[ServerSentEvent, None], told: Told) -> None:
        self._events = events
        self._told = told

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Token:
        async for event in self._events:
            if token := self._told.hear(event):
                return token
        self._told.result()
        raise StopAsyncIteration

    async def result(self) -> Result:
        """The result, just as it is without a stream; what has not come yet is waited for."""
        async for event in self._events:
            self._told.hear(event)
        return cast(Result, self._told.result())

    async def aclose(self) -> None:
        """Hang up."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
