"""The decoder of tokens, as a manifest describes it. Nothing here imports torch."""

from typing import Literal, Self

from pydantic import Field, model_validator

from app.store.attention import Attention
from app.store.part import Layers, Size, VocabularySize
from app.store.recurrence import CellSettings, Recurrence

Bridge = Literal["zeros", "copy", "join", "first", "linear", "tanh", "layerwise", "layerwise_tanh"]


class Decoder(CellSettings):
    """A recurrent state to tokens, one step at a time.

    `context` is where the context enters. `input`: beside the embedding; the query is the state before the step
    (Bahdanau et al. 2015, section 3.1). `output`: after the recurrence; the query is the state after the step (Luong et
    al. 2015, section 3).

    `readout` lists the inputs of the output layer, in order. `readout_size` adds a tanh layer before the output layer
    (Luong's attentional vector); `input_feeding` appends its output to the next step's input (Luong et al. 2015,
    section 3.3). `input_size` adds a relu layer over embedding and context before the recurrence.

    `bridge` makes the first state. `zeros`; `copy`: the encoder's last state; `join`: that state with its two
    directions side by side; `first`: its first rows (with two directions, both of the lowest layers); `linear` or
    `tanh`: a layer on the encoder's summary; `layerwise` or `layerwise_tanh`: a layer on the last state of each of its
    layers, the directions side by side, one for all layers, and another one for the cell. `first_input` is the
    embedding of bos, or the encoder's `summary` (Vinyals et al. 2015, section 3.1).
    """

    vocabulary_size: VocabularySize
    embedding_size: Size
    hidden_size: Size
    layers: Layers = 1
    attention: Attention = Attention()
    context: Literal["input", "output"] = "output"
    readout: tuple[Literal["hidden", "context", "embedding"], ...] = Field(("hidden",), min_length=1, max_length=8)
    readout_size: Size | None = None
    tied_output: bool = False
    bridge: Bridge = "tanh"
    first_input: Literal["bos", "summary"] = "bos"
    embedding_activation: Literal["relu"] | None = None
    input_size: Size | None = None
    input_feeding: bool = False

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.attention.kind == "none" and "context" in self.readout:
            raise ValueError("readout names 'context', but attention.kind is 'none'")
        if self.attention.kind != "none" and self.context == "output" and "context" not in self.readout:
            raise ValueError("attention with context 'output' needs 'context' in readout")
        if self.tied_output and self.readout_size != self.embedding_size:
            raise ValueError("tied_output needs readout_size equal to embedding_size")
        if self.input_feeding and (self.readout_size is None or self.context != "output"):
            raise ValueError("input_feeding needs readout_size and context 'output'")
        if self.attention.kind == "location" and self.context != "input":
            raise ValueError("attention kind location needs context 'input'")
        return self

    def recurrence(self, input_size: int) -> Recurrence:
        """Its recurrence over inputs of that size. All values are validated already."""
        return Recurrence.model_construct(
            **self.settings, input_size=input_size, hidden_size=self.hidden_size, layers=self.layers
        )

    def describe(self) -> str:
        attention = f" with {self.attention.kind} attention" if self.attention.chooses else ""
        layers = f"{self.layers} x " if self.layers > 1 else ""
        cell = f"{layers}{self.words}-{self.hidden_size}"
        return f"{cell} decoder{attention} over {self.vocabulary_size} tokens"
