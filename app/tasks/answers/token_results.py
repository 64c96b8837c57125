"""Results of decoding tokens, in the words of the HTTP interface."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from app.tasks.answers.source_tokens import SourceToken

LogProbability = Annotated[float, Field(le=0, description="Natural log-probability.", examples=[-0.21])]
FinishReason = Annotated[
    Literal["stop", "length", "cancelled", "deadline"],
    Field(
        description="`stop`: the model ended it, or a stop string was reached; `length`: `max_tokens` were reached; "
        "`deadline`: its time was over, and it is answered as far as it came.",
        examples=["stop"],
    ),
]


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
