"""Options of `unroll ask`: those of every task, and those of one task from the client's TypedDict."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click
from unroll_client import Task
from unroll_client.address import API_KEY, DEFAULT_URL, client_arguments

Decorator = Callable[[Callable[..., None]], Callable[..., None]]
_TYPES: dict[Any, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, str: click.STRING}


def common_options(metavar: str, *, streams: bool, tables: bool) -> list[Decorator]:
    """Options of every task."""
    new_file = click.Path(path_type=Path, dir_okay=False)
    file = click.Path(path_type=Path, dir_okay=False, exists=True)
    at_least_one = click.IntRange(min=1)
    return [
        click.argument("inputs", nargs=-1, metavar=f"[{metavar}]..."),
        click.option("--file", type=file, help="File with an input a line."),
        click.option("--output", type=new_file, help="File of JSON lines to write; an interrupted run is resumed."),
        click.option("--jsonl", is_flag=True, help="Print JSON lines."),
        click.option("--csv", is_flag=True, hidden=not tables, help="Print CSV: a row for each step of each forecast."),
        click.option("--stream", is_flag=True, hidden=not streams, help="Print tokens or rows as they are made."),
        click.option(
            "--url", callback=_url, default=DEFAULT_URL, envvar="UNROLL_URL", show_default=True, show_envvar=True
        ),
        click.option("--api-key", help=f"Key to send; the environment variable {API_KEY} is safer."),
        click.option("--timeout", type=float, default=120.0, show_default=True, help="Seconds for a request."),
        click.option("--retries", type=at_least_one, default=5, show_default=True, help="Attempts of a request."),
        click.option("--batch", type=at_least_one, default=32, show_default=True, help="Inputs in a request."),
        click.option(
            "--concurrency", type=at_least_one, default=4, show_default=True, help="Requests at the same time."
        ),
    ]


def task_options(task: Task[Any]) -> list[Decorator]:
    """Options of a task. An option that is not given is not sent."""
    hints = get_type_hints(task.options, include_extras=True) if task.options else {}
    return [_option(name, *get_args(hint)) for name, hint in hints.items()]


def _option(name: str, kind: Any, description: str) -> Decorator:
    flag = f"--{name.replace('_', '-')}"
    if kind is bool:
        return click.option(f"{flag}/--no-{flag.removeprefix('--')}", name, default=None, help=description)
    if kind in _TYPES:
        return click.option(flag, name, type=_TYPES[kind], help=description)
    if get_origin(kind) is Literal:
        return click.option(flag, name, type=click.Choice(get_args(kind)), help=description)
    assert list[str] in get_args(kind)
    return click.option(flag, name, type=click.STRING, multiple=True, help=description)


def _url(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        client_arguments(value, None)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value
