"""What the engine does next: pure Python, no torch, no clock of its own.

Continuous batching in units ("cellular batching", Gao et al., EuroSys 2018). Each plan is one action of one model: a
piece of consuming, bounded by a budget of padded cell steps, or one unit of emitting for all its running rows. Nothing
waits for a batch to fill. Three kinds of fairness:

- models share the engine by the time that they used, as told by `charge`;
- clients, and the requests of one client, share a model by self-clocked fair queueing (Golestani 1994, section 3);
- within a model, consuming and emitting take turns.
"""

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.engine.protocol import RequestKey, Terms

HEAD_START = 20_000  # cell steps that one point of priority is worth: a finite lead, so that nothing starves
MOST_WASTE = 0.08  # padding ÷ useful cell steps that a source may bring a piece to
CHUNK_UNITS = 16  # most units of a divisible source in one piece
ORDINARY = Terms()
_LOOK_AHEAD = 256  # waiting requests among which neighbours in length are looked for


@dataclass(frozen=True, slots=True)
class Work:
    """A request as the scheduler sees it.

    `cost` is what consuming takes in cell steps: the source's length, or what an image counts as. `rows` are the
    running rows that it needs to emit, 0 for a label, and `expected` the cell steps of emitting to count on.
    """

    key: RequestKey
    model: str
    cost: int
    rows: int = 0
    expected: int = 0
    terms: Terms = ORDINARY
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """`steps` cell steps of a source, from `start` on."""

    work: Work
    start: int
    steps: int

    @property
    def is_last(self) -> bool:
        return self.start + self.steps == self.work.cost


@dataclass(frozen=True, slots=True)
class Plan:
    """One action: parts of sources of one model to consume together, or one unit of a model; nothing when all is
    idle."""

    model: str | None = None
    consume: tuple[Part, ...] = ()

    @property
    def is_idle(self) -> bool:
        return self.model is None


@dataclass(slots=True)
class _Entry:
    work: Work
    order: tuple[float, int]
    tag: float
    done: int = 0  # cell steps consumed


@dataclass(slots=True)
class _Queue:
    padded: Callable[[Sequence[int]], int]
    divisible: bool
    waiting: dict[RequestKey, _Entry] = field(default_factory=dict)
    reading: dict[RequestKey, _Entry] = field(default_factory=dict)  # consumed in part
    running: dict[RequestKey, _Entry] = field(default_factory=dict)
    rows: int = 0  # of what reads and runs
    used: float = 0.0  # seconds, or whatever `charge` is told in
    consumed_last: bool = False
    virtual: float = 0.0  # finish tag of what was consumed last
    finish: dict[tuple[str, int], float] = field(default_factory=dict)  # by client and group, the last tag

    @property
    def is_active(self) -> bool:
        return bool(self.waiting or self.reading or self.running)


def padded_to_longest(costs: Sequence[int]) -> int:
    """Cell steps of a batch in which every source is padded to the longest."""
    return max(costs) * len(costs)


