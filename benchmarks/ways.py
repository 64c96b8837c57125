"""Ways of calling a model without a service: written by hand, and through the engine's own runner and scheduler.

Each is an endless generator that yields, turn by turn, how many requests it has just finished; the first turn loads the
model.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch

from app.engine.protocol import Emit, Failed, RequestKey, Tokens
from app.engine.runner import Item, Portion, Runner, Told
from app.engine.scheduler import Scheduler, Work
from app.models.serving.precision import Precision
from app.settings import Settings
from app.store.model_store import open_version
from benchmarks.inputs import Workload
from benchmarks.peers.model import load
from benchmarks.peers.servers import text_of

BATCH, IMAGE_BATCH = 32, 8
SETTINGS = Settings()

Turns = Callable[[Workload], Iterator[int]]
Kind = Literal["by hand", "engine's code", "padded", "step level", "ideal", "http"]


def by_hand(work: Workload, batch: int) -> Iterator[int]:
    """As a user writes it: inputs in order of arrival, so many at a time, padded to the longest, run until the slowest
    row ends. From the text or file to the text or label, in plain float32 torch."""
    model = load(work.job, work.folder)
    inputs = work.bodies if work.content_type.startswith("image/") else [text_of(body) for body in work.bodies]
    for start in itertools.cycle(range(0, len(inputs), batch)):
        yield len(model.predict(inputs[start : start + batch]))


def one_by_one(work: Workload) -> Iterator[int]:
    """One request after the other through the engine's code: the model's own time."""
    runner = _runner(work)
    for item in itertools.cycle(_items(work)):
        yield _finish(runner, work, [item])


def sorted_batches(work: Workload) -> Iterator[int]:
    """All inputs in batches of neighbours in length, as a job with all data at hand would; a turn is all of them."""
    runner = _runner(work)
    items = sorted(_items(work), key=lambda item: len(item.source.ids) if isinstance(item.source, Tokens) else 0)
    batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
    random.Random(0).shuffle(batches)
    while True:
        yield sum(_finish(runner, work, batch) for batch in batches)


def image_batches(work: Workload) -> Iterator[int]:
    """Batches of images, in order."""
    runner = _runner(work)
    items = _items(work)
    for start in itertools.cycle(range(0, len(items), IMAGE_BATCH)):
        yield _finish(runner, work, items[start : start + IMAGE_BATCH])


def step_level(work: Workload, precision: Precision = "auto") -> Iterator[int]:
    """The engine's own loop with all inputs given at once, and the next one whenever one ends: rows are always full."""
    runner = _runner(work, precision)
    key = work.model
    scheduler = Scheduler(budget=SETTINGS.budget, slots=SETTINGS.slots, unit=SETTINGS.unit)
    scheduler.register(key, divisible=runner.models[key].is_divisible, padded=runner.padded_steps(key))
    arriving, numbers = itertools.cycle(work.sources), itertools.count()
    present: dict[RequestKey, Item] = {}
    while True:
        while len(present) < len(work.sources):
            item = Item((b"", next(numbers)), next(arriving), _emit(work))
            present[item.key] = item
            cost = runner.check(key, item.source, item.emit)
            scheduler.add(Work(item.key, key, cost.consume, cost.rows, cost.emit))
        plan = scheduler.plan()
        if plan.consume:
            portions = [Portion(present[part.work.key], part.start, part.steps) for part in plan.consume]
            told = runner.consume(key, portions)
        else:
            told = runner.emit(key, SETTINGS.unit)
        for ended, _ in told:
            scheduler.remove(ended)
            del present[ended]
        yield _answered(told)


def _runner(work: Workload, precision: Precision = "auto") -> Runner:
    runner = Runner(torch.device("cpu"), slots=SETTINGS.slots, precision=precision)
    runner.load(open_version(work.folder))
    return runner


def _emit(work: Workload) -> Emit | None:
    return Emit(work.max_tokens) if work.max_tokens else None


def _items(work: Workload) -> list[Item]:
    return [Item((b"", index), source, _emit(work)) for index, source in enumerate(work.sources)]


def _finish(runner: Runner, work: Workload, batch: Sequence[Item]) -> int:
    """Run a batch to the end of its last row; rows that have ended are run no further."""
    key = work.model
    told = runner.consume(key, [Portion(item, 0, runner.check(key, item.source, item.emit).consume) for item in batch])
    while runner.models[key].slots.count:
        told += runner.emit(key, SETTINGS.unit)
    return _answered(told)


def _answered(told: Sequence[Told]) -> int:
    failed = [event.reason for _, event in told if isinstance(event, Failed)]
    assert not failed, failed[0]
    return len(told)


class Way(NamedTuple):
    """A way of calling the model. `ideal` is what the service is held against; those `alone` run in one process, the
    others on as many cores as the service has engines."""

    name: str
    kind: Kind
    turns: Turns
    alone: bool = False


_ALONE = (
    Way("by hand, one by one", "by hand", partial(by_hand, batch=1), alone=True),
    Way("engine's code, one by one", "engine's code", one_by_one, alone=True),
)
_FULL = f"{SETTINGS.slots} rows kept full"
WAYS = {
    "sentiment": (*_ALONE, Way(f"batches of {BATCH}, sorted by length", "ideal", sorted_batches)),
    "caption": (*_ALONE, Way(f"batches of {IMAGE_BATCH}", "ideal", image_batches)),
    "translate": (
        *_ALONE,
        Way(f"by hand, padded batches of {BATCH}", "padded", partial(by_hand, batch=BATCH)),
        Way(f"step level, float32, {_FULL}", "step level", partial(step_level, precision="float32")),
        Way(f"step level, {_FULL}", "ideal", step_level),
    ),
}
