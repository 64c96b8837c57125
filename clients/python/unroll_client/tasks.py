"""The tasks of the service: what a task reads, where, and what it answers.

Client methods, `unroll ask` and the checks of options follow from this table. A task of your own needs no entry:

    shout = Task("shout", "/v1/shout", source="text", result=SentenceResult)
    client.ask(shout, "hello", max_tokens=5)
"""

from dataclasses import dataclass
from typing import Any, Generic

from unroll_client.forecasts import ForecastResult
from unroll_client.options import OPTIONS
from unroll_client.results import (
    AnswerKind,
    LabelResult,
    PrimedResult,
    ResultT,
    SentenceResult,
    SentimentResult,
    StateResult,
    TagResult,
)
from unroll_client.sources import SourceKind


@dataclass(frozen=True)
class Task(Generic[ResultT]):
    """`source` is the kind of its inputs, or several kinds; the class of its `result` says the kind of its answer."""

    name: str
    path: str
    source: SourceKind | tuple[SourceKind, ...]
    result: type[ResultT]
    summary: str = ""

    @property
    def sources(self) -> tuple[SourceKind, ...]:
        """The kinds of its inputs."""
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def streams(self) -> bool:
        """Whether its answers can be streamed."""
        return self.answer in ("tokens", "values")

    @property
    def answer(self) -> AnswerKind | None:
        """The kind of its answer; None where the class of its result is of no kind."""
        return self.result.answer_kind

    @property
    def options(self) -> type[Any] | None:
        """A TypedDict with its options; None where this client does not know them."""
        return OPTIONS.get(self.path)


_ANY: tuple[SourceKind, ...] = ("text", "frames", "series")
SENTIMENT = Task("sentiment", "/v1/sentiment", "text", SentimentResult, "Label texts.")
CAPTION = Task("caption", "/v1/caption", "image", SentenceResult, "Describe images.")
TRANSLATE = Task("translate", "/v1/translate", "text", SentenceResult, "Translate sentences.")
COMPLETE = Task("complete", "/v1/complete", "text", SentenceResult, "Continue texts.")
CLASSIFY = Task("classify", "/v1/classify", _ANY, LabelResult, "Label texts, series or clips.")
TAG = Task("tag", "/v1/tag", "words", TagResult, "Label the words of texts.")
FORECAST = Task("forecast", "/v1/forecast", "series", ForecastResult, "Forecast series of numbers.")
EMBED = Task("embed", "/v1/embed", _ANY, StateResult, "Turn texts, series or clips into the states of a network.")
STATES = Task("states", "/v1/states", ("text", "series"), PrimedResult, "Read inputs once, to continue from later.")

TASKS: tuple[Task[Any], ...] = (SENTIMENT, CAPTION, TRANSLATE, COMPLETE, CLASSIFY, TAG, FORECAST, EMBED, STATES)
