"""One request in the engine, from its arrival to its last event. Free of torch: the scheduler and its tests need none.

The scheduler owns `phase`, `order`, `tag` and `encoded_steps`; encoding owns `partial` and `carried`; the slots own
`rows`; decoding owns `sent` and the search; forecasting owns `made`, `made_rows`, `states` and `reads_again`; the
statistics own the times.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from app.engine.cost import Cost
from app.engine.protocol import AnswerSpec, Carried, Carry, Decode, Event, Forecast, RequestKey, Source, Table, Terms

Phase = Literal["waiting", "encoding", "decoding", "ended"]
ORDINARY = Terms()
NO_CARRY = Carry()


class StepTable(Protocol):
    """A tensor with a row per beam."""

    def __getitem__(self, beam: int, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Trace:
    """One step of a request, with an entry per beam: the beam that it continues, its token and log-probability; of the
    beams before the step, the alternatives (ids and log-probabilities) and the attention weights."""

    parents: list[int]
    tokens: list[int]
    log_probs: list[float]
    alternatives: tuple[StepTable, StepTable] | None = None
    attention: StepTable | None = None


@dataclass(frozen=True, slots=True)
class End:
    """A hypothesis that ended in step `step` of its request: it was beam `beam` before the step. `score` is before the
    length penalty."""

    step: int
    beam: int
    score: float
    log_prob: float


@dataclass(eq=False, slots=True)
class Request:
    """A source, the answer to compute, and where the request stands."""

    key: RequestKey
    model: str
    source: Source
    answer: AnswerSpec
    cost: Cost
    terms: Terms = ORDINARY
    again: bool = False
    trial: int = 0  # see `Submit`
    carry: Carry = NO_CARRY

    phase: Phase = "waiting"
    order: tuple[float, int] = (0.0, 0)  # the smallest is next: finish tag less the lead of its priority, arrival
    tag: float = 0.0  # finish tag of fair queueing
    encoded_steps: int = 0

    partial: object | None = None  # state after the chunks encoded so far, see `encode.Partial`
    carried: Carried | None = None  # the state that its last event has
    memory: int = 0  # positions of the source's memory that attention may see
    rows: list[int] = field(default_factory=list)  # one row of the running batch per beam
    sent: int = 0  # tokens sent as Progress
    trace: list[Trace] = field(default_factory=list)
    scores: list[float] = field(default_factory=lambda: [0.0])  # of the beams after the last step of the trace
    ends: list[End] = field(default_factory=list)
    end_ranks: set[int] = field(default_factory=set)  # ranks among the best continuations that have been an end
    made: list[Table] = field(default_factory=list)  # rows of a forecast so far
    made_rows: int = 0  # their number
    states: Table | None = None  # hidden states of the series of a forecast
    reads_again: bool = False  # its source, the window of a forecast, has moved and is to be encoded anew

    arrived: float = 0.0  # times as in `protocol.Times`
    started: float = 0.0
    encoded: float = 0.0
    first_token: float = 0.0

    @property
    def carries(self) -> bool:
        """Whether its state comes from a request, or is for one."""
        return self.carry != NO_CARRY

    @property
    def rest(self) -> int:
        """Cell steps to the end of its source, or to the step before it whose state is kept."""
        keep = self.carry.keep
        return (keep if keep is not None and keep > self.encoded_steps else self.cost.encode) - self.encoded_steps

    @property
    def forecast(self) -> Forecast:
        """The answer of a request that forecasts."""
        assert isinstance(self.answer, Forecast)
        return self.answer

    @property
    def decode(self) -> Decode:
        """The answer of a request that decodes."""
        assert isinstance(self.answer, Decode)
        return self.answer


@dataclass(frozen=True, slots=True)
class Chunk:
    """`steps` cell steps of a request's source, from `start` on."""

    request: Request
    start: int
    steps: int

    @property
    def is_last(self) -> bool:
        return self.start + self.steps == self.request.cost.encode

    @property
    def is_whole(self) -> bool:
        return self.steps == self.request.cost.encode


def whole(request: Request) -> Chunk:
    """All of a source as one chunk."""
    return Chunk(request, 0, request.cost.encode)


Output = tuple[Request, Event]
