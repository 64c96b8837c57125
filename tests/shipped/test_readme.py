"""The curl commands of the README print the answers that it shows; `...` is what it leaves out."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.tasks.registry import TASKS
from tests.conftest import PATIENCE

ROOT = Path(__file__).parents[2]
REST = "..."
SHOWN = re.findall(r"^\$ (curl .*)\n(\{.*\})$", ROOT.joinpath("README.md").read_text(encoding="utf8"), re.MULTILINE)


def parsed(shown: str) -> Any:
    """An answer with `...` as a member or an item."""
    shown = re.sub(r"\.\.\.(?=\])", f'"{REST}"', shown)
    return json.loads(re.sub(r"\.\.\.(?=\})", f'"{REST}": null', shown))


def is_part(shown: Any, answer: Any) -> bool:
    """Whether an answer has what is shown of it, in the digits that are shown."""
    if isinstance(shown, dict):
        members = {name: item for name, item in shown.items() if name != REST}
        whole = members.keys() < answer.keys() if REST in shown else members.keys() == answer.keys()
        return whole and all(is_part(item, answer[name]) for name, item in members.items())
    if isinstance(shown, list):
        items = [item for item in shown if item != REST]
        whole = len(answer) > len(items) if REST in shown else len(answer) == len(items)
        return whole and all(is_part(item, given) for item, given in zip(items, answer, strict=False))
    return bool(answer == (pytest.approx(shown, abs=0.01) if isinstance(shown, float) else shown))


def test_readme_shows_each_job() -> None:
    shown = [re.search(r"/v1/(\w+)", command)[1] for command, _ in SHOWN]  # type: ignore[index]
    jobs = {task.face.path.removeprefix("/v1/") for task in TASKS} - {"states"}  # a means, no job of its own
    assert sorted(shown) == sorted(jobs)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=[str(index) for index in range(len(SHOWN))])
def test_curl_prints_what_readme_says(command: str, shown: str, shipped_service: str) -> None:
    command = command.replace("http://127.0.0.1:8000", shipped_service)
    printed = subprocess.run(command, shell=True, check=True, capture_output=True, cwd=ROOT, timeout=PATIENCE).stdout
    assert is_part(parsed(shown), json.loads(printed))


def test_another_answer_is_not_taken() -> None:
    shown = parsed('{"a": [{"b": 0.5, ...}, ...], ...}')
    assert is_part(shown, {"a": [{"b": 0.501, "c": 1}, 2], "d": 3})
    assert not is_part(shown, {"a": [{"b": 0.6}, 2], "d": 3})
    assert not is_part(shown, {"a": [{"b": 0.5}], "d": 3})
    assert not is_part(parsed('{"a": 1}'), {"a": 1, "b": 2})
