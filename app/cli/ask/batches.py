"""Inputs in batches, several requests at a time. A refused input fails alone; any other error ends the run."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from unroll_client import AsyncUnroll, ProblemError, Task
from unroll_client.sources import reads_files

from app.cli.ask.inputs import Given
from app.cli.ask.output_file import Line

_ABOUT_INPUTS = (
    "body-too-large",
    "empty-input",
    "engine-failed",
    "input-too-long",
    "input-too-short",
    "invalid-image",
    "invalid-series",
    "timed-out",
    "unknown-language",
    "unknown-word",
    "unsupported-media",
)


@dataclass(frozen=True)
class Run:
    """A task and its options; `batch` inputs in a request, `concurrency` requests at a time."""

    task: Task[Any]
    options: dict[str, Any]
    batch: int
    concurrency: int

    def options_at(self, index: int) -> dict[str, Any]:
        """Options of a request whose first input is number `index`: input i has the seed `seed` + i."""
        return self.options | ({"seed": self.options["seed"] + index} if "seed" in self.options else {})


async def answer_batches(
    client: AsyncUnroll, run: Run, inputs: Sequence[Given], start: int
) -> AsyncGenerator[list[Line], None]:
    """Lines of the inputs from `start` on, in order, a batch at a time. Raises UnrollClientError."""
    pending: deque[asyncio.Task[list[Line]]] = deque()
    try:
        for first in range(start, len(inputs), run.batch):
            if len(pending) == run.concurrency:
                yield await pending.popleft()
            batch = inputs[first : first + run.batch]
            pending.append(asyncio.create_task(_answer(client, run, batch, first)))
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _answer(client: AsyncUnroll, run: Run, inputs: Sequence[Given], first: int) -> list[Line]:
    """Lines of a batch. The inputs before and after a refused one are sent again, with the seeds of their places."""
    if not inputs:
        return []
    try:
        results = await _results(client, run, inputs, first)
    except _Refused as refusal:
        if refusal.place is None and len(inputs) > 1:
            middle = len(inputs) // 2
            before = await _answer(client, run, inputs[:middle], first)
            return before + await _answer(client, run, inputs[middle:], first + middle)
        place = refusal.place or 0
        failed = Line(first + place, run.task.name, inputs[place].name, problem=refusal.problem)
        before = await _answer(client, run, inputs[:place], first)
        return [*before, failed, *await _answer(client, run, inputs[place + 1 :], first + place + 1)]
    return [
        Line(first + place, run.task.name, given.name, result=result)
        for place, (given, result) in enumerate(zip(inputs, results, strict=True))
    ]


class _Refused(Exception):
    """The input at `place` is refused; without a place, one or more of the inputs."""

    def __init__(self, place: int | None, problem: dict[str, Any]) -> None:
        super().__init__(problem)
        self.place = place
        self.problem = problem


def is_about_an_input(problem: ProblemError) -> bool:
    """Whether the service may still answer other inputs."""
    return problem.input is not None or problem.type.rpartition("/")[2] in _ABOUT_INPUTS


def problem_members(error: ProblemError | OSError) -> dict[str, Any]:
    """The problem of one input, without its place in the request."""
    if isinstance(error, OSError):
        return {"type": "about:blank", "title": "The file cannot be read", "detail": str(error)}
    members = {name: item for name, item in error.members.items() if name != "input"}
    return {"type": error.type, "title": error.title, "status": error.status, "detail": error.detail, **members}


async def _results(client: AsyncUnroll, run: Run, inputs: Sequence[Given], first: int) -> list[dict[str, Any]]:
    read: Any = await asyncio.to_thread(_read, inputs) if reads_files(run.task.sources) else _read(inputs)
    try:
        answers = await client.ask(run.task, read, **run.options_at(first))
    except ProblemError as problem:
        if not is_about_an_input(problem):
            raise
        raise _Refused(problem.input, problem_members(problem)) from problem
    return [result.to_dict() for result in answers]


def _read(inputs: Sequence[Given]) -> list[Any]:
    contents = []
    for place, given in enumerate(inputs):
        try:
            contents.append(given.read())
        except OSError as error:
            raise _Refused(place, problem_members(error)) from error
    return contents
