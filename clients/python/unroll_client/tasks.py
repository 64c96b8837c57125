"""The tasks of the service: what a task reads, where, and what it answers.

Client methods, `unroll ask` and the checks of options follow from this table. A task of your own needs no entry:

    shout = Task("shout", "/v1/shout", source="text", result=SentenceResult)
    client.ask(shout, "hello", max_tokens=5)
"""

from dataclasses import dataclass
from typing import Any, Generic

from unroll_client.options import OPTIONS
from unroll_client.results import AnswerKind, ResultT, SentenceResult, SentimentResult
from unroll_client.sources import SourceKind


@dataclass(frozen=True)
class Task(Generic[ResultT]):
    """`source` is the kind of its inputs; the class of its `result` says the kind of its answer."""

    name: str
    path: str
    source: SourceKind
    result: type[ResultT]
    summary: str = ""

    @property
    def answer(self) -> AnswerKind | None:
        """The kind of its answer; None where the class of its result is of no kind."""
        return self.result.answer_kind

    @property
    def options(self) -> type[Any] | None:
        """A TypedDict with its options; None where this client does not know them."""
        return OPTIONS.get(self.path)


SENTIMENT = Task("sentiment", "/v1/sentiment", "text", SentimentResult, "Label texts.")
CAPTION = Task("caption", "/v1/caption", "image", SentenceResult, "Describe images.")
TRANSLATE = Task("translate", "/v1/translate", "text", SentenceResult, "Translate sentences.")
COMPLETE = Task("complete", "/v1/complete", "text", SentenceResult, "Continue texts.")

TASKS: tuple[Task[Any], ...] = (SENTIMENT, CAPTION, TRANSLATE, COMPLETE)
