"""JSON in pieces is the JSON of the whole, and the event loop runs on meanwhile."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.json_pieces import JsonInPieces, blocks_of, json_array, json_pieces
from tests.loop_turns import turns_of_loop


class Numbers(JsonInPieces, frozen=True, eq=False):
    """Many numbers."""

    count: int

    def json(self) -> Iterator[bytes]:
        return json_array(list(range(first, min(first + 1000, self.count))) for first in range(0, self.count, 1000))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"a": [], "b": {}, "c": None},
        [1, 'é\n"', {"x": [True, -0.5e-12]}, ["a", [""]]],
        {"ключ": {"deep": [{"list": [1, 2, {"z": None}]}]}},
    ],
    ids=str,
)
def test_pieces_joined_are_the_json(value: Any) -> None:
    assert json.loads(b"".join(json_pieces(value))) == value


@pytest.mark.parametrize("count", [0, 1, 1000, 2500])
def test_members_in_pieces_are_arrays(count: int) -> None:
    value = {"a": Numbers(count), "b": [Numbers(1), 5]}
    assert json.loads(b"".join(json_pieces(value))) == {"a": list(range(count)), "b": [[0], 5]}


def test_no_turn_of_the_event_loop_is_long() -> None:
    async def scenario() -> tuple[list[bytes], list[int]]:
        async with turns_of_loop() as turns:
            blocks = await blocks_of(json_pieces({"numbers": Numbers(2_000_000)}))
        return blocks, turns

    blocks, turns = asyncio.run(scenario())
    assert sum(map(len, blocks)) > 10_000_000
    assert max(map(len, blocks)) < 100_000
    assert sum(turns) > 20_000
    assert max(turns) < 5_000
