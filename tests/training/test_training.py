"""What the recipes share: splits, batches, the loop, the cards."""

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training.captions import bleu, plain_caption
from training.data import Photo, normalised_source, split_of
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
    """Learn a line; with `stop_after` the run is cut off in that epoch."""
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
