"""Results of the answer kind `tokens`, as the HTTP interface returns them."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.json_pieces import AS_IT_IS
from app.tasks.answers.label_results import LayerActivations
from app.tasks.answers.source_tokens import SourceToken

LogProbability = Annotated[float, Field(le=0, description="Natural log-probability.", examples=[-0.21])]
FinishReason = Annotated[
    Literal["stop", "length", "cancelled", "deadline"],
    Field(
        description="`stop`: the model ended the sentence, or a stop string occurred; `length`: it has `max_tokens`; "
        "`deadline`: the deadline passed, and it has the tokens decoded so far.",
        examples=["stop"],
    ),
]


class Alternative(BaseModel):
    """An alternative token at a place."""

    text: str = Field(description="Its spelling.", examples=[" file"])
    logprob: LogProbability


class EmittedToken(Alternative):
    """A decoded token. `text` begins with a space where a word begins; a byte looks like `<0xEA>`."""

    alternatives: list[Alternative] = Field(description="The most probable tokens at this place, best first.")


class WordAlignment(BaseModel):
    """The attention of each decoded token over the tokens of the source."""

    source: list[SourceToken] = Field(description="Tokens of the input, with those that the model appends.")
    target: list[str] = Field(description="Decoded tokens, with the end token if the model ended the sentence.")
    weights: list[list[float]] = Field(description="A row per token of `target`, a column per token of `source`.")


class ImageAttention(BaseModel):
    """The attention of each decoded token over the image."""

    rows: int = Field(description="Cells of the image from top to bottom.", examples=[7])
    columns: int = Field(description="Cells of the image from left to right.", examples=[7])
    target: list[str] = Field(description="Decoded tokens, with the end token if the model ended the sentence.")
    weights: list[list[list[float]]] = Field(
        description="For each token of `target`, `rows` rows of `columns` weights."
    )


TokensInPieces = Annotated[list[EmittedToken], AS_IT_IS]
"""`EmittedTokens`, which become JSON piece by piece: they have too many numbers to be objects."""
AttentionInPieces = Annotated[WordAlignment | ImageAttention, AS_IT_IS]
"""A `TextAttention` or `GridAttention`, for the same reason."""


class NetworkRun(BaseModel):
    """A network that reads or writes tokens, step by step."""

    part: Literal["encoder", "decoder"] = Field(
        description="`encoder`: it reads the source. `decoder`: it writes the answer; of a language model also the "
        "text before it, which the same network reads."
    )
    sentence: int | None = Field(
        None, description="Number of the sentence, from 0, where the sentences of an input are read one by one."
    )
    reads: list[str | None] | None = Field(
        None,
        description="The token that each step reads, or `null` for the image. Left out if a step is made of several "
        "tokens.",
    )
    writes: list[str | None] | None = Field(
        None,
        description="Decoder only: the token that follows from each step, with the end token if the model ended the "
        "sentence; `null` within the text that a language model continues.",
    )
    activations: LayerActivations


class TokenExplanation(BaseModel):
    """How an answer was written: its tokens are read once more by the network in float32, with the state and the gates
    of a layer."""

    runs: list[NetworkRun]


TokenExplanationInPieces = Annotated[TokenExplanation, AS_IT_IS]
"""The members of a TokenExplanation, whose tables become JSON piece by piece."""


class NextToken(BaseModel):
    """A possible next token."""

    text: str = Field(description="Its spelling, with a space where a word begins.", examples=[" file"])
    probability: float = Field(ge=0, le=1, examples=[0.31])


class Hypothesis(BaseModel):
    """A decoded sentence."""

    text: str = Field(description="The sentence.")
    score: float = Field(
        description="Mean natural log-probability of its tokens and the end token. With `beams`: sum of the "
        "log-probabilities divided by ((5 + tokens) / 6) ** `length_penalty`, which ranks the beams.",
        le=0,
        examples=[-0.8],
    )
    finish_reason: FinishReason
    tokens: TokensInPieces | None = Field(
        None, description="Only with `logprobs`: its tokens, with the end token if the model ended it."
    )
    attention: AttentionInPieces | None = Field(
        None, description="Only with `attention`: the attention weights of each token."
    )


class SentenceResult(Hypothesis):
    """The best sentence for an input."""

    confidence: float | None = Field(
        None,
        description="Only of a calibrated model: the share of answers with such a score that were acceptable in the "
        "test of its card. Of several sentences the lowest. Not with `temperature`, nor where the deadline passed.",
        ge=0,
        le=1,
        examples=[0.74],
    )
    unsure: Literal[True] | None = Field(
        None, description="`true` where `confidence` is below the threshold of the model's card; left out otherwise."
    )
    model: str = Field(description="The model that answered.")
    version: int = Field(description="Its version.", examples=[1])
    hypotheses: list[Hypothesis] | None = Field(
        None, description="Only with `n_best` above 1: the best sentences, with this one first."
    )
    seed: int | None = Field(
        None,
        description="Only with `temperature`: the seed that draws this sentence again if the input is sent alone.",
    )
    next: list[NextToken] | None = Field(
        None,
        description="Only with `next_tokens`: the most probable next tokens after the input, best first.",
    )
    explanation: TokenExplanationInPieces | None = Field(
        None, description="Only with `explain`; left out if the deadline passes before it is there."
    )
    state: str | None = Field(None, description="Only with `return_state`: the state, to continue from here.")
