"""Many small models on three replicas behind HAProxy, with Zipf traffic: `python -m benchmarks.replicas`.

With the configuration for many models (deploy/haproxy-models.cfg), and with a balancer that does not look at the model.
"""

import json
import random
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import click
import psutil

from app.engine.sizes import FIXED_BYTES
from app.store.model_store import inspect_version
from benchmarks.balancer import Balancer, balancing
from benchmarks.inputs import Workload, workload
from benchmarks.load import LoadGenerator
from benchmarks.options import STORE
from benchmarks.report import heading, refuse, table
from benchmarks.service import Service, running_service
from benchmarks.sizing import memory_of
from benchmarks.versions import copies

_SERVED_BYTES = 3  # of a weight, as `app.engines` reckons
_REQUESTS = 20_000
_READY_SECONDS = 30
WAYS = {  # what the table calls it: the file in deploy/, and how it chooses without a model
    "round robin": ("haproxy", "roundrobin"),
    "fewest requests": ("haproxy", "leastconn"),
    "by model, bounded load": ("haproxy-models", "leastconn"),
}


@contextmanager
def replicas(store: Path, count: int, *options: str) -> Iterator[list[Service]]:
    """Services of one engine each over the same store."""
    with ExitStack() as stack:
        yield [stack.enter_context(running_service(store, 1, *options)) for _ in range(count)]


def wait_until_up(balancer: Balancer) -> None:
    """Wait until HAProxy has found the services ready. Raises ClickException."""
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{balancer.address}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise click.ClickException("HAProxy reaches no service")


def zipf(work: Workload, models: int, exponent: float) -> Workload:
    """The inputs of a job, each for a model whose number is drawn by Zipf's law: number 0 most often."""
    source = random.Random(20)
    weights = [1 / (number + 1) ** exponent for number in range(models)]
    numbers = source.choices(range(models), weights, k=_REQUESTS)
    texts = [json.loads(body) for body in work.bodies]
    bodies = [
        json.dumps(texts[at % len(texts)] | {"model": f"m{number}"}).encode() for at, number in enumerate(numbers)
    ]
    return replace(work, bodies=bodies)


def counted(services: list[Service], name: str) -> float:
    return sum(service.counters().get(name, 0.0) for service in services)


@click.command()
@STORE
@click.option("--model", default="sentiment-en-rnn/2", show_default=True, help="The version of which copies are made.")
@click.option("--count", type=click.IntRange(2, 5000), default=500, show_default=True, help="Copies.")
@click.option(
    "--loaded", type=click.IntRange(2), default=60, show_default=True, help="Models for which a replica has memory."
)
@click.option("--exponent", default=1.0, show_default=True, help="Of Zipf's law.")
@click.option("--clients", type=click.IntRange(1), default=12, show_default=True, help="Concurrent HTTP clients.")
@click.option(
    "--seconds", default=12.0, show_default=True, help="Of each measurement, after a warm-up of the same length."
)
def main(store: Path, model: str, count: int, loaded: int, exponent: float, clients: int, seconds: float) -> None:
    """Print a Markdown table: hit rate, latency and memory, with and without hashing on the model."""
    about = heading("benchmarks.replicas")
    work = workload("sentiment", store)
    assert work is not None, "the store has no model for sentiment"
    weights = inspect_version(store / model).weights
    budget = loaded * (FIXED_BYTES + _SERVED_BYTES * weights)
    failures, lines = list[str](), list[list[str]]()
    with tempfile.TemporaryDirectory() as place, LoadGenerator() as load:
        folder = Path(place)
        copies(store / model, folder / "models", count)
        with replicas(folder / "models", 3, "--models-memory", str(budget)) as services:
            addresses = [f"http://127.0.0.1:{service.port}" for service in services]
            asked = zipf(replace(work, model="m0"), count, exponent)
            for way, (configuration, balance) in WAYS.items():
                with balancing(configuration, addresses, folder, balance=balance) as balancer:
                    wait_until_up(balancer)
                    failures += load.measure(balancer.port, asked, clients=clients, warm_up=0, seconds=seconds).failures
                    loads, answered = counted(services, "loads"), counted(services, "requests")
                    sample = load.measure(balancer.port, asked, clients=clients, warm_up=0, seconds=seconds)
                    loads, answered = counted(services, "loads") - loads, counted(services, "requests") - answered
                failures += sample.failures
                memory = max(memory_of(psutil.Process(service.pid)).engine for service in services)
                quantiles = [f"{sample.milliseconds(share) or 0:.0f}" for share in (0.5, 0.99)]
                hits, often = f"{1 - loads / max(answered, 1):.3f}", f"{loads / seconds:.1f}"
                lines.append([way, f"{sample.rate:.0f}", hits, often, *quantiles, f"{memory:.0f}"])
    heads = ["a request goes", "requests/s", "hit rate", "loads/s", "p50 ms", "p99 ms", "largest engine MB"]
    click.echo(f"{about}\n\n{table(heads, lines, words=heads[:1])}")
    click.echo(f"\n{count} copies of {model}, room for {loaded} in each of 3 replicas, Zipf exponent {exponent:g}.")
    refuse(failures)


if __name__ == "__main__":
    main()
