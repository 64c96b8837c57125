"""Recurrent layers of Keras as ours: gates in torch's order, both conventions of a GRU's reset gate, CuDNN's forms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from app.importers.keras.activations import Function, function_of
from app.importers.keras.graph import Layer, kind_of
from app.importers.keras.values import Piece
from app.store.recurrence import CELLS, CellKind, Join, Recurrence
from app.store.stages import RecurrenceStage

_CELLS: dict[str, CellKind] = {
    "LSTM": "lstm",
    "GRU": "gru",
    "SimpleRNN": "rnn_tanh",
    "CuDNNLSTM": "lstm",
    "CuDNNGRU": "gru",
}
KINDS = (*_CELLS, "Bidirectional", "RNN")
_JOINS: dict[str, Join] = {"concat": "concatenate", "sum": "sum", "ave": "mean", "mul": "product"}
_GATES = ("sigmoid", "hard_sigmoid_5", "hard_sigmoid_6")


def one_way(layer: Layer) -> Layer:
    """The recurrent layer itself, or the one that reads forward. `RNN` over a cell is the layer of that cell."""
    one = layer.inner or layer if layer.kind == "Bidirectional" else layer
    cell = one.config.get("cell")
    if one.kind != "RNN" or not isinstance(cell, Mapping):
        return one
    kind = kind_of(cell).removesuffix("Cell")
    if kind not in _CELLS:
        raise layer.refuse(
            f"it holds the cell {cell.get('class_name')}; LSTMCell, GRUCell and SimpleRNNCell are supported"
        )
    return replace(one, kind=kind, config={**one.config, **cell["config"]})


def recurrence_of(layer: Layer, inputs: int, *, keras_2: bool) -> Piece:
    """A recurrent layer over steps with `inputs` features. Raises ImportFailed for what is not supported."""
    cell = one_way(layer)
    if cell.kind not in _CELLS:
        raise layer.refuse(f"it holds a {cell.kind}; {', '.join(_CELLS)} are supported")
    ways = 2 if layer.kind == "Bidirectional" else 1
    reverse = bool(cell.config.get("go_backwards"))
    join: Join = "concatenate"
    if ways == 2:
        if reverse:
            raise layer.refuse("go_backwards of the layer that reads forward is not supported")
        _check_backward(layer, cell)
        mode = layer.config.get("merge_mode", "concat")
        if mode not in _JOINS:
            raise layer.refuse(f"merge_mode {mode!r} is not supported; {', '.join(_JOINS)} are")
        join = _JOINS[mode]
    count = len(layer.arrays) // ways
    if not count or len(layer.arrays) % ways:
        raise layer.refuse(f"it has {len(layer.arrays)} arrays; the weights are missing or those of another model")
    tensors: dict[str, Tensor] = {}
    for way in range(ways):
        mine = _weights(cell, layer.arrays[way * count : (way + 1) * count], inputs)
        tensors |= {f"recurrence.{name}_l0{'_reverse' if way else ''}": tensor for name, tensor in mine.items()}
    kind, function, gate = _functions(cell, keras_2=keras_2)
    recurrence = Recurrence(
        cell=kind,
        activation=function.activation,
        slope=function.slope,
        recurrent_activation=gate,
        reset_after=not (kind == "gru" and _reset_before(cell, layer.arrays[count - 1])),
        input_size=inputs,
        hidden_size=_units(cell),
        directions=ways,
        reverse=reverse,
    )
    zero = ways == 2 or bool(cell.config.get("zero_output_for_mask"))
    stage = RecurrenceStage(recurrence=recurrence, join=join, masked_outputs="zero" if zero else "repeat")
    return Piece(stage, tensors, layer)


def _units(cell: Layer) -> int:
    return int(cell.config["units"])


def _check_backward(layer: Layer, cell: Layer) -> None:
    backward = layer.config.get("backward_layer")
    settings = backward.get("config", {}) if isinstance(backward, dict) else {}
    for name in ("units", "activation", "recurrent_activation", "reset_after"):
        if name in settings and settings[name] != cell.config.get(name):
            raise layer.refuse(f"its two directions differ in {name}")


def _functions(cell: Layer, *, keras_2: bool) -> tuple[CellKind, Function, str]:
    kind = _CELLS[cell.kind]
    if cell.kind.startswith("CuDNN"):
        return kind, Function("tanh"), "sigmoid"
    function = function_of(cell, keras_2=keras_2) if "activation" in cell.config else Function("tanh")
    if function.is_softmax:
        raise cell.refuse("activation 'softmax' is not supported")
    if kind == "rnn_tanh" and function.activation == "relu":
        return "rnn_relu", Function("tanh"), "sigmoid"
    if kind == "rnn_tanh":
        return kind, function, "sigmoid"
    usual = {"recurrent_activation": "hard_sigmoid" if keras_2 else "sigmoid", **cell.config}
    gate = function_of(Layer(cell.name, cell.kind, usual), "recurrent_activation", keras_2=keras_2)
    if gate.activation not in _GATES:
        raise cell.refuse(f"recurrent_activation {usual['recurrent_activation']!r} is not supported")
    return kind, function, gate.activation


def _reset_before(cell: Layer, bias: Tensor) -> bool:
    """Whether the reset gate of a GRU multiplies the state before the product with the weights."""
    if cell.kind == "CuDNNGRU":
        return False
    if bias.ndim == 2 and len(bias) == 2 and cell.config.get("use_bias", True):
        return False
    return not cell.config.get("reset_after", False)


def _weights(cell: Layer, arrays: Sequence[Tensor], inputs: int) -> dict[str, Tensor]:
    """One direction by torch's names, without the number of the layer."""
    units, kind = _units(cell), _CELLS[cell.kind]
    blocks = CELLS[kind].blocks
    kernel, recurrent, *rest = (array.float() for array in arrays)
    bias = rest[0] if rest else torch.zeros(blocks * units)
    if tuple(kernel.shape) != (inputs, blocks * units) or tuple(recurrent.shape) != (units, blocks * units):
        raise cell.refuse(
            f"its weights have shapes {tuple(kernel.shape)} and {tuple(recurrent.shape)}, but {inputs} features and "
            f"{units} units need {(inputs, blocks * units)} and {(units, blocks * units)}"
        )
    if cell.kind.startswith("CuDNN"):
        kernel = _gate_by_gate(kernel, blocks, _read_by_columns)
        recurrent = _gate_by_gate(recurrent, blocks, lambda gate: gate.T)
        bias = bias.view(2, -1)
    first, second = (bias[0], bias[1]) if bias.ndim == 2 else (bias, torch.zeros_like(bias))
    made = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": first, "bias_hh": second}
    return {name: _torch_order(kind, tensor).contiguous() for name, tensor in made.items()}


def _gate_by_gate(matrix: Tensor, blocks: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.cat([change(gate) for gate in matrix.chunk(blocks, 1)], 1)


def _read_by_columns(gate: Tensor) -> Tensor:
    """`gate.T.reshape(gate.shape, order="F")` of numpy."""
    rows, columns = gate.shape
    return gate.reshape(columns, rows).T


def _torch_order(kind: CellKind, rows: Tensor) -> Tensor:
    """Keras' blocks of a GRU are update, reset, candidate; torch's reset, update, candidate."""
    if kind != "gru":
        return rows
    update, reset, candidate = rows.chunk(3)
    return torch.cat((reset, update, candidate))
