"""Counters of an engine, the times of its requests, and the figures of each model that follow from them.

The loop reports each action and each request; the front ends get the same objects in a `Status`. Pure Python: the loop
brings the time.
"""

from collections.abc import Mapping

from app.engine.figures import LOAD_SECONDS, SECONDS, TOKEN_SECONDS, Histogram, ModelFigures
from app.engine.protocol import Decoded, Event, Failed, Forecasted, Times, Tokens
from app.engine.request import Request
from app.engine.scheduler import Plan


class Statistics:
    """The statistics of one engine. `slots` is the number of rows of each model, `restarts` that of its restarts."""

    def __init__(self, slots: int, *, restarts: int = 0) -> None:
        self._slots = slots
        self._without_token: dict[str, dict[Request, None]] = {}  # encoded, and no unit of decoding since; by model
        self._figures: dict[str, ModelFigures] = {}
        self.load_seconds = Histogram.empty(LOAD_SECONDS)
        self.counters = {
            "requests": 0,
            "cancelled": 0,
            "failed": 0,
            "expired": 0,
            "loads": 0,
            "load_failures": 0,
            "restarts": restarts,
        }

    def loaded(self, model: str, seconds: float) -> None:
        """A version became ready, `seconds` after its load was requested."""
        self.counters["loads"] += 1
        self.load_seconds.add(seconds, LOAD_SECONDS)
        self._begin(model)

    def _begin(self, model: str) -> None:
        if model in self._figures:
            return
        histograms = (Histogram.empty(SECONDS), Histogram.empty(SECONDS), Histogram.empty(TOKEN_SECONDS))
        self._figures[model] = ModelFigures(*histograms, slots=self._slots)

    def load_failed(self) -> None:
        """A version could not be loaded."""
        self.counters["load_failures"] += 1

    def unloaded(self, model: str) -> None:
        """Drop the figures of a version that is not served any more."""
        self._figures.pop(model, None)
        self._without_token.pop(model, None)

    def arrived(self, request: Request, now: float) -> None:
        """A request was accepted."""
        request.arrived = now
        self._begin(request.model)

    def cancelled(self, request: Request) -> None:
        """A request was cancelled."""
        self.counters["cancelled"] += 1
        self._forget(request)

    def _forget(self, request: Request) -> None:
        """Keep nothing of a request that has ended: its source may be large."""
        of_model = self._without_token.get(request.model, {})
        of_model.pop(request, None)
        if not of_model:
            self._without_token.pop(request.model, None)

    def executed(self, plan: Plan, started: float, now: float, *, is_piece: bool = False) -> None:
        """An action ended. After a unit of decoding every row has a token, or numbers; after a piece none has. A
        forecast may have its first numbers when its series is encoded. A window that is read anew has started
        already."""
        assert plan.model is not None
        figures = self._figures[plan.model]
        figures.executions += 1
        if is_piece:
            return
        if not plan.chunks:
            for request in self._without_token.pop(plan.model, ()):
                self._has_token(request, now)
            return
        for chunk in plan.chunks:
            request = chunk.request
            if chunk.start == 0 and not request.started:
                request.started = started
                figures.queue.add(started - request.arrived, SECONDS)
            if chunk.is_last and not request.encoded:
                request.encoded = now
                if request.made:
                    self._has_token(request, now)
                elif request.cost.rows and request.phase != "ended":  # as after a cancellation
                    self._without_token.setdefault(plan.model, {})[request] = None

    def _has_token(self, request: Request, now: float) -> None:
        request.first_token = now
        self._figures[request.model].first_token.add(now - request.arrived, SECONDS)

    def ended(self, request: Request, event: Event, now: float) -> Times:
        """A request was answered, or failed."""
        figures = self._figures[request.model]
        self._forget(request)
        if isinstance(event, Failed):
            self.counters["failed"] += 1
            figures.failed.add(now - request.arrived)
        else:
            figures.last_answered = now
            figures.answered.add(now - request.arrived)
            figures.waited.add(request.started - request.arrived)
            figures.encoded.add(request.encoded - request.started)
        if request.encoded and isinstance(request.source, Tokens):
            figures.source_tokens += len(request.source.ids)
        if isinstance(event, Decoded | Forecasted):
            figures.decoded.add(now - request.encoded)
        if isinstance(event, Decoded):
            figures.decoded_tokens += sum(len(hypothesis.tokens) for hypothesis in event.hypotheses)
            steps = max((len(hypothesis.log_probs) for hypothesis in event.hypotheses), default=0)
            if steps:
                figures.token.add((now - request.encoded) / steps, TOKEN_SECONDS)
        return Times(request.key[1], request.arrived, request.started, request.encoded, request.first_token, now)

    def figures(self, rows: Mapping[str, int]) -> dict[str, ModelFigures]:
        """The figures of each model that was loaded or asked for, with its `rows` in use now."""
        for model, figures in self._figures.items():
            figures.rows = rows.get(model, 0)
        return self._figures
