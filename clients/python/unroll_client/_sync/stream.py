# Generated from unroll_client/_async by `make client`; change that.
"""Tokens or rows of numbers as the service makes them: `for token in stream`."""

from collections.abc import Generator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from unroll_client.events import Event
from unroll_client.forecasts import ForecastRows
from unroll_client.results import Token
from unroll_client.streamed import StreamedAnswer

AnswerT = TypeVar("AnswerT")
ItemT = TypeVar("ItemT", Token, ForecastRows)


class Items(Generic[ItemT, AnswerT]):
    """The items of one input, or of several inputs in the order in which the service makes them.

    Leaving the stream early closes the connection, and the service stops decoding. `events` holds no reference to
    the stream, so that a stream without references is closed at once.
    """

    def __init__(self, events: Generator[Event, None, None], answer: StreamedAnswer[Any]) -> None:
        self._events = events
        self._answer = answer

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ItemT:
        for event in self._events:
            if item := self._answer.feed(event):
                return cast(ItemT, item)
        self._answer.result()
        raise StopIteration

    def result(self) -> AnswerT:
        """Reads the rest of the stream, and returns what the method without a stream returns."""
        for event in self._events:
            self._answer.feed(event)
        return cast(AnswerT, self._answer.result())

    def close(self) -> None:
        """Close the connection."""
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Stream(Items[Token, AnswerT]):
    """A stream of tokens."""


class ForecastStream(Items[ForecastRows, AnswerT]):
    """A stream of rows of forecasts."""
