"""`python -m benchmarks.gpu` as a whole on a CPU, over the tiny store: every table, and what it needs to run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
HEAVY = ("fastapi", "uvicorn", "zmq", "pydantic_settings", "PIL", "tokenizers", "app.settings")


@pytest.fixture(scope="module")
def benchmark(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What the command printed, and the figures that it wrote."""
    output = tmp_path_factory.mktemp("benchmark") / "figures.json"
    options = ["--store", str(tiny_store), "--device", "cpu", "--seconds", "0.01", "--batch-sizes", "1,8"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *options, "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(output.read_text())


def test_it_says_that_it_is_not_a_gpu(benchmark: tuple[str, dict[str, Any]]) -> None:
    printed, _ = benchmark
    assert "no GPU" in printed.splitlines()[0]
    assert "Not on a GPU" in printed
    assert "| gnmt-shaped-but-small |" in printed


def test_steps_are_timed_both_ways(benchmark: tuple[str, dict[str, Any]]) -> None:
    _, figures = benchmark
    found = [(row["model"], row["rows"], row["in_one_go"]) for row in figures["steps"]]
    models = ("translate-en-ko", "caption-en", "gnmt-shaped-but-small")
    assert found == [(model, 1, way) for model in models for way in (False, True)]
    assert all(row["wall"] > 0 and row["kernels"] is None for row in figures["steps"])


def test_every_model_is_measured_over_batch_sizes(benchmark: tuple[str, dict[str, Any]]) -> None:
    printed, figures = benchmark
    rows = {(row["model"], row["what"], row["beams"], row["batch"]) for row in figures["rates"]}
    for model, what in (
        ("translate-en-ko", "sentences answered"),
        ("gnmt-shaped-but-small", "sentences answered"),
        ("caption-en", "images answered"),
    ):
        assert {(model, what, 1, 1), (model, what, 1, 8), (model, what, 5, 8)} <= rows
        assert (model, what, 5, 1) not in rows
    assert ("caption-en", "images encoded", 1, 8) in rows
    assert ("sentiment-en", "sources of 64 encoded", 1, 8) in rows
    assert all(row["requests"] > 0 for row in figures["rates"])
    assert "tokens/s, source + target" in printed


def test_it_needs_little_beside_torch() -> None:
    script = f"import sys, benchmarks.gpu; sys.exit(','.join(name for name in {HEAVY} if name in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
