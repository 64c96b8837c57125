"""Ways of calling a model without a service: written by hand, and through the engine's own code and scheduler.

Each is an endless generator that yields, turn by turn, how many requests it has just finished; the first turn loads the
model.
"""

import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch

from app.engine.cost import cost_of, encode_steps
from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.forecast import forecast
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.policy import policy_of
from app.engine.protocol import Failed, Source
from app.engine.request import Output, Request, whole
from app.engine.scheduler import Scheduler
from app.models.serving.precision import Precision
from app.settings import Settings
from app.store.model_store import open_version
from benchmarks.inputs import Workload
from benchmarks.peers.model import load

BATCH, IMAGE_BATCH = 32, 8
SETTINGS = Settings()
_CPU = torch.device("cpu")
_POLICY = policy_of(_CPU)

Turns = Callable[[Workload], Iterator[int]]
Kind = Literal["by hand", "engine's code", "padded", "step level", "ideal", "http"]


def by_hand(work: Workload, batch: int) -> Iterator[int]:
    """As a user writes it, in plain float32 torch: `batch` inputs at a time in order of arrival, padded to the longest,
    run until the slowest row ends. From the text, the file or the numbers to the text, the label or the numbers."""
    model = load(work.job, work.folder)
    is_file = work.content_type.startswith("image/")
    inputs = work.bodies if is_file else [json.loads(body)["inputs"] for body in work.bodies]
    for start in itertools.cycle(range(0, len(inputs), batch)):
        yield len(model.predict(inputs[start : start + batch]))


def one_by_one(work: Workload) -> Iterator[int]:
    """One request after the other through the engine's code: the model's own time."""
    model = _model(work)
    for source in itertools.cycle(work.sources):
        yield _finish(model, _requests(work, [source]))


def sorted_batches(work: Workload) -> Iterator[int]:
    """All inputs in batches of neighbours in length, as a job with all data at hand would; a turn is all of them."""
    model = _model(work)
    sources = sorted(work.sources, key=encode_steps)
    batches = [sources[start : start + BATCH] for start in range(0, len(sources), BATCH)]
    random.Random(0).shuffle(batches)
    while True:
        yield sum(_finish(model, _requests(work, batch)) for batch in batches)


def image_batches(work: Workload) -> Iterator[int]:
    """Batches of images, in order."""
    model = _model(work)
    for start in itertools.cycle(range(0, len(work.sources), IMAGE_BATCH)):
        yield _finish(model, _requests(work, work.sources[start : start + IMAGE_BATCH]))


def step_level(work: Workload, precision: Precision = "auto") -> Iterator[int]:
    """The engine's own loop with all inputs given at once, and the next one whenever one ends: rows are always full."""
    model = _model(work, precision)
    scheduler = Scheduler(budget=_POLICY.budget, slots=_POLICY.slots, unit=SETTINGS.unit)
    scheduler.register(model.key, divisible=model.is_divisible, step=model.step, padded=model.padded_steps)
    arriving, numbers = itertools.cycle(work.sources), itertools.count()
    while True:
        while len(scheduler) < len(work.sources):
            scheduler.add(_request(work, next(numbers), next(arriving)))
        plan = scheduler.plan()
        outputs = encode(model, plan.chunks) if plan.chunks else decode(model, SETTINGS.unit)
        for request, _ in outputs:
            scheduler.remove(request.key)
        yield _answered(outputs)


def _model(work: Workload, precision: Precision = "auto") -> LoadedModel:
    models = Models(_CPU, slots=_POLICY.slots, precision=precision)
    models.load(open_version(work.folder))
    return models[work.model]


def _request(work: Workload, number: int, source: Source) -> Request:
    return Request((b"", number), work.model, source, work.answer, cost_of(source, work.answer))


def _requests(work: Workload, sources: Sequence[Source]) -> list[Request]:
    return [_request(work, number, source) for number, source in enumerate(sources)]


def _finish(model: LoadedModel, batch: Sequence[Request]) -> int:
    """Run a batch to the end of its last row; rows that have ended are run no further."""
    outputs: list[Output] = []
    reading = list(batch)
    while reading:  # again, the windows of forecasts that feed themselves
        outputs += encode(model, [whole(request) for request in reading])
        reading = [request for request in reading if request.reads_again]
        for request in reading:
            request.reads_again = False
    while model.rows:
        outputs += forecast(model, SETTINGS.unit) if len(model.forecasts) else decode(model, SETTINGS.unit)
    return _answered(outputs)


def _answered(outputs: Sequence[Output]) -> int:
    failed = [event.reason for _, event in outputs if isinstance(event, Failed)]
    assert not failed, failed[0]
    return len(outputs)


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
_FULL = f"{_POLICY.slots} rows kept full"
_SORTED = Way(f"batches of {BATCH}, sorted by length", "ideal", sorted_batches)
WAYS = {
    "sentiment": (*_ALONE, _SORTED),
    "caption": (*_ALONE, Way(f"batches of {IMAGE_BATCH}", "ideal", image_batches)),
    "translate": (
        *_ALONE,
        Way(f"by hand, padded batches of {BATCH}", "padded", partial(by_hand, batch=BATCH)),
        Way(f"step level, float32, {_FULL}", "step level", partial(step_level, precision="float32")),
        Way(f"step level, {_FULL}", "ideal", step_level),
    ),
    "forecast": (*_ALONE, Way(f"batches of {BATCH}", "ideal", sorted_batches)),
    "classify": (*_ALONE, _SORTED),
}
