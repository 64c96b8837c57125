"""`python -m benchmarks.soak`: mixed load, rude clients, faults, and a ledger in which no request may be missing."""

import asyncio
import json
import resource
import secrets
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.options import STORE, Names
from benchmarks.report import heading
from benchmarks.service import ServiceFailed, running_service
from benchmarks.soak.asking import PATIENCE
from benchmarks.soak.faults import KINDS
from benchmarks.soak.flatness import growths
from benchmarks.soak.log_reader import LogReader
from benchmarks.soak.plot import draw
from benchmarks.soak.questions import questions, slow_question
from benchmarks.soak.report import Result, write_into
from benchmarks.soak.soak import Course, Plan, soak
from benchmarks.soak.store import copy_of_store, default_models

_PRECISION = "float32"  # in which an answer does not depend on the other requests of its batch


@click.command()
@STORE
@click.option("--minutes", type=click.FloatRange(0.2, 10_000), default=30.0, show_default=True, help="Duration.")
@click.option("--clients", type=click.IntRange(1, 512), default=8, show_default=True, help="Closed loops.")
@click.option(
    "--pace", type=click.FloatRange(0, 60), default=0.05, show_default=True, help="Mean pause of a client, s."
)
@click.option("--engines", type=click.IntRange(1, 64), default=2, show_default=True, help="Engine processes.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Front-end processes.")
@click.option(
    "--heartbeat", type=click.FloatRange(1, 600), default=10.0, show_default=True, help="Setting heartbeat_seconds."
)
@click.option("--growth", type=click.FloatRange(0, 1000), default=2.0, show_default=True, help="Limit of memory, %.")
@click.option("--faults", type=Names(KINDS), default=",".join(KINDS), help="Kinds of faults, separated by commas; all.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of requests and faults.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), default="soak", show_default=True, help="Folder."
)
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Page to write the report in."
)
def main(
    store: Path,
    minutes: float,
    clients: int,
    pace: float,
    engines: int,
    workers: int,
    heartbeat: float,
    growth: float,
    faults: list[str],
    seed: int,
    output: Path,
    page: Path | None,
) -> None:
    """Put a real service under mixed load and faults, and print a Markdown report. Ends with status 1 if a request was
    lost, an answer was wrong, or memory grew above the limit."""
    about = heading("benchmarks.soak")
    plan = Plan(
        seconds=60 * minutes,
        clients=clients,
        pace=pace,
        workers=workers,
        heartbeat_seconds=heartbeat,
        seed=seed,
        faults=[fault for fault in faults if workers > 1 or not fault.startswith("worker")],
    )
    output.mkdir(parents=True, exist_ok=True)
    course = _run(store, plan, engines, output / "service.log")
    result = Result(
        about=about,
        seconds=plan.seconds,
        ledger=course.run.ledger,
        growths=growths(course.sampling.samples, plan.seconds),
        faults=course.faults.counted(),
        retries=course.run.retries,
        slowest_recovery=course.faults.slowest_recovery,
        most_growth=growth / 100,
        problems=course.problems,
    )
    draw(course.sampling.samples, course.faults.marks, course.answers, output / "soak.png")
    (output / "soak.md").write_text(result.markdown(), encoding="utf8")
    (output / "soak.json").write_text(json.dumps(_figures(result, course), indent=1) + "\n")
    if page is not None:
        write_into(page, result.markdown())
    click.echo(result.markdown())
    if failures := result.failures():
        raise click.ClickException("; ".join(failures))


def _run(store: Path, plan: Plan, engines: int, log_path: Path) -> Course:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a connection for each request of a burst
    models = default_models(store)
    if "translation" not in models:
        raise click.ClickException("the store needs a default model that translates English")
    model, admin_key = models["translation"].manifest.name, secrets.token_hex(16)
    options = {
        "workers": plan.workers,
        "heartbeat-seconds": plan.heartbeat_seconds,
        "precision": _PRECISION,
        "request-seconds": PATIENCE - 10,
        "log-format": "json",
    }
    try:
        with tempfile.TemporaryDirectory() as folder, LogReader(log_path) as log:
            copy = copy_of_store(store, Path(folder), model)
            arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
            environment = {"UNROLL_ADMIN_KEY": admin_key, "UNROLL_LOG_REQUESTS": "true"}
            with running_service(copy, engines, *arguments, log=log.descriptor, environment=environment) as service:
                asked = questions(copy)
                return asyncio.run(soak(service, plan, asked, slow_question(copy), model, log, admin_key))
    except ServiceFailed as error:
        raise click.ClickException(f"{error}; {log_path} has its log") from error
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _figures(result: Result, course: Course) -> dict[str, object]:
    ledger = result.ledger
    return {
        "about": result.about,
        "seconds": result.seconds,
        "failures": result.failures(),
        "sent": dict(ledger.sent),
        "routes": dict(ledger.routes),
        "outcomes": {f"{actor}: {outcome}": count for (actor, outcome), count in ledger.outcomes.items()},
        "refusals": dict(ledger.refusals),
        "failed_requests": ledger.failures,
        "growths": [asdict(growth) for growth in result.growths],
        "faults": course.faults.marks,
        "answers": course.answers,
        "samples": [asdict(sample) for sample in course.sampling.samples],
    }


if __name__ == "__main__":
    main()
