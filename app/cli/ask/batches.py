"""Many inputs, several requests at a time. An input that is refused fails alone; what is not about an input ends the
run, to be gone on with later."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll_client import AsyncUnroll, ProblemError

from app.cli.ask.lines import Line

_OF_INPUTS = (
    "body-too-large",
    "empty-input",
    "engine-failed",
    "input-too-long",
    "invalid-image",
    "timed-out",
    "unknown-language",
    "unknown-word",
    "unsupported-media",
)


@dataclass(frozen=True)
class Question:
    """A task and its options; `batch` inputs in a request, `concurrency` requests at a time."""

    task: str
    options: dict[str, Any]
    batch: int
    concurrency: int

    def options_at(self, index: int) -> dict[str, Any]:
        """Those of a request that begins with the input at `index`: each input is drawn with a seed of its own."""
        return self.options | ({"seed": self.options["seed"] + index} if "seed" in self.options else {})


async def answer_all(
    client: AsyncUnroll, question: Question, inputs: Sequence[str], start: int
) -> AsyncGenerator[list[Line], None]:
    """Lines of all inputs from `start` on, in order, some at a time. Raises UnrollClientError."""
    pending: deque[asyncio.Task[list[Line]]] = deque()
    try:
        for first in range(start, len(inputs), question.batch):
            if len(pending) == question.concurrency:
                yield await pending.popleft()
            batch = inputs[first : first + question.batch]
            pending.append(asyncio.create_task(_answer(client, question, batch, first)))
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _answer(client: AsyncUnroll, question: Question, inputs: Sequence[str], first: int) -> list[Line]:
    """Lines of a run of inputs. Around one that is refused the others are asked again, side by side as before, since
    each is drawn with a seed of its place."""
    if not inputs:
        return []
    try:
        results = await _ask(client, question, inputs, first)
    except _Refused as refusal:
        if refusal.place is None and len(inputs) > 1:
            middle = len(inputs) // 2
            before = await _answer(client, question, inputs[:middle], first)
            return before + await _answer(client, question, inputs[middle:], first + middle)
        place = refusal.place or 0
        failed = Line(first + place, question.task, inputs[place], problem=refusal.problem)
        before = await _answer(client, question, inputs[:place], first)
        return [*before, failed, *await _answer(client, question, inputs[place + 1 :], first + place + 1)]
    return [
        Line(first + place, question.task, text, result=result)
        for place, (text, result) in enumerate(zip(inputs, results, strict=True))
    ]


class _Refused(Exception):
    """An input cannot be answered: the one at `place`, or some of them."""

    def __init__(self, place: int | None, problem: dict[str, Any]) -> None:
        super().__init__(problem)
        self.place = place
        self.problem = problem


def is_of_inputs(problem: ProblemError) -> bool:
    """Whether other inputs may be answered."""
    return problem.input is not None or problem.type.rpartition("/")[2] in _OF_INPUTS


def problem_members(error: ProblemError | OSError) -> dict[str, Any]:
    """The problem of one input, without the place that it had in its request."""
    if isinstance(error, OSError):
        return {"type": "about:blank", "title": "The file cannot be read", "detail": str(error)}
    members = {name: item for name, item in error.members.items() if name != "input"}
    return {"type": error.type, "title": error.title, "status": error.status, "detail": error.detail, **members}


async def _ask(client: AsyncUnroll, question: Question, inputs: Sequence[str], first: int) -> list[dict[str, Any]]:
    asked = await asyncio.to_thread(_files, inputs) if question.task == "caption" else list(inputs)
    try:
        answers = await getattr(client, question.task)(asked, **question.options_at(first))
    except ProblemError as problem:
        if not is_of_inputs(problem):
            raise
        raise _Refused(problem.input, problem_members(problem)) from problem
    return [result.model_dump(mode="json", exclude_unset=True) for result in answers]


def _files(paths: Sequence[str]) -> list[bytes]:
    contents = []
    for place, path in enumerate(paths):
        try:
            contents.append(Path(path).read_bytes())
        except OSError as error:
            raise _Refused(place, problem_members(error)) from error
    return contents
