"""The messages between front end and engine: msgpack over ZeroMQ, one message per frame.

Front end to engine: Hello, Submits, Cancel, Load, Unload. Engine to front end: Status, Events, and Loaded, NotLoaded or
Unloaded as the reply to Load and Unload. The engine knows neither text nor HTTP: a source is token ids, pixels or
scaled numbers, an answer is probabilities, token ids or scaled numbers.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from app.engine.figures import Histogram, ModelFigures

RequestKey = tuple[bytes, int]  # front end, id of the request within it
FinishReason = Literal["stop", "length", "cancelled", "deadline"]
Cause = Literal["version", "memory", "reading"]  # what stops a load: the version, or the engine's memory or its disk
_NUMBER = 4  # bytes of a number in a table


class Message(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Base of all messages and their parts."""


# Numbers


class Table(Message, frozen=True):
    """Numbers in rows of `columns`, as bytes of float32, or of int32 for ids: there may be too many to be objects."""

    columns: int
    numbers: bytes

    def __len__(self) -> int:
        return len(self.numbers) // (_NUMBER * self.columns) if self.columns else 0

    def rows(self, first: int, last: int | None = None) -> "Table":
        """The rows from `first` to before `last`, or to the end."""
        row = _NUMBER * self.columns
        return Table(self.columns, self.numbers[first * row : None if last is None else last * row])


# Sources


class Tokens(Message, frozen=True):
    """A source of token ids. If it is `unread`, a language model begins from its first state, as if there were none."""

    ids: list[int]
    unread: bool = False


class Pixels(Message, frozen=True):
    """A source image: `size` x `size` RGB bytes, row by row from the top left."""

    size: int
    data: bytes


class Series(Message, frozen=True):
    """A source of rows of numbers, scaled as the network reads them."""

    rows: Table


class Frames(Message, frozen=True):
    """A source of `count` images, one after the other; `size` and bytes as in Pixels."""

    size: int
    count: int
    data: bytes


Source = Tokens | Pixels | Series | Frames


# Answers to compute


class Explain(Message, frozen=True):
    """Explain a label: its probability after each step of the source, and with `layer`, counted from 0, that layer's
    activations: of all units, or of the `units` units that change most."""

    layer: int | None = None
    units: int | None = None


class Label(Message, frozen=True):
    """Answer with the probability of each label."""

    explain: Explain | None = None


class Decode(Message, frozen=True):
    """Answer with tokens. The defaults decode greedily; `max_tokens` limits each hypothesis.

    `beams` hypotheses are searched side by side; the answer has the `n_best` of them, by log-probability divided by
    ((5 + tokens) / 6) ** `length_penalty` (Wu et al. 2016, section 7); `penalty_tokens` are counted, too.

    With `temperature` above 0 tokens are sampled:
    from the `top_k` most probable (0: all), from the fewest that hold `top_p` of the probability, and from those with
    at least `min_p` times the best one's probability; the same `seed` gives the same sample. `repetition_penalty` after
    Keskar et al. (2019, section 4.1). `no_repeat_ngram` forbids a second n-gram of this size (0: allowed). Tokens in
    `forbidden` are never chosen; the probabilities of the others stay as they are. The first tokens are `prefix`.
    Each token comes with `alternatives` of the most probable tokens, and with `attention` the weights over the source.
    With `stream` a Progress follows each unit. `first` replaces the model's bos as first input: a completion starts
    with the last token of its text. `drawn` tokens of the seed were drawn by earlier requests; `past`
    are the tokens that they decoded, which count for n-grams and penalties, with one beam.
    """

    max_tokens: int
    min_tokens: int = 0
    beams: int = 1
    n_best: int = 1
    length_penalty: float = 0.0
    penalty_tokens: int = 0
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
    drawn: int = 0
    past: list[int] = []


class Tag(Message, frozen=True):
    """Answer with a label for each token, and its probability. With `scores` also the probability of each label."""

    scores: bool = False


class Forecast(Message, frozen=True):
    """Answer with `horizon` rows of numbers; a model that does not make them step by step gives no more than its own.
    With `states` also the hidden state of the top layer after each step that it reads. With `stream` a Values follows
    each unit."""

    horizon: int
    states: bool = False
    stream: bool = False


class Embed(Message, frozen=True):
    """Answer with the hidden state of a layer, counted from 0 (None: the top one): after the last step, or the largest
    or the mean value over all steps. Both directions side by side, or added where the network adds them."""

    pooling: Literal["last", "max", "mean"] = "last"
    layer: int | None = None


class Replay(Message, frozen=True):
    """Answer with the activations of a network that reads its source, and then one by one the ids of `inputs`, those
    that its decoder read when it wrote an answer. They are of a `layer`, counted from 0, or the last one of a network
    with fewer; None: the last one of each. Of all units, or of the `units` units that change most."""

    inputs: list[int]
    layer: int | None = None
    units: int | None = None


