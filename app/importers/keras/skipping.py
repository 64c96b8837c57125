"""Skip connections: Concatenate or Add of steps and of what recurrent layers make of them, each layer over the one
before."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from app.importers.keras.graph import Layer
from app.importers.keras.values import Piece, Source, Steps
from app.store.stages import LinearStage, RecurrenceStage


def joins_one_chain(parts: Sequence[Steps]) -> bool:
    """Whether each of several steps is made of another of them by recurrent layers alone, so that these can keep what
    they read."""
    longest = max(parts, key=lambda part: len(part.pieces))
    first = min(len(part.pieces) for part in parts)
    return (
        isinstance(longest.origin, Source)
        and not any(part.started_by or part.is_softmax for part in parts)
        and all(_begins(longest, part) for part in parts)
        and first < len(longest.pieces)
        and all(_may_keep(piece) for piece in longest.pieces[first:])
    )


def side_by_side(layer: Layer, parts: Sequence[Steps]) -> Steps:
    """The steps of one chain side by side: each recurrence keeps what it reads, and does not read what only stands
    beside it. A last stage selects features where they are others, or in another order."""
    longest = max(parts, key=lambda part: len(part.pieces))
    wanted = [len(part.pieces) for part in parts]
    first, end = min(wanted), len(longest.pieces)
    made = replace(longest.up_to(first), read=any(part.read for part in parts))
    blocks = {place: longest.up_to(place).size for place in range(first, end + 1)}
    beside = 0  # features that stand before those that the next recurrence reads
    for place in range(first, end):
        made = made.then(_keeping(longest.pieces[place], beside))
        beside += blocks[place]
    made = replace(made, known=longest.known)
    if wanted == list(range(first, end + 1)):
        return made
    starts = {place: sum(blocks[before] for before in range(first, place)) for place in blocks}
    chosen = torch.cat([torch.arange(starts[place], starts[place] + blocks[place]) for place in wanted])
    return _through(made, torch.eye(made.size)[chosen], layer)


def summed(layer: Layer, parts: Sequence[Steps]) -> Steps:
    """The sum of steps of one chain. Raises ImportFailed if they differ in size."""
    sizes = [part.size for part in parts]
    if len(set(sizes)) > 1:
        raise layer.refuse(f"it adds steps of {' and '.join(map(str, sizes))} features")
    return _through(side_by_side(layer, parts), torch.eye(sizes[0]).repeat(1, len(parts)), layer)


def _through(steps: Steps, weight: Tensor, layer: Layer) -> Steps:
    """Steps through a matrix (out, in) of zeros and ones."""
    stage = LinearStage(size=len(weight), activation="none")
    return steps.then(Piece(stage, {"weight": weight, "bias": torch.zeros(len(weight))}, layer))


def _begins(longest: Steps, part: Steps) -> bool:
    """Whether the chain begins as another does."""
    same = longest.origin == part.origin and longest.embedding is part.embedding and longest.mask == part.mask
    return (
        same
        and longest.is_transposed == part.is_transposed
        and all(one is other for one, other in zip(longest.pieces, part.pieces, strict=False))
    )


def _may_keep(piece: Piece) -> bool:
    return isinstance(piece.stage, RecurrenceStage) and piece.stage.keeps_input is None


def _keeping(piece: Piece, beside: int) -> Piece:
    """A recurrence that keeps its input, of which the first features stand only beside what it reads."""
    recurrence = piece.recurrence
    wider = recurrence.model_copy(update={"input_size": beside + recurrence.input_size})
    tensors = {name: _over(tensor, beside) if "weight_ih" in name else tensor for name, tensor in piece.tensors.items()}
    stage = piece.stage.model_copy(update={"recurrence": wider, "keeps_input": "before"})
    return Piece(stage, tensors, piece.layer)


def _over(weight: Tensor, beside: int) -> Tensor:
    """A weight (gates, inputs) with zeros for features before them."""
    return torch.cat((weight.new_zeros(len(weight), beside), weight), 1)
