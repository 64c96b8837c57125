"""Tokens of a source text, as results show them."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from app.text.tokenizer import Piece


class SourceToken(BaseModel):
    """A token of an input, with its place in characters (Unicode code points)."""

    text: str = Field(description="Its spelling.", examples=[" file"])
    start: int = Field(description="Its first character, counted from 0.", examples=[9])
    end: int = Field(description="The character after its last.", examples=[14])


def source_tokens(pieces: Sequence[Piece]) -> list[SourceToken]:
    """The tokens of a source."""
    return [SourceToken(text=piece.text, start=piece.start, end=piece.end) for piece in pieces]
