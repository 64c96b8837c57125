"""Recurrent layers of Keras that follow each other as the layers of one recurrence."""

from collections.abc import Sequence

from app.importers import stacks
from app.importers.keras.values import Piece
from app.importers.layout import require
from app.importers.parts import prefixed, under
from app.store.stages import RecurrenceStage


def stacked(pieces: Sequence[Piece]) -> list[Piece]:
    """With recurrences that follow each other, and could be layers of one, as that one."""
    made: list[Piece] = []
    for piece in pieces:
        if made and _are_layers(made[-1], piece):
            made[-1] = _as_layers(made[-1], piece)
        else:
            made.append(piece)
    return made


def forward_recurrence(pieces: Sequence[Piece]) -> Piece:
    """The recurrence of a network that answers in each step, the layers of one. Raises ImportFailed if the pieces do
    not make one."""
    require(bool(pieces), "the Keras model has no recurrent layer before the layers on each step")
    for piece in pieces:
        if not isinstance(piece.stage, RecurrenceStage):
            raise piece.layer.refuse("only recurrent layers may stand before the layers on each step of this network")
        if piece.recurrence.directions == 2 or piece.recurrence.reverse:
            raise piece.layer.refuse("it must read in one direction, forward")
        if piece.stage.keeps_input:
            raise piece.layer.refuse("a skip connection is not supported in this network")
    return as_one(pieces)


def as_one(recurrences: Sequence[Piece]) -> Piece:
    """The layers of one, as wide as the widest. Raises ImportFailed if they differ in more than their size."""
    made = stacked(recurrences)
    if len(made) == 1:
        return made[0]
    layers = [(piece.recurrence, under(piece.tensors, "recurrence.")) for piece in recurrences]
    stages = [piece.stage.model_copy(update={"recurrence": None}) for piece in recurrences]
    require(
        all(stage == stages[0] for stage in stages) and stacks.is_stack([recurrence for recurrence, _ in layers]),
        "recurrent layers of the Keras model differ in their functions, which is not supported in this network",
    )
    recurrence, tensors = stacks.stacked(layers)
    stage = recurrences[0].stage.model_copy(update={"recurrence": recurrence})
    return Piece(stage, prefixed(tensors, "recurrence."), recurrences[-1].layer)


def _are_layers(below: Piece, above: Piece) -> bool:
    one, other = below.stage, above.stage
    if not isinstance(one, RecurrenceStage) or not isinstance(other, RecurrenceStage):
        return False
    alone = one.recurrence.model_copy(update={"layers": 1, "input_size": 1})
    return (
        alone == other.recurrence.model_copy(update={"input_size": 1})
        and not one.recurrence.reverse
        and (one.recurrence.directions == 1 or one.join == other.join == "concatenate")
        and one.masked_outputs == other.masked_outputs
        and one.keeps_input is None
        and other.keeps_input is None
    )


def _as_layers(below: Piece, above: Piece) -> Piece:
    layers = below.recurrence.layers
    recurrence = below.recurrence.model_copy(update={"layers": layers + 1})
    tensors = {name.replace("_l0", f"_l{layers}"): tensor for name, tensor in above.tensors.items()}
    stage = below.stage.model_copy(update={"recurrence": recurrence})
    return Piece(stage, {**below.tensors, **tensors}, above.layer)
