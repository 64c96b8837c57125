"""Time of one step, one encoded batch and one image in each precision: `python -m benchmarks.precision`.

The precisions take turns and the lowest twentieth of the times counts, so that other work matters little.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import click
import torch

from app.models.networks import Classifier, EncoderDecoder
from app.models.serving.precision import Precision
from app.store.model_store import Version, open_version
from benchmarks.stores import newest_folder
from training.recipe import load_shipped

MODELS = ("sentiment-en", "sentiment-ko", "translate-en-ko", "caption-en")
PRECISIONS: tuple[Precision, ...] = tuple(name for name in get_args(Precision) if name != "auto")
STEP_ROWS, CONSUME_ROWS, IMAGES = (1, 8, 16, 32, 64), (1, 8, 32), (1, 4)
_QUANTILE = 0.05

Network = Classifier | EncoderDecoder
Call = Callable[[], object]


def milliseconds(calls: dict[Precision, Call], *, seconds: float) -> dict[Precision, float]:
    """The lowest twentieth of the times of each call, the calls taking turns for so long."""
    times: dict[Precision, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 3:
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    return {name: 1000 * sorted(row)[int(_QUANTILE * len(row))] for name, row in times.items()}


def questions(networks: dict[Precision, Network]) -> Iterator[tuple[str, int, dict[Precision, Call]]]:
    """The timed calls of a model: a description, the number of rows, and the call in each precision."""
    first = next(iter(networks.values()))
    generator = torch.Generator().manual_seed(0)
    images = first.config.encoder.kind == "image"
    for rows in IMAGES if images else CONSUME_ROWS:
        if first.config.encoder.kind == "image":
            size = first.config.encoder.image_size
            source = torch.randint(0, 256, (rows, size, size, 3), generator=generator, dtype=torch.uint8)
            lengths = torch.ones(rows, dtype=torch.long)
            yield "encode images", rows, _encode(networks, source, lengths)
            continue
        for words, shortest in (("encode 32 to 40 tokens", 32), ("encode 5 to 40 tokens", 5)):
            lengths = torch.randint(shortest, 41, (rows,), generator=generator)
            lengths[0] = 40
            assert first.config.encoder.kind == "text"
            vocabulary = first.config.encoder.vocabulary_size
            source = torch.randint(4, vocabulary, (rows, 40), generator=generator)
            yield words, rows, _encode(networks, source, lengths)
    if isinstance(first, EncoderDecoder):
        for rows in STEP_ROWS:
            yield "step", rows, {name: _step(network, rows) for name, network in networks.items()}


def _encode(networks: dict[Precision, Network], source: torch.Tensor, lengths: torch.Tensor) -> dict[Precision, Call]:
    def call(network: Network) -> Call:
        if isinstance(network, Classifier):
            return lambda: network(source, lengths)
        return lambda: network.encode(source, lengths)

    return {name: call(network) for name, network in networks.items()}


def _step(network: Network, rows: int) -> Call:
    """A decoding step of all rows, over a memory of 30 tokens or one image."""
    assert isinstance(network, EncoderDecoder)
    generator = torch.Generator().manual_seed(1)
    if network.config.encoder.kind == "image":
        size = network.config.encoder.image_size
        source, lengths = torch.zeros(1, size, size, 3, dtype=torch.uint8), torch.ones(1, dtype=torch.long)
    else:
        source = torch.randint(4, network.config.encoder.vocabulary_size, (1, 30), generator=generator)
        lengths = torch.tensor([30])
    state = network.encode(source, lengths)
    for name, part in state.items():
        assert isinstance(part, torch.Tensor)
        state[name] = part.expand(rows, *part.shape[1:]).contiguous()  # type: ignore[literal-required]
    tokens = torch.randint(4, network.config.decoder.vocabulary_size, (rows,), generator=generator)
    return lambda: network.step(tokens, state)


def _network(version: Version, name: Precision) -> Network:
    network = load_shipped(version, name).network
    assert isinstance(network, Classifier | EncoderDecoder)  # as those of MODELS are
    return network


@click.command(help=__doc__)
@click.option("--store", type=click.Path(path_type=Path), default=Path("model_store"), show_default=True)
@click.option("--threads", type=int, multiple=True, default=(1, 2), show_default=True, help="Torch threads.")
@click.option("--seconds", default=1.0, show_default=True, help="Time for each row of the table.")
def main(store: Path, threads: tuple[int, ...], seconds: float) -> None:
    click.echo("| model | what | rows | threads | " + " | ".join(f"{name}, ms" for name in PRECISIONS) + " |")
    click.echo("|---|---|" + "--:|" * (2 + len(PRECISIONS)))
    for model in MODELS:
        version = open_version(newest_folder(store, model))
        networks = {name: _network(version, name) for name in PRECISIONS}
        for count in threads:
            torch.set_num_threads(count)
            with torch.inference_mode():
                for words, rows, calls in questions(networks):
                    found = milliseconds(calls, seconds=seconds)
                    cells = " | ".join(f"{found[name]:.2f}" for name in PRECISIONS)
                    click.echo(f"| {model} | {words} | {rows} | {count} | {cells} |")


if __name__ == "__main__":
    main()
