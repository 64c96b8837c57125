"""Forecasters that make the rows of their horizon at once, step by step of a decoder or of the encoder's outputs."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.models.forecaster import Forecaster
from app.store.forecaster import Forecaster as Config

FEATURES, HIDDEN, STEPS, HORIZON = 3, 4, 9, 4
LENGTHS = torch.tensor([5, STEPS, 4])


def forecaster(**changes: Any) -> Forecaster:
    recurrence = {"cell": "lstm", "input_size": FEATURES, "hidden_size": HIDDEN}
    encoder = {"features": FEATURES, "recurrence": recurrence, **changes.pop("encoder", {})}
    config = Config.model_validate({"encoder": encoder, "targets": 2, "horizon": HORIZON, **changes})
    return Forecaster(config).eval()


def lstm(network: Forecaster, prefix: str, inputs: int, hidden: int) -> nn.LSTM:
    module = nn.LSTM(inputs, hidden, batch_first=True)
    weights = network.state_dict()
    module.load_state_dict({name: weights[prefix + name] for name in module.state_dict()})
    return module


def dense(network: Forecaster, features: Tensor) -> Tensor:
    weights: dict[str, Tensor] = network.state_dict()
    return features @ weights["output.weight"].T + weights["output.bias"]


@torch.no_grad()
def test_the_summary_is_the_input_of_every_step() -> None:
    """Keras: LSTM, RepeatVector, LSTM of another size, TimeDistributed(Dense)."""
    decoder = {"cell": "lstm", "hidden_size": 6, "reads": "summary"}
    network = forecaster(decoder=decoder, pooling=["last", "mean"], output_activation="sigmoid")
    assert not network.config.is_stepwise
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    found = network(rows, LENGTHS)
    assert found.shape == (len(LENGTHS), HORIZON, 2)
    encoder = lstm(network, "encoder.recurrence.", FEATURES, HIDDEN)
    writer = lstm(network, "decoder.recurrence.", 2 * HIDDEN, 6)
    for row, length in enumerate(LENGTHS.tolist()):
        outputs, _ = encoder(rows[row, None, :length])
        summary = torch.cat((outputs[:, -1], outputs.mean(1)), 1)
        written, _ = writer(summary.unsqueeze(1).expand(1, HORIZON, -1))
        torch.testing.assert_close(found[row], 1 / (1 + (-dense(network, written[0])).exp()))


@torch.no_grad()
def test_the_head_follows_each_of_the_last_outputs() -> None:
    network = forecaster(per_step=True, head=[{"size": 5, "batch_norm": "before"}])
    assert network.config.least_steps == HORIZON
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    found = network(rows, LENGTHS)
    encoder = lstm(network, "encoder.recurrence.", FEATURES, HIDDEN)
    for row, length in enumerate(LENGTHS.tolist()):
        outputs, _ = encoder(rows[row, None, :length])
        features = network.head(outputs[0, -HORIZON:])
        torch.testing.assert_close(found[row], dense(network, features))


@torch.no_grad()
def test_feedback_passes_the_function_of_the_output() -> None:
    network = forecaster(horizon=1, targets=FEATURES, feedback="state", output_activation="relu")
    rows, lengths = torch.randn(2, 5, FEATURES), torch.tensor([5, 5])
    found = network(rows, lengths, steps=3)
    encoder = lstm(network, "encoder.recurrence.", FEATURES, HIDDEN)
    for row in range(2):
        output, state = encoder(rows[row, None])
        for step in range(3):
            expected = dense(network, output[:, -1]).clamp(min=0)
            torch.testing.assert_close(found[row, step], expected[0])
            output, state = encoder(expected.unsqueeze(1), state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"per_step": True, "pooling": ["mean"]}, "per_step takes no pooling"),
        ({"per_step": True, "decoder": {"cell": "lstm", "hidden_size": HIDDEN}}, "no decoder"),
        ({"per_step": True, "horizon": 1, "targets": FEATURES, "feedback": "window"}, "no per_step"),
        (
            {"horizon": 1, "targets": FEATURES, "feedback": "state", "encoder": {"mask_value": 0.0}},
            "mask or keeps_input",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forecaster(**changes)
