"""The command `unroll`: what each command imports, and what its help says."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.cli.main import COMMANDS, main

_HEAVY = {"app.main", "app.importers", "fastapi", "starlette", "uvicorn", "torch", "zmq", "numpy", "tokenizers"}
_LIGHT_COMMANDS = [
    ("--version",),
    ("--help",),
    ("list",),
    ("show", "sentiment-en"),
    ("remove", "--help"),
    ("ask", "--help"),
    ("ask", "translate", "--help"),
    ("key", "new", "--name", "alice"),
]


@pytest.mark.parametrize("arguments", _LIGHT_COMMANDS, ids=" ".join)
def test_a_command_imports_only_its_own_modules(arguments: tuple[str, ...], tiny_store: Path) -> None:
    store = ("--store", str(tiny_store)) if arguments[0] in ("list", "show") else ()
    code = f"""
import sys
from app.cli.main import main
main({[*arguments, *store]!r}, prog_name="unroll", standalone_mode=False)
print(*sys.modules, file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout
    modules = set(ran.stderr.split())
    assert "app.cli.main" in modules
    assert not modules & _HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_the_group_is_that_of_the_command(name: str) -> None:
    command = COMMANDS[name]
    loaded = command.load()
    assert loaded.help is not None
    assert loaded.help.split("\n\n")[0] == command.summary
    listed = CliRunner().invoke(main, ["--help"], terminal_width=500).output
    assert command.summary in listed


def test_an_unknown_command_is_refused() -> None:
    ran = CliRunner().invoke(main, ["sever"])
    assert ran.exit_code == 2
    assert "No such command 'sever'" in ran.output


def test_every_command_is_in_the_table() -> None:
    folder = Path(sys.modules["app.cli.main"].__file__ or "").parent
    decorated = {path.stem for path in folder.glob("*.py") if "@click.command" in path.read_text(encoding="utf8")}
    assert decorated <= {command.module.rpartition(".")[2] for command in COMMANDS.values()}
    assert all(isinstance(command.load(), click.Command) for command in COMMANDS.values())
