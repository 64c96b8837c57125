"""Clips of moving digits."""

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.training.raw_data import DIGITS, write_raw_data
from training.moving_digits import ARCHIVE, DIRECTIONS, FRAMES, SIZE, clips_of, read_digits, shuffled


def test_splits_share_no_digit(tmp_path: Path) -> None:
    write_raw_data(tmp_path)
    train, dev, test = (read_digits(tmp_path, split) for split in ("train", "dev", "test"))
    assert [len(part) for part in (train, dev, test)] == [DIGITS * 7 // 10, DIGITS // 10, DIGITS // 5]
    assert len({tuple(digit) for digit in torch.cat([train, dev, test]).flatten(1).tolist()}) == DIGITS
    assert 0 <= train.min() < train.max() == 1


def test_wheels_of_several_pythons_have_the_same_digits(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run: make data"):
        read_digits(tmp_path, "test")
    write_raw_data(tmp_path)
    digits = read_digits(tmp_path, "test")
    wheel = next(tmp_path.glob(ARCHIVE))
    shutil.copy(wheel, tmp_path / wheel.name.replace("py3", "cp312"))
    assert read_digits(tmp_path, "test").equal(digits)


def _from(frame: Tensor, down: int, right: int) -> Tensor:
    """A picture without so many rows at its top (at its bottom, if negative), and columns at its left (right)."""
    rows = frame[down:] if down >= 0 else frame[:down]
    return rows[:, right:] if right >= 0 else rows[:, :right]


def test_a_digit_moves_on_evenly_in_the_direction_of_its_label() -> None:
    clips = clips_of(torch.rand(5, 8, 8), torch.Generator().manual_seed(0))
    assert clips.frames.shape == (5 * len(DIRECTIONS), FRAMES, SIZE, SIZE, 3)
    assert clips.directions.bincount().tolist() == [5] * len(DIRECTIONS)
    ways = list(DIRECTIONS.values())
    for frames, direction in zip(clips.frames, clips.directions.tolist(), strict=True):
        assert len(frames.flatten(0, 2).unique(dim=0)) > 1
        fits = [
            (step, way)
            for step in range(1, 8)
            for way, (down, right) in enumerate(ways)
            if all(
                torch.equal(_from(after, step * down, step * right), _from(before, -step * down, -step * right))
                for before, after in pairwise(frames)
            )
        ]
        assert [way for _, way in fits] == [direction]
        assert 2 <= fits[0][0] <= 4


def test_a_digit_begins_anywhere_and_its_middle_stays_in_the_picture() -> None:
    digit = torch.zeros(1, 8, 8)
    digit[0, 3:5, 3:5] = 1
    clips = clips_of(digit.repeat(100, 1, 1), torch.Generator().manual_seed(0))
    ground = clips.frames[..., :1, :1, :].float()
    ink = (clips.frames.float() - ground).abs().sum(-1)
    assert (ink.flatten(2).amax(2) > 0).all()
    place = ink[:, 0].flatten(1).argmax(1)
    quarters = 2 * (place // SIZE >= SIZE // 2).long() + (place % SIZE >= SIZE // 2).long()
    assert quarters.bincount(minlength=4).min() > 0.2 * len(quarters)


def test_shuffled_clips_have_the_same_frames_in_other_orders() -> None:
    frames = torch.arange(200 * FRAMES).view(200, FRAMES, 1)
    mixed = shuffled(frames, torch.Generator().manual_seed(0))
    assert torch.equal(mixed.sort(1).values, frames)
    first = (mixed[:, 0, 0] % FRAMES).bincount(minlength=FRAMES) / 200
    assert (first - 1 / FRAMES).abs().max() < 0.1
