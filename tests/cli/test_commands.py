"""The command `unroll`: what each command imports, and what its help says."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.cli.main import COMMANDS, main
from app.cli.settings_options import GROUPS
from app.settings import Settings

_HEAVY = {
    "app.main",
    "app.importers",
    "asyncio",
    "fastapi",
    "httpx",
    "limits",
    "numpy",
    "starlette",
    "tokenizers",
    "torch",
    "uvicorn",
    "zmq",
}
_LIGHT_COMMANDS = [
    ("--version",),
    ("--help",),
    ("list",),
    ("show", "sentiment-en"),
    ("layouts",),
    ("ask", "translate", "--help"),
    *((name, "-h") for name in COMMANDS if name != "serve"),
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
    modules = imported(code)
    assert "app.cli.main" in modules
    assert not modules & _HEAVY


def test_the_help_of_serve_imports_settings_alone() -> None:
    code = """
import sys
from app.cli.main import main
main(["serve", "-h"], prog_name="unroll", standalone_mode=False)
print(*sys.modules, file=sys.stderr)
"""
    assert imported(code) & _HEAVY <= {"asyncio"}  # which pydantic-settings imports


def imported(code: str) -> set[str]:
    """The modules of a process that ran the code, which prints something and then their names to standard error."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout
    return set(ran.stderr.split())


def test_the_help_of_serve_has_each_setting_in_one_group() -> None:
    printed = CliRunner().invoke(main, ["serve", "-h"], terminal_width=500).output
    sections = dict(re.findall(r"^(\S[^\n]*):\n((?:  [^\n]*\n)+)", printed, re.MULTILINE))
    assert list(sections) == [*GROUPS.values(), "Help"]
    options = {title: re.findall(r"^  --([a-z-]+)", text, re.MULTILINE) for title, text in sections.items()}
    shown = [name.replace("-", "_") for title in GROUPS.values() for name in options[title]]
    assert shown == list(Settings.model_fields)
    assert sections["Help"].split()[:2] == ["-h,", "--help"]


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
