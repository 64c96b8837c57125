"""How a decoder attends to the memory, as a manifest describes it."""

from typing import Literal, Self, assert_never

from pydantic import model_validator

from app.store.part import Part, Size

AttentionKind = Literal["none", "fixed", "location", "dot", "general", "additive", "gated"]


class Attention(Part):
    """How a decoder attends to the memory.

    `dot`, `general`, `additive`: Luong et al. 2015, section 3.1 (`additive` is `concat` there); Bahdanau et al. 2015,
    appendix A.1.2. `gated`: additive, and a gate on the context after Xu et al. 2015, section 4.2.1, with one gate per
    feature of the context where the paper has a single one. `fixed`: the context is the encoder's summary in every step
    (Cho et al. 2014, section 2.2). `location`: scores a fixed number of positions from embedding and hidden state
    alone (Luong et al. 2015, equation 8); the memory past the end of a source is zero.

    `size` is the width of the projected keys of `additive` and `gated`, and the number of positions of `location`; the
    other kinds have none. `activation` is that of `additive` and `gated`. `dot` needs a memory as wide as the hidden
    state.
    """

    kind: AttentionKind = "none"
    size: Size | None = None
    activation: Literal["tanh", "relu"] = "tanh"

    @property
    def chooses(self) -> bool:
        """Whether its weights differ between positions."""
        match self.kind:
            case "none" | "fixed":
                return False
            case "location" | "dot" | "general" | "additive" | "gated":
                return True
            case _:
                assert_never(self.kind)

    @property
    def has_size(self) -> bool:
        match self.kind:
            case "additive" | "gated" | "location":
                return True
            case "none" | "fixed" | "dot" | "general":
                return False
            case _:
                assert_never(self.kind)

    @model_validator(mode="after")
    def _size_goes_with_kind(self) -> Self:
        if (self.size is not None) != self.has_size:
            raise ValueError("attention kinds additive, gated and location need attention.size; others do not take it")
        if self.activation != "tanh" and self.kind not in ("additive", "gated"):
            raise ValueError("only attention kinds additive and gated take attention.activation")
        return self
