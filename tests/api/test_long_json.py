"""Long JSON, piece by piece: the values of the parser, and its refusals."""

import json
import random
from functools import partial
from typing import Any

import pytest
from pydantic_core import from_json

from app.api.long_json import long_json

TEXTS = ['a,"[]{}\\"\\\\:', "é한" * 9, "", "x" * 120]
SIGNS = b'[]{},:"\\ 1'


def value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if depth > 3 or kind < 0.3:
        return chance.choice([1, -2.5, None, True, *TEXTS])
    if kind < 0.7:
        return [value(chance, depth + 1) for _ in range(chance.randrange(9))]
    keys = (chance.choice(TEXTS) + str(chance.randrange(5)) for _ in range(chance.randrange(9)))
    return {key: value(chance, depth + 1) for key in keys}


def outcome(parse: Any, content: bytes) -> Any:
    try:
        return parse(content)
    except ValueError:
        return ValueError


@pytest.mark.parametrize("seed", range(2))
def test_the_values_of_the_parser(seed: int) -> None:
    in_pieces = partial(long_json, piece=40)
    chance = random.Random(seed)
    for _ in range(15):
        text = json.dumps(value(chance), ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, 1])).encode()
        assert in_pieces(text) == from_json(text)
        damaged = bytearray(text)
        for _ in range(chance.randrange(1, 3)):
            place = chance.randrange(len(damaged) or 1)
            damaged[place : place + 1] = bytes([chance.choice(SIGNS)]) if chance.random() < 0.5 else b""
        assert outcome(in_pieces, bytes(damaged)) == outcome(from_json, bytes(damaged)), damaged


def test_a_short_text_is_parsed_at_once_and_a_long_one_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def noted(content: bytes) -> Any:
        sizes.append(len(content))
        return from_json(content)

    monkeypatch.setattr("app.api.long_json.from_json", noted)
    rows = [[1, 2]] * 50_000
    content = json.dumps({"inputs": rows, "model": "a"}).encode()
    assert long_json(content) == {"inputs": rows, "model": "a"}
    assert len(sizes) > 5
    assert max(sizes) < 140_000  # a group, and the item after it


def test_deep_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 16 long lists and objects are within each other"):
        long_json(b"[" * 40 + b",".join([b"1"] * 50_000) + b"]" * 40)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 50_000, b'["' + b"a" * 100_000])
def test_a_long_text_that_does_not_end(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected|EOF|does not end"):
        long_json(content)
