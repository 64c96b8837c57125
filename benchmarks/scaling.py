"""How throughput follows the work: `python -m benchmarks.scaling --plots benchmarks/plots`. It goes over the cores, the
models in one engine, the length of a text, and the streams at the same time."""

import itertools
import json
import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
from tqdm import tqdm

from app.engine.protocol import Tokens
from benchmarks.before_after import cpu_seconds
from benchmarks.comparison import warm_up
from benchmarks.inputs import Workload, text_of_tokens, with_options, workload
from benchmarks.load import LoadGenerator
from benchmarks.options import OUTPUT, STORE, Counts, Names
from benchmarks.report import heading, number, refuse, table
from benchmarks.service import ServiceFailed, running_service
from benchmarks.sizing import only_on
from benchmarks.versions import copies

CLIENTS = 64
TEXTS_OF_A_LENGTH = 64
STREAMED_TOKENS = 64  # of each stream
_SEED = 20
_PATIENT = ("--queue-seconds", "600", "--request-seconds", "600")  # no request is refused
_AXES = ("cores", "models", "length", "streams")
_UNITS = {"cores": "texts", "models": "texts", "length": "tokens", "streams": "tokens"}  # of work


@dataclass(frozen=True)
class Point:
    """A measurement at one place of an axis: units of work per second, and processor time of the service for each, in
    ms."""

    axis: str
    size: int
    rate: float
    cost: float | None


@dataclass(frozen=True)
class Scaling:
    """The parts of all measurements."""

    store: Path
    load: LoadGenerator
    seconds: float
    failed: list[str]

    def point(self, axis: str, size: int, work: Workload, *, engines: int, clients: int, units: float) -> Point:
        """A closed loop against a service of its own; a request is `units` of work."""
        with running_service(work.folder.parent.parent, engines, *_PATIENT) as service:
            self.load.measure(service.port, work, clients=clients, warm_up=0, seconds=warm_up(self.seconds))
            before = cpu_seconds(service.pid)
            sample = self.load.measure(service.port, work, clients=clients, warm_up=0, seconds=self.seconds)
            spent = cpu_seconds(service.pid) - before
        self.failed.extend(sample.failures)
        answered = len(sample.latencies) * units
        return Point(axis, size, sample.rate * units, 1000 * spent / answered if answered else None)


def over_cores(scaling: Scaling, most: int) -> Iterator[Point]:
    """Labels by as many engines as cores; the clients use the other cores if there are any."""
    there = sorted(os.sched_getaffinity(0))
    work = _work("sentiment", scaling.store)
    for cores in range(1, min(most, len(there)) + 1):
        with only_on(set(there[:cores])):
            yield scaling.point("cores", cores, work, engines=cores, clients=CLIENTS, units=1)


def over_models(scaling: Scaling, counts: list[int]) -> Iterator[Point]:
    """Labels by one engine, for which the clients name one model after the other."""
    work = _work("sentiment", scaling.store)
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            copies(work.folder, Path(folder), count)
            names = itertools.cycle(f"m{number}" for number in range(count))
            requests = [json.loads(body) | {"model": next(names), "version": 1} for body in work.bodies]
            bodies = [json.dumps(request).encode() for request in requests]
            copied = replace(work, bodies=bodies, folder=Path(folder) / "m0" / "1")
            yield scaling.point("models", count, copied, engines=1, clients=CLIENTS, units=1)


def over_length(scaling: Scaling, lengths: list[int]) -> Iterator[Point]:
    """Labels of texts that have all about this number of tokens, by one engine."""
    work, source = _work("sentiment", scaling.store), random.Random(_SEED)
    for length in lengths:
        texts = [text_of_tokens("sentiment", scaling.store, length, source) for _ in range(TEXTS_OF_A_LENGTH)]
        bodies = [json.dumps({"inputs": text}).encode() for text, _ in texts]
        tokens = sum(count for _, count in texts) / len(texts)
        sources = [Tokens([0] * count) for _, count in texts]
        of_length = replace(work, bodies=bodies, sources=list(sources))
        yield scaling.point("length", length, of_length, engines=1, clients=CLIENTS, units=tokens)


