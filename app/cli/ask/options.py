"""Options of `unroll ask`: those of every task, and those that a task's request has as members."""

from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo
from unroll_client.address import API_KEY, DEFAULT_URL, http_arguments

Decorator = Callable[[Callable[..., None]], Callable[..., None]]
_TYPES: dict[Any, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, str: click.STRING}


def common_options(what: str, *, streams: bool) -> list[Decorator]:
    """Options of every task."""
    path = click.Path(path_type=Path, dir_okay=False)
    there = click.Path(path_type=Path, dir_okay=False, exists=True)
    return [
        click.argument("inputs", nargs=-1, metavar=f"[{what}]..."),
        click.option("--file", type=there, help="File with an input a line."),
        click.option("--output", type=path, help="File of JSON lines to write, or to go on with."),
        click.option("--jsonl", is_flag=True, help="Print JSON lines."),
        click.option(
            "--stream", is_flag=True, hidden=not streams, help="Print tokens as they come, input after input."
        ),
        click.option(
            "--url", callback=_url, default=DEFAULT_URL, envvar="UNROLL_URL", show_default=True, show_envvar=True
        ),
        click.option("--api-key", help=f"Key to send; better in the environment, where {API_KEY} is read."),
        click.option("--timeout", type=float, default=120.0, show_default=True, help="Seconds for a request."),
        click.option("--retries", type=click.IntRange(min=1), default=5, show_default=True, help="Tries of a request."),
        click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Inputs in a request."),
        click.option(
            "--concurrency", type=click.IntRange(min=1), default=4, show_default=True, help="Requests at a time."
        ),
    ]


def option_of(name: str, field: FieldInfo) -> Decorator:
    """The option of a member of a request; what is not given is not sent."""
    kind = _kind(field.annotation)
    flag = f"--{name.replace('_', '-')}"
    if kind is bool:
        return click.option(flag, name, is_flag=True, default=None, help=_help(field))
    several = get_origin(kind) is list
    return click.option(flag, name, type=click.STRING if several else _TYPES[kind], multiple=several, help=_help(field))


def _url(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        http_arguments(value, None)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


def _help(field: FieldInfo) -> str | None:
    """The description, which a type that several requests share may have instead of the member."""
    parts = [part for option in get_args(field.annotation) for part in get_args(option)]
    of_type = [part.description for part in parts if isinstance(part, FieldInfo)]
    return field.description or next(iter(of_type), None)


def _kind(annotation: Any) -> Any:
    """`int` of `Annotated[int, ...] | None`."""
    if get_origin(annotation) in (Union, UnionType):
        return _kind(next(part for part in get_args(annotation) if part is not type(None)))
    return _kind(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation
