"""Explanations as members of an answer, and the limit of their numbers."""

from collections.abc import Sequence
from typing import Any

from app.engine.protocol import Activations, Explanation
from app.errors import InputTooLong
from app.json_pieces import JsonArray
from app.store.classifier import Classifier
from app.store.encoders import RecurrentEncoder
from app.store.manifest import Manifest
from app.store.recurrence import CELLS, CellSettings
from app.tasks.answers.limits import AnswerLimits
from app.tasks.answers.number_rows import NumberRows
from app.tasks.job import Job

_DIGITS = 5  # of activations
_PLACE = 3  # a token counts as much as three numbers: its text, start and end


def explained_numbers(job: Job, layer: int | None, units: int | None) -> int:
    """The numbers in the explanation of an input, at most."""
    recurrence, labels = _encoder(job.entry.manifest).recurrence, len(job.entry.manifest.labels)
    activations = 0
    if layer is not None:
        activations = numbers_of_step(recurrence, recurrence.hidden_size, recurrence.directions, units)
    return job.read.steps * (_PLACE + labels + activations)


def numbers_of_step(settings: CellSettings, hidden: int, directions: int, units: int | None) -> int:
    """The numbers of the activations of one layer at one step, at most."""
    cell = CELLS[settings.cell]
    return directions * min(units or hidden, hidden) * (1 + cell.has_cell + cell.blocks)


def check_numbers(numbers: int, limits: AnswerLimits, *, has_units: bool) -> None:
    """Check the numbers in the explanations of a request, which may be those of `units`. Raises InputTooLong."""
    if numbers > limits.numbers:
        fewer = "send fewer or shorter inputs" + (", or set units to a smaller number" if has_units else "")
        raise InputTooLong(
            f"the explanations of the request have {numbers} numbers; the limit is {limits.numbers}: {fewer}",
            limit=limits.numbers,
        )


def explanation_members(job: Job, explanation: Explanation, layer: int | None, units: int | None) -> dict[str, Any]:
    """The members of a LabelExplanation, with activations if they are of a `layer`."""
    manifest = job.entry.manifest
    encoder = _encoder(manifest)
    members: dict[str, Any] = {
        "method": "one pass" if _explains_in_one_pass(manifest) else "each prefix read anew",
        **({"tokens": JsonArray(job.read.pieces)} if manifest.source == "text" else {"steps": job.read.steps}),
        "labels": list(manifest.labels),
        "probabilities": NumberRows(explanation.probabilities),
    }
    if layer is not None:
        recurrence = encoder.recurrence
        members["activations"] = activation_members(
            explanation.activations,
            layer=layer,
            layers=recurrence.layers,
            network=recurrence.describe(),
            units=units,
        )
    return members


def activation_members(
    found: Sequence[Activations], *, layer: int, layers: int, network: str, units: int | None
) -> dict[str, Any]:
    """The members of LayerActivations, of each direction, for all units or the `units` of a request."""
    directions = [
        {"direction": name, **({} if units is None else {"units": JsonArray(one.units)}), **_tables(one)}
        for name, one in zip(("forward", "backward"), found, strict=False)
    ]
    return {"layer": layer, "layers": layers, "network": network, "directions": directions}


def _encoder(manifest: Manifest) -> RecurrentEncoder:
    assert isinstance(manifest.architecture, Classifier)
    return manifest.architecture.encoder


def _explains_in_one_pass(manifest: Manifest) -> bool:
    assert isinstance(manifest.architecture, Classifier)
    return manifest.architecture.explains_in_one_pass


def _tables(one: Activations) -> dict[str, Any]:
    cell = {} if one.cell is None else {"cell": NumberRows(one.cell, _DIGITS)}
    gates = {name: NumberRows(table, _DIGITS) for name, table in one.gates.items()}
    return {"hidden": NumberRows(one.hidden, _DIGITS), **cell, "gates": gates}
