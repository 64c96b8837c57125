"""Models of Keras as `app.importers.reading.read` gives them, and the settings that belong to files of weights."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.errors import ImportFailed
from app.importers.formats.keras_names import named
from app.importers.formats.refusals import Unreadable
from app.importers.reading import ForeignObject, Plain

KERAS_MODEL = "keras.Model"


def is_model(plain: Plain) -> bool:
    return isinstance(plain, ForeignObject) and plain.name == KERAS_MODEL


def is_settings(plain: Plain) -> bool:
    """Whether it is what `model.to_json()` writes."""
    if not isinstance(plain, Mapping) or "class_name" not in plain:
        return False
    config = plain.get("config")
    return isinstance(config, list) or (isinstance(config, Mapping) and plain["class_name"] != "Tokenizer")


def with_settings(model: ForeignObject, settings: Mapping[str, Any]) -> ForeignObject:
    """Weights that have no settings, with those of `model.to_json()`. Raises ImportFailed if they do not fit."""
    state = dict(model.state)
    if not state["named"]:
        try:
            state["weights"] = {layer: list(arrays) for layer, arrays in named(settings, state["weights"]).items()}
        except Unreadable as error:
            raise ImportFailed(f"the settings do not belong to the weights: {error}") from error
        state["named"] = True
    state["config"] = dict(settings)
    state["version"] = state["version"] or settings.get("keras_version")
    return replace(model, state=state)
