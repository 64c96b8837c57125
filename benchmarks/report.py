"""Measurements as Markdown: one table of all, one of the ratios between them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from app.settings import available_cores
from benchmarks.sample import Sample

Kind = Literal["one by one", "padded", "ideal", "http"]
_NONE = "–"
QUIET = 0.95  # share of a core that a process which never waits gets on a machine without other work


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
        """Wasted ÷ useful cell steps of consuming."""
        useful = self.counted("consume_useful")
        return (self.counted("consume_padded") - useful) / useful if useful else None

    @property
    def rows(self) -> float | None:
        """Mean rows of a step of emitting."""
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


def machine() -> str:
    """Where the figures come from, in one line."""
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
            *(_number(row.sample.milliseconds(share), ".1f") for share in (0.5, 0.95, 0.99)),
            *((str(row.sample.refused), str(len(row.sample.errors))) if row.kind == "http" else (_NONE, _NONE)),
            _number(None if row.kind == "http" else row.sample.cores, ".2f"),
            _number(row.sample.cores if row.kind == "http" else None, ".2f"),
        )
        for row in measurements
    ]
    return _table(heads, rows)


def disturbance(measurements: Iterable[Measurement]) -> str | None:
    """A warning when processes that never wait did not get their cores to themselves: other work was running."""
    shares = [row.sample.cores / row.processes for row in measurements if row.kind != "http"]
    if min(shares) >= QUIET:
        return None
    return f"Not quiet: a model in process got only {min(shares):.0%} of its core, so other work ran beside it."


def ratios_table(measurements: Sequence[Measurement], jobs: Sequence[str]) -> str:
    """A row for each job: what the service makes of the cores, at the most clients that were measured."""
    most = max(row.clients for row in measurements)
    heads = (
        "job",
        f"HTTP at {most} ÷ ideal",
        f"HTTP at {most} ÷ one by one",
        "step level ÷ padded batches",
        "overhead at 1, ms",
        "wasted ÷ useful",
        "rows per step",
    )
    return _table(heads, [_ratios([row for row in measurements if row.job == job], job, most) for job in jobs])


def _ratios(rows: Sequence[Measurement], job: str, most: int) -> tuple[str, ...]:
    by_kind = {row.kind: row for row in rows if row.kind != "http"}
    by_clients = {row.clients: row for row in rows if row.kind == "http"}
    rates = {kind: row.sample.rate for kind, row in by_kind.items()}
    top, alone, padded = by_clients[most], by_clients.get(1), rates.get("padded")
    here, there = (row.sample.milliseconds(0.5) if row else None for row in (by_kind["one by one"], alone))
    overhead = there - here if there is not None and here is not None else None
    return (
        job,
        f"{top.sample.rate / rates['ideal']:.2f}",
        f"{top.sample.rate / rates['one by one']:.2f}",
        _number(rates["ideal"] / padded if padded else None, ".2f"),
        _number(overhead, ".1f"),
        _number(top.wasted, ".1%"),
        _number(top.rows, ".1f"),
    )


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Text on the left, numbers on the right."""
    words = ("job", "way")
    rule = ["---" if head in words else "---:" for head in heads]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))
