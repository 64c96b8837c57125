"""The manifest of a version: all that is needed to run the version and to describe it."""

from typing import Self

from pydantic import model_validator

from app.store.description import Description
from app.store.fitting import check_parts


class Manifest(Description):
    """`manifest.json` of one version of one model."""

    @model_validator(mode="after")
    def _parts_fit_the_network(self) -> Self:
        check_parts(self)
        return self
