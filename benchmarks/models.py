"""Compares the included models: `python -m benchmarks.models` writes docs/models.md.

Quality comes from the manifests, limits from the recipes' cards, speed and answers from a service that is started here.
The inputs are those of `benchmarks.examples`.
"""

import json
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import click

from app.engine.protocol import Label
from app.store.manifest import Manifest
from app.store.model_store import read_store
from benchmarks.examples import COUNT, Example, bodies_of, columns
from benchmarks.inputs import Workload
from benchmarks.load import LoadGenerator
from benchmarks.options import STORE
from benchmarks.report import heading
from benchmarks.service import Service, running_service
from training.evaluate import recipe_of

CLIENTS = 32


class Row(NamedTuple):
    """A model with its answers, its latency alone in ms, and its answers per second with `CLIENTS` clients."""

    manifest: Manifest
    alone: float
    rate: float
    answers: list[tuple[Example, str]]


def _ask(service: Service, path: str, body: bytes) -> dict[str, Any]:
    address = f"http://127.0.0.1:{service.port}{path}"
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        result: dict[str, Any] = json.load(answer)["results"][0]
    return result


def _shown(result: dict[str, Any]) -> str:
    match result:
        case {"label": label, "polarity": polarity}:
            return f"{label}, {polarity:+.2f}"
        case {"label": label, "score": score}:
            return f"{label}, {score:.2f}"
        case {"tags": tags}:
            return " ".join(f"{word['text']}/{word['label']}" for word in tags)
        case {"values": rows, "targets": targets}:
            return columns(targets, rows)
        case _:
            return str(result["text"])


def measure(service: Service, manifest: Manifest, data: Path, load: LoadGenerator, seconds: float) -> Row:
    """Send a model its examples, then measure it with them."""
    path, inputs = bodies_of(manifest, data)
    bodies = [json.dumps(body).encode() for _, body in inputs]
    answers = [(example, _shown(_ask(service, path, body))) for (example, _), body in zip(inputs, bodies, strict=True)]
    work = Workload(manifest.task, manifest.name, Path(), Label(), path, "application/json", bodies, [])
    alone, busy = (
        load.measure(service.port, work, clients=clients, warm_up=1, seconds=seconds) for clients in (1, CLIENTS)
    )
    return Row(manifest, 1000 * sorted(alone.latencies)[len(alone.latencies) // 2], busy.rate, answers)


def _cell(text: str) -> str:
    """A text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def page(rows: list[Row], about: str) -> str:
    """docs/models.md."""
    columns = ("model", "task", "network", "parameters", "MB", "ms", "answers/s", "first figure")
    table = [columns, ("---",) * len(columns)]
    for row in rows:
        manifest, first = row.manifest, row.manifest.quality[0]
        size, parameters = f"{manifest.bytes / 1e6:.1f}", f"{manifest.parameters / 1e6:.3g} M"
        network, figure = manifest.architecture.describe(), f"{first.measure} {first.value:.4g}"
        speed = (f"{row.alone:.1f}", f"{row.rate:.0f}")
        table.append((f"`{manifest.name}`", manifest.task, network, parameters, size, *speed, figure))
    parts = [
        "# Models",
        "The models in `model_store/`, trained by the recipes in `training/`; the `MODEL_CARD.md` of each has the "
        f"details. `python -m benchmarks.models` wrote this page on {date.today()}. Speed is measured with the "
        f"{COUNT} inputs below: the median latency with one client, and answers per second with {CLIENTS}. {about}",
        "\n".join(f"| {' | '.join(cells)} |" for cells in table),
        f"{COUNT} inputs for each model, not chosen: the first of its test data, with what the data says and all the "
        "answers, good and bad. Answers of sentiment are label and polarity, those of clips label and score; "
        "completions are sampled with temperature 0.7, top-p 0.9 and seed 1.",
    ]
    for row in rows:
        manifest = row.manifest
        quality = "\n".join(f"| {item.measure} | {item.value:.4g} | {item.data} |" for item in manifest.quality)
        answers = "\n".join(
            f"| {_cell(example.shown)} | {_cell(example.reference)} | {_cell(answer)} |"
            for example, answer in row.answers
        )
        parts += [
            f"## `{manifest.name}`\n\n{manifest.description}",
            f"| measure | value | on |\n|---|---|---|\n{quality}",
            f"Limits: {recipe_of(manifest.name).card.limits}",
            f"| input | test data | answer |\n|---|---|---|\n{answers}",
        ]
    return "\n\n".join(parts) + "\n"


@click.command(help=__doc__)
@STORE
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), help="Folder with the raw data.")
@click.option("--seconds", default=3.0, show_default=True, help="Per measurement.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("docs/models.md"), show_default=True)
def main(store: Path, data: Path, seconds: float, output: Path) -> None:
    about = heading("benchmarks.models")
    with running_service(store, 2) as service, LoadGenerator() as load:
        versions = read_store(store).versions
        rows = [measure(service, version.manifest, data, load, seconds) for version in versions]
    output.write_text(page(rows, about), encoding="utf8")


if __name__ == "__main__":
    main()
