"""Clips of a moving handwritten digit, made from the digits of scikit-learn (Alpaydin and Kaynak 1998).

A clip has 6 frames. Its digit moves on in one of 8 directions by the same step. Its middle stays in the picture.
"""

import gzip
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import torch
from torch import Tensor, nn

from training.data import Split

ARCHIVE = "scikit_learn-*.whl"
FILE = "sklearn/datasets/data/digits.csv.gz"
DIRECTIONS = {  # rows and columns of a step
    "up": (-1, 0),
    "up-right": (-1, 1),
    "right": (0, 1),
    "down-right": (1, 1),
    "down": (1, 0),
    "down-left": (1, -1),
    "left": (0, -1),
    "up-left": (-1, -1),
}
FRAMES, SIZE = 6, 32
_DIGIT_SIZES, _STEPS = (12, 18), (2, 4)  # smallest and largest, in pixels
_SHARES = {"train": (0.0, 0.7), "dev": (0.7, 0.8), "test": (0.8, 1.0)}


class Clips(NamedTuple):
    """Frames as uint8 (clips, 6, 32, 32, 3), and the index of each clip's direction (clips,)."""

    frames: Tensor
    directions: Tensor


def read_digits(data: Path, split: Split) -> Tensor:
    """Digits (digits, 8, 8) from 0 to 1. The file is split by its order: 70 % train, 10 % dev, 20 % test."""
    paths = sorted(data.glob(ARCHIVE))  # one for each Python and system that ran `make data`: the digits are the same
    if not paths:
        raise FileNotFoundError(f"{data} has no {ARCHIVE}; run: make data")
    with ZipFile(paths[0]) as archive:
        lines = gzip.decompress(archive.read(FILE)).decode().splitlines()
    start, end = (round(share * len(lines)) for share in _SHARES[split])
    rows = [[float(value) for value in line.split(",")[:64]] for line in lines[start:end]]
    return torch.tensor(rows).view(-1, 8, 8) / 16


def clips_of(digits: Tensor, generator: torch.Generator) -> Clips:
    """Each digit (digits, 8, 8), in a size and colours of its own, once in each direction from some place."""
    directions = torch.arange(len(DIRECTIONS)).repeat(len(digits))
    canvases = torch.stack([_drawn(digit, generator) for digit in digits]).repeat_interleave(len(DIRECTIONS), 0)
    count = len(canvases)
    steps = torch.randint(_STEPS[0], _STEPS[1] + 1, (count, 1, 1), generator=generator)
    moves = steps * torch.tensor(list(DIRECTIONS.values()))[directions].unsqueeze(1)  # clips x 1 x (row, column)
    path = moves * (FRAMES - 1)
    first = -path.clamp(max=0)  # where the middle of the digit may begin, so that it ends in the picture
    room = SIZE - path.abs()
    middles = first + (torch.rand((count, 1, 2), generator=generator) * room).long()
    places = middles + moves * torch.arange(FRAMES).view(1, -1, 1) - sum(_DIGIT_SIZES) // 4
    rows, columns = (_beyond_is_ground(torch.arange(SIZE) - places[..., axis, None]) for axis in (0, 1))
    clip = torch.arange(count).view(-1, 1, 1, 1)
    return Clips(canvases[clip, rows.unsqueeze(3), columns.unsqueeze(2)], directions)


def _beyond_is_ground(places: Tensor) -> Tensor:
    """Rows or columns of a drawn picture, with the last one, which no digit reaches, for those outside of it."""
    return places.where(places >= 0, SIZE - 1).clamp(max=SIZE - 1)


def _drawn(digit: Tensor, generator: torch.Generator) -> Tensor:
    """A digit in the corner of a picture, in two colours of some contrast: uint8 (32, 32, 3)."""
    side = int(torch.randint(_DIGIT_SIZES[0], _DIGIT_SIZES[1] + 1, (), generator=generator))
    ink = torch.zeros(SIZE, SIZE)
    ink[:side, :side] = nn.functional.interpolate(digit[None, None], size=(side, side), mode="bilinear")[0, 0]
    dark = 80 * torch.rand(3, generator=generator)
    light = 255 - 80 * torch.rand(3, generator=generator)
    if torch.rand((), generator=generator) < 0.5:
        dark, light = light, dark
    return (dark + ink.unsqueeze(2) * (light - dark)).round().to(torch.uint8)


def shuffled(frames: Tensor, generator: torch.Generator) -> Tensor:
    """The frames of each clip (clips, 6, ...) in a random order."""
    orders = torch.rand(frames.shape[:2], generator=generator).argsort(1)
    return frames[torch.arange(len(frames)).unsqueeze(1), orders]
