"""CuDNNLSTM and CuDNNGRU of Keras 2 have the same cells as LSTM and GRU, with arrays in another order."""

import numpy as np
import pytest
import torch

from app.importers.keras.graph import Layer
from app.importers.keras.recurrent import recurrence_of
from tests.importers.keras_numpy import Array

INPUTS, UNITS = 3, 4


def _by_gate(matrix: Array, blocks: int, change: str) -> Array:
    """As Keras writes a plain kernel for CuDNN."""
    gates = np.split(matrix, blocks, 1)
    if change == "input":
        return np.hstack([gate.T.reshape(gate.shape, order="C") for gate in gates])
    return np.hstack([gate.T for gate in gates])


@pytest.mark.parametrize(("kind", "blocks"), [("LSTM", 4), ("GRU", 3)])
def test_arrays_of_cudnn(kind: str, blocks: int) -> None:
    draw = np.random.default_rng(blocks)
    kernel, recurrent = (draw.normal(size=(rows, blocks * UNITS)) for rows in (INPUTS, UNITS))
    bias = draw.normal(size=(2, blocks * UNITS))
    stored = [_by_gate(kernel, blocks, "input"), _by_gate(recurrent, blocks, "recurrent"), bias.reshape(-1)]
    plain = [kernel, recurrent, bias if kind == "GRU" else bias.sum(0)]
    settings = {"units": UNITS, "activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}
    made = [
        recurrence_of(
            Layer("cell", name, settings, [torch.from_numpy(array) for array in arrays]), INPUTS, keras_2=True
        )
        for name, arrays in ((f"CuDNN{kind}", stored), (kind, plain))
    ]
    assert made[0].stage == made[1].stage
    for name in ("weight_ih", "weight_hh"):
        key = f"recurrence.{name}_l0"
        torch.testing.assert_close(made[0].tensors[key], made[1].tensors[key])
    both = [piece.tensors["recurrence.bias_ih_l0"] + piece.tensors["recurrence.bias_hh_l0"] for piece in made]
    torch.testing.assert_close(both[0], both[1])
