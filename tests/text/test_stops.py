"""Stop strings, found alike in a whole text and in one that comes in pieces."""

import random

import pytest

from app.text.stops import first_stop, without_partial_stop


@pytest.mark.parametrize(
    ("text", "stops", "place"),
    [
        ("a b c", ["b"], 2),
        ("a b c", ["c", "b"], 2),
        ("abcd", ["abcd", "b"], 1),
        ("abc", ["x"], None),
        ("", ["x"], None),
        ("abc", [], None),
        ("가나다", ["나다"], 1),
    ],
)
def test_the_first_to_be_complete_counts(text: str, stops: list[str], place: int | None) -> None:
    assert first_stop(text, stops) == place


@pytest.mark.parametrize(
    ("text", "kept"), [("hello <", "hello "), ("hello <e", "hello "), ("hello <x", "hello <x"), ("<", ""), ("", "")]
)
def test_a_begun_stop_is_held_back(text: str, kept: str) -> None:
    assert without_partial_stop(text, ["<end>", "<e>"]) == kept


@pytest.mark.parametrize("seed", range(200))
def test_pieces_make_no_difference(seed: int) -> None:
    rng = random.Random(seed)
    text = "".join(rng.choices("ab ", k=20))
    stops = ["".join(rng.choices("ab ", k=rng.randint(1, 4))) for _ in range(rng.randint(1, 4))]
    place = first_stop(text, stops)
    shown = ""
    for end in range(len(text) + 1):
        found = first_stop(text[:end], stops)
        if found is not None:
            assert found == place
            assert text[:found].startswith(shown)
            break
        kept = without_partial_stop(text[:end], stops)
        assert kept.startswith(shown)
        shown = kept
    else:
        assert place is None
