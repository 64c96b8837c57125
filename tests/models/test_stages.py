"""Stages around a recurrence: each row of a padded batch against formulas over that row alone."""

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from app.models.encoders import SeriesEncoder
from app.models.stages import Stages
from app.models.steps import Steps
from app.store.encoders import SeriesEncoder as SeriesEncoderConfig
from app.store.encoders import TextEncoder
from app.store.recurrence import Recurrence
from app.store.stages import RecurrenceStage, Stage
from app.store.stages import Stages as StagesConfig
from app.store.windowed_stages import Convolution, Pool
from tests.models.references import mask_of
from tests.models.series_references import randomised

FEATURES, STEPS = 3, 13
LENGTHS = torch.tensor([5, STEPS, 12, 7])
ADAPTER: TypeAdapter[Stage] = TypeAdapter(Stage)

CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "valid": {"kernel": 3},
    "valid, strided": {"kernel": 4, "stride": 3, "activation": "relu"},
    "same": {"kernel": 5, "padding": "same", "activation": "leaky_relu", "slope": 0.3},
    "same, even": {"kernel": 4, "padding": "same"},
    "same, strided by two": {"kernel": 3, "padding": "same", "stride": 2},
    "same, strided by three": {"kernel": 5, "padding": "same", "stride": 3},
    "same, stride beyond the kernel": {"kernel": 2, "padding": "same", "stride": 4},
    "causal": {"kernel": 4, "padding": "causal", "dilation": 2},
    "causal, strided": {"kernel": 3, "padding": "causal", "stride": 2},
    "dilated": {"kernel": 2, "dilation": 3},
    "a number of zeros": {"kernel": 3, "padding": 2, "stride": 2},
    "of one step": {"kernel": 1},
}
POOLS: dict[str, dict[str, Any]] = {
    "max": {"size": 2, "stride": 2},
    "max, overlapping": {"size": 3, "stride": 1},
    "max, same": {"size": 3, "stride": 2, "padding": "same"},
    "max, a number": {"size": 3, "stride": 2, "padding": 1},
    "mean": {"function": "mean", "size": 3, "stride": 2},
    "mean, same": {"function": "mean", "size": 4, "stride": 3, "padding": "same"},
    "mean, a number": {"function": "mean", "size": 3, "stride": 2, "padding": 1},
}


def padded(rows: Tensor) -> Tensor:
    """rows (batch, steps, features) with numbers past each row's length that would be noticed."""
    real = mask_of(LENGTHS, rows.shape[1]).unsqueeze(2)
    return torch.where(real, rows, torch.full_like(rows, 1e3))


def run(config: Stage, rows: Tensor) -> tuple[nn.Module, Tensor, list[int]]:
    """A stage over a padded batch: its module, outputs and their lengths."""
    stages = randomised(Stages((config,), FEATURES))
    found, steps = stages(padded(rows), Steps(LENGTHS))
    lengths = steps.lengths.tolist()
    assert lengths == [config.steps(length) for length in LENGTHS.tolist()]
    assert found.shape[2] == config.output_size(FEATURES)
    return stages, found, lengths


