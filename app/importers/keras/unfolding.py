"""The calls of a Keras model, in the order in which they need each other.

Models inside of models are unfolded; their layers have the names `outer/inner`.
"""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

from app.errors import ImportFailed
from app.importers.keras.graph import Call, Graph, Layer, kind_of
from app.importers.keras.nodes import Nodes, Place
from app.importers.keras_model import KerasModel

_MODELS = ("Sequential", "Functional", "Model")
_MOST_LAYERS = 2_000  # a layer or a model that is called twice counts twice
_MOST_LINKS = 20_000


class _Calls:
    """The calls of all models together. Raises ImportFailed where they are too many: a model that is called twice
    inside of one that is called twice is unfolded four times."""

    def __init__(self) -> None:
        self.made: list[Call] = []
        self._layers = self._links = 0
        self._known: dict[int, Nodes] = {}

    def count_layers(self, count: int) -> None:
        self._layers += count
        if self._layers > _MOST_LAYERS:
            raise ImportFailed(f"the Keras model has more than {_MOST_LAYERS:,} layers")

    def nodes_of(self, settings: Mapping[str, Any]) -> Nodes:
        """Read once, however often the model is called."""
        nodes = self._known.get(id(settings))
        if nodes is None:
            nodes = self._known[id(settings)] = Nodes.of(settings)
        self.count_layers(len(nodes.nodes))
        self._links += nodes.links
        if self._links > _MOST_LINKS:
            raise ImportFailed(f"the layers of the Keras model have more than {_MOST_LINKS:,} links")
        return nodes


def graph_of(model: KerasModel) -> Graph:
    """Raises ImportFailed for settings that are no graph of layers."""
    if not isinstance(model.config, Mapping) or kind_of(model.config) not in _MODELS:
        kind = kind_of(model.config) if isinstance(model.config, Mapping) else "nothing"
        raise ImportFailed(
            f"the settings of the Keras model describe a {kind}, whose structure is code of its author; Sequential and "
            "functional models are supported. Build the same network from layers, load the weights, and save that"
        )
    calls = _Calls()
    inputs, outputs = _unfold(model, model.config, "", None, calls)
    return Graph(_needed(calls.made, outputs), inputs, outputs)


def _unfold(
    model: KerasModel, config: Mapping[str, Any], prefix: str, given: Sequence[Place] | None, calls: _Calls
) -> tuple[list[Place], list[Place]]:
    """Appends the calls of a model; returns its inputs and outputs. `given` are what it is called with."""
    calls.count_layers(1)
    settings = config["config"]
    is_sequential = kind_of(config) == "Sequential" or isinstance(settings, list)
    return (_sequential if is_sequential else _functional)(model, settings, prefix, given, calls)


def _sequential(
    model: KerasModel, settings: Any, prefix: str, given: Sequence[Place] | None, calls: _Calls
) -> tuple[list[Place], list[Place]]:
    layers = settings["layers"] if isinstance(settings, Mapping) else settings
    places = list(given or ())
    inputs = list(places)
    calls.count_layers(len(layers))
    for entry in layers:
        if kind_of(entry) == "InputLayer" and given is not None:
            continue
        if not places and kind_of(entry) != "InputLayer":
            places = inputs = [_input(prefix + "input", _shape_of(entry), calls)]
        places = _call(model, entry, prefix, places, (), {}, calls)
        inputs = inputs or places
    return inputs, places


def _input(name: str, shape: Any, calls: _Calls) -> Place:
    """The input that old Sequential models leave out: its shape is in the settings of the first layer."""
    call = Call(Layer(name, "InputLayer", {"batch_shape": shape}), 0, ())
    calls.made.append(call)
    return call.place


def _shape_of(entry: Mapping[str, Any]) -> Any:
    config = entry.get("config")
    if isinstance(config, Mapping) and kind_of(entry) not in _MODELS:
        for name in ("batch_shape", "batch_input_shape"):
            if config.get(name):
                return config[name]
        if config.get("input_shape"):
            return [None, *config["input_shape"]]
        if isinstance(config.get("layer"), Mapping) and (found := _shape_of(config["layer"])):
            return found
        if kind_of(entry) == "Embedding":
            return [None, config.get("input_length")]
    elif config is not None:
        layers = config.get("layers") if isinstance(config, Mapping) else config
        return _shape_of(layers[0]) if layers else None
    return None


def _functional(
    model: KerasModel, settings: Mapping[str, Any], prefix: str, given: Sequence[Place] | None, calls: _Calls
) -> tuple[list[Place], list[Place]]:
    nodes = calls.nodes_of(settings)
    made: dict[tuple[str, int], list[Place]] = {}
    if given is not None:
        made = {place[:2]: [its] for place, its in zip(nodes.inputs, given, strict=True)}
    missing = [{place[:2] for place in (*node.inputs, *node.states)} - made.keys() for node in nodes.nodes]
    readers: dict[tuple[str, int], list[int]] = {}
    for index, needs in enumerate(missing):
        for place in needs:
            readers.setdefault(place, []).append(index)
    ready = [index for index, needs in enumerate(missing) if not needs]  # in increasing order, so it is a heap
    left = set(range(len(nodes.nodes)))
    while ready:
        index = heappop(ready)
        left.remove(index)
        node = nodes.nodes[index]
        if node.place in made:
            continue
        inputs, states = _at(made, node.inputs), _at(made, node.states)
        made[node.place] = _call(
            model, node.entry, prefix, inputs, states, node.others, calls, number=node.place[1], name=node.place[0]
        )
        for reader in readers.get(node.place, ()):
            missing[reader].remove(node.place)
            if not missing[reader]:
                heappush(ready, reader)
    if left:
        raise ImportFailed(f"the graph of the Keras model has a loop at {nodes.nodes[min(left)].place[0]!r}")
    return _at(made, nodes.inputs), _at(made, nodes.outputs)


def _at(made: Mapping[tuple[str, int], Sequence[Place]], places: Sequence[Place]) -> list[Place]:
    found = []
    for name, number, output in places:
        outputs = made.get((name, number))
        if outputs is None:
            raise ImportFailed(f"the graph of the Keras model has no layer {name!r}")
        found.append(outputs[output] if len(outputs) > 1 else (*outputs[0][:2], outputs[0][2] or output))
    return found


def _call(
    model: KerasModel,
    entry: Mapping[str, Any],
    prefix: str,
    inputs: Sequence[Place],
    states: Sequence[Place],
    others: Mapping[str, Any],
    calls: _Calls,
    *,
    number: int = 0,
    name: str | None = None,
) -> list[Place]:
    kind, config = kind_of(entry), entry["config"]
    name = prefix + (name or str(config.get("name") or kind) if isinstance(config, Mapping) else kind)
    if kind in _MODELS:
        return _unfold(model, entry, f"{name}/", inputs, calls)[1]
    arrays, texts = model.weights.get(name, ()), model.assets.get(name, {})
    calls.made.append(Call(Layer(name, kind, config, arrays, texts), number, inputs, states, others))
    return [calls.made[-1].place]


def _needed(calls: Sequence[Call], outputs: Sequence[Place]) -> list[Call]:
    """The calls that the outputs need: metrics, masks and other ends fall away."""
    needed = {place[:2] for place in outputs}
    kept = []
    for call in reversed(calls):
        if call.place[:2] in needed:
            kept.append(call)
            needed |= {place[:2] for place in (*call.inputs, *call.states)}
    return kept[::-1]