class Scheduler:
    """Keeps what waits, reads and runs, by model. `slots` bounds the running rows of each model."""

    def __init__(self, *, budget: int, slots: int, unit: int) -> None:
        self._budget = budget
        self._slots = slots
        self._unit = unit
        self._queues: dict[str, _Queue] = {}
        self._entries: dict[RequestKey, _Entry] = {}
        self._groups: Counter[str] = Counter()  # groups with something that waits, by client
        self._in_group: Counter[tuple[str, int]] = Counter()
        self._deadlines: list[tuple[float, int, RequestKey]] = []
        self._numbers = itertools.count()
        self._alone: dict[RequestKey, _Entry] = {}
        self._steps = 0

    def register(
        self, model: str, *, divisible: bool = False, padded: Callable[[Sequence[int]], int] = padded_to_longest
    ) -> None:
        """Make a model known. `divisible` sources are consumed in units; `padded` tells what a batch of others
        costs."""
        self._queues[model] = _Queue(padded, divisible)

    def unregister(self, model: str) -> None:
        """Forget a model that nothing waits for and nothing runs of."""
        assert not self._queues[model].is_active
        del self._queues[model]

    def is_idle(self, model: str) -> bool:
        """Whether nothing of a model waits, reads or runs."""
        return not self._queues[model].is_active

    def add(self, work: Work) -> None:
        """Queue a request of a registered model."""
        queue = self._queues[work.model]
        if not queue.is_active:
            others = [other.used for other in self._queues.values() if other.is_active]
            queue.used = max([queue.used, min(others)]) if others else queue.used
        flow = (work.terms.client, work.terms.group)
        self._in_group[flow] += 1
        self._groups[flow[0]] += self._in_group[flow] == 1
        tag = max(queue.virtual, queue.finish.get(flow, 0.0)) + (work.cost + work.expected) * self._groups[flow[0]]
        queue.finish[flow] = tag
        number = next(self._numbers)
        entry = _Entry(work, (tag - HEAD_START * work.terms.priority, number), tag)
        queue.waiting[work.key] = self._entries[work.key] = entry
        self._steps += work.cost + work.expected
        if work.alone:
            self._alone[work.key] = entry
        if work.terms.deadline is not None:
            heapq.heappush(self._deadlines, (work.terms.deadline, number, work.key))

    def remove(self, key: RequestKey) -> Work | None:
        """Forget a request, wherever it is; None when it is not here."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        work = entry.work
        queue = self._queues[work.model]
        if key in queue.waiting:
            del queue.waiting[key]
        else:
            (queue.reading if key in queue.reading else queue.running).pop(key)
            queue.rows -= work.rows
        self._alone.pop(key, None)
        self._steps -= work.cost + work.expected
        flow = (work.terms.client, work.terms.group)
        self._in_group[flow] -= 1
        if not self._in_group[flow]:
            del self._in_group[flow]
            for other in self._queues.values():
                other.finish.pop(flow, None)
            self._groups[flow[0]] -= 1
            if not self._groups[flow[0]]:
                del self._groups[flow[0]]
        return work

    def expire(self, now: float) -> list[Work]:
        """Forget and return every request whose deadline is not after `now`."""
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number, key = heapq.heappop(self._deadlines)
            entry = self._entries.get(key)
            if entry is not None and entry.order[1] == number:
                expired.append(entry.work)
                self.remove(key)
        return expired

    def charge(self, model: str, used: float) -> None:
        """Note the time that an action of a model took: who used least is next."""
        self._queues[model].used += used

    def __contains__(self, key: RequestKey) -> bool:
        return key in self._entries

    @property
    def waiting(self) -> int:
        return sum(len(queue.waiting) for queue in self._queues.values())

    @property
    def running(self) -> int:
        """Requests that are consumed in part or emit."""
        return sum(len(queue.reading) + len(queue.running) for queue in self._queues.values())

    @property
    def pending_steps(self) -> int:
        """Cell steps of all requests that have not ended, expected ones of emitting included."""
        return self._steps

    def plan(self) -> Plan:
        """The next action. What it consumes counts as reading or running from now on, until `remove`."""
        models = sorted((name for name, queue in self._queues.items() if queue.is_active), key=self._used)
        if self._alone:
            return self._plan_alone(models)
        for model in models:
            plan = self._plan_of(model, self._queues[model])
            if not plan.is_idle:
                return plan
        return Plan()

    def _used(self, model: str) -> float:
        return self._queues[model].used

    def _plan_alone(self, models: Sequence[str]) -> Plan:
        """What runs is brought to its end; then the first request that wants to be alone runs by itself."""
        first = next(iter(self._alone.values()))
        model, key = first.work.model, first.work.key
        queue = self._queues[model]
        for name in models:
            if name != model or key in queue.waiting:
                others = self._queues[name]
                if others.reading:
                    return self._take(name, others, list(others.reading.values()))
                if others.running:
                    return Plan(name)
        return Plan(model) if key in queue.running else self._take(model, queue, [first])

    def _plan_of(self, model: str, queue: _Queue) -> Plan:
        emits = bool(queue.running)
        if queue.consumed_last and emits:
            queue.consumed_last = False
            return Plan(model)
        if candidates := self._candidates(queue):
            queue.consumed_last = True
            return self._take(model, queue, candidates)
        queue.consumed_last = False
        return Plan(model) if emits else Plan()

    def _candidates(self, queue: _Queue) -> list[_Entry]:
        """What could be consumed now, in order. A request that needs more rows than are free lets none pass it: rows
        become free soon, and many small requests would keep it waiting for ever."""
        found = list(queue.reading.values())
        room = self._slots - queue.rows
        for entry in heapq.nsmallest(_LOOK_AHEAD, queue.waiting.values(), key=_order):
            room -= entry.work.rows
            if room < 0:
                break
            found.append(entry)
        return found

    def _take(self, model: str, queue: _Queue, candidates: list[_Entry]) -> Plan:
        parts = self._chunks(candidates) if queue.divisible else self._wholes(queue, candidates)
        for part in parts:
            work = part.work
            entry = self._entries[work.key]
            entry.done += part.steps
            if queue.waiting.pop(work.key, None):
                queue.rows += work.rows
                queue.virtual = max(queue.virtual, entry.tag)
            queue.reading.pop(work.key, None)
            (queue.running if part.is_last else queue.reading)[work.key] = entry
        return Plan(model, tuple(parts))

    def _chunks(self, candidates: list[_Entry]) -> list[Part]:
        """The same few units of each: as many as the shortest rest takes, so that it ends and little is padded."""
        ordered = sorted(candidates, key=_order)
        rest = min(entry.work.cost - entry.done for entry in ordered)
        units = min(math.ceil(rest / self._unit), CHUNK_UNITS)
        units = max(1, min(units, self._budget // self._unit))
        steps = units * self._unit
        chosen = ordered[: max(1, self._budget // steps)]
        return [Part(entry.work, entry.done, min(steps, entry.work.cost - entry.done)) for entry in chosen]

    def _wholes(self, queue: _Queue, candidates: list[_Entry]) -> list[Part]:
        """The first in order, and those nearest to it in length that fit the budget and bring little padding."""
        first = min(candidates, key=_order)
        near = sorted(candidates, key=lambda entry: (entry is not first, abs(entry.work.cost - first.work.cost)))
        piece: list[_Entry] = []
        costs: list[int] = []
        for entry in near:
            costs.append(entry.work.cost)
            if piece:
                padded = queue.padded(costs)
                if padded > self._budget or padded > (1 + MOST_WASTE) * sum(costs):
                    costs.pop()
                    if sum(costs) + entry.work.cost > self._budget:
                        break
                    continue
            piece.append(entry)
        return [Part(entry.work, 0, entry.work.cost) for entry in piece]


def _order(entry: _Entry) -> tuple[float, int]:
    return entry.order
