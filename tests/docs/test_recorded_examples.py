"""Recorded examples: one of each kind of problem, of the shipped answers those that are shown, and still true."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.api.openapi import examples
from app.api.openapi.examples import recorded_answers, recorded_problems
from app.api.problems import ALL_KINDS, Kind
from tests.api.operations import OPERATIONS
from tests.docs.provoked_problems import record_problems, slug_of
from tests.docs.shipped_answers import shown

COMMAND = "run: make examples"
RETRY = "retry_after_seconds"


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.slug)
def test_every_kind_of_problem_is_recorded(kind: Kind) -> None:
    recorded = recorded_problems()[kind.slug]
    head = {"type": f"/problems/{kind.slug}", "title": kind.title, "status": kind.status}
    assert recorded.items() >= head.items(), COMMAND
    assert recorded["detail"] != kind.title


def test_nothing_else_is_recorded() -> None:
    assert list(dict.fromkeys(map(slug_of, recorded_problems()))) == [kind.slug for kind in ALL_KINDS], COMMAND
    assert {name.partition(" of ")[2] for name in recorded_problems()} <= {"", *(one.name for one in OPERATIONS)}
    there = {operation.name: shown(operation) for operation in OPERATIONS if shown(operation)}
    assert {name: tuple(answers) for name, answers in recorded_answers().items()} == there, COMMAND


@pytest.mark.slow
def test_problems_are_recorded_again_alike(tmp_path: Path) -> None:
    """Seconds may differ."""
    again = record_problems(tmp_path)
    assert again.keys() == recorded_problems().keys(), COMMAND
    for slug, problem in recorded_problems().items():
        assert without_seconds(again[slug]) == without_seconds(problem), COMMAND
        assert again[slug].get(RETRY, 0) == pytest.approx(problem.get(RETRY, 0), abs=10)


def without_seconds(problem: dict[str, Any]) -> dict[str, Any]:
    return {**problem, "detail": re.sub(r"\d+ s\b", "N s", problem["detail"]), RETRY: RETRY in problem}


def test_a_wheel_has_all_files() -> None:
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["app.api.openapi"]
    folder = Path(examples.__file__).parent
    packed = {path for pattern in patterns for path in folder.glob(pattern)}
    assert packed == {examples.PROBLEMS_FILE, examples.ANSWERS_FILE}
