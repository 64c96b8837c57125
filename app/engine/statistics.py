"""When each request of an engine came, was run and was told of, and what follows from that for each model.

The engine's loop notes a few numbers for each action and each request, and what is sent to the front ends is what is
kept here. Pure Python: the loop gives the time.
"""

from collections.abc import Mapping

from app.engine.protocol import (
    LOAD_SECONDS,
    SECONDS,
    TOKEN_SECONDS,
    Emitted,
    Event,
    Failed,
    ModelFigures,
    Pixels,
    RequestKey,
    Spread,
    Times,
    Tokens,
)
from app.engine.scheduler import Plan


class _Visit:
    """A request while it is in the engine. Times are 0 until they come."""

    __slots__ = ("arrived", "begun", "consumed", "model", "source_tokens", "told")

    def __init__(self, model: str, source_tokens: int, arrived: float) -> None:
        self.model = model
        self.source_tokens = source_tokens
        self.arrived = arrived
        self.begun = self.consumed = self.told = 0.0


class Journal:
    """Of one engine. `slots` are the rows that each model may emit at the same time."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._visits: dict[RequestKey, _Visit] = {}
        self._silent: dict[str, list[RequestKey]] = {}  # by model, those that have been consumed and told nothing
        self._figures: dict[str, ModelFigures] = {}
        self.load_seconds = Spread.over(LOAD_SECONDS)

    def loaded(self, model: str, seconds: float) -> None:
        """A version is warm, so many seconds after it was asked for."""
        self.load_seconds.add(seconds, LOAD_SECONDS)
        spreads = (Spread.over(SECONDS), Spread.over(SECONDS), Spread.over(TOKEN_SECONDS))
        self._figures[model] = ModelFigures(*spreads, slots=self._slots)

    def unloaded(self, model: str) -> None:
        """A version is gone, and so are its figures."""
        del self._figures[model]
        self._silent.pop(model, None)

    def arrived(self, key: RequestKey, model: str, source: Tokens | Pixels, now: float) -> None:
        """A request was taken."""
        self._visits[key] = _Visit(model, len(source.ids) if isinstance(source, Tokens) else 0, now)

    def ran(self, plan: Plan, started: float, now: float) -> None:
        """An action was run. After a unit of emitting every row has told something."""
        assert plan.model is not None
        self._figures[plan.model].executions += 1
        if not plan.consume:
            for key in self._silent.pop(plan.model, ()):
                visit = self._visits.get(key)
                if visit is not None:  # it was not cancelled meanwhile
                    visit.told = now
                    self._figures[plan.model].first_token.add(now - visit.arrived, SECONDS)
            return
        for part in plan.consume:
            visit = self._visits[part.work.key]
            if part.start == 0:
                visit.begun = started
                self._figures[plan.model].queue.add(started - visit.arrived, SECONDS)
            if part.is_last:
                visit.consumed = now
                if part.work.rows:
                    self._silent.setdefault(plan.model, []).append(part.work.key)

    def ended(self, key: RequestKey, event: Event, now: float) -> Times:
        """A request was answered, or failed."""
        visit = self._visits.pop(key)
        figures = self._figures[visit.model]
        if isinstance(event, Failed):
            figures.failed.add(now - visit.arrived)
        else:
            figures.last = now
            figures.answered.add(now - visit.arrived)
            figures.waited.add(visit.begun - visit.arrived)
            figures.consumed.add(visit.consumed - visit.begun)
        if visit.consumed:
            figures.source_tokens += visit.source_tokens
        if isinstance(event, Emitted):
            figures.emitted.add(now - visit.consumed)
            figures.emitted_tokens += sum(len(hypothesis.tokens) for hypothesis in event.hypotheses)
            steps = max((len(hypothesis.log_probs) for hypothesis in event.hypotheses), default=0)
            if steps:
                figures.token.add((now - visit.consumed) / steps, TOKEN_SECONDS)
        return Times(key[1], visit.arrived, visit.begun, visit.consumed, visit.told, now)

    def cancelled(self, key: RequestKey) -> None:
        """Nobody waits for a request any more."""
        del self._visits[key]

    def figures(self, rows: Mapping[str, int]) -> dict[str, ModelFigures]:
        """Of each model, with the rows that it has now."""
        for model, figures in self._figures.items():
            figures.rows = rows[model]
        return self._figures
