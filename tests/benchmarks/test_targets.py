"""`python -m benchmarks.targets` and `benchmarks.units` over the tiny store, and what they make of answers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.engine.protocol import Tokens
from benchmarks.before_after import Turn, cells
from benchmarks.inputs import LONG_ANSWER, Workload, long_texts, mixed, shorter_half, with_options, workload
from benchmarks.load import OpenSample
from benchmarks.targets import at_least, at_most, goodput, targets_table
from benchmarks.units import Row, draw, units_table

ROOT = Path(__file__).parents[2]
SECONDS = ["--seconds", "0.3", "--rounds", "1", "--engines", "1"]


def _run(module: str, store: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{module}", "--store", str(store), *SECONDS, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def sentences(tiny_store: Path) -> Workload:
    work = workload("translate", tiny_store)
    assert work is not None
    return work


@pytest.mark.slow
def test_every_target_of_a_job_is_measured(tiny_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    done = _run("targets", tiny_store, "--tasks", "translate", "--output", str(output))
    assert done.returncode == 0, done.stderr
    lines: list[dict[str, Any]] = json.loads(output.read_text())["lines"]
    assert [line["row"] for line in lines] == [1, 2, 4, 5, 6, 7, 7, 7, 8]
    for line in lines:
        assert f"| {line['row']} | {line['what']} | {line['target']} | {line['measured']} |" in done.stdout
        assert line["is_met"] is not None or "refusal" in line["what"], line


@pytest.mark.slow
def test_a_unit_is_measured(tiny_store: Path) -> None:
    done = _run("units", tiny_store, "--units", "3")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows == ["unit", "---:", "3"]
    assert "–" not in done.stdout


@pytest.mark.slow
def test_two_checkouts_are_compared(tiny_store: Path) -> None:
    """This checkout with itself."""
    command = [sys.executable, "-m", "benchmarks.before_after", str(ROOT), "--store", str(tiny_store), *SECONDS[:2]]
    command += ["--rounds", "3", "--engines", "1", "--tasks", "translate", "--clients", "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    row = done.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert row[:2] == ["translate", "8"]
    assert all(float(figure) > 0 for figure in row[2:])


def test_ratios_are_of_pairs() -> None:
    old, new = [Turn(100, 1), Turn(50, 2)], [Turn(110, 2), Turn(60, 3)]
    assert list(cells(old, new)) == ["75.00", "85.00", "1.150", "1.50", "2.50", "1.750"]


def test_units_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [Row(unit=unit, round=0, p50=1.0, p99=2.0, rate=100.0) for unit in (1, 6)]
    draw(rows, tmp_path / "plots" / "units.png")
    assert (tmp_path / "plots" / "units.png").read_bytes().startswith(b"\x89PNG")


def test_figures_stand_beside_their_targets() -> None:
    lines = [
        at_least(1, "share", 0.8, 0.8),
        at_most(5, "waste", 0.05, 0.051, ".1%"),
        at_most(7, "refusal", 10, None, ".0f", "none refused"),
    ]
    assert targets_table(lines).splitlines()[2:] == [
        "| 1 | share | ≥ 0.80 | 0.80 | ok |",
        "| 5 | waste | ≤ 5.0% | 5.1% | short |",
        "| 7 | refusal | ≤ 10 | – (none refused) | – |",
    ]


def test_goodput_counts_what_came_in_time() -> None:
    sample = OpenSample(rate=2, latencies=(0.1, 0.2, 0.3, 4.0), refusals=(0.001,), refused=1)
    assert goodput(sample, 0.2, 2.0) == 1
    assert sample.failures == ["1 requests were refused"]


def test_units_are_told_by_medians() -> None:
    rows = [Row(unit=6, round=turn, p50=1.0, p99=p99, rate=100.0) for turn, p99 in enumerate((9.0, 2.0, 3.0))]
    assert units_table(rows).endswith("| 6 | 1.0 | 3.0 | 100.0 |")


def test_long_texts_are_as_long_as_the_model_takes(tiny_store: Path, sentences: Workload) -> None:
    long = long_texts("translate", tiny_store)
    lengths = [len(source.ids) for source in long.sources if isinstance(source, Tokens)]
    assert 90 <= min(lengths) <= max(lengths) <= 120  # the tiny translator's limit
    assert all(json.loads(body)["max_tokens"] == LONG_ANSWER for body in long.bodies)
    assert "max_tokens" not in json.loads(long_texts("sentiment", tiny_store).bodies[0])


def test_a_mix_has_its_share_of_long_texts(tiny_store: Path, sentences: Workload) -> None:
    short, long = shorter_half(sentences), long_texts("translate", tiny_store)
    assert len(sentences.bodies) / 2 <= len(short.bodies) < len(sentences.bodies)
    both = mixed(short, long, 0.1)
    assert both.bodies[1:10] == short.bodies[:9]
    assert both.bodies[0] == long.bodies[0]
    assert sum(body in long.bodies for body in both.bodies) == pytest.approx(len(both.bodies) / 10, abs=1)


def test_options_go_into_every_request(tiny_store: Path, sentences: Workload) -> None:
    assert json.loads(with_options(sentences, timeout_ms=5).bodies[3])["timeout_ms"] == 5
    photos = workload("caption", tiny_store)
    assert photos is not None
    assert with_options(photos, timeout_ms=5).path == f"{photos.path}&timeout_ms=5"