def windows(rows: Tensor, config: Convolution | Pool, reach: int, stride: int) -> list[list[int]]:
    """The places of the source of each window of one row; those before 0 and from its length on are padding."""
    length = len(rows)
    if config.padding == "valid":
        first, count = 0, (length - reach) // stride + 1
    elif config.padding == "causal":
        first, count = 1 - reach, math.ceil(length / stride)
    elif config.padding == "same":
        count = math.ceil(length / stride)
        first = -(max((count - 1) * stride + reach - length, 0) // 2)
    else:
        first, count = -config.padding, (length + 2 * config.padding - reach) // stride + 1
    return [[first + number * stride + place for place in range(reach)] for number in range(count)]


GROWING = {"kind": "recurrence", "recurrence": {"cell": "rnn_relu", "input_size": FEATURES, "hidden_size": FEATURES}}
BEFORE_A_CELL: dict[str, dict[str, Any]] = {
    **{name: {"kind": "pool"} | pool for name, pool in POOLS.items()},
    "convolution": {"kind": "convolution", "width": FEATURES, "kernel": 3},
    "growing": GROWING,
}


@pytest.mark.parametrize("in_front", [False, True], ids=["stage", "encoder"])
@pytest.mark.parametrize("name", BEFORE_A_CELL)
@torch.no_grad()
def test_the_last_cell_does_not_see_a_longer_neighbour(name: str, in_front: bool) -> None:
    """What a stage leaves past a row's length may be infinite; a cell behind it keeps its value all the same."""
    stage = ADAPTER.validate_python(BEFORE_A_CELL[name])
    lstm = Recurrence(cell="lstm", input_size=FEATURES, hidden_size=4)
    front = (stage,) if in_front else (stage, RecurrenceStage(recurrence=lstm))
    last = lstm if in_front else lstm.model_copy(update={"input_size": 4})
    encoder = randomised(SeriesEncoder(SeriesEncoderConfig(features=FEATURES, front=front, recurrence=last)))
    if name == "growing":
        growing = encoder.get_submodule("front.0.recurrence")
        growing.get_parameter("weight_hh_l0").copy_(20 * torch.eye(FEATURES))
        growing.get_parameter("bias_hh_l0").fill_(1.0)
    short, long = torch.randn(1, 5, FEATURES), torch.randn(1, 40, FEATURES)
    both = torch.cat((nn.functional.pad(short, (0, 0, 0, 35)), long))
    alone = encoder(short, torch.tensor([5])).state
    beside = encoder(both, torch.tensor([5, 40])).state
    torch.testing.assert_close(beside.cell[:1], alone.cell)
    torch.testing.assert_close(beside.hidden[:1], alone.hidden)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@torch.no_grad()
def test_a_convolution_is_its_sums(name: str) -> None:
    config = Convolution(width=4, **CONVOLUTIONS[name])
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    stages, found, lengths = run(config, rows)
    weight, bias = stages.state_dict()["0.weight"], stages.state_dict()["0.bias"]
    for row, length in enumerate(LENGTHS.tolist()):
        alone = rows[row, :length]
        expected = []
        for places in windows(alone, config, (config.kernel - 1) * config.dilation + 1, config.stride):
            total = bias
            for tap, place in enumerate(places[:: config.dilation]):
                total = total + (weight[:, :, tap] @ alone[place] if 0 <= place < length else 0)
            if config.activation == "relu":
                total = total.clamp(min=0)
            if config.activation == "leaky_relu":
                total = torch.where(total > 0, total, 0.3 * total)
            expected.append(total)
        torch.testing.assert_close(found[row, : lengths[row]], torch.stack(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", POOLS)
@torch.no_grad()
def test_a_pool_is_its_maximum_or_mean(name: str) -> None:
    config = Pool.model_validate(POOLS[name])
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES) - 2  # a zero of padding would be a maximum
    _, found, lengths = run(config, rows)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = rows[row, :length]
        expected = []
        for places in windows(alone, config, config.size, config.stride):
            real = torch.stack([alone[place] for place in places if 0 <= place < length])
            if config.function == "max":
                expected.append(real.amax(0))
            else:
                expected.append(real.sum(0) / (len(real) if config.padding == "same" else config.size))
        torch.testing.assert_close(found[row, : lengths[row]], torch.stack(expected), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_convolution_and_pool_with_zeros_on_both_sides_are_those_of_torch() -> None:
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    strided = Convolution(width=4, kernel=3, padding=1, stride=2)
    stages, found, lengths = run(strided, rows)
    module = nn.Conv1d(FEATURES, 4, 3, 2, 1)
    module.load_state_dict({name.removeprefix("0."): values for name, values in stages.state_dict().items()})
    for row, length in enumerate(LENGTHS.tolist()):
        expected = module(rows[row, None, :length].transpose(1, 2))[0].T
        torch.testing.assert_close(found[row, : lengths[row]], expected)


@pytest.mark.parametrize("norm", [False, True, "before", "after"])
@torch.no_grad()
def test_a_linear_layer_on_every_step(norm: bool | str) -> None:
    config = ADAPTER.validate_python(
        {"kind": "linear", "size": 4, "batch_norm": norm, "epsilon": 1e-3, "activation": "elu"}
    )
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    stages, found, lengths = run(config, rows)
    weights: dict[str, Tensor] = {name.removeprefix("0."): values for name, values in stages.state_dict().items()}

    def normalised(values: Tensor) -> Tensor:
        centred = (values - weights["norm.running_mean"]) / torch.sqrt(weights["norm.running_var"] + 1e-3)
        return centred * weights["norm.weight"] + weights["norm.bias"]

    for row, length in enumerate(lengths):
        for step in range(length):
            values = normalised(rows[row, step]) if norm == "before" else rows[row, step]
            values = weights["weight"] @ values + weights["bias"]
            values = normalised(values) if norm in (True, "after") else values
            expected = torch.where(values > 0, values, values.exp() - 1)
            torch.testing.assert_close(found[row, step], expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_affine_and_layer_norm() -> None:
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    real = mask_of(LENGTHS, STEPS)
    stages, found, _ = run(ADAPTER.validate_python({"kind": "affine", "activation": "relu"}), rows)
    weights = stages.state_dict()
    weights["0.scale"].copy_(torch.tensor([2.0, -1.0, 0.5]))
    weights["0.shift"].copy_(torch.tensor([0.0, 1.0, -1.0]))
    found, _ = stages(padded(rows), Steps(LENGTHS))
    expected = (rows * torch.tensor([2.0, -1.0, 0.5]) + torch.tensor([0.0, 1.0, -1.0])).clamp(min=0)
    torch.testing.assert_close(found[real], expected[real])

    stages, found, _ = run(ADAPTER.validate_python({"kind": "layer_norm", "epsilon": 1e-3}), rows)
    weights = stages.state_dict()
    centred = rows - rows.mean(2, keepdim=True)
    share = centred / torch.sqrt(centred.square().mean(2, keepdim=True) + 1e-3)
    torch.testing.assert_close(found[real], (share * weights["0.weight"] + weights["0.bias"])[real])


@pytest.mark.parametrize("join", ["concatenate", "sum", "mean", "product"])
@torch.no_grad()
def test_a_recurrence_of_its_own_joins_its_directions(join: str) -> None:
    recurrence = Recurrence(cell="lstm", input_size=FEATURES, hidden_size=4, directions=2)
    config = ADAPTER.validate_python({"kind": "recurrence", "recurrence": recurrence.model_dump(), "join": join})
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    stages, found, lengths = run(config, rows)
    module = nn.LSTM(FEATURES, 4, bidirectional=True, batch_first=True)
    module.load_state_dict({key.removeprefix("0.recurrence."): values for key, values in stages.state_dict().items()})
    for row, length in enumerate(lengths):
        both, _ = module(rows[row, None, :length])
        forward, backward = both[0, :, :4], both[0, :, 4:]
        expected = {
            "concatenate": both[0],
            "sum": forward + backward,
            "mean": (forward + backward) / 2,
            "product": forward * backward,
        }[join]
        torch.testing.assert_close(found[row, :length], expected)


@pytest.mark.parametrize("kept", ["before", "after"])
@pytest.mark.parametrize("reverse", [False, True])
@torch.no_grad()
def test_a_recurrence_keeps_what_it_reads(kept: str, reverse: bool) -> None:
    recurrence = Recurrence(cell="gru", input_size=FEATURES, hidden_size=4, reverse=reverse)
    values = {"kind": "recurrence", "recurrence": recurrence.model_dump()}
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    torch.manual_seed(1)
    _, alone, _ = run(ADAPTER.validate_python(values), rows)
    torch.manual_seed(1)
    _, found, lengths = run(ADAPTER.validate_python({**values, "keeps_input": kept}), rows)
    for row, length in enumerate(lengths):
        parts = [rows[row, :length], alone[row, :length]]
        torch.testing.assert_close(found[row, :length], torch.cat(parts if kept == "before" else parts[::-1], 1))


@torch.no_grad()
def test_stages_follow_each_other_and_do_not_see_their_neighbours() -> None:
    configs: StagesConfig = tuple(
        ADAPTER.validate_python(one)
        for one in (
            {"kind": "residual", "width": 4, "kernels": (3,), "stride": 1},
            {"kind": "convolution", "width": 5, "kernel": 3, "padding": "same", "stride": 2},
            {"kind": "affine"},
            {"kind": "recurrence", "recurrence": {"cell": "gru", "input_size": 5, "hidden_size": 6}},
            {"kind": "pool", "size": 2, "stride": 1},
            {"kind": "plain", "width": 3, "kernels": (3,)},
        )
    )
    stages = randomised(Stages(configs, FEATURES))
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    found, steps = stages(padded(rows), Steps(LENGTHS))
    for row, length in enumerate(LENGTHS.tolist()):
        alone, of_one = stages(rows[row, None, :length], Steps(torch.tensor([length])))
        assert of_one.lengths.tolist() == [steps.lengths[row].item()] == [alone.shape[1]]
        torch.testing.assert_close(found[row, : alone.shape[1]], alone[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [*CONVOLUTIONS, *POOLS])
def test_the_fewest_steps_are_the_fewest(name: str) -> None:
    config = Convolution(width=1, **CONVOLUTIONS[name]) if name in CONVOLUTIONS else Pool.model_validate(POOLS[name])
    for outputs in (1, 2, 5):
        assert config.least(outputs) == next(steps for steps in range(1, 99) if config.steps(steps) >= outputs)


def test_stages_whose_sizes_do_not_fit_are_refused() -> None:
    recurrence = {"cell": "gru", "input_size": 5, "hidden_size": 6}
    parts = {"vocabulary_size": 9, "recurrence": recurrence}
    convolution = {"kind": "convolution", "width": 4, "kernel": 3}
    with pytest.raises(ValueError, match="it reads 4 numbers a step"):
        TextEncoder.model_validate({**parts, "embedding_size": 2, "front": [convolution]})
    with pytest.raises(ValueError, match="needs embedding_size"):
        TextEncoder.model_validate({**parts, "front": [{**convolution, "width": 5}]})
    stage = {"kind": "recurrence", "recurrence": recurrence}
    with pytest.raises(ValueError, match=r"stage 1 has recurrence\.input_size 5, but a step before it has 4"):
        TextEncoder.model_validate({**parts, "embedding_size": 2, "front": [convolution, stage]})
    with pytest.raises(ValueError, match="at most half"):
        Pool(size=3, stride=1, padding=2)
    with pytest.raises(ValueError, match="less than 3"):
        Convolution(width=1, kernel=3, padding=3)
    long = {**convolution, "width": 5, "kernel": 1025, "stride": 1025}
    with pytest.raises(ValueError, match="the limit is 10,000"):
        TextEncoder.model_validate({**parts, "embedding_size": 2, "front": [long, long]})
