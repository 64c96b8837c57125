"""Confidence, registers and domain of a manifest."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.store.confidence import Curve
from app.store.manifest import Manifest
from tests.tiny_store import all_drafts

POINTS = ((-2.0, 0.1), (-1.0, 0.3), (-0.5, 0.3), (-0.1, 0.95))
CURVE = {"points": POINTS, "answers": 40, "held_out": 40, "error": 0.05}
CONFIDENCE = {
    "acceptable": "All of them.",
    "unsure_below": 0.5,
    "greedy": CURVE,
    "command": "none",
    "measured": "2026-01-01",
}


def _changed(name: str, **members: Any) -> Manifest:
    [draft] = [one for one in all_drafts() if one.name == name]
    return Manifest.model_validate(draft.model_dump() | members)


def test_a_curve_is_straight_between_its_points_and_level_beyond_them() -> None:
    curve = Curve.model_validate(CURVE)
    scores = np.linspace(-3, 0.5, 71)
    scores = np.concatenate([scores, [score for score, _ in POINTS]])
    expected = np.interp(scores, [score for score, _ in POINTS], [share for _, share in POINTS])
    assert [curve.at(float(score)) for score in scores] == pytest.approx(expected.tolist())


def test_a_curve_may_have_one_point() -> None:
    curve = Curve(points=((-1, 0.4),), answers=1, held_out=1, error=0)
    assert [curve.at(score) for score in (-2, -1, 0)] == [0.4, 0.4, 0.4]


@pytest.mark.parametrize(
    "points",
    [(), ((-1.0, 0.5), (-2.0, 0.6)), ((-1.0, 0.5), (-1.0, 0.6)), ((-1.0, 0.5), (0.0, 0.4)), ((-1.0, 1.5),)],
    ids=["none", "falling scores", "one score twice", "a falling share", "a share above 1"],
)
def test_a_curve_that_does_not_rise_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValidationError):
        Curve.model_validate(CURVE | {"points": points})


@pytest.mark.parametrize(
    ("name", "members", "words"),
    [
        ("sentiment-en", {"confidence": CONFIDENCE}, "answers with tokens takes confidence"),
        ("caption-en", {"registers": {"tokens": {"polite": 4}}}, "from text to other text takes registers"),
        ("lm-en", {"registers": {"tokens": {"polite": 4}}}, "from text to other text takes registers"),
        ("translate-en-ko", {"registers": {"tokens": {"polite": 5000}}}, "registers has the id 5000"),
        ("translate-en-ko", {"registers": {"tokens": {"polite": 4}, "default": "plain"}}, "default is plain"),
        ("translate-en-ko", {"registers": {"tokens": {}}}, "at least 1"),
        ("translate-en-ko", {"registers": {"tokens": {"rude": 4}}}, "polite"),
    ],
)
def test_parts_that_do_not_fit_the_network_are_refused(name: str, members: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        _changed(name, **members)


def test_models_that_decode_tokens_may_have_a_confidence() -> None:
    for name in ("translate-en-ko", "caption-en", "lm-en"):
        assert _changed(name, confidence=CONFIDENCE).confidence is not None
