"""Explanation of an answer: the label after each step of the source, and the activations of a layer.

In float32 and in plain torch, one source at a time, in pieces.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from app.models.cells import RecurrentState, Weights
from app.models.encoders import Encoded, FramesEncoder, RecurrentEncoder
from app.models.gates import Gated, gated_step, projected, shown_step
from app.models.networks import Classifier
from app.models.pieces import InPieces
from app.models.steps import Steps
from app.store.recurrence import CELLS, CellSettings

PIECE = 16  # cell steps of a piece
_PREFIX_STEPS = 1024  # padded cell steps of a piece, when each prefix is encoded by itself


class Activations(NamedTuple):
    """One layer in one direction, in the order of the source: hidden and cell (source, hidden), and each gate after its
    sigmoid (the candidate after its tanh). `cell` is None for cells that have none. `units` (hidden,) are their
    numbers. At a step that the recurrence does not read, the state is that before it, and the gates are 0."""

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
    encoder, counted from 0; its activations are those of the `units` that change most. The architecture must explain
    steps."""
    inputs, steps = yield from embedded(network.encoder, source)
    probabilities = yield from _probabilities(network, source, inputs, steps)
    directions = [] if layer is None else (yield from activations_of(network.encoder, inputs, steps, layer))
    return Explained(probabilities, [most_changing(one, units) for one in directions])


def embedded(encoder: RecurrentEncoder, source: Tensor) -> InPieces[tuple[Tensor, Steps]]:
    """A source (steps, ...) to the inputs of the recurrence (1, steps, input). A frame is a piece."""
    batch = source.unsqueeze(0)
    if not isinstance(encoder, FramesEncoder):
        yield
        return encoder.embed(batch, torch.tensor([len(source)]))
    parts = []
    for piece in torch.split(batch, 1, 1):
        features, _ = encoder.features(piece, torch.tensor([1]))
        parts.append(features)
        yield
    rows, steps = encoder.front(torch.cat(parts, 1), Steps(torch.tensor([len(source)])))
    return rows, steps


def _probabilities(network: Classifier, source: Tensor, inputs: Tensor, steps: Steps) -> InPieces[Tensor]:
    """The probability of each label if the source (steps, ...) ended after each step (steps, labels).

    In one direction a state does not depend on later steps, so one pass gives all rows. Otherwise, as in two directions
    or with convolutions, each prefix is encoded by itself, unless it only ends in more masked steps than the one
    before."""
    if network.config.explains_in_one_pass:
        encoded = yield from encoded_in_parts(network.encoder, inputs, steps)
        return network.probabilities(network.label_prefixes(encoded))[0]
    all_read = [True] * len(source) if steps.read is None else steps.read[0].tolist()
    chosen = network.config.encoder.differing_beginnings(all_read)
    parts, first = [], 0
    while first < len(chosen):
        count = max(1, min(64, _PREFIX_STEPS // chosen[min(first + 63, len(chosen) - 1)]))
        lengths = torch.tensor(chosen[first : first + count])
        count, end = len(lengths), int(lengths[-1])
        if network.config.encoder.reads_steps_alone:
            read = None if steps.read is None else steps.read[:, :end].expand(count, -1)
            encoded = network.encoder.unroll(inputs[:, :end].expand(count, -1, -1), Steps(lengths, read))
        else:
            encoded = network.encoder(source[:end].expand(count, *source[:end].shape), lengths)
        parts.append(network.probabilities(network.label(encoded)))
        first += count
        yield
    places = torch.bucketize(torch.arange(1, len(source) + 1), torch.tensor(chosen), right=True) - 1
    return torch.cat(parts)[places]


def encoded_in_parts(encoder: RecurrentEncoder, inputs: Tensor, steps: Steps) -> InPieces[Encoded]:
    """inputs (1, source, input) encoded in one direction, each piece from the state after the one before."""
    parts: list[Encoded] = []
    state: RecurrentState | None = None
    for start in range(0, inputs.shape[1], PIECE):
        part = inputs[:, start : start + PIECE]
        read = None if steps.read is None else steps.read[:, start : start + PIECE]
        parts.append(encoder.unroll(part, Steps(torch.tensor([part.shape[1]]), read), state))
        state = parts[-1].state
        yield
    memory, mask = (torch.cat([getattr(part, name) for part in parts], 1) for name in ("memory", "memory_mask"))
    return Encoded(memory, mask, parts[-1].summary, state)


def activations_of(encoder: RecurrentEncoder, inputs: Tensor, steps: Steps, layer: int) -> InPieces[list[Activations]]:
    """The activations of a layer: one entry per direction, forward first."""
    recurrence = encoder.recurrence.recurrence
    read = steps.counted(inputs.shape[1])[0]
    features = inputs[0, read]
    directions: list[Activations] = []
    for weights_of_layer in encoder.recurrence.weights_by_layer()[: layer + 1]:
        directions = []
        for direction, weights in enumerate(weights_of_layer):
            is_backward = bool(direction) or recurrence.reverse
            found = yield from _unroll(recurrence, features.flip(0) if is_backward else features, weights)
            directions.append(_mirrored(found) if is_backward else found)
        features = torch.cat([found.hidden for found in directions], 1)
    if bool(read.all()):
        return directions
    return [
        _spread(found, read, is_backward=bool(direction) or recurrence.reverse)
        for direction, found in enumerate(directions)
    ]


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


def _spread(found: Activations, read: Tensor, *, is_backward: bool) -> Activations:
    """Activations of the steps that were read to those of all steps, of which `read` (source,) says which they are."""
    if is_backward:
        return _mirrored(_spread(_mirrored(found), read.flip(0), is_backward=False))
    places = read.cumsum(0)  # 0 is the state before the first step that is read

    def kept(states: Tensor) -> Tensor:
        return torch.cat((states.new_zeros(1, states.shape[1]), states))[places]

    gates = {name: kept(values).masked_fill(~read.unsqueeze(1), 0) for name, values in found.gates.items()}
    return Activations(kept(found.hidden), None if found.cell is None else kept(found.cell), gates, found.units)


def _unroll(recurrence: CellSettings, features: Tensor, weights: Weights) -> InPieces[Activations]:
    """features (source, input) to the activations of all steps."""
    if not len(features):  # one step shows which gates there are
        one = yield from _unroll(recurrence, features.new_zeros(1, features.shape[1]), weights)
        gates_of_none = {name: values[:0] for name, values in one.gates.items()}
        return Activations(one.hidden[:0], None if one.cell is None else one.cell[:0], gates_of_none, one.units)
    step, shown = gated_step(recurrence), shown_step(recurrence)
    hidden = features.new_zeros(1, weights.weight_hh.shape[1])
    cell = hidden if CELLS[recurrence.cell].has_cell else None
    steps: list[Gated] = []
    for piece in torch.split(features, PIECE):
        for inputs, fresh in zip(torch.split(piece, 1), torch.split(projected(piece, weights), 1), strict=True):
            if step is not None:
                steps.append(step(fresh, hidden, cell, weights))
            else:
                steps.append(shown(inputs, hidden, cell, weights))
            hidden, cell = steps[-1].hidden, steps[-1].cell
        yield
    return in_order(steps)


def in_order(steps: Sequence[Gated]) -> Activations:
    """The activations of steps of one row each, at least one."""
    cells = [step.cell for step in steps if step.cell is not None]
    return Activations(
        torch.cat([step.hidden for step in steps]),
        torch.cat(cells) if cells else None,
        {name: torch.cat([step.gates[name] for step in steps]) for name in steps[0].gates},
        torch.arange(steps[0].hidden.shape[1]),
    )
