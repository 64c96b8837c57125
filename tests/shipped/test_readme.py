"""The curl commands of the README print the output that it shows."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.tasks.registry import TASKS
from tests.shipped.conftest import rounded

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```console\n\$ (curl .*?)```", ROOT.joinpath("README.md").read_text(encoding="utf8"), re.DOTALL)


def _split(block: str) -> tuple[str, Any]:
    """A command, which may span lines that end in a backslash, and the JSON below it."""
    lines = block.splitlines()
    end = next(index for index, line in enumerate(lines) if not line.endswith("\\"))
    return "\n".join(lines[: end + 1]), json.loads("\n".join(lines[end + 1 :]))


def test_readme_has_a_transcript_for_each_job() -> None:
    shown = {re.search(r"/v1/(\w+)", block)[1] for block in BLOCKS}  # type: ignore[index]
    assert shown == {task.face.path.removeprefix("/v1/") for task in TASKS} - {"states"}  # a means, no job of its own


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("block", BLOCKS, ids=[str(index) for index in range(len(BLOCKS))])
def test_curl_prints_what_readme_says(block: str, shipped_service: str) -> None:
    command, expected = _split(block)
    command = command.replace("http://127.0.0.1:8000", shipped_service)
    printed = subprocess.run(command, shell=True, check=True, capture_output=True, cwd=ROOT, timeout=60).stdout
    assert json.loads(printed) == rounded(expected)
