"""A run of `unroll ask --stream`, which prints tokens or rows of numbers as the service makes them."""

from collections.abc import Mapping, Sequence
from typing import Any

from unroll_client import ProblemError, Unroll

from app.cli.ask.batches import Run, is_about_an_input, problem_members
from app.cli.ask.inputs import Given
from app.cli.ask.output_file import Line
from app.cli.ask.printing import print_problem, print_stream


def stream_inputs(client_arguments: Mapping[str, Any], run: Run, inputs: Sequence[Given]) -> int:
    """Print the answers of one input after the other. Returns how many inputs failed."""
    failed = 0
    with Unroll(**client_arguments) as client:
        for index, given in enumerate(inputs):
            problem = _print_items(client, run, index, given)
            if problem is not None:
                print_problem(Line(index, run.task.name, given.name, problem=problem))
                failed += 1
    return failed


def _print_items(client: Unroll, run: Run, index: int, given: Given) -> dict[str, Any] | None:
    """Print the tokens or rows of an input. Returns the problem if it has one."""
    try:
        stream = client.stream(run.task, given.read(), **run.options_at(index))
    except OSError as error:
        return problem_members(error)
    try:
        with stream:
            print_stream(stream, run.task.answer)
    except ProblemError as problem:
        if not is_about_an_input(problem):
            raise
        return problem_members(problem)
    return None
