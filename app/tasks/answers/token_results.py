"""What the tasks answer with, one per input, in the words of the HTTP interface."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

LogProbability = Annotated[float, Field(le=0, description="Natural log-probability.", examples=[-0.21])]
FinishReason = Annotated[
    Literal["stop", "length", "cancelled", "deadline"],
    Field(
        description="`stop`: the model ended it, or a stop string was reached; `length`: `max_tokens` were reached; "
        "`deadline`: its time was over, and it is answered as far as it came.",
        examples=["stop"],
    ),
]


class SourceToken(BaseModel):
    """A token of an input, and the characters (Unicode code points) of the input that it stands for."""

    text: str = Field(description="How it is spelt.", examples=[" file"])
    start: int = Field(description="Its first character, counted from 0.", examples=[9])
    end: int = Field(description="The character after its last.", examples=[14])


class DirectionActivations(BaseModel):
    """What a layer did in one direction: for each token a row with the value of each unit."""

    direction: Literal["forward", "backward"]
    hidden: list[list[float]]
    cell: list[list[float]] | None = Field(None, description="Only of an LSTM: its memory, before the output gate.")
    gates: dict[str, list[list[float]]] = Field(
        description="LSTM: `input`, `forget`, `candidate`, `output`; GRU: `reset`, `update`, `candidate`; RNN: none."
    )


class LayerActivations(BaseModel):
    """The inside of a layer while it read the text."""

    layer: int = Field(description="Counted from 0.")
    network: str = Field(description="The recurrence in words.", examples=["LSTM-384"])
    directions: list[DirectionActivations]


class TextExplanation(BaseModel):
    """How the label came about, token by token."""

    method: Literal["one pass", "each prefix read anew"] = Field(
        description="`one pass`: the network reads in one direction, and its state after each token is asked for the "
        "label. `each prefix read anew`: it reads in both directions, so each beginning of the text is answered as a "
        "text of its own. Either way a row is the answer to the text that ends there."
    )
    tokens: list[SourceToken]
    labels: list[str] = Field(description="The columns of `probabilities`.")
    probabilities: list[list[float]] = Field(description="A row per token; the last one is the answer.")
    activations: LayerActivations | None = Field(None, description="Only with `layer`.")


class SentimentResult(BaseModel):
    """A label and its degree."""

    label: str = Field(description="The most probable label.", examples=["positive"])
    score: float = Field(description="Probability of `label`.", ge=0, le=1, examples=[0.97])
    polarity: float = Field(
        description="Signed degree: probability of positive (or pos) minus probability of negative (or neg).",
        ge=-1,
        le=1,
        examples=[0.94],
    )
    scores: dict[str, float] = Field(
        description="Probability of each label; they sum to 1.", examples=[{"negative": 0.03, "positive": 0.97}]
    )
    model: str = Field(description="The model that answered.", examples=["sentiment-en"])
    version: int = Field(description="Its version.", examples=[1])
    explanation: TextExplanation | None = Field(None, description="Only with `explain`.")


class Alternative(BaseModel):
    """A token that might have stood there."""

    text: str = Field(description="How it is spelt.", examples=[" file"])
    logprob: LogProbability
    id: SkipJsonSchema[int] = Field(exclude=True)  # for clients of other interfaces, which ask for it


class EmittedToken(Alternative):
    """A token that was emitted; `text` begins with a space where a word does, a byte looks like `<0xEA>`."""

    alternatives: list[Alternative] = Field(description="The most probable tokens at this place, best first.")


class WordAlignment(BaseModel):
    """Which words of a source were looked at for each token of the translation."""

    source: list[SourceToken] = Field(description="Tokens of the input, what the model appends to it included.")
    target: list[str] = Field(description="Tokens of the translation, the end included if the model ended it.")
    weights: list[list[float]] = Field(description="A row per token of `target`, a column per token of `source`.")


class ImageAttention(BaseModel):
    """Where in the image was looked at for each token of the caption."""

    rows: int = Field(description="Cells of the image from top to bottom.", examples=[7])
    columns: int = Field(description="Cells of the image from left to right.", examples=[7])
    target: list[str] = Field(description="Tokens of the caption, the end included if the model ended it.")
    weights: list[list[list[float]]] = Field(
        description="For each token of `target`, `rows` rows of `columns` weights."
    )


class NextToken(BaseModel):
    """A token that may come next."""

    text: str = Field(description="How it is spelt; a word's beginning with a space.", examples=[" file"])
    probability: float = Field(ge=0, le=1, examples=[0.31])


class Hypothesis(BaseModel):
    """A sentence that was emitted token by token."""

    text: str = Field(description="The sentence.")
    score: float = Field(
        description="Greedy and drawn: mean natural log-probability of its tokens, the end included. With `beams`: "
        "what orders them, the sum of the log-probabilities divided by ((5 + tokens) / 6) ** `length_penalty`.",
        le=0,
        examples=[-0.8],
    )
    finish_reason: FinishReason
    tokens: list[EmittedToken] | None = Field(
        None, description="Only with `logprobs`: its tokens, the end included if the model ended it."
    )
    attention: WordAlignment | ImageAttention | None = Field(
        None, description="Only with `attention`: what was looked at for each token."
    )


class SentenceResult(Hypothesis):
    """The best sentence for an input."""

    model: str = Field(description="The model that answered.")
    version: int = Field(description="Its version.", examples=[1])
    hypotheses: list[Hypothesis] | None = Field(
        None, description="Only with `n_best` above 1: the best sentences, this one first."
    )
    seed: int | None = Field(
        None, description="Only with `temperature`: what draws this sentence again from this input alone."
    )
    next: list[NextToken] | None = Field(
        None,
        description="Only with `next_tokens`: what most probably comes next after the input, best first.",
    )


class Usage(BaseModel):
    """What a request took."""

    inputs: int = Field(description="Inputs answered.", examples=[1])
    source_tokens: int = Field(description="Tokens read; 0 for images.", examples=[9])
    emitted_tokens: int = Field(
        description="Tokens emitted, of all hypotheses that are told; 0 for labels.", examples=[0]
    )
