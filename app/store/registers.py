"""Registers of a translation (levels of politeness), as a manifest describes them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.ids import Id
from app.store.part import Part

Register = Literal["polite", "formal", "plain", "casual"]


class Registers(Part):
    """The registers that a request may ask for. `tokens` has the id that stands before a source for each of them
    (Sennrich, Haddow and Birch 2016). `default` is that of a request that names none; without it the model chooses."""

    tokens: Annotated[dict[Register, Id], Field(min_length=1)]
    default: Register | None = None

    @model_validator(mode="after")
    def _has_its_default(self) -> Self:
        if self.default is not None and self.default not in self.tokens:
            raise ValueError(f"registers.default is {self.default}, which registers.tokens lacks")
        return self
