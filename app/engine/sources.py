"""Sources as tensors on the host: whole ones, and a batch of chunks."""

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from app.engine.cost import IMAGE_STEPS
from app.engine.protocol import Frames, Pixels, Series, Source, Tokens
from app.engine.request import Chunk
from app.engine.tables import numbers


def tensor_of(source: Source) -> Tensor:
    """Token ids (steps,), rows of numbers (steps, features), or images (steps, height, width, 3)."""
    match source:
        case Tokens():
            return torch.tensor(source.ids)
        case Series():
            return numbers(source.rows)
        case Pixels():
            return _images(source.data, source.size)
        case Frames():
            return _images(source.data, source.size)
        case _:
            assert_never(source)


def padded(chunks: Sequence[Chunk]) -> tuple[Tensor, Tensor]:
    """Chunks of sources of one kind as (batch, steps, ...), padded on the right, and their lengths (batch,)."""
    if isinstance(chunks[0].request.source, Tokens):
        return _padded_ids(chunks)
    parts = [_part(chunk) for chunk in chunks]
    lengths = torch.tensor([len(part) for part in parts])
    return pad_sequence(parts, batch_first=True), lengths


def _padded_ids(chunks: Sequence[Chunk]) -> tuple[Tensor, Tensor]:
    """The same of token ids: one tensor is made of all lists, not one of each."""
    ids = [
        chunk.request.source.ids[chunk.start : chunk.start + chunk.steps]
        for chunk in chunks
        if isinstance(chunk.request.source, Tokens)
    ]
    lengths = [len(row) for row in ids]
    longest = max(lengths)
    return torch.tensor([row + [0] * (longest - len(row)) for row in ids]), torch.tensor(lengths)


def _part(chunk: Chunk) -> Tensor:
    """The steps of a chunk."""
    source, start, end = chunk.request.source, chunk.start, chunk.start + chunk.steps
    match source:
        case Tokens():
            return torch.tensor(source.ids[start:end])
        case Series():
            return numbers(source.rows.rows(start, end))
        case Pixels():
            return _images(source.data, source.size)
        case Frames():
            first, last = start // IMAGE_STEPS, end // IMAGE_STEPS
            image = 3 * source.size**2
            return _images(source.data[first * image : last * image], source.size)
        case _:
            assert_never(source)


def _images(data: bytes, size: int) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(-1, size, size, 3)
