"""The transcripts of docs/importing.md and of the README's import: `python -m tests.docs.importing_page` writes what
the commands print now.

The commands of a page run in its order, in a copy of docs/importing/.
"""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from app.cli.main import main
from tests.docs.importing_files import Classifier

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "importing"
PAGES = {ROOT / "docs" / "importing.md": Path("."), ROOT / "README.md": Path("docs/importing")}  # where the files are
BLOCK = re.compile(r"```console\n(\$ (?:(?!```).)*?unroll (?:import|export) .*?)```", re.DOTALL)

_COMMAND = re.compile(r"^\$ (.*(?<!\\)(?:\\\n.*(?<!\\))*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
SAVING = re.compile(r"(?<=```python\n)(import unroll\n.*?)```\n\n```text\n(.*?)(?=```)", re.DOTALL)


def blocks(page: Path) -> list[str]:
    """The transcripts of a page that import or export."""
    return BLOCK.findall(page.read_text(encoding="utf8"))


def commands(block: str) -> list[str]:
    """The commands of a transcript, as they are printed. Those that go on in the next line end in a backslash there."""
    return [command for command, _ in _COMMAND.findall(block)]


def transcript(block: str) -> str:
    """A transcript with what its commands print now, in the current folder, but for lines that it leaves out."""
    ran = [
        (command, "".join(map(_printed, command.split(" && "))), shown) for command, shown in _COMMAND.findall(block)
    ]
    return "\n".join(f"$ {command}\n{_cut(printed, shown)}" for command, printed, shown in ran)


def _cut(printed: str, shown: str) -> str:
    """What is printed, with as many lines before and after a line `...` as are shown."""
    before, is_cut, after = shown.rstrip("\n").partition("\n...\n")
    lines = printed.splitlines(keepends=True)
    first, last = (len(part.splitlines()) for part in (before, after))
    return "".join([*lines[:first], "...\n", *lines[-last:]]) if is_cut else printed


def saving(code: str) -> str:
    """What a training script prints that ends in this code."""
    trained = torch.load("sentiment.pt", weights_only=True)
    model = Classifier(len(trained["word_to_ix"]))
    model.load_state_dict(trained["model_state_dict"])
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "saving", "exec"), {"model": model, "word_to_ix": trained["word_to_ix"]})  # noqa: S102
    return printed.getvalue()


def _printed(command: str) -> str:
    program, *arguments = shlex.split(command.replace("\\\n", " "))
    if program.rpartition("/")[2] == "unroll":
        with pytest.MonkeyPatch.context() as patch:
            if "/" in program:  # an environment that is not active
                patch.setattr(sys, "argv", [program])
                patch.setenv("PATH", "")
            return CliRunner().invoke(main, arguments).output
    if program == "cat":
        return "".join(Path(file).read_text(encoding="utf8") for file in arguments)
    assert program == "python", command
    run = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True, timeout=250)
    return run.stdout


@contextmanager
def a_folder_with_the_files(place: Path) -> Iterator[None]:
    """Stay in a new folder that has the files at this place."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="unroll-docs-") as folder:
        shutil.copytree(FILES, Path(folder) / place, dirs_exist_ok=True)
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def current(page: Path) -> str:
    """The page with what its commands print now."""
    with a_folder_with_the_files(PAGES[page]):
        text = BLOCK.sub(lambda block: f"```console\n{transcript(block[1])}```", page.read_text(encoding="utf8"))
        return SAVING.sub(lambda shown: f"{shown[1]}```\n\n```text\n{saving(shown[1])}", text)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(current(path), encoding="utf8")
