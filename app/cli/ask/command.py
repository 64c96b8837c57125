"""`unroll ask`, with a command for each task of the client's table."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from unroll_client import TASKS, Task, UnrollClientError

from app.cli.ask.inputs import describe_inputs, metavar, read_inputs
from app.cli.ask.options import common_options, task_options
from app.cli.ask.printing import Form

_INTERRUPTED = 130  # exit status of a process that Ctrl-C ends, as shells report it


@click.group()
def ask() -> None:
    """Send inputs to a running service.

    Inputs are arguments, lines of standard input (-), or lines of a --file; the standard input of forecast is a CSV.
    With --output FILE the answers are written to a file of JSON lines, and the same command resumes an interrupted run.
    The exit status is 1 if an input fails.
    """


def _command(task: Task[Any]) -> click.Command:
    def run(
        *,
        inputs: tuple[str, ...],
        file: Path | None,
        output: Path | None,
        jsonl: bool,
        csv: bool,
        stream: bool,
        batch: int,
        concurrency: int,
        url: str,
        api_key: str | None,
        timeout: float,
        retries: int,
        **options: Any,
    ) -> None:
        if stream and (jsonl or csv or output):
            raise click.UsageError("--stream prints tokens or rows; use it without --jsonl, --csv and --output")
        if stream and not task.streams:
            raise click.UsageError(f"answers of {task.name} cannot be streamed; leave out --stream")
        if csv and task.answer != "values":
            raise click.UsageError("--csv prints forecasts; leave it out")
        if csv and (jsonl or output):
            raise click.UsageError("--csv prints CSV; use it without --jsonl and --output")
        from app.cli.ask.answering import answer_inputs
        from app.cli.ask.batches import Run
        from app.cli.ask.streaming import stream_inputs

        form: Form = "jsonl" if jsonl else "csv" if csv else "text"
        read = read_inputs(inputs, file, sys.stdin.buffer, task.sources)
        given = {name: _plain(item) for name, item in options.items() if item not in (None, ())}
        client = {"url": url, "api_key": api_key, "timeout": timeout, "retries": retries}
        run = Run(task, given, batch, concurrency)
        with _errors_with_advice(output):
            failed = stream_inputs(client, run, read) if stream else answer_inputs(client, run, read, output, form)
        if failed:
            click.echo(f"{failed} of {len(read)} inputs failed", err=True)
            raise click.exceptions.Exit(1)

    command: Callable[..., None] = run
    common = common_options(metavar(task.sources), streams=task.streams, tables=task.answer == "values")
    for decorate in reversed([*common, *task_options(task)]):
        command = decorate(command)
    return click.command(name=task.name, help=f"{task.summary}\n\n{describe_inputs(task.sources)}")(command)


@contextmanager
def _errors_with_advice(output: Path | None) -> Iterator[None]:
    """An error that ends the run early is a message that says how to resume."""
    advice = f"; the answers so far are in {output}, and the same command resumes the run" if output else ""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"interrupted{advice}", err=True)
        raise click.exceptions.Exit(_INTERRUPTED) from None
    except UnrollClientError as error:
        raise click.ClickException(f"{error}{advice}") from error
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of a pipe has closed it; click ends the command
            raise
        raise click.ClickException(str(error)) from error


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


for _task in TASKS:
    ask.add_command(_command(_task))
