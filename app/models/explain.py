"""What a classifier makes of a text token by token: the label after each token, and a layer's activations.

In float32 and by plain code, for one text at a time: it is for looking at, not for speed.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from app.models.cells import Weights, reverse_within
from app.models.networks import Classifier
from app.store.architecture import CellKind

GATE_NAMES: dict[CellKind, tuple[str, ...]] = {
    "rnn_tanh": (),
    "rnn_relu": (),
    "gru": ("reset", "update", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
}
_STEPS_AT_ONCE = 4096  # padded, while prefixes are read anew


class Activations(NamedTuple):
    """One layer in one direction, in the order of the text: hidden and cell (source, hidden), and each gate after its
    sigmoid or, for the candidate, tanh. `cell` is of an LSTM."""

    hidden: Tensor
    cell: Tensor | None
    gates: dict[str, Tensor]


@torch.inference_mode()
def probabilities_after_each(network: Classifier, tokens: Tensor) -> Tensor:
    """tokens (source,) to the probability of each label if the text ended after each token (source, labels).

    With one direction the states do not know what follows, so one pass tells all; with two, each prefix is read anew.
    """
    encoder = network.encoder
    length = len(tokens)
    if encoder.recurrence.recurrence.directions == 1:
        encoded = encoder(tokens.unsqueeze(0), torch.tensor([length]))
        return network.label_after_each(encoded).float().softmax(2)[0]
    parts, first = [], 1
    while first <= length:
        count = min(length + 1 - first, max(1, _STEPS_AT_ONCE // min(length, first + 63), 1), 64)
        lengths = torch.arange(first, first + count)
        prefixes = tokens[: int(lengths[-1])].expand(count, -1)
        parts.append(network(prefixes, lengths).float().softmax(1))
        first += count
    return torch.cat(parts)


@torch.inference_mode()
def layer_activations(network: Classifier, tokens: Tensor, layer: int) -> list[Activations]:
    """tokens (source,) to the activations of a layer, counted from 0: of each direction, forward first."""
    recurrence = network.encoder.recurrence
    kind = recurrence.recurrence.cell
    features = network.encoder.embedding(tokens)
    lengths = torch.tensor([len(tokens)])
    directions: list[Activations] = []
    for directions_of_layer in recurrence.weights_by_layer()[: layer + 1]:
        directions = []
        for direction, weights in enumerate(directions_of_layer):
            mirrored = reverse_within(features.unsqueeze(0), lengths)[0]
            found = _unroll(kind, mirrored if direction else features, weights)
            directions.append(_mirrored(found) if direction else found)
        features = torch.cat([found.hidden for found in directions], 1)
    return directions


def _mirrored(found: Activations) -> Activations:
    cell = None if found.cell is None else found.cell.flip(0)
    return Activations(found.hidden.flip(0), cell, {name: values.flip(0) for name, values in found.gates.items()})


def _unroll(kind: CellKind, features: Tensor, weights: Weights) -> Activations:
    """features (source, input), by the equations of `torch.nn`'s cells."""
    size = weights.weight_hh.shape[1]
    hidden = cell = features.new_zeros(size)
    hiddens, cells = [], []
    gates: dict[str, list[Tensor]] = {name: [] for name in GATE_NAMES[kind]}
    for inputs in features @ weights.weight_ih.T + weights.bias_ih:
        carried = weights.weight_hh @ hidden + weights.bias_hh
        if kind == "lstm":
            entering, forgetting, candidate, leaving = (inputs + carried).chunk(4)
            values = [entering.sigmoid(), forgetting.sigmoid(), candidate.tanh(), leaving.sigmoid()]
            cell = values[1] * cell + values[0] * values[2]
            hidden = values[3] * cell.tanh()
            cells.append(cell)
        elif kind == "gru":
            resetting, updating, candidate = inputs.chunk(3)
            reset_carried, update_carried, candidate_carried = carried.chunk(3)
            reset = (resetting + reset_carried).sigmoid()
            values = [reset, (updating + update_carried).sigmoid(), (candidate + reset * candidate_carried).tanh()]
            hidden = (1 - values[1]) * values[2] + values[1] * hidden
        else:
            values = []
            hidden = (inputs + carried).tanh() if kind == "rnn_tanh" else (inputs + carried).relu()
        hiddens.append(hidden)
        for name, value in zip(gates, values, strict=True):
            gates[name].append(value)
    stacked = {name: torch.stack(rows) for name, rows in gates.items()}
    return Activations(torch.stack(hiddens), torch.stack(cells) if cells else None, stacked)
