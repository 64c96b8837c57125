"""Recurrences as operators of ONNX: RNN, GRU and LSTM, one for each layer."""

import torch
from torch import Tensor

from app.export.onnx.graph import Graph, recurrent_function
from app.export.onnx.protobuf import Attribute
from app.store.recurrence import CELLS, Join, KeptInput, Recurrence

_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}  # ONNX has input, output, forget, cell; update, reset, new
_OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN", "rnn_relu": "RNN"}
_LAST = -(2**62)


def unrolled(
    graph: Graph, rows: str, config: Recurrence, prefix: str, join: Join = "concatenate", state: tuple[str, ...] = ()
) -> tuple[str, str, tuple[str, ...]]:
    """rows (batch, steps, features) to outputs (batch, steps, features), the last states of the top layer (batch,
    features), and the last states of all layers (layers * directions, batch, hidden). `state` are the first ones."""
    x = graph.turned(rows, 1, 0, 2)
    if config.reverse:
        places = [graph.constant([number]) for number in (-1, _LAST, 0, -1)]
        x = graph.node("Slice", x, *places)
    attributes = _attributes(config)
    hiddens, cells = [], []
    outputs = x
    for layer in range(config.layers):
        first = [_rows(graph, tensor, config, layer) for tensor in state]
        given = (x, *_weights(graph, config, prefix, layer), *(["", *first] if first else []))
        outputs, *last = graph.nodes(
            _OPERATORS[config.cell], given, 3 if CELLS[config.cell].has_cell else 2, attributes
        )
        hiddens.append(last[0])
        cells += last[1:]
        x = _side_by_side(graph, outputs)
    top = hiddens[-1]  # directions x batch x hidden
    rows = x if join == "concatenate" or config.directions == 1 else _joined(graph, outputs, join, 1)
    summary = _flat(graph, top) if join == "concatenate" or config.directions == 1 else _joined(graph, top, join, 0)
    states = tuple(_stacked(graph, tensors) for tensors in (hiddens, cells) if tensors)
    return graph.turned(rows, 1, 0, 2), summary, states


def _weights(graph: Graph, config: Recurrence, prefix: str, layer: int) -> tuple[str, str, str]:
    suffixes = [f"_l{layer}", f"_l{layer}_reverse"][: config.directions]

    def stacked(name: str) -> Tensor:
        return torch.stack([_ordered(graph.weights[f"{prefix}.{name}{suffix}"], config) for suffix in suffixes])

    biases = torch.cat((stacked("bias_ih"), stacked("bias_hh")), 1)
    return graph.constant(stacked("weight_ih")), graph.constant(stacked("weight_hh")), graph.constant(biases)


def _ordered(tensor: Tensor, config: Recurrence) -> Tensor:
    """The blocks of gates in the order of ONNX."""
    blocks = tensor.float().chunk(CELLS[config.cell].blocks)
    return torch.cat([blocks[place] for place in _ORDER.get(config.cell, (0,))])


def _attributes(config: Recurrence) -> dict[str, Attribute]:
    activation = "relu" if config.cell == "rnn_relu" else config.activation
    gate = recurrent_function(config.recurrent_activation, 0.0)
    own = recurrent_function(activation, config.slope)
    used = {"lstm": [gate, own, own], "gru": [gate, own]}.get(config.cell, [own]) * config.directions
    attributes: dict[str, Attribute] = {
        "hidden_size": config.hidden_size,
        "direction": "bidirectional" if config.directions == 2 else "forward",
        "activations": [name for name, _, _ in used],
    }
    if alphas := [alpha for _, numbers, _ in used for alpha in numbers]:
        attributes["activation_alpha"] = alphas
    if betas := [beta for _, _, numbers in used for beta in numbers]:
        attributes["activation_beta"] = betas
    if config.cell == "gru":
        attributes["linear_before_reset"] = int(config.reset_after)
    return attributes


def _rows(graph: Graph, state: str, config: Recurrence, layer: int) -> str:
    """The first state of one layer (directions, batch, hidden)."""
    first = layer * config.directions
    places = [graph.constant([number]) for number in (first, first + config.directions, 0)]
    return graph.node("Slice", state, *places)


def _side_by_side(graph: Graph, outputs: str) -> str:
    """outputs (steps, directions, batch, hidden) to (steps, batch, directions * hidden)."""
    return graph.node("Reshape", graph.turned(outputs, 0, 2, 1, 3), graph.constant([0, 0, -1]))


def _flat(graph: Graph, states: str) -> str:
    """states (directions, batch, hidden) to (batch, directions * hidden)."""
    return graph.node("Reshape", graph.turned(states, 1, 0, 2), graph.constant([0, -1]))


def _joined(graph: Graph, values: str, join: Join, axis: int) -> str:
    if join == "sum":
        return graph.node("ReduceSum", values, graph.constant([axis]), keepdims=0)
    return graph.node("ReduceMean" if join == "mean" else "ReduceProd", values, axes=[axis], keepdims=0)


def beside_input(graph: Graph, outputs: str, inputs: str, kept: KeptInput | None) -> str:
    """outputs (batch, steps, features) with the inputs of the recurrence before or after them."""
    if kept is None:
        return outputs
    return graph.node("Concat", *((inputs, outputs) if kept == "before" else (outputs, inputs)), axis=2)


def last_cell(graph: Graph, cells: str, config: Recurrence, join: Join) -> str:
    """Cells of all layers (layers * directions, batch, hidden) to those of the top layer (batch, features)."""
    places = [graph.constant([number]) for number in (-config.directions, 2**31, 0)]
    top = graph.node("Slice", cells, *places)
    return _flat(graph, top) if join == "concatenate" or config.directions == 1 else _joined(graph, top, join, 0)


def _stacked(graph: Graph, tensors: list[str]) -> str:
    return tensors[0] if len(tensors) == 1 else graph.node("Concat", *tensors, axis=0)