AnswerSpec = Label | Tag | Decode | Forecast | Embed | Replay


# States that outlive a request


class Carried(Message, frozen=True):
    """What a network keeps of the `steps` that it has read: `hidden` and `cell` (layers, hidden) in float32, and by
    pooling what that keeps of the outputs (memory,): their sum in float64, or the largest in float32."""

    steps: int
    hidden: bytes
    cell: bytes | None = None
    pools: dict[str, bytes] = {}


class Carry(Message, frozen=True):
    """Begin from the state `start`, and send the state after step `keep` of the source with the answer. With `ends`
    send the one before the last decoded token instead."""

    start: Carried | None = None
    keep: int | None = None
    ends: bool = False


# Front end to engine


class Hello(Message, frozen=True):
    """Request a Status."""


class Terms(Message, frozen=True):
    """How the scheduler treats a request.

    `priority` is from -10 to 10; higher is sooner. `deadline` is on the clock of `time.monotonic`, which all processes
    of a machine share (`app.engine.client.clock` translates it for others); None means no deadline. `client` and
    `group`, the HTTP request of that client, share an engine fairly: clients with each other, and the groups of one
    client with each other.
    """

    priority: int = 0
    deadline: float | None = None
    client: str = ""
    group: int = 0


class Submit(Message, frozen=True):
    """One request: a source and the answer to compute from it. `id` is unique within its front end; `model` is
    `name/version`.

    `again`: an engine ended while it had this request, so this one sends Started before it runs it, and before it loads
    its version. Requests with the same `trial`, a number of this front end, are suspects: they run together, and
    nothing runs beside them. 0 is none.
    """

    id: int
    model: str
    source: Source
    answer: AnswerSpec
    terms: Terms = Terms()
    again: bool = False
    trial: int = 0
    carry: Carry | None = None


class Submits(Message, frozen=True):
    """The requests that a front end sends in one turn of its event loop."""

    submits: list[Submit]


class Cancel(Message, frozen=True):
    """Drop these requests and send no more events for them."""

    ids: list[int]


class Load(Message, frozen=True):
    """Load and warm the version in `folder` beside the others. `model` is its `name/version`. The reply is Loaded or
    NotLoaded."""

    model: str
    folder: str


class Unload(Message, frozen=True):
    """Remove a version. The engine still accepts requests for it for `linger` seconds, since front ends may have chosen
    it before they knew. The reply is Unloaded, sent when nothing of it runs and its memory is free."""

    model: str
    linger: float = 0.0


# Engine to front end


class Alternatives(Message, frozen=True):
    """The most probable tokens of each place, best first: their ids and log-probabilities, -inf for a token that the
    model excludes."""

    ids: Table
    log_probs: Table

    def rows(self, first: int, last: int | None = None) -> "Alternatives":
        """The places from `first` to before `last`, or to the end."""
        return Alternatives(self.ids.rows(first, last), self.log_probs.rows(first, last))


def join_tables(tables: Sequence[Table]) -> Table:
    """The rows of one or more tables with as many columns."""
    return Table(tables[0].columns, b"".join([table.numbers for table in tables]))


def join_alternatives(parts: Sequence[Alternatives]) -> Alternatives:
    """The places of all parts."""
    return Alternatives(join_tables([part.ids for part in parts]), join_tables([part.log_probs for part in parts]))


class Hypothesis(Message, frozen=True):
    """One decoded sequence. `log_probs`, `alternatives` and `attention`, weights over the source, have one more entry
    than `tokens` if the end token was decoded (`stop`). The last two are None unless the request has them.
    Log-probabilities are natural and the model's own, before penalties. `score` orders the n-best: the sum of
    `log_probs`, divided by the length penalty."""

    tokens: list[int]
    log_probs: list[float]
    score: float
    finish_reason: FinishReason
    alternatives: Alternatives | None = None
    attention: Table | None = None


class Activations(Message, frozen=True):
    """One layer in one direction: a row per step, a column for each of `units`. `cell` is of an LSTM; `gates` are by
    name."""

    units: list[int]
    hidden: Table
    cell: Table | None
    gates: dict[str, Table]


class Explanation(Message, frozen=True):
    """The probability of each label if the source ended after each step; activations forward, then backward."""

    probabilities: Table
    activations: list[Activations] = []


class Labelled(Message, frozen=True):
    """The probability of each label, in the manifest's order. The last event of a request with Label."""

    id: int
    scores: list[float]
    explanation: Explanation | None = None
    carried: Carried | None = None


