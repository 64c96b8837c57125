"""Measures the targets of Unroll: `python -m benchmarks.targets`. benchmarks/README.md explains the rows."""

import http.client
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click

from app.engine.protocol import Tokens
from app.settings import Settings
from benchmarks.comparison import Bench, bench, count, failures, warm_up, workloads
from benchmarks.inputs import JOBS, TEXTS_AND_IMAGES, Workload, long_texts, with_options
from benchmarks.load import OpenSample
from benchmarks.options import ENGINES, OUTPUT, STORE, Names
from benchmarks.report import NONE, Measurement, disturbance, heading, ratios, refuse, table
from benchmarks.sample import Sample, together
from benchmarks.service import Service
from benchmarks.traffic import CLIENTS, Traffic, mix
from benchmarks.ways import Kind

LOADS = (0.5, 1.0, 1.5, 2.0)  # of the rate that a closed loop reaches
PATIENCE = 3.0  # the latency bound ÷ p99 of the closed loop
HANG_UPS = 10
LEFT_OUT: tuple[Kind, ...] = ("by hand",)
_READ = 20  # tokens before the client closes the connection
_TIMEOUT = "504 "  # beginning of the errors of requests that missed their deadline


class Line(NamedTuple):
    """One figure and its target; `is_met` is None if nothing was measured."""

    row: int
    what: str
    target: str
    measured: str
    is_met: bool | None


def at_least(row: int, what: str, least: float, value: float | None, form: str = ".2f", remark: str = "") -> Line:
    return _line(row, what, f"≥ {least:{form}}", value, form, remark, None if value is None else value >= least)


def at_most(row: int, what: str, most: float, value: float | None, form: str = ".2f", remark: str = "") -> Line:
    return _line(row, what, f"≤ {most:{form}}", value, form, remark, None if value is None else value <= most)


def _line(row: int, what: str, target: str, value: float | None, form: str, remark: str, is_met: bool | None) -> Line:
    measured = NONE if value is None else f"{value:{form}}"
    return Line(row, what, target, f"{measured} ({remark})" if remark else measured, is_met)


@click.command()
@STORE
@click.option(
    "--tasks",
    "jobs",
    type=Names(JOBS),
    default=",".join(TEXTS_AND_IMAGES),
    show_default=True,
    help="Jobs to measure.",
)
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=4.0, show_default=True, help="Per measurement.")
@click.option("--rounds", type=click.IntRange(1, 100), default=2, show_default=True, help="Rounds of row 4.")
@ENGINES
@OUTPUT
def main(store: Path, jobs: list[str], seconds: float, rounds: int, engines: int, output: Path | None) -> None:
    """Measure the targets and print one Markdown table. Rows 3 and 9 have their own benchmarks."""
    about = heading("benchmarks.targets")
    works, remarks = workloads(jobs, store)
    texts = [work for work in works if isinstance(work.sources[0], Tokens)]
    clients = (1, CLIENTS)
    total = count(works, clients, leave_out=LEFT_OUT) + len(texts) * (1 + 2 * rounds) + len(works) * len(LOADS)
    lines: list[Line] = []
    failed: list[str] = []
    with bench(store, engines, total + 1) as parts, Traffic() as traffic:
        measurements = list(parts.measurements(works, clients, seconds, leave_out=LEFT_OUT))
        lines += _shares(measurements)
        failed += failures(measurements)
        for work in texts:
            lines.append(_beside_long(parts, traffic, work, store, seconds, rounds, failed))
        for work in works:
            closed = next(row.sample for row in measurements if (row.job, row.clients) == (work.job, CLIENTS))
            lines += _overload(parts, work, closed, seconds, failed)
        if any(work.job == "translate" for work in works):
            parts.bar.set_description("hanging up")
            lines.append(_hang_ups(parts.service, long_texts("translate", store)))
        parts.bar.update()
    lines.sort(key=lambda line: line.row)
    click.echo(f"{about}\n\n{targets_table(lines)}")
    for remark in (disturbance(measurements), *remarks):
        if remark:
            click.echo(f"\n{remark}")
    if output is not None:
        output.write_text(json.dumps({"about": about, "lines": [line._asdict() for line in lines]}, indent=1) + "\n")
    refuse(failed)


def targets_table(lines: Sequence[Line]) -> str:
    """A row for each figure."""
    verdicts = {True: "ok", False: "short", None: NONE}
    cells = [(str(line.row), line.what, line.target, line.measured, verdicts[line.is_met]) for line in lines]
    return table(("row", "what", "target", "measured", "verdict"), cells, words=("what", "verdict"))


def _shares(measurements: Sequence[Measurement]) -> Iterator[Line]:
    """Rows 1, 2, 5 and 6, from what `benchmarks.serve` measures."""
    for job in dict.fromkeys(row.job for row in measurements):
        found = ratios(measurements, job)
        yield at_least(1, f"{job}: HTTP at {found.clients} clients ÷ ideal batches in process", 0.8, found.of_ideal)
        if found.batching is not None:
            yield at_least(2, f"{job}: step-level ÷ padded batching, both float32", 1.5, found.batching)
        yield at_most(5, f"{job}: wasted ÷ useful cell steps", 0.05, found.wasted, ".1%")
        yield at_most(6, f"{job}: overhead at 1 client, ms", 2, found.overhead, ".1f")


