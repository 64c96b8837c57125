"""Explanation of an answer: the label after each step of the source, and the activations of a layer.

In float32 and in plain torch, one source at a time, in pieces.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from app.models.cells import COMPUTATIONS, RecurrentState, Weights
from app.models.encoders import Encoded, FramesEncoder, RecurrentEncoder
from app.models.networks import Classifier
from app.models.pieces import InPieces
from app.models.recurrent import reverse_within
from app.store.architecture import CELLS, CellKind

_PIECE = 16  # cell steps of a piece
_PREFIX_STEPS = 1024  # padded cell steps of a piece, when each prefix is encoded by itself


class Activations(NamedTuple):
    """One layer in one direction, in the order of the source: hidden and cell (source, hidden), and each gate after its
    sigmoid (the candidate after its tanh). `cell` is None for cells that have none. `units` (hidden,) are their
    numbers."""

    hidden: Tensor
    cell: Tensor | None
    gates: dict[str, Tensor]
    units: Tensor


class Explained(NamedTuple):
    """The probability of each label after each step (source, labels), and activations by direction, forward first."""

    probabilities: Tensor
    directions: list[Activations]


def explain(network: Classifier, source: Tensor, layer: int | None, units: int | None) -> InPieces[Explained]:
    """Explain the label of a source (steps, ...), as its encoder reads it, without the batch. `layer` is a layer of the
    encoder, counted from 0; its activations are those of the `units` that change most."""
    inputs = yield from _embedded(network.encoder, source)
    probabilities = yield from _probabilities(network, source, inputs)
    directions = [] if layer is None else (yield from _activations(network.encoder, inputs, layer))
    return Explained(probabilities, [most_changing(one, units) for one in directions])


def _embedded(encoder: RecurrentEncoder, source: Tensor) -> InPieces[Tensor]:
    """A source (steps, ...) to the inputs of the recurrence (source, input). A frame is a piece."""
    pieces = torch.split(source.unsqueeze(0), 1, 1) if isinstance(encoder, FramesEncoder) else [source.unsqueeze(0)]
    parts = []
    for piece in pieces:
        inputs, _ = encoder.embed(piece, torch.tensor([piece.shape[1]]))
        parts.append(inputs)
        yield
    return torch.cat(parts, 1)[0]


def _probabilities(network: Classifier, source: Tensor, inputs: Tensor) -> InPieces[Tensor]:
    """The probability of each label if the source (steps, ...) ended after each step (steps, labels). The recurrence
    must not be transposed.

    In one direction a state does not depend on later steps, so one pass gives all rows. In two directions, or with
    convolutions, each prefix is encoded by itself."""
    config = network.config.encoder
    if config.is_divisible:
        encoded = yield from _encoded(network.encoder, inputs)
        return network.label_prefixes(encoded).float().softmax(2)[0]
    parts, first, length = [], 1, len(source)
    while first <= length:
        count = min(length + 1 - first, max(1, _PREFIX_STEPS // min(length, first + 63)), 64)
        lengths = torch.arange(first, first + count)
        end = int(lengths[-1])
        if config.reads_steps_alone:
            encoded = network.encoder.unroll(inputs[:end].expand(count, -1, -1), lengths)
        else:
            encoded = network.encoder(source[:end].expand(count, -1, -1), lengths)
        parts.append(network.label(encoded).float().softmax(1))
        first += count
        yield
    return torch.cat(parts)


def _encoded(encoder: RecurrentEncoder, inputs: Tensor) -> InPieces[Encoded]:
    """inputs (source, input) encoded in one direction, each piece from the state after the one before."""
    parts: list[Encoded] = []
    state: RecurrentState | None = None
    for part in torch.split(inputs.unsqueeze(0), _PIECE, 1):
        parts.append(encoder.unroll(part, torch.tensor([part.shape[1]]), state))
        state = parts[-1].state
        yield
    memory, mask = (torch.cat([getattr(part, name) for part in parts], 1) for name in ("memory", "memory_mask"))
    return Encoded(memory, mask, parts[-1].summary, state)


def _activations(encoder: RecurrentEncoder, inputs: Tensor, layer: int) -> InPieces[list[Activations]]:
    """The activations of a layer: one entry per direction, forward first."""
    recurrence = encoder.recurrence
    kind = recurrence.recurrence.cell
    lengths = torch.tensor([len(inputs)])
    features = inputs
    directions: list[Activations] = []
    for directions_of_layer in recurrence.weights_by_layer()[: layer + 1]:
        directions = []
        for direction, weights in enumerate(directions_of_layer):
            mirrored = reverse_within(features.unsqueeze(0), lengths)[0]
            found = yield from _unroll(kind, mirrored if direction else features, weights)
            directions.append(_mirrored(found) if direction else found)
        features = torch.cat([found.hidden for found in directions], 1)
    return directions


def most_changing(found: Activations, count: int | None) -> Activations:
    """The `count` units whose hidden state changes most from step to step, in sum; the one with most comes first."""
    if count is None:
        return found
    changes = found.hidden.diff(dim=0).abs().sum(0)
    units = changes.argsort(descending=True, stable=True)[:count]
    cell = None if found.cell is None else found.cell[:, units]
    return Activations(
        found.hidden[:, units], cell, {name: gate[:, units] for name, gate in found.gates.items()}, units
    )


def _mirrored(found: Activations) -> Activations:
    cell = None if found.cell is None else found.cell.flip(0)
    gates = {name: values.flip(0) for name, values in found.gates.items()}
    return Activations(found.hidden.flip(0), cell, gates, found.units)


def _unroll(kind: CellKind, features: Tensor, weights: Weights) -> InPieces[Activations]:
    """features (source, input) to the activations of all steps."""
    step = _STEPS.get(kind) or partial(_plain_step, kind)
    hidden = features.new_zeros(weights.weight_hh.shape[1])
    cell = hidden if CELLS[kind].has_cell else None
    hiddens, cells, gates = [], [], []
    for piece in torch.split(features, _PIECE):
        for inputs, projected in zip(piece, piece @ weights.weight_ih.T + weights.bias_ih, strict=True):
            hidden, cell, shown = step(inputs, projected, hidden, cell, weights)
            hiddens.append(hidden)
            gates.append(shown)
            if cell is not None:
                cells.append(cell)
        yield
    stacked = {name: torch.stack([one[name] for one in gates]) for name in gates[0]}
    units = torch.arange(len(hidden))
    return Activations(torch.stack(hiddens), torch.stack(cells) if cells else None, stacked, units)


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
