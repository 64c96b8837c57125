"""Recurrent layers, as a manifest describes them. Nothing here imports torch."""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from app.store.part import Layers, Part, Size

CellKind = Literal["rnn_tanh", "rnn_relu", "gru", "lstm"]
Activation = Literal[
    "none",
    "relu",
    "tanh",
    "sigmoid",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "softplus",
    "softsign",
    "swish",
    "hard_sigmoid_5",
    "hard_sigmoid_6",
]
"""A function of one number. `hard_sigmoid_5` is clip(0.2 x + 0.5, 0, 1), that of Keras 2; `hard_sigmoid_6` is
clip(x / 6 + 0.5, 0, 1), that of Keras 3 and of PyTorch. `elu` has alpha 1; `gelu` is the exact one."""
Slope = Annotated[float, Field(ge=0, le=10)]  # of leaky_relu, below zero
Join = Literal["concatenate", "sum", "mean", "product"]
"""How two directions become one: side by side, forward first, or number by number."""
MaskedOutputs = Literal["repeat", "zero"]
"""The output of a step that is not read: that of the last step that was (zeros before the first), or zeros. In Keras
`repeat`, and `zero` inside Bidirectional."""

KeptInput = Literal["before", "after"]
"""The features that a recurrence reads stand before its outputs in each step, or after them (Keras: Concatenate)."""


class Cell(NamedTuple):
    """A kind of cell. `app/models/cells.py` has its computation.

    `blocks` is the number of blocks of rows in its weights, one for each gate and candidate. `has_cell`: its state has
    a second tensor, `cell`, beside `hidden`.
    """

    words: str
    blocks: int
    has_cell: bool = False


CELLS: dict[CellKind, Cell] = {
    "rnn_tanh": Cell("RNN (tanh)", 1),
    "rnn_relu": Cell("RNN (relu)", 1),
    "gru": Cell("GRU", 3),
    "lstm": Cell("LSTM", 4, has_cell=True),
}


class CellSettings(Part):
    """A kind of cell and the functions in it. The usual ones are those of `torch.nn`.

    `activation` takes the place of tanh: of an LSTM's candidate and its output, of a GRU's candidate, of `rnn_tanh`
    itself. `slope` is that of leaky_relu. `recurrent_activation` is the function of the gates of GRU and LSTM.
    `reset_after` is of GRU: true multiplies the product of hidden state and weights by the reset gate (PyTorch, cuDNN,
    Keras since 2.3); false multiplies the hidden state before that product (Cho et al. 2014; Keras before), and adds
    both biases outside the reset gate.
    """

    cell: CellKind
    activation: Activation = "tanh"
    slope: Slope = 0.01
    recurrent_activation: Literal["sigmoid", "hard_sigmoid_5", "hard_sigmoid_6"] = "sigmoid"
    reset_after: bool = True

    @model_validator(mode="after")
    def _functions_fit_the_cell(self) -> Self:
        if self.cell == "rnn_relu" and self.activation != "tanh":
            raise ValueError("cell 'rnn_relu' takes no activation; 'rnn_tanh' with an activation does")
        if self.recurrent_activation != "sigmoid" and self.cell not in ("gru", "lstm"):
            raise ValueError("only cells gru and lstm have gates, so only they take recurrent_activation")
        if not self.reset_after and self.cell != "gru":
            raise ValueError("reset_after false needs cell gru")
        return self

    @property
    def is_usual(self) -> bool:
        """Whether `torch.nn` computes this cell."""
        return self.activation == "tanh" and self.recurrent_activation == "sigmoid" and self.reset_after

    @property
    def words(self) -> str:
        """The kind of cell in words, with the function that takes the place of tanh."""
        if self.activation == "tanh":
            return CELLS[self.cell].words
        return f"{CELLS[self.cell].words.removesuffix(' (tanh)')} ({self.activation})"

    @property
    def settings(self) -> dict[str, Any]:
        """Its fields, for another part with the same cell."""
        return {name: getattr(self, name) for name in CellSettings.model_fields}


class Recurrence(CellSettings):
    """A stack of recurrent layers. Its parameters have the names of `torch.nn`.

    `reverse`: one direction, from the last step of a source to its first. Its outputs are in the order of reading, so
    that of the source's last step is the first (Keras: go_backwards).
    """

    input_size: Size
    hidden_size: Size
    layers: Layers = 1
    directions: Literal[1, 2] = 1
    reverse: bool = False

    @model_validator(mode="after")
    def _reads_one_way(self) -> Self:
        if self.reverse and self.directions == 2:
            raise ValueError("reverse needs directions 1; with 2 one of them reads from the end already")
        return self

    @property
    def output_size(self) -> int:
        return self.hidden_size * self.directions

    def joined_size(self, join: Join) -> int:
        """Features of an output whose directions are joined."""
        return self.output_size if join == "concatenate" else self.hidden_size

    def describe(self) -> str:
        direction = "bidirectional " if self.directions == 2 else "backward " if self.reverse else ""
        layers = f"{self.layers} x " if self.layers > 1 else ""
        return f"{layers}{direction}{self.words}-{self.hidden_size}"
