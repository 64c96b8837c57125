"""A run of `unroll ask` that prints answers, or writes them to a file."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path
from typing import Any

import click
from unroll_client import AsyncUnroll

from app.cli.ask.batches import Run, answer_batches
from app.cli.ask.inputs import Given
from app.cli.ask.output_file import Line, OutputFile
from app.cli.ask.printing import Form, printer


def answer_inputs(
    client_arguments: Mapping[str, Any], run: Run, inputs: Sequence[Given], output: Path | None, form: Form
) -> int:
    """Answer the inputs that `output` does not answer yet. Returns how many of all failed."""
    with ExitStack() as stack:
        file = (
            stack.enter_context(OutputFile(output, run.task.name, [given.name for given in inputs])) if output else None
        )
        start, failed = (file.done, file.failed) if file else (0, 0)
        shown = file is not None or not sys.stdout.isatty()
        show = printer(form, run.task.answer, alone=len(inputs) == 1)
        progress = stack.enter_context(_progress(len(inputs), start, shown=shown))

        def take(lines: Sequence[Line]) -> int:
            """Write or print the lines. Returns how many are problems."""
            if file is not None:
                file.write(lines)
            for line in lines if file is None else ():
                show(line)
            progress(len(lines))
            return sum(line.problem is not None for line in lines)

        async def answer_all() -> int:
            async with (
                AsyncUnroll(**client_arguments) as client,
                aclosing(answer_batches(client, run, inputs, start)) as batches,
            ):
                return sum([take(lines) async for lines in batches])

        return failed + asyncio.run(answer_all())


@contextmanager
def _progress(length: int, start: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A function that adds answered inputs to the progress bar, which only a terminal shows."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _: None
        return
    with click.progressbar(length=length, file=sys.stderr, show_pos=True) as bar:
        bar.update(start)
        yield bar.update
