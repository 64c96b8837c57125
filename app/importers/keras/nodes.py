"""The calls inside of a functional model of Keras, as its settings describe them in both dialects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Place = tuple[str, int, int]
"""An output of a call: name of the layer, number of the call, number of the output."""


class Node(NamedTuple):
    """A call of a layer of a functional model, as its settings describe it."""

    place: tuple[str, int]
    entry: Mapping[str, Any]
    inputs: Sequence[Place]
    states: Sequence[Place]
    others: Mapping[str, Any]


@dataclass(frozen=True)
class Nodes:
    """The calls inside of a functional model, its inputs and its outputs, with the names that they have in it."""

    nodes: Sequence[Node]
    inputs: Sequence[Place]
    outputs: Sequence[Place]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Nodes":
        nodes = [
            Node((str(entry.get("name") or entry["config"]["name"]), number), entry, *_arguments(node))
            for entry in settings["layers"]
            for number, node in enumerate(entry.get("inbound_nodes") or [[]])
        ]
        return cls(nodes, _places(settings["input_layers"]), _places(settings["output_layers"]))

    @property
    def links(self) -> int:
        places = sum(len(node.inputs) + len(node.states) for node in self.nodes)
        return places + len(self.inputs) + len(self.outputs)


def _arguments(node: Any) -> tuple[list[Place], list[Place], Mapping[str, Any]]:
    """Inputs, initial states and other arguments of a call, in both dialects."""
    if isinstance(node, Mapping):
        inputs = list(_tensors(node.get("args", ())))
        kwargs = node.get("kwargs") or {}
        states = list(_tensors(kwargs.get("initial_state")))
        inputs += [place for key in ("inputs", "query", "value") for place in _tensors(kwargs.get(key))]
        return inputs, states, {**kwargs, "args": node.get("args", ())}
    places = _places(node) if node else []
    states = []
    for entry in node or ():
        kwargs = entry[3] if isinstance(entry, list) and len(entry) > 3 and isinstance(entry[3], Mapping) else {}
        given = kwargs.get("initial_state")
        states += _places(given) if given else []
    return places, states, {}


def _tensors(value: Any) -> Iterator[Place]:
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            name, number, output = value["config"]["keras_history"][:3]
            yield str(name), int(number), int(output)
        else:
            for inner in value.values():
                yield from _tensors(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)


def _places(value: Any) -> list[Place]:
    """`[name, node, tensor, ...]`, or a list or dictionary of such."""
    if isinstance(value, Mapping):
        return [place for inner in value.values() for place in _places(inner)]
    if isinstance(value, list | tuple) and len(value) >= 3 and isinstance(value[0], str):
        return [(value[0], int(value[1]), int(value[2]))]
    return [place for inner in value for place in _places(inner)] if isinstance(value, list | tuple) else []
