"""Unroll and other model servers, with the same weights under the same load.

`python -m benchmarks.peers`, in the environment of benchmarks/peers/requirements.txt. One server runs at a time; rounds
are interleaved, so that a slow spell of the machine does not fall on one of them alone.
"""

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from benchmarks.inputs import TEXTS_AND_IMAGES, Workload, workload
from benchmarks.load import LoadGenerator, OpenSample
from benchmarks.peers.model import Answer, load
from benchmarks.peers.plot import draw
from benchmarks.peers.process import Running, ServerFailed, ask, running
from benchmarks.peers.report import Check, Row, Skipped, closed_table, open_table, ratios_table
from benchmarks.peers.servers import NOT_RUN, SERVERS, UNROLL, Server, text_of
from benchmarks.report import machine
from benchmarks.sample import Sample

CHECKED = 16  # inputs whose answers are compared, sent at once so that they are batched
_MODULES = tuple(server.module for server in SERVERS)
Result = Row | Check | Skipped


class _Names(click.ParamType[list[str]]):
    name = "list"

    def __init__(self, choices: Sequence[str]) -> None:
        self._choices = choices

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[str]:
        names = [name.strip() for name in str(value).split(",") if name.strip()]
        if wrong := [name for name in names if name not in self._choices]:
            self.fail(f"{wrong[0]!r} is not one of {', '.join(self._choices)}", param, context)
        return list(dict.fromkeys(names))


class _Numbers(click.ParamType[list[float]]):
    name = "list"

    def __init__(self, kind: type[int] | type[float]) -> None:
        self._kind = kind

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[float]:
        try:
            numbers = [self._kind(word) for word in str(value).split(",") if word.strip()]
        except ValueError:
            numbers = [0]
        if any(number <= 0 for number in numbers):
            self.fail(f"{value!r} is not a list of numbers above 0", param, context)
        return sorted(set(numbers))


@click.command()
@click.option("--store", type=click.Path(path_type=Path, exists=True), default="model_store", show_default=True)
@click.option("--jobs", type=_Names(TEXTS_AND_IMAGES), default=",".join(TEXTS_AND_IMAGES), show_default=True)
@click.option("--servers", "modules", type=_Names(_MODULES), default=",".join(_MODULES), show_default=True)
@click.option("--clients", type=_Numbers(int), default="1,8,32,64", show_default=True, help="Of the closed loops.")
@click.option(
    "--open-loop",
    "shares",
    type=_Numbers(float),
    default="0.5,0.8",
    show_default=True,
    help="Poisson arrivals at these shares of each server's own best rate; empty for none.",
)
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=5.0, show_default=True, help="Per measurement.")
@click.option("--rounds", type=click.IntRange(1, 100), default=2, show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for all figures.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="PNG file for a bar chart.")
def main(
    store: Path,
    jobs: list[str],
    modules: list[str],
    clients: list[int],
    shares: list[float],
    seconds: float,
    rounds: int,
    output: Path | None,
    plot: Path | None,
) -> None:
    """Measure each server on each job and print Markdown tables. A server that fails is reported and omitted."""
    if not clients:
        raise click.BadParameter("name at least one number", param_hint="--clients")
    about, command = machine(), shlex.join(["python", "-m", "benchmarks.peers", *sys.argv[1:]])
    servers = [server for server in SERVERS if server.module in modules]
    works = {job: work for job in jobs if (work := workload(job, store)) is not None}
    if not works:
        raise click.ClickException(f"{store} has no usable default model for {', '.join(jobs)}")
    results = list(_results(list(works.values()), servers, clients, shares, seconds, rounds))
    rows = [result for result in results if isinstance(result, Row)]
    checks = [result for result in results if isinstance(result, Check)]
    skipped = [result for result in results if isinstance(result, Skipped)]
    versions = {server.name: _version(server.package) for server in servers}
    click.echo(f"{about}; {', '.join(f'{name} {number}' for name, number in versions.items())}: `{command}`\n")
    if rows:
        tables = (closed_table(rows, checks), open_table(rows), ratios_table(rows))
        click.echo("\n\n".join(filter(None, tables)))
    for line in _remarks(rows, checks, skipped):
        click.echo(f"\n{line}")
    for job in jobs:
        if job not in works:
            click.echo(f"\n{job} is left out: {store} has no usable default model for it.")
    if output is not None:
        parts: dict[str, Any] = {"machine": about, "command": command, "versions": versions}
        parts |= {"rows": [asdict(row) for row in rows], "checks": [asdict(check) for check in checks]}
        output.write_text(json.dumps(parts | {"skipped": [asdict(one) for one in skipped]}, indent=1) + "\n")
    if plot is not None and rows:
        draw(rows, plot)


