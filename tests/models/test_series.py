"""Networks over numbers: against one row at a time in torch.nn and by formulas; padding, chunks and layers."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from app.models.forecaster import Forecaster, moved
from app.models.networks import Classifier, build_network
from app.models.pooling import pooled
from app.store.architecture import Architecture
from app.store.block import Block
from tests.models.references import mask_of
from tests.models.series_references import forecast, head, linear, randomised, series_features, steps_of, under

FEATURES, HIDDEN, STEPS = 3, 5, 9
LENGTHS = torch.tensor([4, STEPS, 1, 6])
NOTHING: list[float] = []

RESIDUAL = {"kind": "residual", "width": 6, "kernels": (3, 3)}
BRANCH = [{"kind": "plain", "width": width, "kernels": (kernel,)} for width, kernel in ((6, 8), (7, 5), (6, 3))]
HEAD = [{"size": 8}, {"size": 6, "activation": "tanh", "batch_norm": True}]


def recurrence(**changes: Any) -> dict[str, Any]:
    return {"cell": "lstm", "input_size": FEATURES, "hidden_size": HIDDEN, **changes}


ENCODERS: dict[str, dict[str, Any]] = {
    "LSTM": {"recurrence": recurrence(layers=2)},
    "GRU": {"recurrence": recurrence(cell="gru")},
    "bidirectional": {"recurrence": recurrence(directions=2, layers=2)},
    "ResNet-LSTM": {"front": [RESIDUAL, RESIDUAL], "recurrence": recurrence(input_size=6)},
    "shortened": {
        "front": [{**RESIDUAL, "stride": 2}, {**RESIDUAL, "pool": 3}],
        "recurrence": recurrence(input_size=6, directions=2),
    },
    "causal": {"front": [{**RESIDUAL, "padding": "causal"}], "recurrence": recurrence(input_size=6, cell="gru")},
    "LSTM-FCN": {"recurrence": recurrence(), "branch": BRANCH},
    "LSTM-FCN, shuffled": {"recurrence": recurrence(input_size=STEPS), "branch": BRANCH, "transposed": STEPS},
}
FORECASTERS: dict[str, dict[str, Any]] = {
    "direct": {"horizon": 4, "targets": 2, "head": HEAD, "encoder": ENCODERS["ResNet-LSTM"]},
    "pooled": {"horizon": 3, "targets": 1, "pooling": ["mean", "last"], "encoder": ENCODERS["bidirectional"]},
    "state": {"feedback": "state", "targets": FEATURES, "head": HEAD[:1], "encoder": ENCODERS["LSTM"]},
    "window": {"feedback": "window", "targets": FEATURES, "encoder": ENCODERS["ResNet-LSTM"]},
    "decoder": {
        "horizon": 5,
        "targets": 2,
        "head": HEAD,
        "encoder": ENCODERS["GRU"],
        "decoder": {"cell": "gru", "hidden_size": HIDDEN},
    },
    "decoder from zeros": {
        "horizon": 2,
        "targets": 1,
        "encoder": {"front": [RESIDUAL], "recurrence": recurrence(input_size=6, layers=2)},
        "decoder": {"cell": "lstm", "hidden_size": HIDDEN, "layers": 2, "first_input": "zeros"},
    },
}
every_encoder = pytest.mark.parametrize("name", ENCODERS)
every_forecaster = pytest.mark.parametrize("name", FORECASTERS)


def network_of(document: dict[str, Any]) -> Any:
    encoder = {"kind": "series", "features": FEATURES, **document["encoder"]}
    architecture = TypeAdapter(Architecture).validate_python({**document, "encoder": encoder})
    return randomised(build_network(architecture, mean=NOTHING, std=NOTHING))


def classifier(name: str, **changes: Any) -> Classifier:
    pooling = changes.pop("pooling", ["last"])
    document = {"kind": "classifier", "encoder": ENCODERS[name], "pooling": pooling, "labels": 4, "head": HEAD}
    network = network_of({**document, **changes})
    assert isinstance(network, Classifier)
    return network


def forecaster(name: str) -> Forecaster:
    network = network_of({"kind": "forecaster", **FORECASTERS[name]})
    assert isinstance(network, Forecaster)
    return network


def lengths_for(name: str) -> Tensor:
    """The lengths of the rows; a transposed recurrence reads whole windows."""
    return torch.full_like(LENGTHS, STEPS) if "shuffled" in name else LENGTHS


def series() -> Tensor:
    return torch.randn(len(LENGTHS), STEPS, FEATURES)


def other_padding(rows: Tensor, lengths: Tensor, more: int) -> Tensor:
    """The same rows with other numbers past their lengths, and `more` of them."""
    longer = torch.cat((rows, torch.zeros(len(rows), more, FEATURES)), 1)
    return torch.where(mask_of(lengths, longer.shape[1]).unsqueeze(2), longer, torch.full_like(longer, -50.0))


@every_encoder
@pytest.mark.parametrize("pooling", [["last"], ["max", "mean", "last"]], ids="+".join)
@torch.no_grad()
def test_a_classifier_equals_one_series_at_a_time(name: str, pooling: list[str]) -> None:
    network = classifier(name, pooling=pooling)
    rows, lengths, weights = series(), lengths_for(name), network.state_dict()
    logits = network(rows, lengths)
    encoder = network.config.encoder
    assert encoder.kind == "series"
    for row, length in enumerate(lengths.tolist()):
        features = series_features(encoder, tuple(pooling), under("encoder.", weights), rows[row, :length])
        expected = linear(weights, "output", head(network.config.head, under("head.", weights), features))
        torch.testing.assert_close(logits[row], expected, rtol=0, atol=1e-5)


@every_encoder
@torch.no_grad()
def test_padding_changes_no_answer(name: str) -> None:
    network = classifier(name, pooling=["max", "mean", "last"])
    rows, lengths = series(), lengths_for(name)
    logits = network(rows, lengths)
    more = 0 if "shuffled" in name else 4
    torch.testing.assert_close(network(other_padding(rows, lengths, more), lengths), logits, rtol=0, atol=1e-6)
    for row, length in enumerate(lengths.tolist()):
        alone = network(rows[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(alone[0], logits[row], rtol=0, atol=1e-6)


@every_encoder
@torch.no_grad()
def test_a_memory_has_the_promised_shape(name: str) -> None:
    network, lengths = classifier(name), lengths_for(name)
    encoded = network.encoder(series(), lengths)
    config = network.config.encoder
    assert config.kind == "series"
    expected = lengths.tolist()
    for block in config.front:
        assert isinstance(block, Block)
        expected = [steps_of(block, length) for length in expected]
    assert encoded.lengths.tolist() == [config.memory_length(length) for length in lengths.tolist()]
    assert encoded.lengths.tolist() == (expected if config.transposed is None else [config.features] * len(expected))
    assert encoded.memory.shape[2] == encoded.summary.shape[1] == config.memory_size
    assert (0 if encoded.branch is None else encoded.branch.shape[1]) == config.branch_size
    assert not encoded.memory[~encoded.memory_mask].any()


@every_encoder
@torch.no_grad()
def test_a_divisible_series_goes_on_from_its_state(name: str) -> None:
    network = classifier(name)
    rows = series()
    whole = network.encoder(rows, torch.full_like(LENGTHS, STEPS))
    if not network.config.encoder.is_divisible:
        return
    state, parts = None, []
    for part in torch.split(rows, 4, 1):
        encoded = network.encoder(part, torch.full_like(LENGTHS, part.shape[1]), state)
        state = encoded.state
        parts.append(encoded.memory)
    torch.testing.assert_close(torch.cat(parts, 1), whole.memory, rtol=0, atol=1e-6)
    torch.testing.assert_close(encoded.summary, whole.summary, rtol=0, atol=1e-6)


@torch.no_grad()
def test_divisible_are_recurrences_that_read_forward_and_alone() -> None:
    divisible = {name for name in ENCODERS if classifier(name).config.encoder.is_divisible}
    assert divisible == {"LSTM", "GRU"}


@pytest.mark.parametrize("name", ["LSTM", "bidirectional"])
@torch.no_grad()
def test_the_first_layers_are_those_of_a_smaller_network(name: str) -> None:
    network = classifier(name)
    below = network_of(
        {
            "kind": "classifier",
            "encoder": {"recurrence": {**ENCODERS[name]["recurrence"], "layers": 1}},
            "pooling": ["last"],
            "labels": 4,
        }
    )
    below.encoder.load_state_dict(
        {key: values for key, values in network.encoder.state_dict().items() if "_l1" not in key}
    )
    rows = series()
    first, expected = network.encoder(rows, LENGTHS, layers=1), below.encoder(rows, LENGTHS)
    assert torch.equal(first.memory, expected.memory)
    assert torch.equal(first.summary, expected.summary)
    assert torch.equal(pooled(("mean",), first), pooled(("mean",), expected))


@every_forecaster
@torch.no_grad()
def test_a_forecaster_equals_one_series_at_a_time(name: str) -> None:
    network = forecaster(name)
    config, rows = network.config, series()
    last = torch.randn(len(rows), config.targets)
    steps = 5 if config.is_stepwise else config.horizon
    found = network(rows, LENGTHS, last, steps)
    assert found.shape == (len(rows), steps, config.targets)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = forecast(config, network.state_dict(), rows[row, :length], steps, last[row])
        torch.testing.assert_close(found[row], alone, rtol=0, atol=1e-5)


@every_forecaster
@torch.no_grad()
def test_padding_changes_no_forecast(name: str) -> None:
    network, rows = forecaster(name), series()
    last = torch.zeros(len(rows), network.config.targets)
    found = network(rows, LENGTHS, last)
    torch.testing.assert_close(network(other_padding(rows, LENGTHS, 3), LENGTHS, last), found, rtol=0, atol=1e-6)


@every_forecaster
@torch.no_grad()
def test_a_forecast_has_its_horizon_unless_told(name: str) -> None:
    network = forecaster(name)
    found = network(series(), LENGTHS, torch.zeros(len(LENGTHS), network.config.targets))
    assert found.shape[1] == network.config.horizon


@torch.no_grad()
def test_a_window_moves_over_a_row() -> None:
    rows, new = series(), torch.randn(len(LENGTHS), FEATURES)
    found = moved(other_padding(rows, LENGTHS, 2), LENGTHS, new)
    for row, length in enumerate(LENGTHS.tolist()):
        assert torch.equal(found[row, : length - 1], rows[row, 1:length])
        assert torch.equal(found[row, length - 1], new[row])


@every_forecaster
def test_every_parameter_of_a_forecaster_learns(name: str) -> None:
    network = forecaster(name)
    rows = series()
    steps = 3 if network.config.is_stepwise else network.config.horizon
    found = network(rows, LENGTHS, torch.randn(len(rows), network.config.targets), steps)
    (found * torch.randn_like(found)).sum().backward()
    for parameter, values in network.named_parameters():
        assert values.grad is not None, parameter
        assert values.grad.any(), parameter


@every_encoder
def test_every_parameter_of_a_classifier_learns(name: str) -> None:
    network = classifier(name, pooling=["max", "mean", "last"])
    (network(series(), lengths_for(name)) * torch.randn(len(LENGTHS), 4)).sum().backward()
    for parameter, values in network.named_parameters():
        assert values.grad is not None, parameter
        assert values.grad.any(), parameter


def test_parameters_have_the_names_of_the_documents() -> None:
    names = set(forecaster("decoder").state_dict())
    assert {"encoder.recurrence.weight_ih_l0", "decoder.recurrence.weight_hh_l0", "head.0.weight"} <= names
    assert {"output.weight", "head.1.bias", "head.norm1.running_mean"} <= names
    names = set(classifier("shortened").state_dict())
    assert {
        "encoder.front.0.conv1.weight",
        "encoder.front.1.bn2.bias",
        "encoder.front.0.downsample.1.weight",
    } <= names
    assert "encoder.branch.2.conv1.weight" in classifier("LSTM-FCN").state_dict()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a recurrence that reads another width": (
        {"encoder": {"front": [RESIDUAL], "recurrence": recurrence()}},
        "it reads 6 numbers a step",
    ),
    "blocks before a transposed recurrence": (
        {"encoder": {"front": [RESIDUAL], "recurrence": recurrence(input_size=6), "transposed": 9}},
        "takes no front",
    ),
    "feedback of a horizon of two": ({"feedback": "window", "horizon": 2, "targets": FEATURES}, "horizon 1"),
    "feedback of some features": ({"feedback": "window", "targets": 1}, "as many targets as features"),
    "feedback into a state of two directions": (
        {"feedback": "state", "targets": FEATURES, "encoder": ENCODERS["bidirectional"]},
        "one direction",
    ),
    "feedback into a state behind blocks": (
        {"feedback": "state", "targets": FEATURES, "encoder": ENCODERS["ResNet-LSTM"]},
        "without stages",
    ),
    "feedback from a mean": ({"feedback": "state", "targets": FEATURES, "pooling": ["mean"]}, "pooling 'last'"),
    "a decoder of another size": ({"decoder": {"cell": "lstm", "hidden_size": HIDDEN + 1}}, "shape of its own"),
    "a decoder of another cell": ({"decoder": {"cell": "gru", "hidden_size": HIDDEN}}, "shape of its own"),
    "more first inputs than features": (
        {"targets": FEATURES + 1, "decoder": {"cell": "lstm", "hidden_size": HIDDEN}},
        "among the features",
    ),
    "a stride of 0": ({"encoder": {"front": [{**RESIDUAL, "stride": 0}], "recurrence": recurrence()}}, "stride"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_forecaster_whose_parts_do_not_fit_is_refused(name: str) -> None:
    changes, message = REFUSED[name]
    with pytest.raises(ValidationError, match=message):
        network_of({"kind": "forecaster", "targets": 1, "encoder": {"recurrence": recurrence()}, **changes})
