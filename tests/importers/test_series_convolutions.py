"""Networks over series with residual blocks or a branch of convolutions: imported, they answer as the module does."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.tasks.sources.raw_series import JsonSeries
from tests.importers.importing import answered, asked, imported, saved


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int, kernels: Sequence[int] = (3, 3)) -> None:
        super().__init__()
        for number, kernel in enumerate(kernels, 1):
            step = stride if number == 1 else 1
            self.add_module(
                f"conv{number}",
                nn.Conv1d(inputs if number == 1 else width, width, kernel, step, kernel // 2, bias=number == 2),
            )
            self.add_module(f"bn{number}", nn.BatchNorm1d(width))
        self.count = len(kernels)
        if stride != 1 or inputs != width:
            self.downsample = nn.Sequential(nn.Conv1d(inputs, width, 1, stride, bias=False), nn.BatchNorm1d(width))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for number in range(1, self.count + 1):
            out = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(out))
            out = torch.relu(out) if number < self.count else out
        return torch.relu(out + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNetLSTM(nn.Module):
    def __init__(self, channels: int, widths: Sequence[int], blocks: Sequence[int], labels: int, *, stem: bool) -> None:
        super().__init__()
        inputs = widths[0] if stem else channels
        self.stem = stem
        if stem:
            self.conv1 = nn.Conv1d(channels, widths[0], 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm1d(widths[0])
        self.stages = []
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), 1):
            made = []
            for number in range(count):
                made.append(BasicBlock(inputs, width, 2 if stage > 1 and number == 0 else 1))
                inputs = width
            self.add_module(f"layer{stage}", nn.Sequential(*made))
            self.stages.append(f"layer{stage}")
        self.gru = nn.GRU(widths[-1], 6, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(12, labels)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        if self.stem:
            x = nn.functional.max_pool1d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        _, hidden = self.gru(x.transpose(1, 2))
        return self.fc(torch.cat((hidden[-2], hidden[-1]), 1))  # type: ignore[no-any-return]


class Tsai(nn.Module):
    """`RNN_FCN` of tsai; `shuffled` as in the paper: the recurrence steps over the channels."""

    def __init__(self, channels: int, window: int, labels: int, *, shuffled: bool, both: bool = False) -> None:
        super().__init__()
        self.shuffled = shuffled
        self.rnn = nn.LSTM(window if shuffled else channels, 5, batch_first=True, bidirectional=both)
        widths = [channels, 8, 9, 8]
        for number, kernel in enumerate((7, 5, 3), 1):
            convolution = nn.Conv1d(widths[number - 1], widths[number], kernel, padding=kernel // 2, bias=False)
            block = nn.Sequential(convolution, nn.BatchNorm1d(widths[number]), nn.ReLU())
            self.add_module(f"convblock{number}", block)
        self.fc = nn.Linear((10 if both else 5) + 8, labels)

    def convolved(self, x: Tensor) -> Tensor:
        for number in "123":
            x = self.get_submodule(f"convblock{number}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)  # batch x channels x steps, as tsai has it
        output, _ = self.rnn(x if self.shuffled else x.transpose(1, 2))
        rows = self.convolved(x)
        return self.fc(torch.cat((output[:, -1], rows.mean(2)), 1))  # type: ignore[no-any-return]


class ConvolutionsFirst(Tsai):
    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        output, _ = self.rnn(x.transpose(1, 2))
        rows = self.convolved(x)
        return self.fc(torch.cat((rows.mean(2), output[:, -1]), 1))  # type: ignore[no-any-return]


NETWORKS: dict[str, tuple[nn.Module, int, str, list[str]]] = {
    "a ResNet with a stem": (
        ResNetLSTM(4, (6, 7, 9), (1, 2, 1), 3, stem=True), 4, "resnet-lstm-classifier", ["--labels=a,b,c"]
    ),
    "residual blocks without a stem": (
        ResNetLSTM(4, (6, 7), (2, 1), 2, stem=False), 4, "resnet-lstm-classifier", ["--labels=a,b"]
    ),
    "LSTM-FCN": (Tsai(3, 21, 4, shuffled=False), 3, "lstm-fcn-classifier", ["--labels=a,b,c,d"]),
    "LSTM-FCN over channels": (Tsai(3, 21, 4, shuffled=True), 3, "lstm-fcn-classifier", ["--labels=a,b,c,d"]),
    "LSTM-FCN in both directions": (
        Tsai(3, 21, 2, shuffled=True, both=True),
        3,
        "lstm-fcn-classifier",
        ["--labels=a,b", "--set=pooling=last_output"],
    ),
    "convolutions first": (
        ConvolutionsFirst(3, 21, 2, shuffled=False),
        3,
        "lstm-fcn-classifier",
        ["--labels=a,b", "--set=order=convolutions"],
    ),
}  # fmt: skip


def _trained(module: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if "bn" in name or "running" in name else tensor.normal_(0, 0.4)
    return module.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_it_answers_as_the_module(tmp_path: Path, name: str) -> None:
    module, channels, layout, options = NETWORKS[name]
    _trained(module)
    printed = imported(tmp_path, saved(tmp_path, module), "--usual", "--scaler=none", *options)
    assert layout in printed
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(21, channels, generator=generator).round(decimals=3) for _ in range(3)]
    with torch.no_grad():
        wanted = [module(rows.unsqueeze(0))[0].softmax(0).tolist() for rows in inputs]
    for numbers, result in zip(wanted, answered(tmp_path, [JsonSeries(rows.tolist()) for rows in inputs]), strict=True):
        assert list(result["scores"].values()) == pytest.approx(numbers, abs=1e-5)


def test_one_output_is_a_forecast_unless_labels_are_given(tmp_path: Path) -> None:
    module = _trained(Tsai(3, 21, 1, shuffled=True))
    printed = asked(tmp_path, saved(tmp_path, module))
    assert "layout: lstm-fcn-forecaster" in printed
    assert "the recurrence reads features as steps, each with 21 numbers" in printed
    imported(tmp_path, saved(tmp_path, module), "--layout=lstm-fcn-classifier", "--usual", "--labels=no,yes")
    rows = torch.rand(21, 3).round(decimals=3)
    with torch.no_grad():
        wanted = module(rows.unsqueeze(0))[0].sigmoid().item()
    (result,) = answered(tmp_path, [JsonSeries(rows.tolist())])
    assert result["scores"]["yes"] == pytest.approx(wanted, abs=1e-5)


def test_strides_are_checked(tmp_path: Path) -> None:
    module = _trained(ResNetLSTM(4, (6, 7), (1, 1), 2, stem=False))
    printed = asked(tmp_path, saved(tmp_path, module), "--usual", "--labels=a,b", "--set=strides=1,x")
    assert "give 2 numbers from 1 to 64" in printed
