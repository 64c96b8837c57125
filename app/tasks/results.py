"""What the tasks answer with, one per input, in the words of the HTTP interface."""

from typing import Literal

from pydantic import BaseModel, Field


class SentimentResult(BaseModel):
    """A label and its degree."""

    label: str = Field(description="The most probable label.", examples=["positive"])
    score: float = Field(description="Probability of `label`.", ge=0, le=1, examples=[0.97])
    polarity: float = Field(
        description="Signed degree: probability of positive minus probability of negative.",
        ge=-1,
        le=1,
        examples=[0.94],
    )
    scores: dict[str, float] = Field(
        description="Probability of each label; they sum to 1.", examples=[{"negative": 0.03, "positive": 0.97}]
    )
    model: str = Field(description="The model that answered.", examples=["sentiment-en"])
    version: int = Field(description="Its version.", examples=[1])


class SentenceResult(BaseModel):
    """A sentence that was emitted word by word."""

    text: str = Field(description="The sentence.")
    score: float = Field(
        description="Mean natural log-probability of its tokens, the end included.", le=0, examples=[-0.8]
    )
    finish_reason: Literal["stop", "length", "cancelled", "deadline"] = Field(
        description="`stop`: the model ended it; `length`: `max_tokens` were reached.", examples=["stop"]
    )
    model: str = Field(description="The model that answered.")
    version: int = Field(description="Its version.", examples=[1])


class Usage(BaseModel):
    """What a request took."""

    inputs: int = Field(description="Inputs answered.", examples=[1])
    source_tokens: int = Field(description="Tokens read; 0 for images.", examples=[9])
    emitted_tokens: int = Field(description="Tokens emitted; 0 for labels.", examples=[0])
