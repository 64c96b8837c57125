"""Start and first answers of a store with many small versions: `python -m benchmarks.versions`."""

import json
import random
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import httpx
import psutil

from benchmarks.options import STORE
from benchmarks.report import heading, table
from benchmarks.service import engines_of, running_service


@dataclass(frozen=True)
class Figures:
    """Seconds until the service is ready, processor time of all its processes until then, seconds of each first
    answer, bytes of the engine."""

    ready: float
    worked: float
    answers: list[float]
    engine: int


def copies(version: Path, store: Path, count: int) -> None:
    """A store of one version under the names m0, m1, ..."""
    for number in range(count):
        folder = store / f"m{number}" / "1"
        shutil.copytree(version, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(
            json.dumps(manifest | {"name": f"m{number}", "version": 1, "default": number == 0})
        )


def measure(store: Path, count: int, asked: int, *options: str) -> Figures:
    """Start a service over `count` copies, and ask `asked` of them for the first time."""
    began = time.monotonic()
    with running_service(store, 1, *options) as service:
        ready = time.monotonic() - began
        own = psutil.Process(service.pid)
        children = own.children(recursive=True)
        worked = sum(sum(one.cpu_times()[:2]) for one in (own, *children))
        (engine,) = engines_of(own)
        answers = []
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=30) as http:
            for number in random.Random(1).sample(range(count), asked):
                asks = time.monotonic()
                body = {"inputs": "a warm and funny film", "model": f"m{number}"}
                http.post("/v1/sentiment", json=body).raise_for_status()
                answers.append(time.monotonic() - asks)
        return Figures(ready, worked, answers, engine.memory_info().rss)


@click.command()
@STORE
@click.option("--model", default="sentiment-en/2", show_default=True, help="The version of which copies are made.")
@click.option("--count", type=click.IntRange(1, 5000), default=500, show_default=True)
@click.option("--asked", type=click.IntRange(1), default=60, show_default=True, help="Versions that are asked.")
@click.option("--models-memory", type=int, help="Bytes of loaded models, as in `unroll serve`.")
def main(store: Path, model: str, count: int, asked: int, models_memory: int | None) -> None:
    """Print a Markdown table. The copies take as much space in the temporary folder as the version, `count` times."""
    click.echo(f"{heading('benchmarks.versions')}\n")
    with tempfile.TemporaryDirectory() as folder:
        copies(store / model, Path(folder), count)
        options = () if models_memory is None else ("--models-memory", str(models_memory))
        figures = measure(Path(folder), count, min(asked, count), *options)
    heads = ["versions", "ready s", "processor s", "mean first answer s", "slowest s", "engine MB"]
    mean = sum(figures.answers) / len(figures.answers)
    seconds = (figures.ready, figures.worked, mean, max(figures.answers))
    cells = [str(count), *(f"{one:.2f}" for one in seconds), f"{figures.engine / 1e6:.0f}"]
    click.echo(table(heads, [cells], words=()))


if __name__ == "__main__":
    main()
