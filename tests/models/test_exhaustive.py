"""Switches on kinds are exhaustive: the type checker reports a kind that a switch does not handle."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import app
from app.models.cells import COMPUTATIONS
from app.store.recurrence import CELLS, CellKind

ROOT = Path(app.__file__).parents[1]
FOLDERS = ("app/models", "app/importers", "app/store")
KINDS = ["CellKind", "Pooling", "AttentionKind", "Bridge", "PackedKind", "NativeKind"]


def test_every_kind_of_cell_is_described_and_computed() -> None:
    assert CELLS.keys() == COMPUTATIONS.keys() == set(get_args(CellKind))


def test_every_match_ends_in_assert_never() -> None:
    seen = 0
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Match):
                seen += 1
                assert ast.unparse(node.cases[-1]).replace("\n", "").startswith("case _:    assert_never("), (
                    f"{path}:{node.lineno}"
                )
    assert seen >= 10


@pytest.mark.slow
def test_the_type_checker_finds_every_switch_without_a_new_kind(tmp_path: Path) -> None:
    """In a copy of the sources each `Literal` of kinds gets another member."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("static", "__pycache__", "*.so"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    added = set()
    for path in (tmp_path / "app").rglob("*.py"):
        text = path.read_text(encoding="utf8")
        changed = re.sub(rf"^({'|'.join(KINDS)}) = Literal\[", r'\1 = Literal["something_new", ', text, flags=re.M)
        if changed != text:
            added |= set(re.findall(r'^(\w+) = Literal\["something_new"', changed, flags=re.M))
            path.write_text(changed, encoding="utf8")
    assert added == set(KINDS)
    command = [sys.executable, "-m", "mypy", "app/models", "app/store/architecture.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110)
    found = {
        line.partition(":")[0] for line in ran.stdout.splitlines() if 'to "assert_never" has incompatible type' in line
    }
    assert found == {
        "app/models/attention.py",
        "app/models/decoders.py",
        "app/models/pooling.py",
        "app/models/serving/packed.py",
        "app/store/attention.py",
        "app/store/encoder_decoder.py",
    }, ran.stdout
