"""The shared code of the recipes: splits, batches, the loop, the cards."""

import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training.calibration import calibrate, calibration_error
from training.captions import bleu, plain_caption
from training.data import Photo, normalised_source, split_of
from training.language import sampled_loss
from training.loop import Schedule, batches_by_length, fit, pad_rows
from training.open_nsfw import read_caffemodel
from training.subwords import train_subwords


def test_splits_have_their_sizes_and_never_change_sides() -> None:
    keys = [f"key {number}" for number in range(20_000)]
    splits = [split_of(key, test=0.1, dev=0.05) for key in keys]
    assert splits.count("test") / len(keys) == pytest.approx(0.1, abs=0.01)
    assert splits.count("dev") / len(keys) == pytest.approx(0.05, abs=0.01)
    more_test = [split_of(key, test=0.2, dev=0.05) for key in keys]
    assert all(after == "test" for before, after in zip(splits, more_test, strict=True) if before == "test")


def test_sources_that_differ_in_signs_and_numbers_are_one() -> None:
    assert normalised_source("Open 12 files...") == normalised_source("open  10 files")
    assert normalised_source("Open file") != normalised_source("Close file")


def test_batches_hold_every_row_once_within_the_budget() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = [[0] * int(length) for length in torch.randint(1, 60, (500,), generator=generator)]
    batches = batches_by_length(rows, len, budget=120, generator=generator)
    assert sorted(len(row) for batch in batches for row in batch) == sorted(map(len, rows))
    assert all(max(map(len, batch)) * len(batch) <= 120 for batch in batches)
    assert sum(max(map(len, batch)) * len(batch) for batch in batches) < 1.2 * sum(map(len, rows))


def test_rows_are_padded_on_the_right() -> None:
    tokens, lengths = pad_rows([[5], [6, 7, 8]])
    assert tokens.tolist() == [[5, 0, 0], [6, 7, 8]]
    assert lengths.tolist() == [1, 3]


def _fit(folder: Path, epochs: int, *, stop_after: int | None = None) -> nn.Module:
    """Learn a line; `stop_after` interrupts the run in that epoch."""
    torch.manual_seed(0)
    network = nn.Linear(2, 1)
    truth = torch.tensor([[1.0, -2.0]])

    def batches(epoch: int) -> Sequence[int]:
        if stop_after is not None and epoch == stop_after:
            raise KeyboardInterrupt
        return range(epoch * 40, epoch * 40 + 40)

    def loss(seed: int) -> Tensor:
        inputs = torch.randn(16, 2, generator=torch.Generator().manual_seed(seed))
        predicted: Tensor = network(inputs)
        return (predicted - inputs @ truth.T).square().mean()

    def score(averaged: nn.Module) -> float:
        weight = averaged.get_parameter("weight")
        return -float((weight - truth).abs().max())

    schedule = Schedule(epochs=epochs, learning_rate=0.05, average=0.9, patience=epochs)
    return fit(network, schedule, batches=batches, loss=loss, score=score, folder=folder)


def test_the_loop_learns(tmp_path: Path) -> None:
    network = _fit(tmp_path, 6)
    assert network.get_parameter("weight").detach().flatten().tolist() == pytest.approx([1, -2], abs=0.1)
    assert len(tmp_path.joinpath("log.tsv").read_text().splitlines()) == 6


def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = _fit(tmp_path / "whole", 5)
    with pytest.raises(KeyboardInterrupt):
        _fit(tmp_path / "cut", 5, stop_after=2)
    resumed = _fit(tmp_path / "cut", 5)
    assert torch.equal(whole.get_parameter("weight"), resumed.get_parameter("weight"))


_CUT_OFF = """
import os, signal, sys
from pathlib import Path
import torch
from torch import nn
from training.loop import Schedule, fit

folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
torch.manual_seed(0)
torch.set_num_threads(1)
network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1))
calls = 0

def loss(seed):
    global calls
    calls += 1
    if calls == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    inputs = torch.randn(16, 3, generator=torch.Generator().manual_seed(seed))
    return (network(inputs) - inputs.sum(1, keepdim=True)).square().mean()

fit(network, Schedule(epochs=3, learning_rate=0.05, checkpoint_seconds=0),
    batches=lambda epoch: range(epoch * 9, epoch * 9 + 9), loss=loss,
    score=lambda averaged: -float(averaged(torch.ones(1, 3)).sum()), folder=folder)
"""


