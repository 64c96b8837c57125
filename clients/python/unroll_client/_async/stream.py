"""Tokens or rows of numbers as the service makes them: `async for token in stream`."""

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from unroll_client.events import Event
from unroll_client.forecasts import ForecastRows
from unroll_client.results import Token
from unroll_client.streamed import StreamedAnswer

AnswerT = TypeVar("AnswerT")
ItemT = TypeVar("ItemT", Token, ForecastRows)


class AsyncItems(Generic[ItemT, AnswerT]):
    """The items of one input, or of several inputs in the order in which the service makes them.

    Leaving the stream early closes the connection, and the service stops decoding. `events` holds no reference to
    the stream, so that a stream without references is closed at once.
    """

    def __init__(self, events: AsyncGenerator[Event, None], answer: StreamedAnswer[Any]) -> None:
        self._events = events
        self._answer = answer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemT:
        async for event in self._events:
            if item := self._answer.feed(event):
                return cast(ItemT, item)
        self._answer.result()
        raise StopAsyncIteration

    async def result(self) -> AnswerT:
        """Reads the rest of the stream, and returns what the method without a stream returns."""
        async for event in self._events:
            self._answer.feed(event)
        return cast(AnswerT, self._answer.result())

    async def aclose(self) -> None:
        """Close the connection."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncStream(AsyncItems[Token, AnswerT]):
    """A stream of tokens."""


class AsyncForecastStream(AsyncItems[ForecastRows, AnswerT]):
    """A stream of rows of forecasts."""
