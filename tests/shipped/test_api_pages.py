"""The answers that pages of the API show are those of the shipped models."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app.tasks.registry import TASKS
from tests.shipped.conftest import rounded

ROOT = Path(__file__).parents[2]
REST = "..."  # the numbers of a list that a page leaves out


def transcripts() -> Iterator[tuple[str, Any]]:
    """The last curl command of a block, and the JSON of the block after it."""
    for page in ("tasks", "openai"):
        blocks = re.findall(
            r"^```(\w*)\n(.*?)^```", (ROOT / f"docs/api/{page}.md").read_text(encoding="utf8"), re.M | re.S
        )
        for (_, before), (language, answer) in pairwise(blocks):
            if language == "json":
                yield "curl " + before.split("curl ")[-1], json.loads(answer)


TRANSCRIPTS = list(transcripts())


def test_each_task_has_an_answer() -> None:
    shown = {re.search(r"/v1/(\w+)", command)[1] for command, _ in TRANSCRIPTS}  # type: ignore[index]
    paths = {task.face.path.removeprefix("/v1/") for task in TASKS}
    assert shown == paths - {"states"} | {"embeddings"}  # a state is another string each time: docs/state.md


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("command", "shown"), TRANSCRIPTS, ids=[str(index) for index in range(len(TRANSCRIPTS))])
def test_the_answer_is_the_shown_one(command: str, shown: Any, shipped_service: str) -> None:
    command = command.replace("http://127.0.0.1:8000", shipped_service)
    printed = subprocess.run(command, shell=True, check=True, capture_output=True, cwd=ROOT, timeout=60).stdout
    assert cut(json.loads(printed), shown) == rounded(shown)


def cut(answer: Any, shown: Any) -> Any:
    """An answer without the numbers that a page leaves out."""
    if isinstance(answer, dict) and isinstance(shown, dict):
        return {name: cut(item, shown.get(name)) for name, item in answer.items()}
    if isinstance(answer, list) and isinstance(shown, list):
        if shown[-1:] == [REST]:
            return [*answer[: len(shown) - 1], REST]
        if len(answer) == len(shown):
            return [cut(item, of) for item, of in zip(answer, shown, strict=True)]
    return answer
