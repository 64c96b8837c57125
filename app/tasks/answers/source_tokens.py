"""Tokens of a source text, as results show them."""

from pydantic import BaseModel, Field


class SourceToken(BaseModel):
    """A token of an input, with its place in characters (Unicode code points)."""

    text: str = Field(description="Its spelling.", examples=[" file"])
    start: int = Field(description="Its first character, counted from 0.", examples=[9])
    end: int = Field(description="The character after its last.", examples=[14])
