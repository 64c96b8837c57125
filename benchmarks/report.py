"""Figures as Markdown: a table of measurements, a table of ratios, and the lines of every report."""

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import click

from app.machine import available_cores
from benchmarks.sample import Sample
from benchmarks.ways import Kind

NONE = "–"
QUIET = 0.95  # share of a core that a busy process gets on a machine without other work


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row. `processes` run the model; `clients` and `counters`, what the engines counted in the meantime, are
    there over HTTP only."""

    job: str
    kind: Kind
    way: str
    processes: int
    sample: Sample
    clients: int = 0
    counters: dict[str, float] | None = None

    def counted(self, name: str) -> float:
        return (self.counters or {}).get(name, 0.0)

    @property
    def wasted(self) -> float | None:
        """Wasted ÷ useful cell steps of encoding."""
        useful = self.counted("consume_useful")
        return (self.counted("consume_padded") - useful) / useful if useful else None

    @property
    def rows(self) -> float | None:
        """Mean rows of a decoding step."""
        steps = self.counted("emit_steps")
        return self.counted("emit_rows") / steps if steps else None

    def as_json(self) -> dict[str, object]:
        """The row with its figures instead of each latency; throughput in requests/s, latency in ms."""
        sample = self.sample
        return {
            "job": self.job,
            "way": self.way,
            "processes": self.processes,
            "clients": self.clients,
            "throughput": sample.rate,
            "p50": sample.milliseconds(0.5),
            "p95": sample.milliseconds(0.95),
            "p99": sample.milliseconds(0.99),
            "refused": sample.refused,
            "errors": len(sample.errors),
            "measuring_cores": sample.cores,
            "counters": self.counters,
        }


def heading(module: str) -> str:
    """Date, machine, versions and command in one line."""
    return f"{machine()}: `{shlex.join(['python', '-m', module, *sys.argv[1:]])}`"


def refuse(failures: Iterable[str]) -> None:
    """Print the first failures and raise ClickException, if any."""
    told = sorted(set(failures))
    for failure in told[:5]:
        click.echo(f"failed: {failure}", err=True)
    if told:
        raise click.ClickException("requests were refused or failed: do not use the figures above")


def machine() -> str:
    """Date, machine and versions in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    load = os.getloadavg()[0]
    cores = f"{available_cores()} cores of {models[0] if models else 'an unnamed CPU'}"
    return f"{date.today()}, {cores}, torch {version('torch')}, load average at the start {load:.1f}"


def measurements_table(measurements: Iterable[Measurement]) -> str:
    """A row for each measurement."""
    figures = ("requests/s", "p50 ms", "p95 ms", "p99 ms", "refused", "errors")
    heads = ("job", "way", "processes", *figures, "model cores", "client cores")
    rows = [
        (
            row.job,
            row.way,
            str(row.processes),
            f"{row.sample.rate:.1f}",
            *(number(row.sample.milliseconds(share), ".1f") for share in (0.5, 0.95, 0.99)),
            *((str(row.sample.refused), str(len(row.sample.errors))) if row.kind == "http" else (NONE, NONE)),
            number(None if row.kind == "http" else row.sample.cores, ".2f"),
            number(row.sample.cores if row.kind == "http" else None, ".2f"),
        )
        for row in measurements
    ]
    return table(heads, rows)


def disturbance(measurements: Iterable[Measurement]) -> str | None:
    """A warning if busy processes did not get a whole core, because other work was running."""
    shares = [row.sample.cores / row.processes for row in measurements if row.kind != "http"]
    if min(shares) >= QUIET:
        return None
    return f"Not quiet: a model in process got only {min(shares):.0%} of its core, so other work ran beside it."


@dataclass(frozen=True, kw_only=True)
class Ratios:
    """What the service makes of the cores with one job, at the most clients that were measured; None where a row for
    it is missing. `overhead` is in milliseconds."""

    job: str
    clients: int
    of_ideal: float | None
    by_hand: float | None
    batching: float | None
    overhead: float | None
    wasted: float | None
    rows: float | None


def ratios(measurements: Iterable[Measurement], job: str) -> Ratios:
    """The ratios of one job."""
    rows = [row for row in measurements if row.job == job]
    by_kind = {row.kind: row.sample for row in rows if row.kind != "http"}
    by_clients = {row.clients: row for row in rows if row.kind == "http"}
    rates = {kind: sample.rate for kind, sample in by_kind.items()}
    most = max(by_clients)
    top = by_clients[most]
    alone = by_clients[1].sample.milliseconds(0.5) if 1 in by_clients else None
    own = by_kind["engine's code"].milliseconds(0.5) if "engine's code" in by_kind else None
    return Ratios(
        job=job,
        clients=most,
        of_ideal=_over(top.sample.rate, rates.get("ideal")),
        by_hand=_over(top.sample.rate, rates.get("by hand")),
        batching=_over(rates.get("step level"), rates.get("padded")),
        overhead=None if alone is None or own is None else alone - own,
        wasted=top.wasted,
        rows=top.rows,
    )


def _over(value: float | None, other: float | None) -> float | None:
    return None if value is None or not other else value / other


def ratios_table(found: Sequence[Ratios]) -> str:
    """A row for each job."""
    most = found[0].clients
    heads = (
        "job",
        f"HTTP at {most} ÷ ideal",
        f"HTTP at {most} ÷ by hand",
        "step level ÷ padded batches",
        "overhead at 1, ms",
        "wasted ÷ useful",
        "rows per step",
    )
    rows = [
        (
            row.job,
            number(row.of_ideal, ".2f"),
            number(row.by_hand, ".2f"),
            number(row.batching, ".2f"),
            number(row.overhead, ".1f"),
            number(row.wasted, ".1%"),
            number(row.rows, ".1f"),
        )
        for row in found
    ]
    return table(heads, rows)


def number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[str] = ("job", "way")) -> str:
    """Columns of `words` on the left, numbers on the right."""
    rule = ["---" if head in words else "---:" for head in heads]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))
