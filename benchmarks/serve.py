"""The service against its own models: `python -m benchmarks.serve`. See benchmarks/README.md for what figures mean."""

import json
from pathlib import Path

import click

from benchmarks.comparison import bench, count, failures, workloads
from benchmarks.inputs import JOBS
from benchmarks.options import ENGINES, OUTPUT, STORE, Counts, Names
from benchmarks.report import disturbance, heading, measurements_table, ratios, ratios_table, refuse
from benchmarks.stores import with_models_for


@click.command()
@STORE
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=8.0, show_default=True, help="Per measurement.")
@click.option("--tasks", "jobs", type=Names(JOBS), default=",".join(JOBS), show_default=True, help="Jobs to measure.")
@click.option("--clients", type=Counts(), default="1,8,64", show_default=True, help="Concurrent HTTP clients.")
@ENGINES
@OUTPUT
def main(store: Path, seconds: float, jobs: list[str], clients: list[int], engines: int, output: Path | None) -> None:
    """Measure each job in process and over HTTP, in one run on the same cores, and print Markdown tables.

    Ends with status 1 when any request over HTTP was refused or failed.
    """
    about = heading("benchmarks.serve")
    with with_models_for(jobs, store) as (whole, added):
        works, remarks = workloads(jobs, whole)
        with bench(whole, engines, count(works, clients)) as parts:
            measurements = list(parts.measurements(works, clients, seconds))
    found = [ratios(measurements, work.job) for work in works]
    click.echo(f"{about}\n\n{measurements_table(measurements)}\n\n{ratios_table(found)}")
    for remark in (disturbance(measurements), *added, *remarks):
        if remark:
            click.echo(f"\n{remark}")
    if output is not None:
        rows = [row.as_json() for row in measurements]
        output.write_text(json.dumps({"about": about, "measurements": rows}, indent=1) + "\n")
    refuse(failures(measurements))


if __name__ == "__main__":
    main()
