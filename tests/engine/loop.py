"""The engine's loop without its socket: requests of several models, planned and run until all have ended."""

from collections.abc import Callable, Iterable
from pathlib import Path

from app.engine.cost import cost_of
from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.forecast import forecast
from app.engine.models import Models
from app.engine.pieces import run_piece
from app.engine.protocol import AnswerSpec, Event, Part, Source, Terms
from app.engine.request import ORDINARY, Output, Request
from app.engine.scheduler import Plan, Scheduler
from app.store.model_store import open_version


def load(models: Models, store: Path, *keys: str) -> Models:
    """Load versions of a store."""
    for key in keys:
        models.load(open_version(store / key))
    return models


class Loop:
    """Turns of an engine. `events` are those of each request, by its number."""

    def __init__(self, models: Models, *, budget: int = 300, slots: int = 8, unit: int = 6) -> None:
        self.models = models
        self.scheduler = Scheduler(budget=budget, slots=slots, unit=unit)
        self.unit = unit
        self.events: dict[int, list[Event]] = {}
        for key, model in models.items():
            self.scheduler.register(key, divisible=model.is_divisible, step=model.step, padded=model.padded_steps)

    def add(self, key: str, source: Source, answer: AnswerSpec, terms: Terms = ORDINARY) -> Request:
        """A new request."""
        number = len(self.events)
        cost = cost_of(source, answer, self.models[key].manifest.architecture)
        request = Request((b"", number), key, source, answer, cost, terms)
        self.events[number] = []
        self.scheduler.add(request)
        return request

    def turn(self) -> Plan:
        """One plan and its outputs."""
        plan = self.scheduler.plan()
        if plan.model is not None:
            for request, event in self._execute(plan):
                assert request.key in self.scheduler, "an event of a request that has ended"
                self.events[request.key[1]].append(event)
                if not isinstance(event, Part):
                    self.scheduler.remove(request.key)
        return plan

    def _execute(self, plan: Plan) -> list[Output]:
        assert plan.model is not None
        model = self.models[plan.model]
        if plan.chunks:
            outputs = encode(model, plan.chunks)
            self.scheduler.read_again(plan.chunks)
            return outputs
        if model.takes_piece():
            return run_piece(model)
        return forecast(model, self.unit) if len(model.forecasts) else decode(model, self.unit)

    def run(self, until: Callable[[], bool] = lambda: False) -> dict[int, list[Event]]:
        """Run until all requests have ended, or until something holds."""
        while not until() and not self.turn().is_idle:
            pass
        return self.events


def answers(models: Models, work: Iterable[tuple[str, Source, AnswerSpec]], *, budget: int = 300) -> list[Event]:
    """The last event of each request, all sent at once."""
    loop = Loop(models, budget=budget)
    for key, source, answer in work:
        loop.add(key, source, answer)
    events = loop.run()
    assert all(model.rows == 0 and not model.in_pieces for model in models.values())
    return [events[number][-1] for number in range(len(events))]
