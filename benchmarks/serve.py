"""The service against its own models: `python -m benchmarks.serve`. See benchmarks/README.md for what figures mean."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks.in_process import InProcess
from benchmarks.inputs import JOBS, Workload, workload
from benchmarks.load import LoadGenerator
from benchmarks.report import Kind, Measurement, disturbance, machine, measurements_table, ratios_table
from benchmarks.service import ServiceFailed, running_service
from benchmarks.ways import WAYS, Way


class _Words(click.ParamType[list[str]]):
    name = "list"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[str]:
        words = [word.strip() for word in str(value).split(",") if word.strip()]
        if wrong := [word for word in words if word not in JOBS]:
            self.fail(f"{wrong[0]!r} is not one of {', '.join(JOBS)}", param, context)
        return list(dict.fromkeys(words))


class _Counts(click.ParamType[list[int]]):
    name = "list"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[int]:
        counts = [int(word) if word.strip().isdigit() else 0 for word in str(value).split(",")]
        if min(counts) < 1:
            self.fail(f"{value!r} is not a list of whole numbers from 1, such as 1,8,64", param, context)
        return sorted(set(counts))


@click.command()
@click.option("--store", type=click.Path(path_type=Path, exists=True), default="model_store", show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=8.0, show_default=True, help="Of each measurement.")
@click.option("--tasks", "jobs", type=_Words(), default=",".join(JOBS), show_default=True, help="Jobs to measure.")
@click.option("--clients", type=_Counts(), default="1,8,64", show_default=True, help="Concurrent HTTP clients.")
@click.option("--engines", type=click.IntRange(0, 64), default=0, show_default=True, help="As of `unroll serve`.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for all figures.")
def main(store: Path, seconds: float, jobs: list[str], clients: list[int], engines: int, output: Path | None) -> None:
    """Measure each job in process and over HTTP, in one run on the same cores, and print Markdown tables.

    Ends with status 1 when any request over HTTP was refused or failed.
    """
    about = machine()
    found = {job: workload(job, store) for job in jobs}
    works = [work for work in found.values() if work is not None]
    left_out = [job for job, work in found.items() if work is None]
    if not works:
        raise click.ClickException(f"{store} has no usable default model for {', '.join(left_out)}")
    try:
        measurements = list(_measurements(works, store, seconds, clients, engines))
    except ServiceFailed as error:
        raise click.ClickException(str(error)) from error
    command = shlex.join(["python", "-m", "benchmarks.serve", *sys.argv[1:]])
    click.echo(f"{about}: `{command}`\n")
    click.echo(measurements_table(measurements) + "\n")
    click.echo(ratios_table(measurements, [work.job for work in works]))
    if warning := disturbance(measurements):
        click.echo(f"\n{warning}")
    for job in left_out:
        click.echo(f"\n{job} is left out: {store} has no usable default model for it.")
    if output is not None:
        rows = [row.as_json() for row in measurements]
        output.write_text(json.dumps({"machine": about, "command": command, "measurements": rows}, indent=1) + "\n")
    failures = {error for row in measurements for error in row.sample.errors}
    failures |= {f"an engine ended during {row.job}, {row.way}" for row in measurements if row.counted("restarts")}
    for failure in sorted(failures)[:5]:
        click.echo(f"failed: {failure}", err=True)
    if failures or any(row.sample.refused for row in measurements):
        raise click.ClickException("requests were refused or failed: the figures above are not to be used")


def _measurements(
    works: list[Workload], store: Path, seconds: float, clients: list[int], engines: int
) -> Iterator[Measurement]:
    """Every measurement, one at a time: what does not run is idle meanwhile."""
    warm_up = min(3.0, seconds / 4)
    total = sum(len(WAYS[work.job]) + len(clients) for work in works)
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=total, desc="starting the service", unit="run", dynamic_ncols=True))
        service = stack.enter_context(running_service(store, engines))
        in_process = stack.enter_context(InProcess(service.engines))
        load = stack.enter_context(LoadGenerator())
        before = service.counters()
        for work in works:
            for way in WAYS[work.job]:
                bar.set_description(f"{work.job}: in process, {way.name}")
                sample = in_process.measure(way, work, warm_up=warm_up, seconds=seconds)
                processes = 1 if way.alone else in_process.processes
                name = f"in process, {way.name}"
                yield Measurement(job=work.job, kind=_kind(way), way=name, processes=processes, sample=sample)
                bar.update()
            for count in clients:
                name = f"HTTP, {count} client{'s' if count > 1 else ''}"
                bar.set_description(f"{work.job}: {name}")
                sample = load.measure(service.port, work, clients=count, warm_up=warm_up, seconds=seconds)
                after = service.counters()
                counted = {counter: after[counter] - before[counter] for counter in after}
                before = after
                yield Measurement(
                    job=work.job,
                    kind="http",
                    way=name,
                    processes=service.engines,
                    sample=sample,
                    clients=count,
                    counters=counted,
                )
                bar.update()
        bar.set_description("ending the service")


def _kind(way: Way) -> Kind:
    if way.alone:
        return "one by one"
    return "ideal" if way.ideal else "padded"


if __name__ == "__main__":
    main()
