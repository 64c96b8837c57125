"""A run of `unroll ask --stream`, which prints tokens as the service decodes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
from unroll_client import ProblemError, Unroll

from app.cli.ask.batches import Run, is_about_an_input, problem_members
from app.cli.ask.output_file import Line
from app.cli.ask.printing import print_line


def stream_inputs(client_arguments: Mapping[str, Any], run: Run, inputs: Sequence[str]) -> int:
    """Print the tokens of one input after the other. Returns how many inputs failed."""
    failed = 0
    with Unroll(**client_arguments) as client:
        for index, text in enumerate(inputs):
            problem = _print_tokens(client, run, index, text)
            if problem is not None:
                print_line(Line(index, run.task.name, text, problem=problem), run.task.answer, alone=False)
                failed += 1
    return failed


def _print_tokens(client: Unroll, run: Run, index: int, text: str) -> dict[str, Any] | None:
    """Print the tokens of an input. Returns the problem if it has one."""
    try:
        stream = client.stream(run.task, text, **run.options_at(index))
    except OSError as error:  # the file of an image
        return problem_members(error)
    try:
        with stream:
            for token in stream:
                click.echo(token.text, nl=False)
    except ProblemError as problem:
        if not is_about_an_input(problem):
            raise
        return problem_members(problem)
    click.echo()
    return None
