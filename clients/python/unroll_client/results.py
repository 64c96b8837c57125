"""Answers of the service as frozen values; docs/http-api.md explains their members."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from unroll_client.values import Value

AnswerKind = Literal["label", "tokens", "tags", "values", "state"]


@dataclass(frozen=True, kw_only=True)
class Usage(Value):
    """What a request cost. `kept_steps` are those that its states had read before."""

    inputs: int
    source_tokens: int
    emitted_tokens: int
    kept_steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class SourceToken(Value):
    """A token of an input, and the characters that it stands for."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class DirectionActivations(Value):
    """Activations of a layer in one direction: a row per step, a column per unit. `units` are the numbers of the
    columns' units if the request limited them."""

    direction: str
    units: list[int] | None = None
    hidden: list[list[float]]
    cell: list[list[float]] | None = None
    gates: dict[str, list[list[float]]]


@dataclass(frozen=True, kw_only=True)
class LayerActivations(Value):
    """Activations of a layer of all `layers`."""

    layer: int
    layers: int
    network: str
    directions: list[DirectionActivations]


@dataclass(frozen=True, kw_only=True)
class LabelExplanation(Value):
    """The probability of each label after each step. The steps of a text are its `tokens`; of other inputs `steps` is
    their number."""

    method: str
    tokens: list[SourceToken] | None = None
    steps: int | None = None
    labels: list[str]
    probabilities: list[list[float]]
    activations: LayerActivations | None = None


@dataclass(frozen=True, kw_only=True)
class TaskResult(Value):
    """The answer to one input. `usage` is set when the call had this input alone, `state` with `return_state`.

    A task whose answer has no class here has this one: its members are attributes.
    """

    answer_kind: ClassVar[AnswerKind | None] = None

    model: str
    version: int
    usage: Usage | None = None
    state: str | None = None


@dataclass(frozen=True, kw_only=True)
class LabelResult(TaskResult):
    """The most probable label, and the probability of each."""

    answer_kind = "label"

    label: str
    score: float
    scores: dict[str, float]
    explanation: LabelExplanation | None = None


@dataclass(frozen=True, kw_only=True)
class SentimentResult(LabelResult):
    """A label, and its degree as `polarity` from -1 to 1."""

    polarity: float


@dataclass(frozen=True, kw_only=True)
class WordTag(Value):
    """A word with its label, and the characters that it stands for."""

    text: str
    start: int
    end: int
    label: str
    score: float
    scores: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Span(Value):
    """Words that have one label together: the numbers of the `first` and the `last`, and their characters."""

    label: str
    text: str
    start: int
    end: int
    first: int
    last: int
    score: float


@dataclass(frozen=True, kw_only=True)
class TagResult(TaskResult):
    """The words of a text with their labels, and the spans that they mark."""

    answer_kind = "tags"

    tags: list[WordTag]
    spans: list[Span] | None = None


@dataclass(frozen=True, kw_only=True)
class StateResult(TaskResult):
    """The state that sums up an input."""

    answer_kind = "state"

    embedding: list[float]


@dataclass(frozen=True, kw_only=True)
class PrimedResult(TaskResult):
    """A state to continue from, as the option `state` of later calls."""

    answer_kind = "state"

    state: str


@dataclass(frozen=True, kw_only=True)
class Alternative(Value):
    """A token that was possible at a place."""

    text: str
    logprob: float


@dataclass(frozen=True, kw_only=True)
class EmittedToken(Alternative):
    """A decoded token."""

    alternatives: list[Alternative]


@dataclass(frozen=True, kw_only=True)
class WordAlignment(Value):
    """Attention weights of each decoded token over the words of a source."""

    source: list[SourceToken]
    target: list[str]
    weights: list[list[float]]


@dataclass(frozen=True, kw_only=True)
class ImageAttention(Value):
    """Attention weights of each decoded token over the cells of an image."""

    rows: int
    columns: int
    target: list[str]
    weights: list[list[list[float]]]


@dataclass(frozen=True, kw_only=True)
class NextToken(Value):
    """A token that may come next."""

    text: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Hypothesis(Value):
    """A decoded text."""

    text: str
    score: float
    finish_reason: str
    tokens: list[EmittedToken] | None = None
    attention: WordAlignment | ImageAttention | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkRun(Value):
    """An encoder or a decoder, step by step: the token that each step reads, and of a decoder the one that follows from
    it."""

    part: str
    sentence: int | None = None
    reads: list[str | None] | None = None
    writes: list[str | None] | None = None
    activations: LayerActivations


@dataclass(frozen=True, kw_only=True)
class TokenExplanation(Value):
    """What the networks did when they wrote an answer."""

    runs: list[NetworkRun]


@dataclass(frozen=True, kw_only=True)
class SentenceResult(Hypothesis, TaskResult):
    """The best hypothesis for an input. `confidence` and `unsure` are of calibrated models, `explanation` with
    `explain`."""

    answer_kind = "tokens"

    confidence: float | None = None
    unsure: bool | None = None
    hypotheses: list[Hypothesis] | None = None
    seed: int | None = None
    next: list[NextToken] | None = None
    explanation: TokenExplanation | None = None


@dataclass(frozen=True, kw_only=True)
class Token(Value):
    """Text of a stream that was decoded for one input; `input` is its place, from 0. `str()` gives the text."""

    input: int
    text: str
    tokens: list[EmittedToken] | None = None

    def __str__(self) -> str:
        return self.text


ResultT = TypeVar("ResultT", bound=TaskResult)


class Answers(list[ResultT]):
    """A result for each input, in order, and the usage of all."""

    def __init__(self, results: list[ResultT], usage: Usage) -> None:
        super().__init__(results)
        self.usage = usage
