"""Results of the answer kind `label`, as the HTTP interface returns them."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SkipValidation

from app.json_pieces import AS_IT_IS
from app.tasks.answers.source_tokens import SourceToken


class DirectionActivations(BaseModel):
    """Activations of a layer in one direction: a row per step, a column per unit."""

    direction: Literal["forward", "backward"]
    units: list[int] | None = Field(
        None,
        description="With the option `units`: the numbers of the columns' units; the one that changes most is first.",
    )
    hidden: list[list[float]]
    cell: list[list[float]] | None = Field(None, description="LSTM only: the cell state.")
    gates: dict[str, list[list[float]]] = Field(
        description="LSTM: `input`, `forget`, `candidate`, `output`; GRU: `reset`, `update`, `candidate`; RNN: none."
    )


class LayerActivations(BaseModel):
    """Activations of a layer for each step."""

    layer: int = Field(description="Counted from 0.")
    layers: int = Field(description="Layers of the network.", examples=[1])
    network: str = Field(description="The recurrence in words.", examples=["LSTM-384"])
    directions: list[DirectionActivations]


class LabelExplanation(BaseModel):
    """The label after each step: a token of a text, a row of a series, or a frame."""

    method: Literal["one pass", "each prefix read anew"] = Field(
        description="`one pass`: the network reads in one direction, so each state gives a label. "
        "`each prefix read anew`: it reads in both directions, or several steps together, so each prefix of the input "
        "is labelled as an input of its own. In both cases a row is the answer to the input that ends with its step."
    )
    tokens: list[SourceToken] | None = Field(None, description="The tokens of a text, which are its steps.")
    steps: int | None = Field(None, description="The number of steps of a series or a clip.")
    labels: list[str] = Field(description="The columns of `probabilities`.")
    probabilities: list[list[float]] = Field(description="A row per step; the last one is the answer.")
    activations: LayerActivations | None = Field(None, description="With `layer` only.")


ExplanationInPieces = Annotated[LabelExplanation, SkipValidation, AS_IT_IS]
"""The members of a LabelExplanation, whose tables become JSON piece by piece: they are too large to be objects."""


class LabelResult(BaseModel):
    """The most probable label and the probability of each."""

    label: str = Field(description="The most probable label.", examples=["positive"])
    score: float = Field(description="Probability of `label`.", ge=0, le=1, examples=[0.97])
    scores: dict[str, float] = Field(
        description="Probability of each label. They sum to 1, unless the model's labels are independent.",
        examples=[{"negative": 0.03, "positive": 0.97}],
    )
    model: str = Field(description="The model that answered.", examples=["sentiment-en"])
    version: int = Field(description="Its version.", examples=[1])
    explanation: ExplanationInPieces | None = Field(None, description="With `explain` only.")
    state: str | None = Field(None, description="Only with `return_state`: the state, to continue from here.")