def _beside_long(
    parts: Bench, traffic: Traffic, work: Workload, store: Path, seconds: float, rounds: int, failed: list[str]
) -> Line:
    """Row 4: the same short requests, alternately alone and beside long ones."""
    requests, port, warm = mix(work, store), parts.service.port, warm_up(seconds)
    parts.bar.set_description(f"{work.job}: short beside long")
    closed = traffic.peak(port, requests.both, warm_up=warm, seconds=seconds)
    parts.bar.update()
    alone: list[Sample] = []
    beside: list[Sample] = []
    for turn in range(rounds) if closed.rate else ():
        for samples, are_alone in ((alone, True), (beside, False)):
            short, *long = traffic.moderate(
                port, requests, closed.rate, alone=are_alone, seed=turn, warm_up=warm, seconds=seconds
            )
            samples.append(short)
            failed += [failure for sample in (short, *long) for failure in sample.failures]
            parts.bar.update()
    p99, lonely = together(beside).milliseconds(0.99), together(alone).milliseconds(0.99)
    value = p99 / lonely if p99 is not None and lonely else None
    remark = f"{p99:.0f} ÷ {lonely:.0f} ms" if p99 is not None and lonely else ""
    return at_most(4, f"{work.job}: p99 of short requests beside long ones ÷ alone", 2, value, remark=remark)


def goodput(sample: OpenSample, bound: float, seconds: float) -> float:
    """Answers per second that came within `bound` seconds."""
    return sum(latency <= bound for latency in sample.latencies) / seconds


def _overload(parts: Bench, work: Workload, closed: Sample, seconds: float, failed: list[str]) -> Iterator[Line]:
    """Row 7: goodput at twice the saturating load ÷ peak, and the latency of refusals there.

    Clients send the latency bound as their deadline. Each load runs for the bound before it is measured, and for twice
    the bound then, so that queues are full.
    """
    p99 = closed.milliseconds(0.99)
    if p99 is None:
        return
    bound = PATIENCE * p99 / 1000
    requests = replace(work, timeout_ms=max(1, round(1000 * bound)))
    within = sum(latency <= bound for latency in closed.latencies) / len(closed.latencies)
    rates = [closed.rate * within]
    refused = Sample(rate=0, latencies=())
    for load in LOADS:
        wait, lasting = max(warm_up(seconds), bound), max(seconds, 2 * bound)
        sample = _open(parts, requests, load, closed.rate, wait, lasting)
        rates.append(goodput(sample, bound, lasting))
        refused = Sample(rate=0, latencies=sample.refusals)  # in the end, those at the highest load
        failed += [error for error in sample.errors if not error.startswith(_TIMEOUT)]
    curve = ", ".join(f"{rate:.0f}" for rate in rates)
    what = f"{work.job}: goodput at twice the saturating load ÷ peak, within {bound:.1f} s"
    yield at_least(7, what, 0.95, rates[-1] / max(rates) if max(rates) else None, remark=f"{curve} per second")
    count = f"{len(refused.latencies)} refused"
    for share, most in ((0.5, 2), (0.99, 20)):
        what = f"{work.job}: p{100 * share:.0f} of a refusal at twice the saturating load, ms"
        yield at_most(7, what, most, refused.milliseconds(share), ".1f", count)


def _open(parts: Bench, work: Workload, load: float, peak: float, wait: float, seconds: float) -> OpenSample:
    """An open loop at `load` times the `peak` rate."""
    parts.bar.set_description(f"{work.job}: {load:g} times the saturating load")
    sample = parts.load.measure_open(
        parts.service.port, work, rate=load * peak, seed=round(10 * load), warm_up=wait, seconds=seconds
    )
    parts.bar.update()
    return sample


def _hang_ups(service: Service, work: Workload) -> Line:
    """Row 8: steps that an engine runs beyond the tokens that the client read before it closed the stream."""
    unit = Settings().unit
    most = json.loads(work.bodies[0])["max_tokens"]
    requests = with_options(work, stream=True, logprobs=0, min_tokens=most)
    found = []
    before = service.counters()["emit_steps"]
    for body in requests.bodies[:HANG_UPS]:
        tokens = _read_and_hang_up(service.port, requests, body, unit)
        after = service.counters()["emit_steps"]
        if tokens is not None:
            found.append(max(0.0, after - before - tokens) / unit)
        before = after
    what = "translate: units run after a client hangs up, median"
    remark = f"most of {len(found)}: {max(found):.1f}" if found else ""
    return at_most(8, what, 1, median(found) if found else None, ".1f", remark)


def _read_and_hang_up(port: int, work: Workload, body: bytes, unit: int) -> int | None:
    """Read some units of a stream and close the connection; the number of tokens read, None when the stream ended
    before. The tokens of a unit come together: a client that closes in their midst has the rest of them, too."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", work.path, body, {"Content-Type": work.content_type})
    with closing(connection), connection.getresponse() as answer:
        tokens, name = 0, ""
        while line := answer.readline().decode():
            if line.startswith("event: "):
                name = line.removeprefix("event: ").strip()
            elif line.startswith("data: ") and name == "token":
                told = len(json.loads(line.removeprefix("data: ")).get("tokens", ()))
                tokens += told
                if told and tokens >= _READ and tokens % unit == 0:
                    return tokens
            elif name == "result":
                break
    return None


if __name__ == "__main__":
    main()
