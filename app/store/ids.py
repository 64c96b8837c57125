"""Ids of tokens in a manifest."""

from typing import Annotated

from pydantic import Field

MOST_TOKENS = 10_000  # that a version may decode, or pad a source to
Id = Annotated[int, Field(ge=0, lt=2**31)]
Ids = tuple[Id, ...]
Tokens = Annotated[int, Field(gt=0, le=MOST_TOKENS)]
