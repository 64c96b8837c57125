"""Answers as frozen values. Members that a newer service adds are kept, as further attributes; docs/api/ says
what the members mean."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class Usage(Value):
    """What a request took."""

    inputs: int
    source_tokens: int
    emitted_tokens: int


class SourceToken(Value):
    """A token of an input, and the characters that it stands for."""

    text: str
    start: int
    end: int


class DirectionActivations(Value):
    """What a layer did in one direction: a row per token, a column per unit."""

    direction: str
    hidden: list[list[float]]
    cell: list[list[float]] | None = None
    gates: dict[str, list[list[float]]]


class LayerActivations(Value):
    """The inside of a layer."""

    layer: int
    network: str
    directions: list[DirectionActivations]


class TextExplanation(Value):
    """The probabilities of the labels after each token."""

    method: str
    tokens: list[SourceToken]
    labels: list[str]
    probabilities: list[list[float]]
    activations: LayerActivations | None = None


class TaskResult(Value):
    """The answer to one input. `usage` is told where the request had this input alone."""

    model: str
    version: int
    usage: Usage | None = None


class SentimentResult(TaskResult):
    """A label and its degree."""

    label: str
    score: float
    polarity: float
    scores: dict[str, float]
    explanation: TextExplanation | None = None


class Alternative(Value):
    """A token that might have stood there."""

    text: str
    logprob: float


class EmittedToken(Alternative):
    """A token that was emitted."""

    alternatives: list[Alternative]


class WordAlignment(Value):
    """Which words of a source were looked at for each token."""

    source: list[SourceToken]
    target: list[str]
    weights: list[list[float]]


class ImageAttention(Value):
    """Where in the image was looked at for each token."""

    rows: int
    columns: int
    target: list[str]
    weights: list[list[list[float]]]


class NextToken(Value):
    """A token that may come next."""

    text: str
    probability: float


class Hypothesis(Value):
    """A sentence."""

    text: str
    score: float
    finish_reason: str
    tokens: list[EmittedToken] | None = None
    attention: WordAlignment | ImageAttention | None = None


class SentenceResult(Hypothesis, TaskResult):
    """The best sentence for an input."""

    hypotheses: list[Hypothesis] | None = None
    seed: int | None = None
    next: list[NextToken] | None = None


class Token(Value):
    """What came of an input of a stream; `input` is its place, from 0. `str` of it is its text."""

    input: int
    text: str
    tokens: list[EmittedToken] | None = None

    def __str__(self) -> str:
        return self.text


class QualityFigure(Value):
    """A measured number of a model card."""

    measure: str
    value: float
    data: str


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
    default: bool
    default_version: bool
    licence: str


class BrokenModel(Value):
    """A version that cannot be used."""

    model: str
    reason: str


class ModelList(Value):
    """What is served, and what is broken."""

    models: list[ModelInfo]
    broken: list[BrokenModel]


class Readiness(Value):
    """Whether requests are answered, and by what."""

    status: str
    engines_ready: int
    engines: int
    models: list[str]
    broken: list[BrokenModel]

    def __bool__(self) -> bool:
        return self.status == "ready"


ResultT = TypeVar("ResultT", bound=TaskResult)


class Answers(list[ResultT]):
    """A result for each input, in order, and what all of them took."""

    def __init__(self, results: list[ResultT], usage: Usage) -> None:
        super().__init__(results)
        self.usage = usage
