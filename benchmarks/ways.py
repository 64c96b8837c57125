"""Ways of calling a model without a service, through the engine's own runner: one by one, and in batches.

Each is an endless generator that yields, turn by turn, how many requests it has just finished.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from app.engine.config import EngineConfig
from app.engine.decoding import greedy
from app.engine.messages import RequestKey, Tokens
from app.engine.runner import Item, Runner
from app.engine.scheduler import Scheduler, Work
from app.models.networks import EncoderDecoder
from benchmarks.inputs import Workload
from training.loop import pad_rows

BATCH, IMAGE_BATCH = 32, 8
ENGINE = EngineConfig(endpoint="", store="")

Turns = Callable[[Runner, Workload], Iterator[int]]


def _items(work: Workload) -> list[Item]:
    return [Item((b"", index), source, work.max_tokens) for index, source in enumerate(work.sources)]


def _finish(runner: Runner, work: Workload, batch: Sequence[Item]) -> int:
    """Run a batch to the end of its last row; rows that have ended are run no further."""
    runner.consume(work.model, batch)
    while runner.models[work.model].slots.rows:
        runner.emit(work.model, ENGINE.unit)
    return len(batch)


def one_by_one(runner: Runner, work: Workload) -> Iterator[int]:
    """One request after the other."""
    for item in itertools.cycle(_items(work)):
        yield _finish(runner, work, [item])


def sorted_batches(runner: Runner, work: Workload) -> Iterator[int]:
    """All inputs in batches of neighbours in length, as a job with all data at hand would; a turn is all of them."""
    items = sorted(_items(work), key=lambda item: len(item.source.ids) if isinstance(item.source, Tokens) else 0)
    batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
    random.Random(0).shuffle(batches)
    while True:
        yield sum(_finish(runner, work, batch) for batch in batches)


def image_batches(runner: Runner, work: Workload) -> Iterator[int]:
    """Batches of images, in order."""
    items = _items(work)
    for start in itertools.cycle(range(0, len(items), IMAGE_BATCH)):
        yield _finish(runner, work, items[start : start + IMAGE_BATCH])


def padded_batches(runner: Runner, work: Workload) -> Iterator[int]:
    """Whole requests in batches, in order of arrival: padded to the longest source, run until the slowest row ends."""
    items = _items(work)
    for start in itertools.cycle(range(0, len(items), BATCH)):
        yield _padded_batch(runner, work, items[start : start + BATCH])


@torch.inference_mode()
def _padded_batch(runner: Runner, work: Workload, items: Sequence[Item]) -> int:
    model = runner.models[work.model]
    network, decoding = model.network, model.decoding
    assert isinstance(network, EncoderDecoder)
    state = network.consume(*pad_rows([item.source.ids for item in items if isinstance(item.source, Tokens)]))
    previous = torch.full((len(items),), decoding.bos)
    ended = torch.zeros(len(items), dtype=torch.bool)
    for _ in range(work.max_tokens):
        logits, state, _ = network.step(previous, state)
        previous, _ = greedy(logits, model.suppressed)
        ended |= previous == decoding.eos
        if ended.all():
            break
    return len(items)


def step_level(runner: Runner, work: Workload) -> Iterator[int]:
    """The engine's own loop with all inputs given at once, and the next one whenever one ends: rows are always full."""
    scheduler = Scheduler(budget=ENGINE.budget, slots=ENGINE.slots)
    arriving = itertools.cycle(work.sources)
    present: dict[RequestKey, Item] = {}
    for index in itertools.count():
        while len(present) < len(work.sources):
            item = Item((str(index).encode(), len(present)), next(arriving), work.max_tokens)
            present[item.key] = item
            scheduler.add(Work(item.key, work.model, runner.check(work.model, item.source), emits=True))
        plan = scheduler.plan()
        if plan.consume:
            runner.consume(work.model, [present[part.key] for part in plan.consume])
        ended = runner.emit(work.model, ENGINE.unit) if plan.emit else []
        for sentence in ended:
            scheduler.remove(sentence.key)
            del present[sentence.key]
        yield len(ended)


class Way(NamedTuple):
    """A way of calling the model; `ideal` is what the service is held against, on all cores as the others but one."""

    name: str
    turns: Turns
    alone: bool = False
    ideal: bool = False


_ALONE = Way("one by one", one_by_one, alone=True)
WAYS = {
    "sentiment": (_ALONE, Way(f"batches of {BATCH}, sorted by length", sorted_batches, ideal=True)),
    "caption": (_ALONE, Way(f"batches of {IMAGE_BATCH}", image_batches, ideal=True)),
    "translate": (
        _ALONE,
        Way(f"padded batches of {BATCH}", padded_batches),
        Way(f"step level, {ENGINE.slots} rows kept full", step_level, ideal=True),
    ),
}
