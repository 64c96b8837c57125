"""Examples in the OpenAPI document: what real services answered when `make examples` recorded them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "recorded"
PROBLEMS_FILE = _FOLDER / "problems.json"
ANSWERS_FILE = _FOLDER / "answers.json"


@cache
def recorded_problems() -> dict[str, dict[str, Any]]:
    """A problem of each kind, by slug; by `SLUG of OPERATION` those of operations whose advice is another."""
    return _read(PROBLEMS_FILE)


@cache
def recorded_answers() -> dict[str, dict[str, Any]]:
    """Answers of the shipped models, by operation and by example of its body."""
    return _read(ANSWERS_FILE)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
    return content
