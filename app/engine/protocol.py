"""What front end and engine say to each other: msgpack over ZeroMQ, one message per frame.

Front end to engine: Hello, Submit, Cancel, Load, Unload. Engine to front end: Status, Events, and Loaded, NotLoaded or
Unloaded in answer to the last two. The engine knows neither text nor
HTTP: sources are token ids or pixels, answers are scores or token ids.
"""

from bisect import bisect_left
from typing import Literal

import msgspec

IMAGE_STEPS = 256  # what an image counts as, in cell steps
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # upper bounds of buckets
TOKEN_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
LOAD_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
RequestKey = tuple[bytes, int]  # front end, id of the request within it
FinishReason = Literal["stop", "length", "cancelled", "deadline"]


class Message(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Base of everything that crosses; never changed once made."""


class Tokens(Message, frozen=True):
    """A source of token ids."""

    ids: list[int]


class Pixels(Message, frozen=True):
    """A source image: `size` x `size` RGB bytes, row by row from the top left."""

    size: int
    data: bytes


class Hello(Message, frozen=True):
    """Asks for a Status."""


class Terms(Message, frozen=True):
    """What a request asks of the scheduler.

    `priority` from -10 to 10, more is sooner. `deadline` is on the clock of `time.monotonic`, in seconds, which all
    processes of a machine share; None for none. `client` names who asks and `group` the HTTP request among those of the
    same front end: clients share an engine fairly, and so do the requests of one client.
    """

    priority: int = 0
    deadline: float | None = None
    client: str = ""
    group: int = 0


class Emit(Message, frozen=True):
    """How tokens are emitted. The defaults are greedy; `max_tokens` counts each hypothesis.

    `beams` hypotheses are searched side by side and the `n_best` of them are answered, by log-probability divided by
    ((5 + tokens) / 6) ** `length_penalty` (Wu et al. 2016, section 7). With `temperature` above 0 tokens are drawn,
    from the `top_k` (0: all) most probable, the fewest that hold `top_p` of the probability, and those with at least
    `min_p` times that of the best one; `seed` makes the draw repeatable. `repetition_penalty` after Keskar et al.
    (2019, section 4.1); `no_repeat_ngram` n forbids to emit the same n tokens twice (0: allowed), and tokens in
    `forbidden` are never emitted, which leaves their probability to nobody. The first tokens are `prefix`.
    `alternatives` is how many of the most probable tokens are told beside each chosen one. With `attention` the weights
    over the source are told for each token. With `stream` there is a Progress after each unit. `first` is the first
    input, where it is not the model's bos: the last token of a text that is gone on with.
    """

    max_tokens: int
    min_tokens: int = 0
    beams: int = 1
    n_best: int = 1
    length_penalty: float = 0.0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    forbidden: list[int] = []
    prefix: list[int] = []
    alternatives: int = 0
    attention: bool = False
    stream: bool = False
    first: int | None = None


class Explain(Message, frozen=True):
    """What is told beside a label: its probability after each token; with `layer`, counted from 0, that layer's
    activations."""

    layer: int | None = None


class Label(Message, frozen=True):
    explain: Explain | None = None


Decode = Emit


class Submit(Message, frozen=True):
    """One request item. `id` is unique within its front end, `model` is `name/version`; without `emit` a label is read,
    with what `explain` asks for.

    With `alone` nothing else runs beside it, and a Started tells when: for a request under which an engine died.
    """

    id: int
    model: str
    source: Tokens | Pixels
    emit: Emit | None = None
    terms: Terms = Terms()
    alone: bool = False
    explain: Explain | None = None


class Cancel(Message, frozen=True):
    """Stop these; nothing is answered for them any more."""

    ids: list[int]


class Load(Message, frozen=True):
    """Load the version that lies in `folder` beside the others, and warm it. `model` is its `name/version`. Answered
    with Loaded or NotLoaded."""

    model: str
    folder: str


class Unload(Message, frozen=True):
    """Let go of a version. Requests for it that come within `linger` seconds are still run: front ends had chosen it
    before they knew. Answered with Unloaded once nothing of it runs any more and its memory is free."""

    model: str
    linger: float = 0.0


class Hypothesis(Message, frozen=True):
    """A sentence. `log_probs` has one more entry than `tokens` when the end itself was emitted (`stop`), and so have
    the other two if they were asked for: `alternatives` with (token, log-probability) pairs, best first, and
    `attention` with weights over the source. Log-probabilities are natural and the model's own, whatever penalties
    changed the choice. `score` orders the n-best: the sum of `log_probs`, divided by the length penalty."""

    tokens: list[int]
    log_probs: list[float]
    score: float
    finish_reason: FinishReason
    alternatives: list[list[tuple[int, float]]] = []
    attention: list[list[float]] = []


class Activations(Message, frozen=True):
    """One layer in one direction: for each token of the source the value of each unit. The cell is of an LSTM; gates
    are by name."""

    hidden: list[list[float]]
    cell: list[list[float]]
    gates: dict[str, list[list[float]]]


class Explanation(Message, frozen=True):
    """For each token the probability of each label if the text ended there; activations forward, then backward."""

    probabilities: list[list[float]]
    activations: list[Activations] = []


class Scored(Message, frozen=True):
    """A label was read: the probability of each label, in the manifest's order, and what explains it if asked for."""

    id: int
    scores: list[float]
    explanation: Explanation | None = None


class Started(Message, frozen=True):
    """A request that was sent `alone` is run from now on."""

    id: int


class Progress(Message, frozen=True):
    """Tokens emitted since the last Progress of a request with `stream`; members as in Hypothesis."""

    id: int
    tokens: list[int]
    log_probs: list[float]
    alternatives: list[list[tuple[int, float]]] = []
    attention: list[list[float]] = []


class Emitted(Message, frozen=True):
    """All sentences of a request ended: the n-best, best first."""

    id: int
    hypotheses: list[Hypothesis]


class Failed(Message, frozen=True):
    """The request could not be run; `reason` is for the caller. `expired`: its deadline passed before it was run.
    `gone`: its version was unloaded before it came."""

    id: int
    reason: str
    expired: bool = False
    gone: bool = False


Labelled = Scored
Decoded = Emitted
Event = Scored | Started | Progress | Emitted | Failed


class Times(msgspec.Struct, array_like=True, frozen=True):
    """When request `id` came to the engine, was first run, was consumed, told its first token and ended. In seconds on
    the clock of `time.monotonic`, which all processes of a machine share; 0 for what it did not come to."""

    id: int
    arrived: float
    begun: float
    consumed: float
    told: float
    ended: float


class Events(Message, frozen=True):
    """All that happened in one step of the engine, for one front end, and the times of the requests that ended."""

    events: list[Event]
    times: list[Times] = []


class Spread(msgspec.Struct, array_like=True):
    """How many of something were in each bucket, by upper bounds that both sides know, the last without one; and their
    sum. Grows, and is sent as it is."""

    counts: list[int]
    sum: float = 0.0

    @classmethod
    def over(cls, bounds: tuple[float, ...]) -> "Spread":
        return cls([0] * (len(bounds) + 1))

    def add(self, value: float, bounds: tuple[float, ...]) -> None:
        self.counts[bisect_left(bounds, value)] += 1
        self.sum += value


class Occasions(msgspec.Struct, array_like=True):
    """How often something was, and for how many seconds in all."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds


class ModelFigures(msgspec.Struct, array_like=True):
    """What one engine did for one version: seconds that requests waited before they were first run and until they told
    their first token, over `SECONDS`, and for each token, over `TOKEN_SECONDS`; tokens read and emitted; rows that are
    taken now, of how many; requests answered and failed, from their arrival on, and of those that were answered the
    waiting, consuming and emitting; pieces and steps that were run; when one was last answered, on the clock of
    `time.monotonic`, or 0."""

    queue: Spread
    first_token: Spread
    token: Spread
    source_tokens: int = 0
    emitted_tokens: int = 0
    rows: int = 0
    slots: int = 0
    answered: Occasions = msgspec.field(default_factory=Occasions)
    failed: Occasions = msgspec.field(default_factory=Occasions)
    waited: Occasions = msgspec.field(default_factory=Occasions)
    consumed: Occasions = msgspec.field(default_factory=Occasions)
    emitted: Occasions = msgspec.field(default_factory=Occasions)
    executions: int = 0
    last: float = 0.0


class Status(Message, frozen=True):
    """Who the engine is and how it fares. `instance` differs after a restart; `broken` maps a model to a reason;
    `precisions` says in words what number types each model runs in; `counters` only grow, `gauges` go up and down;
    `figures` are by model; `load_seconds`, over `LOAD_SECONDS`, are of versions that were loaded."""

    instance: str
    models: list[str]
    broken: dict[str, str]
    counters: dict[str, float]
    gauges: dict[str, float]
    precisions: dict[str, str] = {}
    figures: dict[str, ModelFigures] = {}
    load_seconds: Spread | None = None


class Loaded(Message, frozen=True):
    """A version is loaded and warm."""

    model: str


class NotLoaded(Message, frozen=True):
    """A version could not be loaded, for `reason`. Whatever was loaded before serves on."""

    model: str
    reason: str


class Unloaded(Message, frozen=True):
    """A version is not there any more."""

    model: str


ToEngine = Hello | Submit | Cancel | Load | Unload
Change = Loaded | NotLoaded | Unloaded
ToFrontEnd = Events | Status | Change

encode = msgspec.msgpack.Encoder().encode
decode_to_engine = msgspec.msgpack.Decoder(ToEngine).decode
decode_to_front_end = msgspec.msgpack.Decoder(ToFrontEnd).decode
