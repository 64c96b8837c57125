"""What the engine runs next: pure Python, without torch and without a clock.

Continuous batching in units ("cellular batching", Gao et al., EuroSys 2018). Each plan is one action of one model:
either chunks of sources to encode together, bounded by a budget of padded cell steps, or one unit of decoding or
forecasting for all its running rows. A batch never waits to fill. Three kinds of fairness:

- models share the engine by start-time fair queueing (Goyal et al., SIGCOMM 1996): the model with the least virtual
  time is next, `charge` advances it, and a model that was idle starts at the virtual time of the engine;
- clients, and the requests of one client, share a model by self-clocked fair queueing (Golestani 1994, section 3);
- within a model, encoding and decoding take turns.

Suspects, with which engines have ended, come before all others: one trial of them at a time, with nothing beside it.
"""

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from app.engine.protocol import RequestKey
from app.engine.request import Chunk, Phase, Request, whole

HEAD_START = 20_000  # cell steps that one point of priority is worth: a finite lead, so that nothing starves
MAX_WASTE = 0.08  # padding ÷ useful cell steps that a source may bring a batch to
CHUNK_UNITS = 16  # longest chunk of a divisible source, in units
_ENDED = 256  # deadlines of requests that have ended, kept at most beside as many as there are requests
_LOOK_AHEAD = 256  # waiting requests that are searched for neighbours in length


@dataclass(frozen=True, slots=True)
class Plan:
    """One action of one model: encode `chunks`, or without chunks decode one unit or explain one piece. Without a model
    the engine is idle."""

    model: str | None = None
    chunks: tuple[Chunk, ...] = ()

    @property
    def is_idle(self) -> bool:
        return self.model is None


def _by_phase() -> dict[Phase, dict[Request, None]]:
    return {"waiting": {}, "encoding": {}, "decoding": {}}


@dataclass(slots=True)
class _Queue:
    """The requests of one model, in order of arrival in each phase. A label counts as decoding once its last chunk is
    planned, also while it is explained."""

    padded: Callable[[Sequence[int]], int]
    divisible: bool
    step: int = 1  # cell steps of a step of a source
    by_phase: dict[Phase, dict[Request, None]] = field(default_factory=_by_phase)
    rows: int = 0  # of requests that are encoding or decoding
    used: float = 0.0  # virtual time: the sum of `charge`, and of what others used while it was idle
    encoded_last: bool = False
    virtual: float = 0.0  # finish tag of the request that started last
    finish: dict[tuple[str, int], float] = field(default_factory=dict)  # last tag by client and group
    is_held: bool = False  # its waiting requests stay where they are

    @property
    def is_active(self) -> bool:
        return any(self.by_phase.values())

    def move(self, request: Request, phase: Phase) -> None:
        """Put a request into another phase."""
        if request.phase == phase:
            return
        del self.by_phase[request.phase][request]
        if request.phase == "waiting":
            self.rows += request.cost.rows
        request.phase = phase
        self.by_phase[phase][request] = None

    def remove(self, request: Request) -> None:
        del self.by_phase[request.phase][request]
        if request.phase != "waiting":
            self.rows -= request.cost.rows
        request.phase = "ended"


def padded_to_longest(costs: Sequence[int]) -> int:
    """Cell steps of a batch in which every source is padded to the longest."""
    return max(costs) * len(costs)


