"""The graph of a Keras model in one form, whatever the dialect of its settings: calls of layers, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras.nodes import Place

_MODULES = ("keras", "tf_keras", "tensorflow", "builtins")


@dataclass(frozen=True)
class Layer:
    """`kind` is the class without what wraps it: `config` has its settings, `arrays` its weights in Keras' order."""

    name: str
    kind: str
    config: Mapping[str, Any]
    arrays: Sequence[Tensor] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def inner(self) -> "Layer | None":
        """The layer that a wrapper holds."""
        inner = self.config.get("layer")
        if not isinstance(inner, Mapping):
            return None
        return Layer(f"{self.name}: {inner['config'].get('name', 'layer')}", kind_of(inner), inner["config"])

    @property
    def words(self) -> str:
        """For messages."""
        return f"layer {self.name!r} ({self.kind})"

    def refuse(self, what: str) -> ImportFailed:
        """The error that this layer has settings which are not supported."""
        return ImportFailed(f"{self.words}: {what}")


@dataclass(frozen=True)
class Call:
    """A layer applied to outputs of other calls. `states` start a recurrent layer."""

    layer: Layer
    number: int
    inputs: Sequence[Place]
    states: Sequence[Place] = ()
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return self.layer.name, self.number, 0


@dataclass(frozen=True)
class Graph:
    """Calls, each after those that it needs."""

    calls: Sequence[Call]
    inputs: Sequence[Place]
    outputs: Sequence[Place]


def kind_of(layer: Mapping[str, Any]) -> str:
    """Its class. Classes of the user's own are refused by name."""
    kind = str(layer.get("class_name", ""))
    registered = layer.get("registered_name")
    package = str(registered).partition(">")[0] if registered and ">" in str(registered) else ""
    module = str(layer.get("module") or "keras").partition(".")[0]
    if kind in ("Lambda", "TFOpLambda") or package not in ("", "keras", "Keras") or module not in _MODULES:
        raise ImportFailed(
            f"the model has a layer of class {registered or kind!r}, which is code of its author: replace it by a layer"
            " of Keras, load the weights, and save the model again"
        )
    return kind.rpartition(">")[2]
