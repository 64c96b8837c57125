"""The folder of the kits: checkpoints of the original repositories, with the answers of their own code."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

KITS = Path(os.environ.get("UNROLL_PARITY", Path(__file__).parents[2].parent / "shared" / "parity"))

needs_kits = pytest.mark.skipif(
    not KITS.is_dir(), reason=f"NOT COMPARED with the original code's answers: no kits in {KITS}, see UNROLL_PARITY"
)
FAMILIES = Path(os.environ.get("UNROLL_KITS", KITS.parent / "kits"))

needs_families = pytest.mark.skipif(
    not FAMILIES.is_dir(),
    reason=f"NOT COMPARED with the original code's answers: no kits in {FAMILIES}, see UNROLL_KITS",
)


def expected(kit: str, file: str) -> Any:
    """The answers of the original code."""
    return json.loads((KITS / kit / file).read_text(encoding="utf8"))