def over_streams(scaling: Scaling, counts: list[int]) -> Iterator[Point]:
    """Translations of exactly so many tokens, streamed to each client, by one engine."""
    options = {"stream": True, "min_tokens": STREAMED_TOKENS, "max_tokens": STREAMED_TOKENS}
    work = with_options(_work("translate", scaling.store), **options)
    for count in counts:
        yield scaling.point("streams", count, work, engines=1, clients=count, units=STREAMED_TOKENS)


def _work(job: str, store: Path) -> Workload:
    work = workload(job, store)
    if work is None:
        raise click.ClickException(f"{store} has no usable default model for {job}")
    return work


def draw(points: list[Point], axis: str, folder: Path) -> None:
    """Write a plot of the throughput over one axis as PNG, beside what it would be if each unit of work cost as much as
    at the first place. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes, rates = [point.size for point in points], [point.rate for point in points]
    figure, axes = pyplot.subplots(figsize=(4.5, 3.2))
    ideal = [rates[0] * (size / sizes[0] if axis == "cores" else 1) for size in sizes]
    axes.plot(sizes, ideal, "--", color="#8d99ae", label="cost of the first")
    axes.plot(sizes, rates, "o-", color="#d1495b", label="measured")
    if axis != "cores":
        axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes], fontsize="small")
    axes.minorticks_off()
    axes.set_xlabel("tokens of a text" if axis == "length" else axis)
    axes.set_ylabel(f"{_UNITS[axis]}/s")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"scaling-{axis}.png", dpi=100)
    pyplot.close(figure)


def points_table(points: list[Point]) -> str:
    """A row for each point, with its cost ÷ that of the first one of its axis."""
    first = {point.axis: point.cost for point in reversed(points)}
    rows = [
        (
            point.axis,
            str(point.size),
            _UNITS[point.axis],
            f"{point.rate:.1f}",
            number(point.cost, ".3f"),
            number(point.cost / base if point.cost and (base := first[point.axis]) else None, ".2f"),
        )
        for point in points
    ]
    heads = ("over", "size", "unit of work", "units/s", "CPU ms a unit", "÷ first")
    return table(heads, rows, words=("over", "unit of work"))


@click.command()
@STORE
@click.option("--over", "axes", type=Names(_AXES), default=",".join(_AXES), show_default=True, help="Axes to measure.")
@click.option("--cores", type=click.IntRange(1), default=64, show_default=True, help="Most cores.")
@click.option("--models", type=Counts(), default="1,2,4,8,16", show_default=True, help="Models in one engine.")
@click.option("--lengths", type=Counts(), default="8,16,32,64,128,256", show_default=True, help="Tokens of a text.")
@click.option("--streams", type=Counts(), default="1,4,16,64,256,1000", show_default=True, help="At the same time.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=4.0, show_default=True, help="Per measurement.")
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Folder for a PNG of each axis.")
@OUTPUT
def main(
    store: Path,
    axes: list[str],
    cores: int,
    models: list[int],
    lengths: list[int],
    streams: list[int],
    seconds: float,
    plots: Path | None,
    output: Path | None,
) -> None:
    """Measure throughput and cost over each axis, and print a Markdown table. Ends with status 1 if a request
    failed."""
    about, points = heading("benchmarks.scaling"), list[Point]()
    with LoadGenerator() as load, tqdm(unit="run", dynamic_ncols=True) as bar:
        scaling = Scaling(store, load, seconds, [])
        measured = {
            "cores": lambda: over_cores(scaling, cores),
            "models": lambda: over_models(scaling, models),
            "length": lambda: over_length(scaling, lengths),
            "streams": lambda: over_streams(scaling, streams),
        }
        try:
            for axis in axes:
                bar.set_description(f"over {axis}")
                for point in measured[axis]():
                    points.append(point)
                    bar.update()
        except ServiceFailed as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"{about}\n\n{points_table(points)}")
    if plots is not None:
        for axis in axes:
            draw([point for point in points if point.axis == axis], axis, plots)
    if output is not None:
        figures = [vars(point) for point in points]
        output.write_text(json.dumps({"about": about, "points": figures}, indent=1) + "\n")
    refuse(scaling.failed)


if __name__ == "__main__":
    main()