@pytest.mark.slow
def test_a_run_killed_within_an_epoch_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    def run(folder: Path, kill_at: int) -> int:
        command = [sys.executable, "-c", _CUT_OFF, str(folder), str(kill_at)]
        return subprocess.run(command, cwd=Path.cwd(), capture_output=True, check=False).returncode

    assert run(tmp_path / "whole", 0) == 0
    assert run(tmp_path / "cut", 14) == -signal.SIGKILL
    assert run(tmp_path / "cut", 8) == -signal.SIGKILL
    assert run(tmp_path / "cut", 0) == 0
    whole, cut = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "cut"))
    for part in ("network", "averaged"):
        for name, tensor in whole[part].items():
            assert torch.equal(tensor, cut[part][name]), name
    columns = [[line.split("\t")[:3] for line in (tmp_path / name / "log.tsv").open()] for name in ("whole", "cut")]
    assert columns[0] == columns[1]


def test_temperature_makes_confidence_honest() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(4000, generator=generator)
    labels = torch.rand(4000, generator=generator) < (logits / 3).sigmoid()  # three times too sure
    temperature = calibrate(logits, labels)
    assert temperature == pytest.approx(3, rel=0.1)
    before, after = (calibration_error(values.sigmoid(), labels) for values in (logits, logits / temperature))
    assert after < 0.03 < 0.1 < before


def test_sampled_loss_teaches_the_whole_distribution() -> None:
    """The distribution that is learnt from a few drawn tokens comes near the frequencies."""
    torch.manual_seed(0)
    frequencies = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05])
    output, features = nn.Linear(1, 5), torch.ones(512, 1)
    optimizer = torch.optim.Adam(output.parameters(), lr=0.05)
    for _ in range(400):
        targets = torch.multinomial(frequencies, 512, replacement=True)
        loss = sampled_loss(output, features, targets, torch.full((5,), 0.2), 512)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    learnt = output(features[:1])[0].softmax(0).tolist()
    assert learnt == pytest.approx(frequencies.tolist(), abs=0.03)


def test_training_ends_when_nothing_gets_better(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)
    schedule = Schedule(epochs=50, learning_rate=0.0, patience=2)
    fit(
        network,
        schedule,
        batches=lambda epoch: [0],
        loss=lambda batch: network(torch.ones(1, 1)).mean(),
        score=lambda averaged: 1.0,
        folder=tmp_path,
    )
    assert len(tmp_path.joinpath("log.tsv").read_text().splitlines()) == 3


def test_bleu_is_1_for_a_reference_and_0_without_a_common_phrase() -> None:
    photos = [Photo("a.webp", ["A dog runs over the green grass .", "Brown dog running outside"])]
    assert bleu(["a dog runs over the green grass"], photos) == pytest.approx(1)
    assert bleu(["two people sit at a table"], photos) == 0
    assert plain_caption("A Man's T-shirt , red .") == "a man's t-shirt red"


def test_special_tokens_have_the_ids_that_manifests_name() -> None:
    tokenizer = train_subwords(["a few words", "몇 마디"], size=300)
    assert [tokenizer.token_to_id(token) for token in ("<pad>", "<bos>", "<eos>", "<unk>")] == [0, 1, 2, 3]


def _field(number: int, content: bytes) -> bytes:
    length = len(content)
    size = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    key = number << 3 | 2
    return (bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])) + size + content


def test_caffemodels_are_read() -> None:
    values = [1.5, -2.0, 0.25, 8.0, 0.0, 3.0]
    blob = _field(5, struct.pack("<6f", *values)) + _field(7, _field(1, bytes([2, 3])))
    old_blob = b"".join(bytes([number << 3, size]) for number, size in ((1, 1), (2, 1), (3, 2), (4, 3)))
    old_blob += _field(5, struct.pack("<6f", *values))
    layer = _field(1, b"conv_1") + _field(2, b"Convolution") + _field(7, blob) + _field(7, old_blob)
    layers = read_caffemodel(_field(1, b"net") + _field(100, layer))
    assert [tensor.shape for tensor in layers["conv_1"]] == [(2, 3), (1, 1, 2, 3)]
    assert layers["conv_1"][0].flatten().tolist() == layers["conv_1"][1].flatten().tolist() == values
