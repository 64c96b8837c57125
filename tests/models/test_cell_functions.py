"""Cells with other functions than those of torch.nn, against their formulas; padded batches against each row alone."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from app.models.activations import function_of
from app.models.recurrent import Recurrent
from app.store.recurrence import Activation, Recurrence
from tests.models.keras_references import FUNCTIONS, SLOPE, layer

INPUT, HIDDEN, STEPS = 3, 5, 9
LENGTHS = torch.tensor([4, 1, STEPS, 6])

CELLS: dict[str, dict[str, Any]] = {
    "GRU, reset before": {"cell": "gru", "reset_after": False},
    "GRU of Keras 2.2": {"cell": "gru", "reset_after": False, "recurrent_activation": "hard_sigmoid_5"},
    "GRU, relu": {"cell": "gru", "activation": "relu"},
    "LSTM, relu": {"cell": "lstm", "activation": "relu"},
    "LSTM, hard sigmoid of Keras 3": {"cell": "lstm", "recurrent_activation": "hard_sigmoid_6"},
    "LSTM, leaky relu": {"cell": "lstm", "activation": "leaky_relu", "slope": SLOPE},
    "LSTM, linear": {"cell": "lstm", "activation": "none", "recurrent_activation": "hard_sigmoid_5"},
    "RNN, sigmoid": {"cell": "rnn_tanh", "activation": "sigmoid"},
    "usual LSTM": {"cell": "lstm"},
    "usual GRU": {"cell": "gru"},
}


def recurrence(name: str, **changes: Any) -> Recurrence:
    return Recurrence.model_validate({"input_size": INPUT, "hidden_size": HIDDEN, **CELLS[name], **changes})


def test_there_is_a_reference_for_every_function() -> None:
    assert FUNCTIONS.keys() == set(get_args(Activation))


@pytest.mark.parametrize("name", get_args(Activation))
def test_a_function_is_its_formula(name: Activation) -> None:
    values = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    torch.testing.assert_close(function_of(name, SLOPE)(values), FUNCTIONS[name](values), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS)
@torch.no_grad()
def test_a_padded_batch_equals_the_formulas_of_each_row(name: str, layers: int, directions: int) -> None:
    spec = recurrence(name, layers=layers, directions=directions)
    module = Recurrent(spec)
    inputs = torch.randn(len(LENGTHS), STEPS, INPUT)
    outputs, last = module.unroll(inputs, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        features = inputs[row, :length]
        ends: list[tuple[Tensor, Tensor]] = []
        for weights_of_layer in module.weights_by_layer():
            parts = []
            for direction, weights in enumerate(weights_of_layer):
                read = features.flip(0) if direction else features
                of_direction, h, c = layer(spec, read, [True] * length, weights)
                parts.append(of_direction.flip(0) if direction else of_direction)
                ends.append((h, c))
            features = torch.cat(parts, 1)
        torch.testing.assert_close(outputs[row, :length], features, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(last.hidden[row], torch.stack([h for h, _ in ends]), rtol=1e-5, atol=1e-5)
        if last.cell is not None:
            torch.testing.assert_close(last.cell[row], torch.stack([c for _, c in ends]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
@torch.no_grad()
def test_step_after_step_equals_unroll(name: str) -> None:
    module = Recurrent(recurrence(name, layers=2))
    inputs = torch.randn(3, STEPS, INPUT)
    outputs, last = module.unroll(inputs, torch.full((3,), STEPS))
    state = module.initial_state(3, inputs)
    for position in range(STEPS):
        output, state = module.step(inputs[:, position], state)
        torch.testing.assert_close(output, outputs[:, position])
    torch.testing.assert_close(state.hidden, last.hidden)


def test_it_trains() -> None:
    module = Recurrent(recurrence("GRU of Keras 2.2", directions=2))
    outputs, _ = module.unroll(torch.randn(2, 4, INPUT), torch.tensor([4, 2]))
    loss = outputs[:, :2].square().sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "rnn_relu", "activation": "sigmoid"}, "takes no activation"),
        ({"cell": "rnn_tanh", "recurrent_activation": "hard_sigmoid_5"}, "only cells gru and lstm"),
        ({"cell": "lstm", "reset_after": False}, "needs cell gru"),
        ({"cell": "lstm", "reverse": True, "directions": 2}, "directions 1"),
    ],
)
def test_functions_that_a_cell_does_not_have_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recurrence.model_validate({"input_size": INPUT, "hidden_size": HIDDEN, **changes})
