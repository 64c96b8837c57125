"""A store of many small versions: each answers its first request, also when they do not all fit into memory."""

from pathlib import Path

import pytest

from benchmarks.versions import copies, measure

COUNT = 500


@pytest.mark.slow
@pytest.mark.parametrize("memory", [(), ("--models-memory", "4000000")])
def test_any_of_500_versions_answers(tiny_store: Path, tmp_path: Path, memory: tuple[str, ...]) -> None:
    copies(tiny_store / "sentiment-en" / "1", tmp_path, COUNT)
    assert len(measure(tmp_path, COUNT, 60, *memory).answers) == 60
