"""The running rows of one model: a dense prefix of preallocated tensors, so that a step works on views.

A row is one hypothesis of one request. Rows join at the end of the prefix; when rows leave, the last ones are copied
into their places. Rows past the prefix count as ended, so a step over more rows than run does no harm.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, cast

import torch
from torch import Tensor

from app.engine.faults import is_out_of_memory
from app.engine.request import Request
from app.engine.sampling import Choice
from app.engine.sampling_options import SamplingOptions, is_plain, options_of
from app.models.state import State

_MEMORY = ("memory", "keys", "memory_mask")  # (slots, source, ...): as long as the longest running source
_KEPT = 512  # positions and tokens up to which storage does not shrink
_PATIENCE = 200  # changes of the running rows before it shrinks
_ADVANCES = {"hidden", "cell", "is_first", "fed"}
PLAIN = SamplingOptions()
RUNNING, STOP, LENGTH, BAD = range(4)  # values of `ended`; the log-probability of a bad row is NaN


class Snapshot(NamedTuple):
    """The running rows as the host sees them, each (rows,): tokens decoded, and whether and how a row ended."""

    steps: Tensor
    ended: Tensor


class Slots:
    """State of up to `capacity` rows on `device`. Storage is allocated on first use, grows with sources and answers,
    and shrinks some time after the last long one."""

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.capacity = capacity
        self.device = device
        self.owners: list[Request] = []  # of each running row
        self.count = 0  # rows
        self.streams: dict[Request, None] = {}  # with one row: a search is not settled before its end
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
        self._options: SamplingOptions | None = None
        self._requests: dict[Request, None] = {}
        self._memories: Counter[int] = Counter()  # requests by the length of their memory
        self._not_plain = 0  # requests
        self.is_torn = False  # a step was stored in part
        self._roomy = 0  # changes of the running rows since long storage was last needed
        self._on_host = torch.zeros(2, capacity, dtype=torch.long, pin_memory=True) if device.type == "cuda" else None

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
        index = torch.tensor([n for n, width in enumerate(beams) for _ in range(width)], device=self.device)
        inputs = [bos if request.decode.first is None else request.decode.first for request in requests]
        previous = torch.tensor(inputs, device=self.device)[index]
        limits = torch.tensor([request.decode.max_tokens for request in requests], device=self.device)[index]
        firsts = [0.0 if beam == 0 else float("-inf") for width in beams for beam in range(width)]
        scores = torch.tensor(firsts, device=self.device)  # at first all beams are equal
        self._make_room(state, 1 + max(request.decode.max_tokens for request in requests))
        for name, tensor in cast(dict[str, Tensor], state).items():
            storage = self.state[name]
            rows = tensor if len(index) == len(requests) else tensor[index]
            if name in _MEMORY:
                storage[mine, : tensor.shape[1]] = rows
                storage[mine, tensor.shape[1] :] = 0
            else:
                storage[mine] = rows
        self.previous[mine] = previous
        self.steps[mine] = 0
        self.limits[mine] = limits
        self.history[mine] = past_end
        self.scores[mine] = scores
        self.ended[mine] = RUNNING
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

    def _make_room(self, state: State, tokens: int) -> None:
        """Grow the storage."""
        for name, tensor in cast(dict[str, Tensor], state).items():
            storage = self.state.get(name)
            if storage is None:
                self.state[name] = tensor.new_zeros((self.capacity, *tensor.shape[1:]))
                self.growths += 1
            elif name in _MEMORY and storage.shape[1] < tensor.shape[1]:
                length = max(tensor.shape[1], 2 * storage.shape[1])
                grown = tensor.new_zeros((self.capacity, length, *tensor.shape[2:]))
                grown[:, : storage.shape[1]] = storage
                self.state[name] = grown
                self.growths += 1
        if self.history.shape[1] < tokens:
            more = max(tokens, 2 * self.history.shape[1]) - self.history.shape[1]
            history = torch.cat((self.history, self.history.new_zeros(self.capacity, more)), 1)
            self.log_probs = torch.cat((self.log_probs, self.log_probs.new_zeros(self.capacity, more)), 1)
            self.history = history
            self.growths += 1

    def _most_tokens(self) -> int:
        return 1 + max((request.decode.max_tokens for request in self._requests), default=0)

    def _is_roomy(self) -> bool:
        """Whether storage is long, and at least four times as long as the running rows need."""
        memory = max((storage.shape[1] for name, storage in self.state.items() if name in _MEMORY), default=0)
        tokens = self.history.shape[1]
        return memory > max(_KEPT, 4 * self.longest) or (tokens > _KEPT and tokens > 4 * self._most_tokens())

    def _shrink(self) -> None:
        positions, tokens = max(_KEPT, 2 * self.longest), max(_KEPT, 2 * self._most_tokens())
        memory = {name: storage[:, :positions].clone() for name, storage in self.state.items() if name in _MEMORY}
        history, log_probs = self.history[:, :tokens].clone(), self.log_probs[:, :tokens].clone()
        self.state |= memory
        self.history, self.log_probs = history, log_probs
        self.growths += 1
        self._roomy = 0

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
            with suppress(RuntimeError, MemoryError):  # without memory for a smaller one the large one stays
                self._shrink()

    def _copy_rows(self, rows: list[int], places: list[int]) -> None:
        """Copy rows to the places of others; without memory for copies of all, one after the other."""
        _, state = self.view(slice(None))
        storages = (*cast(dict[str, Tensor], state).values(), *self._of_rows())
        try:
            to, source = torch.tensor([places, rows], device=self.device)
            for storage in storages:
                storage[to] = storage[source]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            for storage in storages:
                for place, row in zip(places, rows, strict=True):
                    storage[place].copy_(storage[row])

    def snapshot(self) -> Snapshot:
        """All running rows. On a GPU this waits for the queued work, and makes one small copy."""
        if self._on_host is None:
            return Snapshot(self.steps[: self.count], self.ended[: self.count])
        stream = torch.cuda.current_stream(self.device)
        self._on_host.copy_(self._progress, non_blocking=True)
        stream.record_event().synchronize()
        return Snapshot(self._on_host[0, : self.count], self._on_host[1, : self.count])

    def read(self, rows: Sequence[int], snapshot: Snapshot) -> list[tuple[list[int], list[float]]]:
        """Tokens, the end token included, and log-probabilities of some rows, in one copy to the host."""
        if not rows:
            return []
        counts = [int(snapshot.steps[row]) for row in rows]
        index = torch.tensor(rows, device=self.device)
        columns = [storage[:, : max(counts)].index_select(0, index) for storage in (self.history, self.log_probs)]
        tokens, log_probs = torch.stack([column.double() for column in columns]).cpu()  # exact for either
        columns_of_rows = zip(tokens.long().tolist(), log_probs.tolist(), counts, strict=True)
        return [(ids[:count], values[:count]) for ids, values, count in columns_of_rows]

    def _of_rows(self) -> tuple[Tensor, ...]:
        return self.previous, self.steps, self.limits, self.ended, self.scores, self.history, self.log_probs
