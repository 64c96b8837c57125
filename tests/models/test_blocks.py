"""Blocks of convolutions over time: against sums row by row, against torch.nn, and padding."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.models.blocks import Block, Blocks
from app.store.block import Block as BlockConfig
from tests.models.references import mask_of
from tests.models.series_references import blocks, randomised, steps_of

FEATURES, STEPS = 3, 11
LENGTHS = torch.tensor([4, STEPS, 1, 8])

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {"kind": "plain", "width": 5, "kernels": (7, 5, 3)},
    "residual": {"kind": "residual", "width": 5, "kernels": (3, 3)},
    "residual of its input's width": {"kind": "residual", "width": FEATURES, "kernels": (3, 3)},
    "even kernels": {"kind": "residual", "width": 5, "kernels": (8, 5, 2)},
    "causal": {"kind": "residual", "width": 5, "kernels": (4, 3), "padding": "causal"},
    "without norm": {"kind": "residual", "width": 5, "kernels": (3,), "batch_norm": False},
    "strided": {"kind": "residual", "width": FEATURES, "kernels": (3, 3), "stride": 2},
    "strided by three, causal": {"kind": "plain", "width": 5, "kernels": (4, 3), "stride": 3, "padding": "causal"},
    "pooled": {"kind": "plain", "width": 5, "kernels": (3,), "pool": 2},
    "a ResNet's stem": {"kind": "plain", "width": 5, "kernels": (7,), "stride": 2, "pool": 3},
    "causal pool": {"kind": "plain", "width": 5, "kernels": (3,), "pool": 3, "padding": "causal"},
    "longer than the series": {"kind": "residual", "width": 5, "kernels": (31,)},
}


def config_of(name: str) -> BlockConfig:
    return BlockConfig.model_validate(CONFIGS[name])


def padded(rows: Tensor, lengths: Tensor) -> Tensor:
    """rows (batch, steps, features) with numbers past each row's length that would be noticed, and more of them."""
    more = torch.cat((rows, torch.zeros(len(rows), 3, rows.shape[2])), 1)
    return torch.where(mask_of(lengths, more.shape[1]).unsqueeze(2), more, torch.full_like(more, 1e3))


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_a_block_equals_sums_of_each_row_alone(name: str) -> None:
    config = config_of(name)
    network = randomised(Blocks((config,), FEATURES))
    rows = torch.randn(len(LENGTHS), STEPS, FEATURES)
    found, lengths = network(padded(rows, LENGTHS), LENGTHS)
    assert lengths.tolist() == [steps_of(config, length) for length in LENGTHS.tolist()]
    for row, length in enumerate(LENGTHS.tolist()):
        alone = blocks((config,), network.state_dict(), rows[row, :length])
        assert len(alone) == steps_of(config, length)
        torch.testing.assert_close(found[row, : len(alone)], alone, rtol=0, atol=1e-5)
        assert not found[row, len(alone) :].any()


@torch.no_grad()
def test_blocks_follow_each_other() -> None:
    configs = (config_of("a ResNet's stem"), config_of("strided by three, causal"), config_of("residual"))
    network = randomised(Blocks(configs, FEATURES))
    rows, lengths = torch.randn(2, 40, FEATURES), torch.tensor([40, 33])
    found, shortened = network(padded(rows, lengths), lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = blocks(configs, network.state_dict(), rows[row, :length])
        assert len(alone) == shortened[row]
        torch.testing.assert_close(found[row, : len(alone)], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 3])
@torch.no_grad()
def test_a_residual_block_equals_the_layers_of_torch(stride: int) -> None:
    """The basic block of torchvision, in one dimension."""
    config = BlockConfig(kind="residual", width=6, kernels=(5, 3), stride=stride)
    network = randomised(Block(config, FEATURES))
    first = nn.Conv1d(FEATURES, 6, 5, stride, padding=2, bias=False)
    second = nn.Conv1d(6, 6, 3, padding=1, bias=False)
    around = nn.Sequential(nn.Conv1d(FEATURES, 6, 1, stride, bias=False), nn.BatchNorm1d(6))
    theirs = nn.ModuleDict(
        {"conv1": first, "bn1": nn.BatchNorm1d(6), "conv2": second, "bn2": nn.BatchNorm1d(6), "downsample": around}
    )
    theirs.load_state_dict(network.state_dict())
    theirs.eval()
    features = torch.randn(2, FEATURES, 20)
    middle = theirs["bn1"](first(features)).relu()
    expected = (theirs["bn2"](second(middle)) + around(features)).relu()
    found, lengths = network(features, torch.tensor([20, 20]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert lengths.tolist() == [expected.shape[2]] * 2


@torch.no_grad()
def test_the_stem_of_a_resnet_equals_the_layers_of_torch() -> None:
    config = config_of("a ResNet's stem")
    network = randomised(Block(config, FEATURES))
    convolution, norm = nn.Conv1d(FEATURES, 5, 7, 2, padding=3, bias=False), nn.BatchNorm1d(5)
    convolution.load_state_dict({"weight": network.state_dict()["conv1.weight"]})
    norm.load_state_dict(network.get_submodule("bn1").state_dict())
    for steps in (1, 2, 7, 20, 21):
        features = torch.randn(1, FEATURES, steps)
        expected = nn.MaxPool1d(3, 2, 1)(norm.eval()(convolution(features)).relu())
        found, lengths = network(features, torch.tensor([steps]))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
        assert lengths.item() == expected.shape[2]


@torch.no_grad()
def test_causal_blocks_see_no_later_step() -> None:
    network = randomised(Blocks((config_of("causal"), config_of("causal pool")), FEATURES))
    rows = torch.randn(1, 9, FEATURES)
    whole, _ = network(rows, torch.tensor([9]))
    for steps in range(1, 10):
        part, lengths = network(rows[:, :steps], torch.tensor([steps]))
        torch.testing.assert_close(part[0, : lengths[0]], whole[0, : lengths[0]], rtol=0, atol=1e-6)


def test_every_parameter_learns() -> None:
    network = Blocks((config_of("strided"), config_of("even kernels"), config_of("without norm")), FEATURES)
    found, _ = network(torch.randn(4, STEPS, FEATURES), torch.full((4,), STEPS))
    (found * torch.randn_like(found)).sum().backward()
    for name, values in network.named_parameters():
        assert values.grad is not None, name
        assert values.grad.any(), name
