"""Explanations as JSON. A thread encodes them, in short pieces, so that the event loop runs on meanwhile."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np

from app.engine.protocol import Activations, Explanation, Table
from app.errors import InputTooLong
from app.store.architecture import CELLS, Classifier, Recurrence
from app.store.manifest import Manifest
from app.tasks.job import Job

MAX_NUMBERS = 500_000  # in the explanations of a request: about 4 MB of JSON
_DIGITS = 5  # of activations
_PLACE = 3  # a token counts as much as three numbers: its text, start and end
_PIECE = 4096  # numbers that are encoded at once, in about a millisecond
_PAUSE = 0.0002  # seconds between two pieces, in which the event loop gets the interpreter
_THREAD = ThreadPoolExecutor(1, "explanations")  # one: several would keep the interpreter from the event loop


def explained_numbers(job: Job, layer: int | None, units: int | None) -> int:
    """The numbers in the explanation of a text, at most."""
    recurrence, labels = _recurrence(job.entry.manifest), len(job.entry.manifest.labels)
    cell = CELLS[recurrence.cell]
    columns = min(units or recurrence.hidden_size, recurrence.hidden_size)
    activations = 0 if layer is None else recurrence.directions * columns * (1 + cell.has_cell + cell.blocks)
    return job.read.tokens * (_PLACE + labels + activations)


def check_numbers(numbers: int, layer: int | None) -> None:
    """Check the numbers in the explanations of a request. Raises InputTooLong."""
    if numbers > MAX_NUMBERS:
        fewer = "send fewer or shorter texts" + ("" if layer is None else ", or set units to a smaller number")
        raise InputTooLong(
            f"the explanations of the request have {numbers} numbers; the limit is {MAX_NUMBERS}: {fewer}",
            limit=MAX_NUMBERS,
        )


async def in_json(job: Job, explanation: Explanation, *, layer: int | None, units: int | None) -> msgspec.Raw:
    """A TextExplanation in JSON, with activations if they are of a `layer`."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, _encoded, job, explanation, layer, units)


def _encoded(job: Job, explanation: Explanation, layer: int | None, units: int | None) -> msgspec.Raw:
    manifest = job.entry.manifest
    recurrence = _recurrence(manifest)
    members: dict[str, Any] = {
        "method": "one pass" if recurrence.directions == 1 else "each prefix read anew",
        "tokens": [{"text": piece.text, "start": piece.start, "end": piece.end} for piece in job.read.pieces],
        "labels": manifest.labels,
        "probabilities": _rows(explanation.probabilities, None),
    }
    if layer is not None:
        directions = [
            {"direction": name, **({} if units is None else {"units": one.units}), **_tables(one)}
            for name, one in zip(("forward", "backward"), explanation.activations, strict=False)
        ]
        members["activations"] = {"layer": layer, "network": recurrence.describe(), "directions": directions}
    return msgspec.Raw(msgspec.json.encode(members))


def _recurrence(manifest: Manifest) -> Recurrence:
    assert isinstance(manifest.architecture, Classifier)
    return manifest.architecture.encoder.recurrence


def _tables(one: Activations) -> dict[str, Any]:
    cell = {} if one.cell is None else {"cell": _rows(one.cell, _DIGITS)}
    gates = {name: _rows(table, _DIGITS) for name, table in one.gates.items()}
    return {"hidden": _rows(one.hidden, _DIGITS), **cell, "gates": gates}


def _rows(table: Table, digits: int | None) -> msgspec.Raw:
    """The rows as JSON, rounded to `digits` if they are given."""
    rows = np.frombuffer(table.numbers, np.float32).reshape(-1, table.columns)
    step = max(1, _PIECE // table.columns)
    pieces = []
    for first in range(0, len(rows), step):
        exact = rows[first : first + step].astype(np.float64)
        numbers = (exact if digits is None else exact.round(digits)).tolist()
        pieces.append(msgspec.json.encode(numbers)[1:-1])
        time.sleep(_PAUSE)
    return msgspec.Raw(b"[" + b",".join(pieces) + b"]")
