"""Answers of the service as frozen values; docs/http-api.md explains their members."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from unroll_client.values import Value

AnswerKind = Literal["label", "tokens"]


@dataclass(frozen=True, kw_only=True)
class Usage(Value):
    """What a request cost."""

    inputs: int
    source_tokens: int
    emitted_tokens: int


@dataclass(frozen=True, kw_only=True)
class SourceToken(Value):
    """A token of an input, and the characters that it stands for."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class DirectionActivations(Value):
    """Activations of a layer in one direction: a row per token, a column per unit. `units` are the numbers of the
    columns' units if the request limited them."""

    direction: str
    units: list[int] | None = None
    hidden: list[list[float]]
    cell: list[list[float]] | None = None
    gates: dict[str, list[list[float]]]


@dataclass(frozen=True, kw_only=True)
class LayerActivations(Value):
    """Activations of a layer."""

    layer: int
    network: str
    directions: list[DirectionActivations]


@dataclass(frozen=True, kw_only=True)
class TextExplanation(Value):
    """The probability of each label after each token."""

    method: str
    tokens: list[SourceToken]
    labels: list[str]
    probabilities: list[list[float]]
    activations: LayerActivations | None = None


@dataclass(frozen=True, kw_only=True)
class TaskResult(Value):
    """The answer to one input. `usage` is set when the call had this input alone.

    A task whose answer has no class here has this one: its members are attributes.
    """

    answer_kind: ClassVar[AnswerKind | None] = None

    model: str
    version: int
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class LabelResult(TaskResult):
    """The most probable label, and the probability of each."""

    answer_kind = "label"

    label: str
    score: float
    scores: dict[str, float]
    explanation: TextExplanation | None = None


@dataclass(frozen=True, kw_only=True)
class SentimentResult(LabelResult):
    """A label, and its degree as `polarity` from -1 to 1."""

    polarity: float


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
class SentenceResult(Hypothesis, TaskResult):
    """The best hypothesis for an input."""

    answer_kind = "tokens"

    hypotheses: list[Hypothesis] | None = None
    seed: int | None = None
    next: list[NextToken] | None = None


@dataclass(frozen=True, kw_only=True)
class Token(Value):
    """Text of a stream that was decoded for one input; `input` is its place, from 0. `str()` gives the text."""

    input: int
    text: str
    tokens: list[EmittedToken] | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class QualityFigure(Value):
    """A measured number of a model card."""

    measure: str
    value: float
    data: str


@dataclass(frozen=True, kw_only=True)
class ModelInfo(Value):
    """A version that is served."""

    name: str
    version: int
    task: str
    description: str
    languages: list[str]
    architecture: str
    parameters: int
    bytes: int
    labels: list[str]
    quality: list[QualityFigure]
    state: str
    default: bool
    default_version: bool
    licence: str


@dataclass(frozen=True, kw_only=True)
class BrokenModel(Value):
    """A version that cannot be used."""

    model: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ModelList(Value):
    """The versions that are served, and the broken ones."""

    models: list[ModelInfo]
    broken: list[BrokenModel]


@dataclass(frozen=True, kw_only=True)
class Readiness(Value):
    """Whether the service answers requests, and with which models. True in a condition if it does."""

    status: str
    engines_ready: int
    engines: int
    models: list[str]
    broken: list[BrokenModel]

    def __bool__(self) -> bool:
        return self.status == "ready"


ResultT = TypeVar("ResultT", bound=TaskResult)


class Answers(list[ResultT]):
    """A result for each input, in order, and the usage of all."""

    def __init__(self, results: list[ResultT], usage: Usage) -> None:
        super().__init__(results)
        self.usage = usage
