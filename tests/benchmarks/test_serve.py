"""`python -m benchmarks.serve` as a whole, over the tiny store: every row, no failures."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ALONE = ["by hand, one by one", "engine's code, one by one"]
WAYS = {
    "sentiment": [*ALONE, "batches of 32, sorted by length"],
    "caption": [*ALONE, "batches of 8"],
    "translate": [
        *ALONE,
        "by hand, padded batches of 32",
        "step level, float32, 64 rows kept full",
        "step level, 64 rows kept full",
    ],
    "forecast": [*ALONE, "batches of 32"],
    "classify": [*ALONE, "batches of 32, sorted by length"],
}


@pytest.fixture(scope="module")
def benchmark(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """What the command printed, and the measurements that it wrote."""
    output = tmp_path_factory.mktemp("benchmark") / "figures.json"
    options = ["--store", str(tiny_store), "--seconds", "0.3", "--clients", "1,2", "--engines", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serve", *options, "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(output.read_text())["measurements"]


@pytest.mark.slow
def test_every_job_is_measured_in_every_way(benchmark: tuple[str, list[dict[str, Any]]]) -> None:
    table, measurements = benchmark
    rows = [
        (job, way)
        for job, ways in WAYS.items()
        for way in [*(f"in process, {way}" for way in ways), "HTTP, 1 client", "HTTP, 2 clients"]
    ]
    assert [(row["job"], row["way"]) for row in measurements] == rows
    for job, way in rows:
        assert f"| {job} | {way} | 1 |" in table


@pytest.mark.slow
def test_every_measurement_answers_requests(benchmark: tuple[str, list[dict[str, Any]]]) -> None:
    _, measurements = benchmark
    for row in measurements:
        assert row["throughput"] > 0, row
        assert row["refused"] == row["errors"] == 0, row
        if row["clients"]:
            assert 0 < row["p50"] <= row["p95"] <= row["p99"], row
            assert row["counters"]["consumed"] > 0, row


@pytest.mark.slow
def test_every_job_has_its_ratios(benchmark: tuple[str, list[dict[str, Any]]]) -> None:
    table, _ = benchmark
    ratios = table[table.index("HTTP at 2 ÷ ideal") :].splitlines()
    assert [row.split("|")[1].strip() for row in ratios[2:7]] == list(WAYS)
    assert "classify: no default model" in table  # the tiny store labels clips only


def test_a_job_without_a_model_is_left_out(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serve", "--store", str(tmp_path), "--tasks", "sentiment,forecast"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "no usable default model for sentiment, forecast" in done.stderr
