"""The running rows of one model: a dense prefix of preallocated tensors, so that a step works on views.

A row joins at the end of the prefix; when rows leave, the last ones are copied into their places. Rows past the prefix
count as ended, so that a step over more rows than run does them no harm.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import Tensor

from app.engine.protocol import Emit, RequestKey
from app.engine.sampling import Choice, Options, is_plain, options_of
from app.models.state import State

_MEMORY = ("memory", "keys", "memory_mask")  # (slots, source, ...): as long as the longest running source
_ADVANCES = {"hidden", "cell", "is_first", "fed"}
PLAIN = Options()
RUNNING, STOP, LENGTH, BAD = range(4)  # what `ended` says of a row; a bad one has no numbers but NaN


@dataclass(eq=False, slots=True)
class Running:
    """A request that emits. `rows` are its hypotheses, `length` is that of its memory, `sent` counts tokens told
    already. The rest is kept for searches, alternatives and attention, step by step."""

    key: RequestKey
    emit: Emit
    length: int
    rows: list[int] = field(default_factory=list)
    sent: int = 0
    trace: "list[Trace]" = field(default_factory=list)
    ended: "list[End]" = field(default_factory=list)
    closed: set[int] = field(default_factory=set)  # places among the best continuations that have held an end


@dataclass(frozen=True, slots=True)
class Trace:
    """One step of a request, for each of its rows: the rows that they go on from (places within the request), tokens,
    log-probabilities; of the rows that they came from, alternatives (ids and log-probabilities) and attention
    weights."""

    parents: list[int]
    tokens: list[int]
    log_probs: list[float]
    alternatives: tuple[Tensor, Tensor] | None = None
    attention: Tensor | None = None


@dataclass(frozen=True, slots=True)
class End:
    """A hypothesis that ended in step `step` of its request: beam `beam` before it, `score` before normalising."""

    step: int
    beam: int
    score: float
    log_prob: float


class Look(NamedTuple):
    """What the host knows of the running rows, each (rows,): tokens emitted, and whether and how a row ended."""

    steps: Tensor
    ended: Tensor


class Slots:
    """State of up to `capacity` rows on `device`. Storage is made on first use and grows with sources and sentences."""

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.capacity = capacity
        self.device = device
        self.owners: list[Running] = []  # of each running row
        self.count = 0  # rows
        self.streams: dict[RequestKey, Running] = {}  # those of one row: of a search nothing is told before its end
        self.growths = 0  # how often storage moved to other addresses
        self.longest = 0  # positions of the longest memory
        self.state: dict[str, Tensor] = {}
        self.previous = torch.zeros(capacity, dtype=torch.long, device=device)
        self._progress = torch.zeros(2, capacity, dtype=torch.long, device=device)
        self.steps, self.ended = self._progress[0], self._progress[1]  # side by side: one copy to the host
        self.ended += LENGTH
        self.limits = torch.zeros(capacity, dtype=torch.long, device=device)
        self.scores = torch.zeros(capacity, device=device)
        self.history = torch.zeros(capacity, 0, dtype=torch.long, device=device)
        self.log_probs = torch.zeros(capacity, 0, device=device)
        self._options: Options | None = None
        self._requests: dict[RequestKey, Running] = {}
        self._lengths: Counter[int] = Counter()  # of the memories of running requests
        self._not_plain = 0  # requests
        self._on_host = torch.zeros(2, capacity, dtype=torch.long, pin_memory=True) if device.type == "cuda" else None

    @property
    def requests(self) -> list[Running]:
        """Those that run."""
        return list(self._requests.values())

    def admit(self, requests: Sequence[Running], state: State, *, bos: int, past_end: int) -> None:
        """Append the rows of requests, `emit.beams` of each; `state` has one row for each request. Their first input is
        `bos` or their own; `past_end`, a token that there is not, fills their history."""
        beams = [request.emit.beams for request in requests]
        mine = slice(self.count, self.count + sum(beams))
        assert mine.stop <= self.capacity
        index = torch.tensor([n for n, width in enumerate(beams) for _ in range(width)], device=self.device)
        self._make_room(state, 1 + max(request.emit.max_tokens for request in requests))
        for name, tensor in cast(dict[str, Tensor], state).items():
            storage = self.state[name]
            rows = tensor if len(index) == len(requests) else tensor[index]
            if name in _MEMORY:
                storage[mine, : tensor.shape[1]] = rows
                storage[mine, tensor.shape[1] :] = 0
            else:
                storage[mine] = rows
        for request in requests:
            request.rows = list(range(self.count, self.count + request.emit.beams))
            self.count += request.emit.beams
            self.owners += [request] * request.emit.beams
            self._requests[request.key] = request
            if request.emit.stream and request.emit.beams == 1:
                self.streams[request.key] = request
            self._lengths[request.length] += 1
            self._not_plain += not is_plain(request.emit)
        inputs = [bos if request.emit.first is None else request.emit.first for request in requests]
        self.previous[mine] = torch.tensor(inputs, device=self.device)[index]
        self.steps[mine] = 0
        self.ended[mine] = RUNNING
        self.limits[mine] = torch.tensor([request.emit.max_tokens for request in requests], device=self.device)[index]
        self.history[mine] = past_end
        firsts = torch.tensor([row == request.rows[0] for request in requests for row in request.rows])
        self.scores[mine] = torch.where(firsts, 0.0, float("-inf")).to(self.device)  # at first all beams are the same
        self._changed()

    def _make_room(self, state: State, tokens: int) -> None:
        """Grow storage to what comes; afterwards nothing can fail for want of memory."""
        for name, tensor in cast(dict[str, Tensor], state).items():
            storage = self.state.get(name)
            if storage is None:
                self.state[name] = tensor.new_zeros((self.capacity, *tensor.shape[1:]))
                self.growths += 1
            elif name in _MEMORY and storage.shape[1] < tensor.shape[1]:
                length = max(tensor.shape[1], 2 * storage.shape[1])
                self.state[name] = tensor.new_zeros((self.capacity, length, *tensor.shape[2:]))
                self.state[name][:, : storage.shape[1]] = storage
                self.growths += 1
        if self.history.shape[1] < tokens:
            more = max(tokens, 2 * self.history.shape[1]) - self.history.shape[1]
            self.history = torch.cat((self.history, self.history.new_zeros(self.capacity, more)), 1)
            self.log_probs = torch.cat((self.log_probs, self.log_probs.new_zeros(self.capacity, more)), 1)
            self.growths += 1

    def _changed(self) -> None:
        self.longest = max(self._lengths, default=0)
        self._options = None

    @property
    def are_plain(self) -> bool:
        """Whether every row takes the most probable token, and nobody wants to be told more than that."""
        return self._not_plain == 0

    @property
    def options(self) -> Options:
        """What the running rows want."""
        if self.are_plain:
            return PLAIN
        if self._options is None:
            self._options = options_of([(request.emit, request.rows) for request in self.requests], self.device)
        return self._options

    def view(self, rows: slice, memory: int | None = None) -> tuple[Tensor, State]:
        """The last tokens (rows,) and the state of some rows, as views cut to the longest running source, or to
        `memory` positions."""
        longest = self.longest if memory is None else memory
        views = {
            name: storage[rows, :longest] if name in _MEMORY else storage[rows] for name, storage in self.state.items()
        }
        return self.previous[rows], cast(State, views)

    def advance(self, rows: slice, state: State) -> None:
        """Keep what a step of the network changed."""
        for name in _ADVANCES & state.keys():
            self.state[name][rows] = cast(dict[str, Tensor], state)[name]

    def take(self, choice: Choice, eos: int) -> None:
        """Keep what a step chose for the first rows. Rows of searches are reordered; they end with their search, not at
        an end token. Rows that have ended stay as they are, but for tokens past their end."""
        count = len(choice.tokens)
        if choice.parents is not None and choice.scores is not None:
            for name, storage in self.state.items():
                if name not in _MEMORY:  # which all rows of a request share
                    storage[:count] = storage[choice.parents]
            self.history[:count] = self.history[choice.parents]
            self.log_probs[:count] = self.log_probs[choice.parents]
            self.scores[:count] = choice.scores
        steps, ended = self.steps[:count], self.ended[:count]
        at = steps.unsqueeze(1)
        self.history[:count].scatter_(1, at, choice.tokens.unsqueeze(1))
        self.log_probs[:count].scatter_(1, at, choice.log_probs.unsqueeze(1))
        self.previous[:count] = choice.tokens
        is_running = ended == RUNNING
        steps += is_running
        stops = choice.tokens == eos if choice.ending is None else (choice.tokens == eos) & choice.ending
        now = ((steps >= self.limits[:count]).long() * LENGTH).masked_fill_(stops, STOP)
        now = now.masked_fill_(choice.log_probs.isnan(), BAD)
        ended.copy_(torch.where(is_running, now, ended))

    def release(self, requests: Sequence[Running]) -> None:
        """Free the rows of requests; the last rows take their places."""
        freed = sorted(row for request in requests for row in request.rows)
        for request in requests:
            del self._requests[request.key]
            self.streams.pop(request.key, None)
            self._lengths[request.length] -= 1
            self._not_plain -= not is_plain(request.emit)
        self._lengths += Counter()  # drops those that are 0
        self.count -= len(freed)
        holes = [row for row in freed if row < self.count]
        gone = set(freed)
        moved = [row for row in range(self.count, self.count + len(freed)) if row not in gone]
        if holes:
            to, source = torch.tensor([holes, moved], device=self.device)
            _, state = self.view(slice(None))
            for storage in (*cast(dict[str, Tensor], state).values(), *self._of_rows()):
                storage[to] = storage[source]
            for hole, row in zip(holes, moved, strict=True):
                owner = self.owners[hole] = self.owners[row]
                owner.rows[owner.rows.index(row)] = hole
        del self.owners[self.count :]
        self.ended[self.count : self.count + len(freed)] = LENGTH
        self._changed()

    def look(self) -> Look:
        """Of all running rows; on a GPU this waits for what is queued there, and is one small copy."""
        if self._on_host is None:
            return Look(self.steps[: self.count], self.ended[: self.count])
        stream = torch.cuda.current_stream(self.device)
        self._on_host.copy_(self._progress, non_blocking=True)
        stream.record_event().synchronize()
        return Look(self._on_host[0, : self.count], self._on_host[1, : self.count])

    def read(self, rows: Sequence[int], look: Look) -> list[tuple[list[int], list[float]]]:
        """Tokens, with the end if there is one, and log-probabilities of some rows, in one copy to the host."""
        if not rows:
            return []
        counts = [int(look.steps[row]) for row in rows]
        index = torch.tensor(rows, device=self.device)
        columns = [storage[:, : max(counts)].index_select(0, index) for storage in (self.history, self.log_probs)]
        tokens, log_probs = torch.stack([column.double() for column in columns]).cpu()  # exact for either
        found = zip(tokens.long().tolist(), log_probs.tolist(), counts, strict=True)
        return [(ids[:count], values[:count]) for ids, values, count in found]

    def _of_rows(self) -> tuple[Tensor, ...]:
        return self.previous, self.steps, self.limits, self.ended, self.scores, self.history, self.log_probs

    def find(self, key: RequestKey) -> Running | None:
        """The running request with this key."""
        return self._requests.get(key)
