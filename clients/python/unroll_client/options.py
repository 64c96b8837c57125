"""Options of the tasks as keyword arguments; docs/api/ says what they mean. One that is left out is the
service's or the model's own."""

from typing import TypedDict


class TaskOptions(TypedDict, total=False):
    """Which model is to answer, and when."""

    model: str
    version: int
    priority: int
    timeout_ms: int


class SentimentOptions(TaskOptions, total=False):
    """`explain` tells the label after each token, and `layer` what a layer did."""

    explain: bool
    layer: int


class SentenceOptions(TaskOptions, total=False):
    """How sentences are emitted: greedily, drawn with `temperature`, or searched with `beams`."""

    max_tokens: int
    min_tokens: int
    beams: int
    n_best: int
    length_penalty: float
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    seed: int
    repetition_penalty: float
    no_repeat_ngram_size: int
    prefix: str
    stop: str | list[str]
    logprobs: int
    attention: bool


class TranslateOptions(SentenceOptions, total=False):
    """ISO 639 codes of the languages choose the model."""

    source: str
    target: str


class CompleteOptions(SentenceOptions, total=False):
    """`next_tokens` tells so many of the tokens that most probably come next."""

    next_tokens: int
