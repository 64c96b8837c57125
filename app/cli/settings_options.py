"""An option of `unroll serve` for each setting, so that command line, environment and docs agree."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from pydantic.fields import FieldInfo

from app.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
# The first setting of each group; a group ends where the next one begins.
GROUPS = {
    "host": "Address",
    "store": "Models",
    "open": "Keys and callers",
    "workers": "Processes and engines",
    "max_pending": "Load",
    "max_inputs": "Limits of a request",
    "state_secret": "States, sessions and streams",
    "request_seconds": "Time",
    "log_level": "Logs",
}


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


class GroupedCommand(click.Command):
    """A command whose help shows the settings in groups."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for title, parameters in self._groups(context):
            with formatter.section(title):
                formatter.write_dl([record for each in parameters if (record := each.get_help_record(context))])

    def _groups(self, context: click.Context) -> Iterator[tuple[str, list[click.Parameter]]]:
        title, group = "Options", list[click.Parameter]()
        for parameter in self.get_params(context):
            if parameter.name in GROUPS or parameter.name not in Settings.model_fields:
                if group:
                    yield title, group
                title, group = GROUPS.get(parameter.name or "", "Help"), []
            group.append(parameter)
        yield title, group


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
