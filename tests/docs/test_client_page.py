"""docs/client.md: its examples run as they stand, and it names what there is."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import unroll_client as client
from click.testing import CliRunner
from PIL import Image

from app.api.tasks.bodies import body_of
from app.cli.ask.command import ask
from app.cli.main import main
from app.tasks.registry import TASKS
from tests.api.clips import pictures
from tests.tiny_store import FORWARD

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^\$ unroll (.*)$", PAGE, re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples run."""
    Image.new("RGB", (80, 60), "orange").save(tmp_path / "first.jpg")
    (tmp_path / "frames").mkdir()
    for number, image in enumerate(pictures(6)):
        image.save(tmp_path / "frames" / f"{number}.png")
    days = [f"2015-12-{day},{day % 3}.5,{day / 4},{day / 9},2.5" for day in range(20, 31)]
    (tmp_path / "weather.csv").write_text("\n".join(["date,precipitation,temp_max,temp_min,wind", *days]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_example_runs(block: str, server: str, folder: Path) -> None:
    assert "http://127.0.0.1:8000" in block
    code = block.replace("http://127.0.0.1:8000", server)
    for included, small in FORWARD.items():
        code = code.replace(included, small)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(command: str, server: str, folder: Path) -> None:
    command, _, file = command.partition(" < ")
    stdin = (folder / file).read_bytes() if file else b""
    ran = CliRunner().invoke(main, shlex.split(command), input=stdin, env={"UNROLL_URL": server})
    assert ran.exit_code == 0, ran.output
    assert ran.stdout or (folder / "captions.jsonl").stat().st_size


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 4
    assert len(COMMANDS) >= 4


def test_every_error_method_and_argument_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)", PAGE))
    errors = {name for name, kind in vars(client).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    methods = {name for name in vars(client.Unroll) if name[0] != "_"} | {"Unroll", "AsyncUnroll"}
    arguments = client.Unroll.__init__.__annotations__.keys() - {"return"}
    assert documented >= errors | methods | arguments
    assert set(client.__all__) >= errors


def test_every_option_of_ask_is_documented() -> None:
    documented = set(re.findall(r"`--([a-z-]+)", PAGE))
    for task in TASKS:
        own = {name.replace("_", "-") for name in body_of(task).json.members()}
        for parameter in ask.commands[task.verb].params:
            name = parameter.opts[0].removeprefix("--")
            assert name in documented | own
