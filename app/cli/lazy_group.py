"""A group whose commands are imported when they run, so that a command does not wait for the imports of others."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True)
class LazyCommand:
    """A command that is the attribute `name` of `module`, and its line in the help of the group."""

    module: str
    name: str
    summary: str

    def load(self) -> click.Command:
        command = getattr(import_module(self.module), self.name)
        assert isinstance(command, click.Command)
        return command


class LazyGroup(click.Group):
    """Its help imports no command."""

    def __init__(self, *arguments: Any, lazy_commands: Mapping[str, LazyCommand], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lazy_commands = lazy_commands

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self._lazy_commands)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        command = self._lazy_commands.get(name)
        return command.load() if command else None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self._lazy_commands.items()])
