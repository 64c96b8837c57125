"""Tokens per CPU second of drawing beside greedy decoding, in this process: `python -m benchmarks.drawing`.

All rows decode the same number of tokens and end together, so that each way has as many rows in each step.
"""

import time
from pathlib import Path

import click
import torch

from app.engine.cost import cost_of
from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.protocol import Decode, Tokens
from app.engine.request import Request, whole
from app.store.model_store import open_version
from benchmarks.stores import newest_folder

STEPS, UNIT = 96, 6
WAYS = {
    "greedy": Decode(STEPS),
    "temperature 1": Decode(STEPS, temperature=1.0),
    "top_k 50": Decode(STEPS, temperature=1.0, top_k=50),
    "top_p 0.9": Decode(STEPS, temperature=1.0, top_p=0.9),
    "top_k 100, top_p 0.9, min_p 0.01": Decode(STEPS, temperature=1.0, top_k=100, top_p=0.9, min_p=0.01),
}


def tokens_per_cpu_second(model: LoadedModel, how: Decode, rows: int) -> float:
    """The better of two runs."""
    return max(_run(model, how, rows) for _ in range(2))


def _run(model: LoadedModel, how: Decode, rows: int) -> float:
    sources = [Tokens([1, 300 + row, 500 + row]) for row in range(rows)]
    requests = [Request((b"", row), model.key, source, how, cost_of(source, how)) for row, source in enumerate(sources)]
    encode(model, [whole(request) for request in requests])
    began = time.thread_time()
    while model.slots.count:
        decode(model, UNIT)
    return rows * STEPS / (time.thread_time() - began)


def endless(folder: Path) -> LoadedModel:
    """A version whose answers have `max_tokens`."""
    models = Models(torch.device("cpu"), slots=64, precision="auto")
    version = open_version(folder)
    models.load(version)
    model = models[version.manifest.key]
    decoding = model.decoding.model_copy(update={"fixed_steps": True})
    model.manifest = model.manifest.model_copy(update={"decoding": decoding})
    return model


@click.command()
@click.option("--store", type=click.Path(path_type=Path), default=Path("model_store"), show_default=True)
@click.option("--rows", type=int, default=64, show_default=True, help="Requests that decode together.")
def main(store: Path, rows: int) -> None:
    """Compare ways of drawing with greedy decoding."""
    torch.set_num_threads(1)
    for name in ("lm-en", "translate-en-ko"):
        model = endless(newest_folder(store, name))
        rates = {way: tokens_per_cpu_second(model, how, rows) for way, how in WAYS.items()}
        for way, rate in rates.items():
            print(f"{name}, {way}: {rate:,.0f} tokens per CPU second, {rates['greedy'] / rate:.2f} times greedy")


if __name__ == "__main__":
    main()
