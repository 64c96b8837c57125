"""The base of every part of a manifest, and numbers with limits. Nothing here imports torch."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Size = Annotated[int, Field(gt=0, le=2**20)]  # features; a product of two and 4 bytes fits 64 bits
VocabularySize = Annotated[int, Field(gt=0, le=2**24)]
Layers = Annotated[int, Field(gt=0, le=64)]
Window = Annotated[int, Field(gt=0, le=10_000)]  # steps of a source
Epsilon = Annotated[float, Field(gt=0, le=1)]


class Part(BaseModel):
    """A frozen part of an architecture. An unknown key is an error, so that a typo cannot pass.

    Every number has a limit that no network reaches, so a damaged file costs no more than a large network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)
