"""Rounds of measurements as Markdown: medians for each server, and Unroll against the best of the others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.servers import UNROLL

REFERENCE = 64  # clients at which servers are compared, or the most that were measured
_NONE = "–"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement of one round: a closed loop of `clients` clients, or an open loop at a `share` of the server's
    own best rate. Rates in requests per second, latencies in milliseconds, memory in megabytes."""

    job: str
    server: str
    round: int
    clients: int = 0
    share: float = 0.0
    offered: float = 0.0
    rate: float
    p50: float | None
    p99: float | None
    refused: int = 0
    refused_p50: float | None = None
    errors: int = 0
    first_error: str = ""
    client_cores: float = 0.0
    memory: float


@dataclass(frozen=True, kw_only=True)
class Check:
    """Answers of a server to the first inputs, all asked at once: how many said what the model alone says."""

    job: str
    server: str
    equal: int
    asked: int


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A server that could not be measured, and why."""

    job: str
    server: str
    reason: str


def middle(
    rows: Iterable[Row], job: str, server: str, figure: str, *, clients: int = 0, share: float = 0
) -> float | None:
    """The median over the rounds of a figure; None when there is none."""
    same = (row for row in rows if (row.job, row.server, row.clients, row.share) == (job, server, clients, share))
    found = [value for row in same if (value := getattr(row, figure)) is not None]
    return median(found) if found else None


def reference(rows: Sequence[Row]) -> int:
    """The number of clients at which servers are compared."""
    counts = {row.clients for row in rows}
    return REFERENCE if REFERENCE in counts else max(counts)


def best_peer(rows: Sequence[Row], job: str, clients: int) -> tuple[str, float] | None:
    """The server that is not Unroll with the highest rate, and that rate."""
    peers = dict.fromkeys(row.server for row in rows if row.job == job and row.server != UNROLL)
    rates = {peer: middle(rows, job, peer, "rate", clients=clients) for peer in peers}
    known = {peer: rate for peer, rate in rates.items() if rate is not None}
    return max(known.items(), key=lambda pair: pair[1]) if known else None


def closed_table(rows: Sequence[Row], checks: Sequence[Check]) -> str:
    """A row for each job and server: rates by clients, latencies at one client and at the most, memory, answers."""
    counts, most = sorted({row.clients for row in rows if row.clients}), reference(rows)
    heads = ["job", "server", *(f"requests/s at {count}" for count in counts), f"p50 ms at {counts[0]}"]
    heads += [f"p50 ms at {most}", f"p99 ms at {most}", "memory MB", "equal answers", "refused", "errors"]
    lines = []
    for job, server in _pairs(rows):
        mine = [row for row in rows if (row.job, row.server) == (job, server)]
        rates = [_number(middle(mine, job, server, "rate", clients=count), ".1f") for count in counts]
        figures = [
            _number(middle(mine, job, server, name, clients=clients), form)
            for name, clients, form in (
                ("p50", counts[0], ".1f"),
                ("p50", most, ".1f"),
                ("p99", most, ".1f"),
                ("memory", most, ".0f"),
            )
        ]
        closed = [row for row in mine if row.clients]
        counted = [str(sum(row.refused for row in closed)), str(sum(row.errors for row in closed))]
        lines.append([job, server, *rates, *figures, _equal(checks, job, server), *counted])
    return _table(heads, lines)


def open_table(rows: Sequence[Row]) -> str:
    """Latencies under Poisson arrivals at shares of each server's own best rate; empty when none was measured."""
    shares = sorted({row.share for row in rows if row.share})
    if not shares:
        return ""
    heads = ["job", "server"]
    heads += [
        f"{what} at {share:g}" for share in shares for what in ("offered/s", "p50 ms", "p99 ms", "refused", "errors")
    ]
    lines = []
    for job, server in _pairs(rows):
        cells = []
        for share in shares:
            figures = [middle(rows, job, server, name, share=share) for name in ("offered", "p50", "p99")]
            cells += [_number(figure, ".1f") for figure in figures]
            same = [row for row in rows if (row.job, row.server, row.share) == (job, server, share)]
            cells += [str(sum(row.refused for row in same)), str(sum(row.errors for row in same))]
        lines.append([job, server, *cells])
    return _table(heads, lines)


def ratios_table(rows: Sequence[Row]) -> str:
    """Unroll ÷ the best peer, a row for each job where both were measured."""
    most, least = reference(rows), min(row.clients for row in rows if row.clients)
    heads = ["job", f"best peer at {most}", "its requests/s", "Unroll's", "Unroll ÷ best peer"]
    heads += [f"p50 ms at {least}: Unroll", f"lowest peer's p50 at {least}", "memory MB: Unroll", "lowest peer's"]
    lines = []
    for job in dict.fromkeys(row.job for row in rows):
        best, own = best_peer(rows, job, most), middle(rows, job, UNROLL, "rate", clients=most)
        if best is None or own is None:
            continue
        lines.append(
            [
                job,
                best[0],
                f"{best[1]:.1f}",
                f"{own:.1f}",
                f"{own / best[1]:.2f}",
                _number(middle(rows, job, UNROLL, "p50", clients=least), ".1f"),
                _number(_lowest(rows, job, "p50", least), ".1f"),
                _number(middle(rows, job, UNROLL, "memory", clients=most), ".0f"),
                _number(_lowest(rows, job, "memory", most), ".0f"),
            ]
        )
    return _table(heads, lines)


def _lowest(rows: Sequence[Row], job: str, figure: str, clients: int) -> float | None:
    peers = {row.server for row in rows if row.job == job and row.server != UNROLL}
    found = [middle(rows, job, peer, figure, clients=clients) for peer in peers]
    return min((value for value in found if value is not None), default=None)


def _pairs(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Jobs and servers in the order in which they were measured, job by job."""
    jobs: dict[str, dict[str, None]] = {}
    for row in rows:
        jobs.setdefault(row.job, {})[row.server] = None
    return [(job, server) for job, servers in jobs.items() for server in servers]


def _equal(checks: Iterable[Check], job: str, server: str) -> str:
    mine = [check for check in checks if (check.job, check.server) == (job, server)]
    asked = sum(check.asked for check in mine)
    return f"{sum(check.equal for check in mine) / asked:.0%}" if asked else _NONE


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Text on the left, numbers on the right."""
    rule = ["---" if head in ("job", "server") or head.startswith("best") else "---:" for head in heads]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))
