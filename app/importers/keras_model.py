"""A model of Keras in the files of a user, with the settings that lie beside its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from app.importers.keras_files import is_model, is_settings, with_settings
from app.importers.reading import ForeignObject, Plain


@dataclass(frozen=True, eq=False)
class KerasModel:
    """`config` is what `model.to_json()` writes; None for weights alone. `weights` are the arrays of each layer, in
    Keras' order. `assets` are the files of a layer by name, such as `vocabulary.txt`. `compile` is what it was trained
    with."""

    version: str | None
    config: Mapping[str, Any] | None
    weights: Mapping[str, Sequence[Tensor]]
    compile: Mapping[str, Any] | None = None
    assets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def is_of_keras_2(self) -> bool:
        return self.version is not None and self.version.startswith("2")


def keras_models_of(files: Sequence[Plain]) -> list[KerasModel]:
    """The models in the files. Weights without settings get those of a file of `model.to_json()`.

    Raises ImportFailed if they do not belong together."""
    settings = [plain for plain in files if is_settings(plain)]
    models = []
    for plain in files:
        if is_model(plain):
            whole = plain if plain.state["config"] is not None or not settings else with_settings(plain, settings[0])
            models.append(_model(whole))
    return models


def _model(stub: ForeignObject) -> KerasModel:
    state = stub.state
    return KerasModel(
        version=state.get("version"),
        config=state.get("config"),
        weights=state.get("weights") or {},
        compile=state.get("compile"),
        assets=state.get("assets") or {},
    )
