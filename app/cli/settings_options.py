"""An option of `unroll serve` for each setting, so that command line, environment and docs agree."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from pydantic.fields import FieldInfo

from app.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def settings_options(command: Command) -> Command:
    """An option that is not given is None."""
    for name, field in reversed(Settings.model_fields.items()):
        option = f"--{name.replace('_', '-')}"
        command = click.option(
            f"{option}/--no-{option[2:]}" if field.annotation is bool else option,
            name,
            type=_click_type(field),
            default=None,
            help=f"{field.description} [{'default: ' + str(field.default)}; env: UNROLL_{name.upper()}]",
        )(command)
    return command


def _click_type(field: FieldInfo) -> click.ParamType[Any]:
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return click.Choice(choices)
    types: dict[Any, click.ParamType[Any]] = {
        bool: click.BOOL,
        int: click.INT,
        float: click.FLOAT,
        Path: click.Path(path_type=Path),
    }
    return types.get(field.annotation, click.STRING)
