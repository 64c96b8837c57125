"""A guard against slower code, in a minute: `make bench-quick`. It measures ratios to the same model in process, which
depend less on the machine than rates do, and shows them beside those that landed last (`benchmarks/quick.json`)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.comparison import bench, count, failures, workloads
from benchmarks.inputs import TEXTS_AND_IMAGES
from benchmarks.options import ENGINES, STORE
from benchmarks.report import Ratios, disturbance, heading, number, ratios, table
from benchmarks.ways import Kind

CLIENTS = 64
LANDED = Path("benchmarks/quick.json")
_LEFT_OUT: tuple[Kind, ...] = ("by hand", "padded", "step level")
_FIGURES = {"of_ideal": "HTTP ÷ ideal", "overhead": "overhead at 1, ms", "wasted": "wasted ÷ useful"}
Figures = Mapping[str, Mapping[str, float | None]]  # by job and figure


def figures_of(found: Sequence[Ratios]) -> dict[str, dict[str, float | None]]:
    """The compared figures of each job."""
    return {one.job: {name: asdict(one)[name] for name in _FIGURES} for one in found}


def changes_table(now: Figures, landed: Figures) -> str:
    """A row for each job and figure, beside what landed last."""
    rows = []
    for job, figures in now.items():
        for name, words in _FIGURES.items():
            value, last = figures[name], landed.get(job, {}).get(name)
            change = value / last if value is not None and last else None
            rows.append((job, words, number(last, ".3f"), number(value, ".3f"), number(change, ".2f")))
    return table(("job", "figure", "landed", "now", "now ÷ landed"), rows, words=("job", "figure"))


def landed_figures(path: Path) -> Figures:
    """The figures that landed last; none without the file."""
    if not path.exists():
        return {}
    figures: Figures = json.loads(path.read_text())["figures"]
    return figures


@click.command()
@STORE
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=1.5, show_default=True, help="Per measurement.")
@click.option("--landed", type=click.Path(path_type=Path), default=LANDED, show_default=True, help="To compare with.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="JSON file to write.")
@ENGINES
def main(store: Path, seconds: float, landed: Path, output: Path, engines: int) -> None:
    """Measure, print a Markdown table, and write the figures. A slower service is no failure: other work on the machine
    may be the reason. The table is for who reads it."""
    about = heading("benchmarks.quick")
    works, remarks = workloads(TEXTS_AND_IMAGES, store)
    clients = (1, CLIENTS)
    with bench(store, engines, count(works, clients, leave_out=_LEFT_OUT)) as parts:
        measurements = list(parts.measurements(works, clients, seconds, leave_out=_LEFT_OUT))
    now = figures_of([ratios(measurements, work.job) for work in works])
    output.write_text(json.dumps({"about": about, "figures": now}, indent=1) + "\n")
    click.echo(f"{about}\n\n{changes_table(now, landed_figures(landed))}")
    for remark in (disturbance(measurements), *remarks, *sorted(set(failures(measurements)))):
        if remark:
            click.echo(f"\n{remark}")


if __name__ == "__main__":
    main()
