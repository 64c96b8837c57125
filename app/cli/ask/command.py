"""The command `unroll ask`, with a command for each task whose options are those of its request."""

import asyncio
import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from unroll_client import AsyncUnroll, ProblemError, Unroll, UnrollClientError

from app.api.tasks.forms import json_form
from app.cli.ask.inputs import read_inputs
from app.cli.ask.lines import AnswerFile, Line
from app.cli.ask.options import common_options, option_of
from app.cli.ask.running import Question, answer_all, is_of_inputs, problem_members
from app.cli.ask.showing import show
from app.tasks.registry import TASKS

_INTERRUPTED = 130  # as shells report a process that Ctrl-C ended
_TASKS: dict[str, tuple[type[BaseModel], str, str]] = {
    task.verb: (
        json_form(task),
        task.source.kind.upper(),
        task.face.summary + ".",
    )
    for task in TASKS
}


@dataclass(frozen=True)
class Where:
    """The service, and how patient to be with it."""

    url: str
    api_key: str | None
    timeout: float
    retries: int

    def arguments(self) -> dict[str, Any]:
        """Of a client."""
        return vars(self)


@click.group()
def ask() -> None:
    """Ask a running service.

    Inputs are arguments, lines of the standard input (-), or lines of a --file. With --output FILE the answers go into
    a file of JSON lines, and the same command goes on where it was interrupted. The exit status is 1 if an input
    failed.
    """


@dataclass(frozen=True)
class Way:
    """Where inputs come from, and where answers go."""

    inputs: tuple[str, ...]
    file: Path | None
    output: Path | None
    jsonl: bool
    stream: bool


def _command(task: str) -> click.Command:
    request, what, summary = _TASKS[task]

    def run(batch: int, concurrency: int, **given: Any) -> None:
        where = Where(**{field.name: given.pop(field.name) for field in fields(Where)})
        way = Way(**{field.name: given.pop(field.name) for field in fields(Way)})
        options = {name: _plain(item) for name, item in given.items() if item not in (None, ())}
        _run(where, Question(task, options, batch, concurrency), way)

    own = [option_of(name, field) for name, field in request.model_fields.items() if name not in ("inputs", "stream")]
    command: Callable[..., None] = run
    for decorate in reversed([*common_options(what, streams="stream" in request.model_fields), *own]):
        command = decorate(command)
    return click.command(name=task, help=summary)(command)


def _run(where: Where, question: Question, way: Way) -> None:
    if way.stream and (way.jsonl or way.output):
        raise click.UsageError("--stream prints tokens as they come, so without --jsonl and --output")
    inputs = read_inputs(way.inputs, way.file, sys.stdin.buffer, images=question.task == "caption")
    with _explained(way.output):
        failed = _stream(where, question, inputs) if way.stream else _answer(where, question, inputs, way)
    if failed:
        click.echo(f"{failed} of {len(inputs)} inputs failed", err=True)
        raise click.exceptions.Exit(1)


@contextmanager
def _explained(output: Path | None) -> Iterator[None]:
    """What ends a run early as a message that says how to go on."""
    go_on = f"; what was answered stands in {output}, and the same command goes on" if output else ""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"interrupted{go_on}", err=True)
        raise click.exceptions.Exit(_INTERRUPTED) from None
    except UnrollClientError as error:
        raise click.ClickException(f"{error}{go_on}") from error
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read has left, which the framework knows how to end
            raise
        raise click.ClickException(str(error)) from error


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _answer(where: Where, question: Question, inputs: Sequence[str], way: Way) -> int:
    """Answer all inputs, and say how many failed."""
    with ExitStack() as stack:
        file = stack.enter_context(AnswerFile(way.output, question.task, inputs)) if way.output else None
        start, failed = (file.done, file.failed) if file else (0, 0)
        bar = stack.enter_context(_progress(len(inputs), start, shown=file is not None or not sys.stdout.isatty()))

        def take(lines: Sequence[Line]) -> int:
            if file is not None:
                file.write(lines)
            for line in lines if file is None else ():
                if way.jsonl:
                    click.echo(line.encoded(), nl=False)
                else:
                    show(line, alone=len(inputs) == 1)
            bar(len(lines))
            return sum(line.problem is not None for line in lines)

        async def run() -> int:
            async with (
                AsyncUnroll(**where.arguments()) as client,
                aclosing(answer_all(client, question, inputs, start)) as answered,
            ):
                return sum([take(lines) async for lines in answered])

        return failed + asyncio.run(run())


@contextmanager
def _progress(length: int, start: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """What is told how many inputs were answered, and shows it on a terminal."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _: None
        return
    with click.progressbar(length=length, file=sys.stderr, show_pos=True) as bar:
        bar.update(start)
        yield bar.update


def _stream(where: Where, question: Question, inputs: Sequence[str]) -> int:
    """Print the tokens of one input after the other, and say how many failed."""
    failed = 0
    with Unroll(**where.arguments()) as client:
        for index, text in enumerate(inputs):
            problem = _print_tokens(client, question, index, text)
            if problem is not None:
                show(Line(index, question.task, text, problem=problem), alone=False)
                failed += 1
    return failed


def _print_tokens(client: Unroll, question: Question, index: int, text: str) -> dict[str, Any] | None:
    """Print the tokens of an input; its problem if it has one."""
    try:
        stream = getattr(client, f"stream_{question.task}")(text, **question.options_at(index))
    except OSError as error:  # an image
        return problem_members(error)
    try:
        with stream:
            for token in stream:
                click.echo(token.text, nl=False)
    except ProblemError as problem:
        if not is_of_inputs(problem):
            raise
        return problem_members(problem)
    click.echo()
    return None


for _task in _TASKS:
    ask.add_command(_command(_task))
