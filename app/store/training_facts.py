"""How a version was trained and measured, as a manifest tells it."""

from datetime import date
from typing import Annotated

from pydantic import Field

from app.store.part import Part


class Quality(Part):
    """A measured number, and the command that reproduces it."""

    measure: str
    value: float
    data: str
    command: str
    measured: date


class Training(Part):
    """How the weights were trained; MODEL_CARD.md has the details."""

    recipe: str
    minutes: Annotated[int, Field(gt=0, lt=2**31)]
