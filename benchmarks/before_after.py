"""Compares two checkouts: `python -m benchmarks.before_after ../before`. Both services run at the same time and get the
same load alternately, so that changes of the machine's speed affect both."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
from tqdm import tqdm

from benchmarks.comparison import warm_up, workloads
from benchmarks.inputs import JOBS
from benchmarks.load import LoadGenerator
from benchmarks.options import ENGINES, STORE, Counts, Names
from benchmarks.report import heading, refuse, table
from benchmarks.service import Service, ServiceFailed, running_service


class Turn(NamedTuple):
    """One closed loop against one service: requests/s, and processor time of the service per request, in ms."""

    rate: float
    cpu: float


@click.command()
@click.argument("before", type=click.Path(path_type=Path, exists=True, file_okay=False))
@STORE
@click.option("--tasks", "jobs", type=Names(JOBS), default=",".join(JOBS), show_default=True, help="Jobs to measure.")
@click.option("--clients", type=Counts(), default="1,64", show_default=True, help="Concurrent HTTP clients.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=1.0, show_default=True, help="Per measurement.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=20, show_default=True, help="Pairs of measurements.")
@ENGINES
def main(
    before: Path, store: Path, jobs: list[str], clients: list[int], seconds: float, rounds: int, engines: int
) -> None:
    """Compare this checkout with the one at BEFORE, which has its own environment in `.venv`."""
    about = heading("benchmarks.before_after")
    works, remarks = workloads(jobs, store)
    other = before / ".venv" / "bin" / "unroll"
    rows: list[Sequence[str]] = []
    failed: list[str] = []
    try:
        with (
            running_service(store, engines, unroll=other.absolute()) as old,
            running_service(store, engines) as new,
            LoadGenerator() as load,
            tqdm(total=len(works) * len(clients) * (rounds + 1), unit="round", dynamic_ncols=True) as bar,
        ):
            for work in works:
                for count in clients:
                    turns: dict[Service, list[Turn]] = {old: [], new: []}
                    for turn in range(rounds + 1):  # the first warms up
                        for service in (old, new) if turn % 2 else (new, old):
                            spent = cpu_seconds(service.pid)
                            sample = load.measure(
                                service.port,
                                work,
                                clients=count,
                                warm_up=warm_up(seconds) if not turn else 0,
                                seconds=seconds,
                            )
                            spent = cpu_seconds(service.pid) - spent
                            failed += sample.failures
                            if turn:
                                turns[service].append(Turn(sample.rate, 1000 * spent / max(1, len(sample.latencies))))
                        bar.update()
                    rows.append((work.job, str(count), *cells(turns[old], turns[new])))
    except ServiceFailed as error:
        raise click.ClickException(str(error)) from error
    heads = (
        "job",
        "clients",
        "requests/s before",
        "after",
        "after ÷ before",
        "CPU ms before",
        "after",
        "after ÷ before",
    )
    click.echo(f"{about}\n\n{table(heads, rows, words=('job',))}")
    for remark in remarks:
        click.echo(f"\n{remark}")
    refuse(failed)


def cells(old: Sequence[Turn], new: Sequence[Turn]) -> Iterator[str]:
    """For rate and processor time: both medians, and the median of the ratios of the pairs."""
    for before, after in zip(zip(*old, strict=True), zip(*new, strict=True), strict=True):
        yield f"{median(before):.2f}"
        yield f"{median(after):.2f}"
        ratios = [last / first for first, last in zip(before, after, strict=True) if first]
        yield f"{median(ratios):.3f}" if ratios else "–"


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its descendants until now."""
    used, tasks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13], Path(f"/proc/{pid}/task")
    children = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    return sum(map(int, used)) / os.sysconf("SC_CLK_TCK") + sum(cpu_seconds(int(child)) for child in children)


if __name__ == "__main__":
    main()
