"""What the engine does next: pure Python, no torch, no clock of its own.

Continuous batching in units ("cellular batching", Gao et al., EuroSys 2018): in each step at most one piece of
consuming, bounded by a budget of padded cell steps, and one unit of emitting for one model. Nothing waits for a
batch to fill, and models take turns.
"""

from dataclasses import dataclass, field

from app.engine.messages import RequestKey

MAX_PADDING = 1.25  # longest ÷ shortest source within one piece


@dataclass(frozen=True, slots=True)
class Work:
    """A request as the scheduler sees it. `cost` is in cell steps: the source's length, or what an image counts as."""

    key: RequestKey
    model: str
    cost: int
    emits: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """One step: requests of one model to consume together, and a model to run one unit of."""

    consume: tuple[Work, ...] = ()
    emit: str | None = None


@dataclass(slots=True)
class _Queue:
    waiting: dict[RequestKey, Work] = field(default_factory=dict)  # in order of arrival
    running: dict[RequestKey, Work] = field(default_factory=dict)


class Scheduler:
    """Keeps what waits and what runs, by model. `slots` bounds the running rows of each model."""

    def __init__(self, *, budget: int, slots: int) -> None:
        self._budget = budget
        self._slots = slots
        self._queues: dict[str, _Queue] = {}
        self._consume_turn: list[str] = []  # models, the one whose turn is longest ago first
        self._emit_turn: list[str] = []

    def add(self, work: Work) -> None:
        """Queue a request behind the others of its model."""
        if work.model not in self._queues:
            self._queues[work.model] = _Queue()
            self._consume_turn.append(work.model)
            self._emit_turn.append(work.model)
        self._queues[work.model].waiting[work.key] = work

    def remove(self, key: RequestKey) -> Work | None:
        """Forget a request, waiting or running; None when it is not here."""
        for queue in self._queues.values():
            for place in (queue.waiting, queue.running):
                if key in place:
                    return place.pop(key)
        return None

    def __contains__(self, key: RequestKey) -> bool:
        return any(key in queue.waiting or key in queue.running for queue in self._queues.values())

    @property
    def waiting(self) -> int:
        return sum(len(queue.waiting) for queue in self._queues.values())

    @property
    def running(self) -> int:
        return sum(len(queue.running) for queue in self._queues.values())

    def plan(self) -> Plan:
        """The next step. What it consumes counts as running from now on, until `remove`."""
        consume = self._next_piece()
        for work in consume:
            queue = self._queues[work.model]
            queue.running[work.key] = queue.waiting.pop(work.key)
        return Plan(consume, self._next_unit())

    def _next_piece(self) -> tuple[Work, ...]:
        for model in self._consume_turn:
            if piece := self._piece_of(self._queues[model]):
                self._consume_turn.remove(model)
                self._consume_turn.append(model)
                return piece
        return ()

    def _next_unit(self) -> str | None:
        for model in self._emit_turn:
            if any(work.emits for work in self._queues[model].running.values()):
                self._emit_turn.remove(model)
                self._emit_turn.append(model)
                return model
        return None

    def _piece_of(self, queue: _Queue) -> tuple[Work, ...]:
        """The oldest request, and the ones nearest to it in length that fit the budget: no request starves."""
        if not queue.waiting:
            return ()
        oldest = next(iter(queue.waiting.values()))
        room = self._slots - len(queue.running) if oldest.emits else len(queue.waiting)
        if room <= 0:
            return ()
        longest = shortest = oldest.cost
        piece: list[Work] = []
        for work in sorted(queue.waiting.values(), key=lambda work: abs(work.cost - oldest.cost)):
            longest, shortest = max(longest, work.cost), min(shortest, work.cost)
            too_much = longest * (len(piece) + 1) > self._budget or longest > MAX_PADDING * shortest
            if len(piece) == room or (piece and too_much):
                break
            piece.append(work)
        return tuple(piece)