class Tagged(Message, frozen=True):
    """The label of each token, its probability, and with `scores` the probability of each label, a row per token; of a
    CRF they are marginal probabilities. The last event of a request with Tag."""

    id: int
    labels: list[int]
    chosen: Table
    scores: Table | None = None
    carried: Carried | None = None


class Values(Message, frozen=True):
    """Rows of a forecast since the last Values of a request with `stream`."""

    id: int
    rows: Table


class Forecasted(Message, frozen=True):
    """All rows of a forecast, or those made before the deadline; `states` has a row per step of the source. The last
    event of a request with Forecast."""

    id: int
    rows: Table
    states: Table | None = None
    carried: Carried | None = None


class Embedded(Message, frozen=True):
    """One row: the state that sums up a source. The last event of a request with Embed."""

    id: int
    state: Table
    carried: Carried | None = None


class Replayed(Message, frozen=True):
    """The activations of each network, by direction: of an encoder with a recurrence, and of the decoder, whose rows
    are the steps that read its inputs. A language model is a decoder alone, and its rows begin with the source.
    Without steps a network has none. The last event of a request with Replay."""

    id: int
    encoder: list[Activations]
    decoder: list[Activations]
    carried: Carried | None = None


class Started(Message, frozen=True):
    """A request that was submitted `again` starts to run, or the load of its version starts."""

    id: int


class Progress(Message, frozen=True):
    """Tokens decoded since the last Progress of a request with `stream`; members as in Hypothesis."""

    id: int
    tokens: list[int]
    log_probs: list[float]
    alternatives: Alternatives | None = None
    attention: Table | None = None


class Decoded(Message, frozen=True):
    """The n-best hypotheses, best first. The last event of a request with Decode."""

    id: int
    hypotheses: list[Hypothesis]
    carried: Carried | None = None


class Failed(Message, frozen=True):
    """The request cannot be answered; `reason` is for the client. `expired`: the deadline passed before it ran.
    `gone`: its version was unloaded before it arrived, or cannot be loaded. `not_loaded`: its version is served, and
    could not be loaded in time. `options`: those that its model cannot take. The last event of the request."""

    id: int
    reason: str
    expired: bool = False
    gone: bool = False
    options: list[str] = []
    not_loaded: bool = False


Answer = Labelled | Tagged | Decoded | Forecasted | Embedded | Replayed
Part = Progress | Values  # of an answer that is streamed
Event = Answer | Part | Started | Failed


class Times(msgspec.Struct, array_like=True, frozen=True):
    """When request `id` arrived at the engine, first ran, was encoded, had its first token and ended. Seconds on the
    clock of `time.monotonic`, which all processes of a machine share; 0 for a point that the request did not reach."""

    id: int
    arrived: float
    started: float
    encoded: float
    first_token: float
    ended: float


class Events(Message, frozen=True):
    """The events of one step of the engine for one front end, and the times of the requests that ended."""

    events: list[Event]
    times: list[Times] = []


class Status(Message, frozen=True):
    """State and figures of an engine. `instance` changes with each restart; `models` are served, `broken` are others
    with a reason. `precisions` names the number types of each loaded model, `loading` those that are loaded now; the
    loaded ones take `models_bytes` of `models_memory`. `counters` only grow, `gauges` go up and down; `figures` are by
    model; `load_seconds` is over `LOAD_SECONDS`. `now` is when it was made, on the engine's clock."""

    instance: str
    models: list[str]
    broken: dict[str, str]
    counters: dict[str, float]
    gauges: dict[str, float]
    precisions: dict[str, str] = {}
    figures: dict[str, ModelFigures] = {}
    load_seconds: Histogram | None = None
    loading: list[str] = []
    models_bytes: int = 0
    models_memory: int = 0
    now: float = 0.0


class Loaded(Message, frozen=True):
    """A version is loaded and warm."""

    model: str


class NotLoaded(Message, frozen=True):
    """A version could not be loaded, for `reason`. The versions loaded before keep serving. If another `cause` than the
    version stopped it, the version may be valid."""

    model: str
    reason: str
    cause: Cause = "version"


class Unloaded(Message, frozen=True):
    """A version is gone."""

    model: str


ToEngine = Hello | Submits | Cancel | Load | Unload
Change = Loaded | NotLoaded | Unloaded
ToFrontEnd = Events | Status | Change

pack = msgspec.msgpack.Encoder().encode


def pack_submits(packed: Sequence[bytes]) -> bytes:
    """A message Submits of requests that are packed already: one that cannot be packed fails alone, before."""
    return pack((Submits.__name__, [msgspec.Raw(submit) for submit in packed]))


unpack_for_engine = msgspec.msgpack.Decoder(ToEngine).decode
unpack_for_front_end = msgspec.msgpack.Decoder(ToFrontEnd).decode