class Scheduler:
    """Holds every request of the engine and plans its actions. `slots` bounds the running rows of each model."""

    def __init__(self, *, budget: int, slots: int, unit: int) -> None:
        self._budget = budget
        self._slots = slots
        self._unit = unit
        self._queues: dict[str, _Queue] = {}
        self._active: dict[str, _Queue] = {}  # those with requests, in order of their first one
        self._requests: dict[RequestKey, Request] = {}
        self._groups: Counter[str] = Counter()  # groups with a request here, by client
        self._in_group: Counter[tuple[str, int]] = Counter()
        self._deadlines: list[tuple[float, int, RequestKey]] = []  # keys: an ended request keeps no memory
        self._numbers = itertools.count()
        self._trials: dict[RequestKey, dict[Request, None]] = {}  # suspects by front end and number, oldest trial first
        self._steps = 0
        self._virtual = 0.0  # start of the action that was planned last, in virtual time

    def register(
        self,
        model: str,
        *,
        divisible: bool = False,
        step: int = 1,
        padded: Callable[[Sequence[int]], int] = padded_to_longest,
    ) -> None:
        """Run the requests of a model. `divisible` sources are encoded in chunks of whole steps, each of `step` cell
        steps; `padded` is the cost of a batch of whole ones."""
        queue = self._queues.setdefault(model, _Queue(padded, divisible))
        queue.padded, queue.divisible, queue.step = padded, divisible, step
        self._let_go(queue)

    def hold(self, model: str, *, held: bool = True) -> None:
        """Let the waiting requests of a model wait until it is registered, or no longer `held`. The others go on."""
        queue = self._queues.setdefault(model, _Queue(padded_to_longest, divisible=False))
        if held:
            queue.is_held = True
        else:
            self._let_go(queue)

    def _let_go(self, queue: _Queue) -> None:
        """Run the waiting requests of a model. What others used while it was held is no arrears."""
        queue.is_held = False
        queue.used = max(queue.used, self._virtual)

    def unregister(self, model: str) -> None:
        """Forget an idle model, if it is known."""
        assert model not in self._active
        self._queues.pop(model, None)

    def is_idle(self, model: str) -> bool:
        """Whether no request of a model is here."""
        return model not in self._active

    def is_running(self, model: str) -> bool:
        """Whether a request of a model is here that does not wait."""
        queue = self._active.get(model)
        return queue is not None and any(queue.by_phase[phase] for phase in ("encoding", "decoding"))

    @property
    def models(self) -> list[str]:
        """The models of the requests that are here, in order of the first one."""
        return list(self._active)

    def requests_of(self, model: str) -> list[Request]:
        """The requests of a model."""
        queue = self._active.get(model)
        return [] if queue is None else [request for phase in queue.by_phase.values() for request in phase]

    @property
    def can_run(self) -> bool:
        """Whether a request is here that need not wait for its model."""
        return any(not queue.is_held or self.is_running(model) for model, queue in self._active.items())

    def add(self, request: Request) -> None:
        """Queue a request of a model that is registered or held."""
        queue = self._queues[request.model]
        terms = request.terms
        if not queue.is_active:
            if not self._requests:
                self._virtual = max(other.used for other in self._queues.values())
            queue.used = max(queue.used, self._virtual)
            self._active[request.model] = queue
        flow = (terms.client, terms.group)
        self._in_group[flow] += 1
        self._groups[flow[0]] += self._in_group[flow] == 1
        number = next(self._numbers)
        self._place(queue, request, number)
        queue.by_phase[request.phase][request] = None
        self._requests[request.key] = request
        self._steps += request.cost.total
        if request.trial:
            self._trials.setdefault(_trial(request), {})[request] = None
        if terms.deadline is not None:
            self._note_deadline(terms.deadline, number, request.key)

    def _place(self, queue: _Queue, request: Request, number: int) -> None:
        """Give a request its place in the order, by the cost of its next reading alone."""
        terms = request.terms
        flow = (terms.client, terms.group)
        cost = request.cost.reading * self._groups[terms.client]
        request.tag = queue.finish[flow] = max(queue.virtual, queue.finish.get(flow, 0.0)) + cost
        request.order = (request.tag - HEAD_START * terms.priority, number)

    def _note_deadline(self, deadline: float, number: int, key: RequestKey) -> None:
        heapq.heappush(self._deadlines, (deadline, number, key))
        if len(self._deadlines) > 2 * len(self._requests) + _ENDED:  # most requests end long before their deadline
            self._deadlines = [entry for entry in self._deadlines if self._is_due(entry[1], entry[2])]
            heapq.heapify(self._deadlines)

    def _is_due(self, number: int, key: RequestKey) -> bool:
        """Whether this request is here; a later one may have its key."""
        request = self._requests.get(key)
        return request is not None and request.order[1] == number

    def read_again(self, chunks: Iterable[Chunk]) -> None:
        """Encode the sources of requests anew that changed when their last chunk was encoded. Each reading has a place
        of its own in the order: others pass a request that is read often."""
        for request in (chunk.request for chunk in chunks if chunk.request.reads_again):
            request.reads_again, request.encoded_steps = False, 0
            queue = self._queues[request.model]
            queue.move(request, "encoding")
            self._place(queue, request, request.order[1])

    def remove(self, key: RequestKey) -> Request | None:
        """Forget a request in any phase; None if it is not here."""
        request = self._requests.pop(key, None)
        if request is None:
            return None
        queue = self._queues[request.model]
        queue.remove(request)
        if not queue.is_active:
            del self._active[request.model]
        if request.trial:
            of_trial = self._trials[_trial(request)]
            del of_trial[request]
            if not of_trial:
                del self._trials[_trial(request)]
        self._steps -= request.cost.total
        flow = (request.terms.client, request.terms.group)
        self._in_group[flow] -= 1
        if not self._in_group[flow]:
            del self._in_group[flow]
            for other in self._queues.values():
                other.finish.pop(flow, None)
            self._groups[flow[0]] -= 1
            if not self._groups[flow[0]]:
                del self._groups[flow[0]]
        return request

    def expire(self, now: float) -> list[Request]:
        """Forget and return every request whose deadline is not after `now`."""
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number, key = heapq.heappop(self._deadlines)
            if self._is_due(number, key):
                expired.append(self._requests[key])
                self.remove(key)
        return expired

    def charge(self, model: str, used: float) -> None:
        """Count the time of an action: the model that used least is next."""
        self._queues[model].used += used

    def __contains__(self, key: RequestKey) -> bool:
        return key in self._requests

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def requests(self) -> list[Request]:
        """All requests, in order of arrival."""
        return list(self._requests.values())

    @property
    def waiting(self) -> int:
        return sum(len(queue.by_phase["waiting"]) for queue in self._queues.values())

    @property
    def running(self) -> int:
        """Requests that are partly encoded or decode."""
        return len(self._requests) - self.waiting

    @property
    def pending_steps(self) -> int:
        """Estimated cell steps of all requests here."""
        return self._steps

    def plan(self) -> Plan:
        """The next action. Its chunks count as encoded from now on."""
        models = sorted(self._active, key=self._used)
        for model in models:
            plan = self._plan_model(model, self._queues[model])
            if not plan.is_idle:
                self._virtual = max(self._virtual, self._queues[model].used)
                return plan
        return Plan()

    def _used(self, model: str) -> float:
        return self._queues[model].used

    def _waits_for_model(self, request: Request) -> bool:
        """Whether a request must wait for its model."""
        return request.phase == "waiting" and self._queues[request.model].is_held

    def _plan_model(self, model: str, queue: _Queue) -> Plan:
        decodes = bool(queue.by_phase["decoding"])
        if queue.encoded_last and decodes:
            queue.encoded_last = False
            return Plan(model)
        if candidates := self._candidates(queue):
            queue.encoded_last = True
            return self._encode(model, queue, candidates)
        queue.encoded_last = False
        return Plan(model) if decodes else Plan()

    def _candidates(self, queue: _Queue) -> list[Request]:
        """The requests that can be encoded now. One that needs more rows than are free lets no other pass: rows become
        free soon, and small requests would starve it."""
        candidates = list(queue.by_phase["encoding"])
        if queue.is_held:
            return candidates
        free = self._slots - queue.rows
        for request in heapq.nsmallest(_LOOK_AHEAD, self._startable(queue), key=_order):
            free -= request.cost.rows
            if free < 0 and (candidates or queue.rows):  # one that needs more than there are runs alone
                break
            candidates.append(request)
        return candidates

    def _startable(self, queue: _Queue) -> Iterable[Request]:
        """The waiting requests of a model that may start. While suspects are here these are those of the oldest trial,
        once everything else that runs has ended."""
        waiting = queue.by_phase["waiting"]
        trial = next((trial for trial in self._trials.values() if not all(map(self._waits_for_model, trial))), None)
        if trial is None:
            return waiting
        if self.running > sum(request.phase != "waiting" for request in trial):
            return ()
        return [request for request in trial if request in waiting]

    def _encode(self, model: str, queue: _Queue, candidates: list[Request]) -> Plan:
        chunks = self._parts(queue, candidates) if queue.divisible else self._wholes(queue, candidates)
        for chunk in chunks:
            request = chunk.request
            request.encoded_steps += chunk.steps
            if chunk.start == 0:
                queue.virtual = max(queue.virtual, request.tag)
            queue.move(request, "decoding" if chunk.is_last else "encoding")
        return Plan(model, tuple(chunks))

    def _parts(self, queue: _Queue, candidates: list[Request]) -> list[Chunk]:
        """A chunk of each, of at most as many units as let all of them fit the budget: short sources are read whole,
        and no long one holds them up. Where padding costs cell steps, the shortest rest decides how many units each
        chunk has. A step of many cell steps, such as a frame, is a unit."""
        unit = math.ceil(self._unit / queue.step) * queue.step
        most = max(1, min(CHUNK_UNITS, self._budget // unit))
        chosen = sorted(candidates, key=_order)[: max(1, self._budget // unit)]

        def steps(units: int) -> list[int]:
            return [min(units * unit, request.rest) for request in chosen]

        if queue.padded(steps(most)) > sum(steps(most)):
            units = min(most, *(math.ceil(request.rest / unit) for request in chosen))
            chosen = chosen[: max(1, self._budget // (units * unit))]
        else:
            units = next((units for units in range(most, 1, -1) if sum(steps(units)) <= self._budget), 1)
        return [
            Chunk(request, request.encoded_steps, count) for request, count in zip(chosen, steps(units), strict=True)
        ]

    def _wholes(self, queue: _Queue, candidates: list[Request]) -> list[Chunk]:
        """The first in order, and its neighbours in length that fit the budget and bring little padding."""
        first = min(candidates, key=_order)
        length = first.cost.encode
        near = sorted(candidates, key=lambda request: (request is not first, abs(request.cost.encode - length)))
        batch: list[Request] = []
        costs: list[int] = []
        for request in near:
            costs.append(request.cost.encode)
            if batch:
                padded = queue.padded(costs)
                if padded > self._budget or padded > (1 + MAX_WASTE) * sum(costs):
                    costs.pop()
                    if sum(costs) + request.cost.encode > self._budget:
                        break
                    continue
            batch.append(request)
        return [whole(request) for request in batch]


def _trial(request: Request) -> RequestKey:
    return request.key[0], request.trial


def _order(request: Request) -> tuple[float, int]:
    return request.order
