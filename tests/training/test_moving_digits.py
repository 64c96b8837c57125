"""Clips of moving digits."""

from itertools import pairwise
from pathlib import Path

import torch

from tests.training.raw_data import DIGITS, write_raw_data
from training.moving_digits import DIRECTIONS, FRAMES, SIZE, clips_of, read_digits, shuffled


def test_splits_share_no_digit(tmp_path: Path) -> None:
    write_raw_data(tmp_path)
    train, dev, test = (read_digits(tmp_path, split) for split in ("train", "dev", "test"))
    assert [len(part) for part in (train, dev, test)] == [DIGITS * 7 // 10, DIGITS // 10, DIGITS // 5]
    assert len(torch.cat([train, dev, test]).flatten(1).unique(dim=0)) == DIGITS
    assert 0 <= train.min() < train.max() == 1


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
                torch.equal(after, before.roll((step * down, step * right), (0, 1)))
                for before, after in pairwise(frames)
            )
        ]
        assert [way for _, way in fits] == [direction]
        assert 3 <= fits[0][0] <= 6


def test_one_frame_says_nothing_about_the_direction() -> None:
    """The digit is as often in each quarter of the picture, in each frame and direction."""
    digit = torch.zeros(1, 8, 8)
    digit[0, 0, 0] = 1  # a corner is easy to place
    clips = clips_of(digit.repeat(600, 1, 1), torch.Generator().manual_seed(0))
    ink = (clips.frames.float() - clips.frames[..., -1:, -1:, :].float()).abs().sum(-1)
    for frame in (0, FRAMES - 1):
        place = ink[:, frame].flatten(1).argmax(1)
        quarters = 2 * (place // SIZE >= SIZE // 2).long() + (place % SIZE >= SIZE // 2).long()
        for direction in range(len(DIRECTIONS)):
            counts = quarters[clips.directions == direction].bincount(minlength=4)
            assert (counts / 600 - 0.25).abs().max() < 0.08


def test_shuffled_clips_have_the_same_frames_in_other_orders() -> None:
    frames = torch.arange(200 * FRAMES).view(200, FRAMES, 1)
    mixed = shuffled(frames, torch.Generator().manual_seed(0))
    assert torch.equal(mixed.sort(1).values, frames)
    first = (mixed[:, 0, 0] % FRAMES).bincount(minlength=FRAMES) / 200
    assert (first - 1 / FRAMES).abs().max() < 0.1
