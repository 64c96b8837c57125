"""Input tensors of numbers, from JSON and from binary data."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.api.compat.open_inference.binary import pack_floats
from app.api.compat.open_inference.inputs import InputData
from app.api.compat.open_inference.tensors import tensor_of
from app.errors import InputError
from app.tasks.columns import ANY, Column
from app.tasks.sentiment import SENTIMENT
from tests.tiny_store import drafts

SERIES = tensor_of(Column("series", "float32", (ANY, 2)))
VALUES = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]


def read(data: list[Any], binary: memoryview | None = None) -> Sequence[Any]:
    return asyncio.run(InputData(SERIES, [2, 2, 2], data, binary).read(SENTIMENT, drafts()[0]))


def test_numbers_are_read_row_by_row() -> None:
    flat = read(VALUES)
    nested = read([[[0.5, 1], [1.5, 2]], [[2.5, 3], [3.5, 4]]])
    binary = read([], memoryview(pack_floats(VALUES)))
    assert [list(one) for one in flat] == [VALUES[:4], VALUES[4:]]
    assert [list(one) for one in nested] == [list(one) for one in binary] == [list(one) for one in flat]


@pytest.mark.parametrize(
    ("data", "binary", "words"),
    [
        (["a"] * 8, None, "not a number"),
        (VALUES[1:], None, "has 7 elements"),
        ([], memoryview(bytes(30)), "has 30 bytes"),
        ([], memoryview(bytes(28)), "has 7 elements"),
    ],
)
def test_wrong_numbers_are_refused(data: list[Any], binary: memoryview | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(data, binary)
