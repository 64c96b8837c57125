"""Explanation of a classifier's answer: the label after each token, and the activations of a layer.

In float32 and in plain torch, one text at a time.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from app.models.cells import COMPUTATIONS, Weights
from app.models.networks import Classifier
from app.models.recurrent import reverse_within
from app.store.architecture import CELLS, CellKind

_STEPS_AT_ONCE = 4096  # padded, when each prefix is encoded by itself


class Activations(NamedTuple):
    """One layer in one direction, in the order of the text: hidden and cell (source, hidden), and each gate after its
    sigmoid (the candidate after its tanh). `cell` is None for cells that have none."""

    hidden: Tensor
    cell: Tensor | None
    gates: dict[str, Tensor]


@torch.inference_mode()
def probabilities_after_each(network: Classifier, tokens: Tensor) -> Tensor:
    """tokens (source,) to the probability of each label if the text ended after each token (source, labels).

    In one direction a state does not depend on later tokens, so one pass gives all rows. In two directions each prefix
    is encoded by itself.
    """
    encoder = network.encoder
    length = len(tokens)
    if encoder.recurrence.recurrence.directions == 1:
        encoded = encoder(tokens.unsqueeze(0), torch.tensor([length]))
        return network.label_prefixes(encoded).float().softmax(2)[0]
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
    """tokens (source,) to the activations of a layer, counted from 0: one entry per direction, forward first."""
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
    """features (source, input) to the activations of all steps."""
    step = _STEPS.get(kind) or partial(_plain_step, kind)
    hidden = features.new_zeros(weights.weight_hh.shape[1])
    cell = hidden if CELLS[kind].has_cell else None
    hiddens, cells, gates = [], [], []
    for inputs, projected in zip(features, features @ weights.weight_ih.T + weights.bias_ih, strict=True):
        hidden, cell, shown = step(inputs, projected, hidden, cell, weights)
        hiddens.append(hidden)
        gates.append(shown)
        if cell is not None:
            cells.append(cell)
    stacked = {name: torch.stack([one[name] for one in gates]) for name in gates[0]}
    return Activations(torch.stack(hiddens), torch.stack(cells) if cells else None, stacked)


def _plain_step(
    kind: CellKind, inputs: Tensor, projected: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """A step of any cell, without its gates."""
    batched = None if cell is None else cell.unsqueeze(0)
    hidden, cell = COMPUTATIONS[kind].step(inputs.unsqueeze(0), hidden.unsqueeze(0), batched, weights)
    return hidden.squeeze(0), None if cell is None else cell.squeeze(0), {}


def _gru_step(
    inputs: Tensor, projected: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """The equations of `torch.nn.GRU`."""
    carried = weights.weight_hh @ hidden + weights.bias_hh
    reset_input, update_input, candidate_input = projected.chunk(3)
    reset_carried, update_carried, candidate_carried = carried.chunk(3)
    reset = (reset_input + reset_carried).sigmoid()
    update = (update_input + update_carried).sigmoid()
    candidate = (candidate_input + reset * candidate_carried).tanh()
    hidden = (1 - update) * candidate + update * hidden
    return hidden, None, {"reset": reset, "update": update, "candidate": candidate}


def _lstm_step(
    inputs: Tensor, projected: Tensor, hidden: Tensor, cell: Tensor | None, weights: Weights
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """The equations of `torch.nn.LSTM`."""
    assert cell is not None
    carried = weights.weight_hh @ hidden + weights.bias_hh
    entering, forgetting, candidate, leaving = (projected + carried).chunk(4)
    gates = {
        "input": entering.sigmoid(),
        "forget": forgetting.sigmoid(),
        "candidate": candidate.tanh(),
        "output": leaving.sigmoid(),
    }
    cell = gates["forget"] * cell + gates["input"] * gates["candidate"]
    return gates["output"] * cell.tanh(), cell, gates


_STEPS = {"gru": _gru_step, "lstm": _lstm_step}  # by kind of cell; others show no gates
