"""Latency and throughput by the length of a unit: `python -m benchmarks.units`. See benchmarks/README.md."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import click
from tqdm import tqdm

from app.settings import Settings
from benchmarks.comparison import warm_up, workloads
from benchmarks.options import ENGINES, OUTPUT, STORE, Counts
from benchmarks.report import heading, number, refuse, table
from benchmarks.service import ServiceFailed, running_service
from benchmarks.traffic import CLIENTS, LONG_SHARE, MODERATE, Mix, Traffic, mix


@dataclass(frozen=True, kw_only=True)
class Row:
    """One unit in one round: latencies of short requests in milliseconds at moderate load, and requests per second of
    a closed loop."""

    unit: int
    round: int
    p50: float | None
    p99: float | None
    rate: float


@click.command()
@STORE
@click.option("--units", type=Counts(), default="1,2,3,6,12,24,48", show_default=True, help="Cell steps of a unit.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=4.0, show_default=True, help="Per measurement.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@ENGINES
@OUTPUT
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="PNG file for a plot.")
def main(
    store: Path, units: list[int], seconds: float, rounds: int, engines: int, output: Path | None, plot: Path | None
) -> None:
    """Measure translations with units of several lengths and print a Markdown table of medians over the rounds."""
    about = heading("benchmarks.units")
    requests = mix(workloads(["translate"], store)[0][0], store)
    rows: list[Row] = []
    failures: list[str] = []
    try:
        for row, failed in _rows(store, requests, units, seconds, rounds, engines):
            rows.append(row)
            failures += failed
    except ServiceFailed as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{about}\n\n{units_table(rows)}")
    if output is not None:
        output.write_text(json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    if plot is not None:
        draw(rows, plot)
    refuse(failures)


def _rows(
    store: Path, requests: Mix, units: Sequence[int], seconds: float, rounds: int, engines: int
) -> Iterator[tuple[Row, list[str]]]:
    """In each round, a service for each unit, all with the same load."""
    warm = warm_up(seconds)
    usual = Settings().unit
    with (
        Traffic() as traffic,
        tqdm(total=1 + rounds * len(units), desc=f"capacity, unit {usual}", unit="run", dynamic_ncols=True) as bar,
    ):
        with running_service(store, engines, "--unit", str(usual)) as service:
            capacity = traffic.peak(service.port, requests.both, warm_up=warm, seconds=seconds).rate
        if not capacity:
            raise click.ClickException("no request was answered in time: raise --seconds")
        bar.update()
        for turn in range(rounds):
            for unit in units:
                bar.set_description(f"round {turn + 1}, unit {unit}")
                with running_service(store, engines, "--unit", str(unit)) as service:
                    closed = traffic.peak(service.port, requests.both, warm_up=warm, seconds=seconds)
                    short, long = traffic.moderate(
                        service.port, requests, capacity, seed=turn, warm_up=warm, seconds=seconds
                    )
                bar.update()
                row = Row(
                    unit=unit,
                    round=turn,
                    p50=short.milliseconds(0.5),
                    p99=short.milliseconds(0.99),
                    rate=closed.rate,
                )
                yield row, [failure for sample in (closed, short, long) for failure in sample.failures]


def middle(rows: Sequence[Row], unit: int, figure: str) -> float | None:
    """The median of a figure over the rounds."""
    found = [value for row in rows if row.unit == unit and (value := getattr(row, figure)) is not None]
    return median(found) if found else None


def units_table(rows: Sequence[Row]) -> str:
    """A row for each unit."""
    heads = ("unit", "p50 ms, short", "p99 ms, short", f"requests/s at {CLIENTS}")
    return table(
        heads,
        [
            (str(unit), *(number(middle(rows, unit, figure), ".1f") for figure in ("p50", "p99", "rate")))
            for unit in dict.fromkeys(row.unit for row in rows)
        ],
    )


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write two plots over the unit as PNG: latencies, and throughput. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    units = list(dict.fromkeys(row.unit for row in rows))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2))
    for name, label, colour in (("p50", "median", "#8d99ae"), ("p99", "99th percentile", "#d1495b")):
        left.plot(units, [middle(rows, unit, name) for unit in units], "o-", label=label, color=colour)
    left.set_ylabel("ms")
    left.set_title(f"latency of short requests, {LONG_SHARE:.0%} long, load {MODERATE:g}", fontsize="medium")
    left.legend(frameon=False)
    right.plot(units, [middle(rows, unit, "rate") for unit in units], "o-", color="#d1495b")
    right.set_ylabel("requests/s")
    right.set_title(f"throughput, {CLIENTS} clients", fontsize="medium")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(units, [str(unit) for unit in units])
        axes.set_xlabel("cell steps of a unit")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
