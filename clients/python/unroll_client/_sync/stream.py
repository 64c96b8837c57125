# Generated from unroll_client/_async by `make client`; change that.
"""Tokens as the service decodes them: `for token in stream`."""

from collections.abc import Generator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from unroll_client.events import Event
from unroll_client.results import Token
from unroll_client.streamed import StreamedAnswer

AnswerT = TypeVar("AnswerT")


class Stream(Generic[AnswerT]):
    """The tokens of one input, or of several inputs in the order in which the service decodes them.

    Leaving the stream early closes the connection, and the service stops decoding. `events` holds no reference to
    the stream, so that a stream without references is closed at once.
    """

    def __init__(self, events: Generator[Event, None, None], answer: StreamedAnswer[Any]) -> None:
        self._events = events
        self._answer = answer

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Token:
        for event in self._events:
            if token := self._answer.feed(event):
                return token
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
