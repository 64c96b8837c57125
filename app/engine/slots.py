"""The running rows of one model: a dense prefix of preallocated tensors, so that a step works on views.

A row is one hypothesis of one request. Rows join at the end of the prefix; when rows leave, the last ones are copied
into their places. Rows past the prefix count as ended, so a step over more rows than run does no harm.

On a GPU a model has two of these: plain rows, in storage that never moves because CUDA graphs work on it, and all
others (see `app.engine.policy`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, cast

import torch
from torch import Tensor

from app.engine.faults import is_out_of_memory
from app.engine.host_rows import HostRows
from app.engine.request import Request
from app.engine.sampling import Choice
from app.engine.sampling_options import SamplingOptions, is_free, is_plain, options_of
from app.engine.transfers import to_device
from app.models.serving.unit import Drawn, RunningRows
from app.models.state import State

_MEMORY = ("memory", "keys", "memory_mask")  # (rows, source, ...): as long as the longest running source
_KEPT = 512  # tokens up to which storage does not shrink
_KEPT_PLACES = 4096  # the same for memories: rows times positions
_PATIENCE = 200  # changes of the running rows before it shrinks
_ADVANCES = {"hidden", "cell", "is_first", "fed", "window", "held"}
PLAIN = SamplingOptions()
RUNNING, STOP, LENGTH, BAD = range(4)  # values of `ended`; the log-probability of a bad row is NaN


class Snapshot(NamedTuple):
    """The running rows as the host sees them, each (rows,): tokens decoded, and whether and how a row ended."""

    steps: Tensor
    ended: Tensor


class Slots:
    """State of up to `capacity` rows on `device`. Storage is allocated on first use, grows with sources and answers,
    and shrinks some time after the last long one.

    `looks_each_step` as in `Policy`; without it the host has its own copy of what rows decoded. With `positions` only
    plain rows with memories of at most that length join, the storage never moves, and only the host keeps their tokens.
    With `free_only`, only rows that `is_free` join.
    """

    def __init__(
        self,
        capacity: int,
        device: torch.device,
        *,
        looks_each_step: bool = True,
        positions: int | None = None,
        free_only: bool = False,
    ) -> None:
        self.capacity = capacity
        self.device = device
        self.positions = positions
        self.free_only = free_only
        self.host = None if looks_each_step else HostRows(capacity)
        self.owners: list[Request] = []  # of each running row
        self.count = 0  # rows
        self.streams: dict[Request, None] = {}  # with one row: a search is not settled before its end
        self.longest = 0  # positions of the longest memory
        self.state: dict[str, Tensor] = {}
        self.previous = torch.zeros(capacity, dtype=torch.long, device=device)
        self.progress = torch.zeros(2, capacity, dtype=torch.long, device=device)
        self.steps, self.ended = self.progress[0], self.progress[1]  # side by side
        self.ended += LENGTH
        self.limits = torch.zeros(capacity, dtype=torch.long, device=device)
        self.scores = torch.zeros(capacity, device=device)
        self.history = torch.zeros(capacity, 0, dtype=torch.long, device=device)
        self.log_probs = torch.zeros(capacity, 0, device=device)
        self._options: SamplingOptions | None = None
        self._requests: dict[Request, None] = {}
        self._memories: Counter[int] = Counter()  # requests by the length of their memory
        self._not_plain = 0  # requests
        self.is_torn = False  # a step was stored in part
        self._roomy = 0  # changes of the running rows since long storage was last needed

    def __contains__(self, request: Request) -> bool:
        return request in self._requests

    def fit(self, request: Request) -> bool:
        """Whether a request whose source is encoded may join."""
        if self.free_only and not is_free(request.decode):
            return False
        return self.positions is None or (is_plain(request.decode) and request.memory <= self.positions)

    @property
    def requests(self) -> list[Request]:
        """The requests with rows."""
        return list(self._requests)

    def admit(self, requests: Sequence[Request], state: State, *, bos: int, past_end: int) -> None:
        """Append a row for each beam of each request; `state` has one row per request. Their first input is `bos` or
        their own; `past_end`, one more than the last token id, fills their history."""
        beams = [request.decode.beams for request in requests]
        mine = slice(self.count, self.count + sum(beams))
        assert mine.stop <= self.capacity
        firsts = [bos if request.decode.first is None else request.decode.first for request in requests]
        most = [_tokens(request) for request in requests]
        by_row = [
            (index, firsts[index], most[index], beam) for index, width in enumerate(beams) for beam in range(width)
        ]
        index, previous, limits, beam = to_device(torch.tensor(by_row).T.contiguous(), self.device)
        scores = self.scores.new_zeros(len(by_row)).masked_fill_(
            beam > 0, float("-inf")
        )  # at first all beams are equal
        longest = max(request.memory for request in requests)
        self._make_room(state, mine.stop, longest, 1 + max(most))
        for name, tensor in cast(dict[str, Tensor], state).items():
            storage = self.state[name]
            rows = tensor if len(by_row) == len(requests) else tensor[index]
            if name in _MEMORY:
                storage[mine, :longest] = rows[:, :longest]
                storage[mine, longest:] = 0
            else:
                storage[mine] = rows
        self.previous[mine] = previous
        self.steps[mine] = 0
        self.limits[mine] = limits
        self.history[mine] = past_end
        pasts = [
            past
            for past, width in zip((request.decode.past for request in requests), beams, strict=True)
            for _ in range(width)
        ]
        for row, past in enumerate(pasts, mine.start):
            if past:
                self.steps[row] = len(past)
                self.history[row, : len(past)] = to_device(torch.tensor(past), self.device)
        self.scores[mine] = scores
        self.ended[mine] = RUNNING
        if self.host is not None:
            self.host.start(mine, pasts)
        for request in requests:  # only now: nothing fails any more
            decode = request.decode
            request.rows = list(range(self.count, self.count + decode.beams))
            self.count += decode.beams
            self.owners += [request] * decode.beams
            self._requests[request] = None
            if decode.stream and decode.beams == 1:
                self.streams[request] = None
            self._memories[request.memory] += 1
            self._not_plain += not is_plain(decode)
        self._changed()

    def _make_room(self, state: State, rows: int, longest: int, tokens: int) -> None:
        """Grow the storage to `rows` rows of `longest` positions of memory, and to `tokens` tokens."""
        for name, tensor in cast(dict[str, Tensor], state).items():
            storage = self.state.get(name)
            if name not in _MEMORY:
                if storage is None:
                    self.state[name] = tensor.new_zeros((self.capacity, *tensor.shape[1:]))
            elif storage is None or len(storage) < rows or storage.shape[1] < longest:
                grown = tensor.new_zeros((*self._memory_shape(storage, rows, longest), *tensor.shape[2:]))
                if storage is not None:
                    grown[: self.count, : self.longest] = storage[: self.count, : self.longest]
                self.state[name] = grown
        if self.positions is None and self.history.shape[1] < tokens:
            more = max(tokens, 2 * self.history.shape[1]) - self.history.shape[1]
            history = torch.cat((self.history, self.history.new_zeros(self.capacity, more)), 1)
            self.log_probs = torch.cat((self.log_probs, self.log_probs.new_zeros(self.capacity, more)), 1)
            self.history = history

    def _memory_shape(self, storage: Tensor | None, rows: int, longest: int) -> tuple[int, int]:
        """Rows and positions of larger storage: at most four times as many places as are needed, or one long source
        would take its length in every row."""
        if self.positions is not None:
            return self.capacity, self.positions
        if storage is None:
            return rows, longest
        height, length = storage.shape[:2]
        needed = max(longest, self.longest)
        height = height if rows <= height else min(max(rows, 2 * height), self.capacity)
        length = length if longest <= length else max(longest, 2 * length)
        if height * length > max(_KEPT_PLACES, 4 * rows * needed):
            return min(2 * rows, self.capacity), min(length, 2 * needed)
        return height, length

    def _most_tokens(self) -> int:
        return 1 + max(map(_tokens, self._requests), default=0)

    @property
    def _movable(self) -> dict[str, Tensor]:
        """The storage of memories, unless it never moves."""
        return {} if self.positions is not None else {name: self.state[name] for name in _MEMORY if name in self.state}

    def _is_roomy(self) -> bool:
        """Whether storage that may move is large, and at least four times as large as the running rows need."""
        places = max((storage.shape[0] * storage.shape[1] for storage in self._movable.values()), default=0)
        tokens = max(self.history.shape[1], 0 if self.host is None else self.host.tokens)
        return places > max(_KEPT_PLACES, 4 * self.count * self.longest) or tokens > max(_KEPT, 4 * self._most_tokens())

    def _shrink(self) -> None:
        rows, positions, tokens = 2 * self.count, 2 * self.longest, max(_KEPT, 2 * self._most_tokens())
        memory = {name: storage[:rows, :positions].clone() for name, storage in self._movable.items()}
        history, log_probs = self.history[:, :tokens].clone(), self.log_probs[:, :tokens].clone()
        self.state |= memory
        self.history, self.log_probs = history, log_probs
        if self.host is not None:
            self.host.shrink(tokens)
        self._roomy = 0

    def _try_to_shrink(self) -> None:
        """Shrink, or keep the long storage if memory does not suffice for a copy of its part."""
        try:
            self._shrink()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise

    def _changed(self) -> None:
        self.longest = max(self._memories, default=0)
        self._options = None
        self._roomy = self._roomy + 1 if self._is_roomy() else 0

    @property
    def are_plain(self) -> bool:
        """Whether every request decodes greedily and answers with tokens alone."""
        return self._not_plain == 0

    @property
    def options(self) -> SamplingOptions:
        """The options of the running rows."""
        if self.are_plain:
            return PLAIN
        if self._options is None:
            self._options = options_of([(request.decode, request.rows) for request in self._requests], self.device)
        return self._options

    def view(self, rows: slice, memory: int | None = None) -> tuple[Tensor, State]:
        """The last tokens (rows,) and the state of some rows: views, cut to the longest running source or to `memory`
        positions."""
        longest = self.longest if memory is None else memory
        views = {
            name: storage[rows, :longest] if name in _MEMORY else storage[rows] for name, storage in self.state.items()
        }
        return self.previous[rows], cast(State, views)

    @property
    def running(self) -> RunningRows:
        """All running rows, for a native unit; none of them is constrained, searches, or wants more than tokens."""
        how = self.options.sampled
        return RunningRows(
            self.state,
            self.previous,
            self.steps,
            self.ended,
            self.limits,
            self.history,
            self.log_probs,
            self.count,
            self.longest,
            None if how is None else Drawn(how.rows, how.seed, how.top_k, how.temperature, how.top_p, how.min_p),
        )

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Around all of `advance` and `take` for one step. If it is not stored to its end, no row can go on."""
        self.is_torn = True
        yield
        self.is_torn = False

    def advance(self, rows: slice, state: State) -> None:
        """Store the state after a step of the network."""
        for name in _ADVANCES & state.keys():
            self.state[name][rows] = cast(dict[str, Tensor], state)[name]

    def take(self, choice: Choice, eos: int) -> None:
        """Store the tokens that a step chose for the first rows. Rows of a search are reordered; they end with it, not
        at an end token. Rows that have ended change only past their end."""
        count = len(choice.tokens)
        if choice.parents is not None and choice.scores is not None:
            for name, storage in self.state.items():
                if name not in _MEMORY:  # all rows of a request share that
                    storage[:count] = storage[choice.parents]
            self.history[:count] = self.history[choice.parents]
            self.log_probs[:count] = self.log_probs[choice.parents]
            self.scores[:count] = choice.scores
        steps, ended = self.steps[:count], self.ended[:count]
        if self.positions is None:
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

    def release(self, requests: Sequence[Request]) -> None:
        """Free the rows of requests; the last rows take their places."""
        freed = sorted(row for request in requests for row in request.rows)
        count = self.count - len(freed)
        gone = set(freed)
        holes = [row for row in freed if row < count]
        moved = [row for row in range(count, self.count) if row not in gone]
        if holes:
            self._copy_rows(moved, holes)
            if self.host is not None:
                self.host.move(holes, moved)
        self.ended[count : self.count].fill_(LENGTH)
        for request in requests:  # only now: nothing fails any more
            del self._requests[request]
            self.streams.pop(request, None)
            self._memories[request.memory] -= 1
            self._not_plain -= not is_plain(request.decode)
            request.rows = []
        for hole, row in zip(holes, moved, strict=True):
            owner = self.owners[hole] = self.owners[row]
            owner.rows[owner.rows.index(row)] = hole
        self._memories += Counter()  # drops zero counts
        self.count = count
        del self.owners[count:]
        self.is_torn = self.is_torn and count > 0
        self._changed()
        if self._roomy > _PATIENCE:
            self._try_to_shrink()

    def _copy_rows(self, rows: list[int], places: list[int]) -> None:
        """Copy rows to the places of others; without memory for copies of all, one after the other."""
        _, state = self.view(slice(None))
        storages = (*cast(dict[str, Tensor], state).values(), *self._of_rows())
        try:
            to, source = to_device(torch.tensor([places, rows]), self.device)
            for storage in storages:
                storage[to] = storage[source]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            for storage in storages:
                for place, row in zip(places, rows, strict=True):
                    storage[place].copy_(storage[row])

    def longest_answer(self, ahead: int) -> int:
        """The most tokens of a running row, at least 1; on a GPU at most that many, `ahead` steps after the last
        look."""
        steps = self.steps if self.host is None else self.host.steps
        return max(1, ahead + int(steps[: self.count].max()))

    def look(self, progress: Tensor, tokens: Sequence[Tensor], log_probs: Sequence[Tensor]) -> None:
        """Take over a unit of a GPU, copied to the host: progress (2, rows) after it, and of each step tokens and their
        log-probabilities (rows,)."""
        assert self.host is not None
        if tokens:
            self.host.extend(
                progress, torch.stack([*tokens])[:, : self.count], torch.stack([*log_probs])[:, : self.count]
            )

    def snapshot(self) -> Snapshot:
        """All running rows, on a GPU as they were after the last unit."""
        steps, ended = (self.steps, self.ended) if self.host is None else (self.host.steps, self.host.ended)
        return Snapshot(steps[: self.count], ended[: self.count])

    def read(self, rows: Sequence[int], snapshot: Snapshot) -> list[tuple[list[int], list[float]]]:
        """Tokens, the end token included, and log-probabilities of some rows, without those of earlier requests."""
        if not rows:
            return []
        counts = [int(snapshot.steps[row]) for row in rows]
        index = torch.tensor(rows)
        of_rows = (self.history, self.log_probs) if self.host is None else (self.host.history, self.host.log_probs)
        tokens, log_probs = (storage[:, : max(counts)].index_select(0, index).tolist() for storage in of_rows)
        columns_of_rows = zip(tokens, log_probs, counts, strict=True)
        pasts = [len(self.owners[row].decode.past) for row in rows]
        return [
            (ids[past:count], values[past:count])
            for (ids, values, count), past in zip(columns_of_rows, pasts, strict=True)
        ]

    def _of_rows(self) -> tuple[Tensor, ...]:
        return self.previous, self.steps, self.limits, self.ended, self.scores, self.history, self.log_probs


def _tokens(request: Request) -> int:
    """The most tokens of a row of a request, with those of earlier requests."""
    return request.decode.max_tokens + len(request.decode.past)