def _results(
    works: list[Workload], servers: list[Server], clients: list[int], shares: list[float], seconds: float, rounds: int
) -> Iterator[Result]:
    """Round by round, job by job, server by server."""
    alone = {work.job: _alone(work) for work in works}
    steps = len(clients) + len(shares)
    with (
        LoadGenerator() as generator,
        tqdm(total=rounds * len(works) * len(servers) * steps, unit="run", dynamic_ncols=True) as bar,
    ):
        for turn in range(rounds):
            for work in works:
                for server in servers:
                    bar.set_description(f"round {turn + 1}, {work.job}, {server.name}")
                    before = bar.n
                    try:
                        with running(server, server.form(work)) as process:
                            yield _check(server, work, process, alone[work.job])
                            plan = _Plan(generator, server, work, process, seconds, turn)
                            for row in plan.rows(clients, shares):
                                yield row
                                bar.update()
                    except (ServerFailed, OSError, ValueError, LookupError) as error:
                        reason = str(error) or type(error).__name__
                        yield Skipped(job=work.job, server=server.name, reason=reason)
                    bar.update(before + steps - bar.n)


class _Plan:
    """The measurements of one server in one round."""

    def __init__(
        self, load: LoadGenerator, server: Server, work: Workload, process: Running, seconds: float, turn: int
    ) -> None:
        self._load, self._server, self._process, self._turn = load, server, process, turn
        self._work = server.form(work)
        self._seconds, self._warm_up = seconds, min(3.0, seconds / 4)

    def rows(self, clients: Sequence[int], shares: Sequence[float]) -> Iterator[Row]:
        best = 0.0
        for count in clients:
            sample = self._load.measure(
                self._process.port, self._work, clients=count, warm_up=self._warm_up, seconds=self._seconds
            )
            best = max(best, sample.rate)
            yield self._row(sample, clients=count)
        for share in shares if best else ():
            open_sample = self._load.measure_open(
                self._process.port,
                self._work,
                rate=share * best,
                seed=self._turn,
                warm_up=self._warm_up,
                seconds=self._seconds,
            )
            yield self._row(open_sample, share=share)

    def _row(self, sample: Sample, *, clients: int = 0, share: float = 0.0) -> Row:
        opened = sample if isinstance(sample, OpenSample) else None
        refusals = Sample(rate=0, latencies=opened.refusals if opened else ())
        return Row(
            job=self._work.job,
            server=self._server.name,
            round=self._turn,
            clients=clients,
            share=share,
            offered=opened.offered / self._seconds if opened else 0.0,
            rate=sample.rate,
            p50=sample.milliseconds(0.5),
            p99=sample.milliseconds(0.99),
            refused=sample.refused,
            refused_p50=refusals.milliseconds(0.5),
            errors=len(sample.errors),
            first_error=sample.errors[0] if sample.errors else "",
            client_cores=sample.cores,
            memory=self._process.megabytes(),
        )


def _alone(work: Workload) -> list[Answer]:
    """The model's own answers to the first inputs, one by one."""
    model = load(work.job, work.folder)
    bodies = work.bodies[:CHECKED]
    items = [text_of(body) for body in bodies] if work.content_type == "application/json" else bodies
    return [model.predict([item])[0] for item in items]


def _check(server: Server, work: Workload, process: Running, alone: list[Answer]) -> Check:
    """Raises what `ask` and `said` do."""
    formed = server.form(work)
    with ThreadPoolExecutor(CHECKED) as pool:
        answers = list(pool.map(lambda body: ask(process.port, formed, body), formed.bodies[:CHECKED]))
    equal = sum(said(answer) == said(wanted) for answer, wanted in zip(answers, alone, strict=True))
    return Check(job=work.job, server=server.name, equal=equal, asked=len(alone))


def said(answer: Any) -> str:
    """The label or text of a server's answer in any format. Raises ServerFailed without one."""
    while True:
        if isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]
        elif isinstance(answer, dict) and "results" in answer:
            answer = answer["results"]
        elif isinstance(answer, dict) and ("label" in answer or "text" in answer):
            return str(answer.get("label", answer.get("text")))
        else:
            raise ServerFailed(f"its answer has neither label nor text: {str(answer)[:200]}")


def _remarks(rows: Sequence[Row], checks: Sequence[Check], skipped: Sequence[Skipped]) -> Iterator[str]:
    """Remarks on the tables."""
    unequal = {(check.job, check.server): check for check in checks if check.equal < check.asked}
    for check in unequal.values():
        why = " (it may serve in a reduced precision)" if check.server == UNROLL else ""
        yield f"{check.server}, {check.job}: {check.equal} of {check.asked} answers equal the model's alone{why}."
    for key in dict.fromkeys((row.job, row.server) for row in rows if row.errors):
        first = next(row.first_error for row in rows if (row.job, row.server) == key and row.errors)
        yield f"{key[1]}, {key[0]}: requests failed, the first with: {first}"
    for one in dict.fromkeys(skipped):
        yield f"{one.server}, {one.job}: not measured: {one.reason}"
    for name, reason in NOT_RUN.items():
        yield f"{name}: not run: {reason}."


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
