"""Calibration of confidence: isotonic regression, its error, and the curve of a model that is sure by a known rule."""

import random

import pytest

from app.store.confidence import Curve
from training.confidence import Judged, calibration_error, curve_of, fitted, halves, isotonic


def _by_definition(values: list[float], weights: list[int]) -> list[float]:
    """The min-max formula of isotonic regression (Robertson, Wright and Dykstra 1988, theorem 1.4.4)."""

    def mean(first: int, last: int) -> float:
        rows = range(first, last + 1)
        return sum(values[row] * weights[row] for row in rows) / sum(weights[row] for row in rows)

    places = range(len(values))
    return [max(min(mean(first, last) for last in places[at:]) for first in range(at + 1)) for at in places]


@pytest.mark.parametrize("seed", range(20))
def test_isotonic_regression_is_that_of_its_definition(seed: int) -> None:
    chance = random.Random(seed)
    values = [chance.random() for _ in range(chance.randint(1, 12))]
    weights = [chance.randint(1, 9) for _ in values]
    assert isotonic(values, weights) == pytest.approx(_by_definition(values, weights))


def _answers(count: int, seed: int) -> list[Judged]:
    """Answers with scores from -2 to 0, acceptable with the probability 1 + score / 2."""
    chance = random.Random(seed)
    scores = [chance.uniform(-2, 0) for _ in range(count)]
    return [Judged(score, chance.random() < 1 + score / 2) for score in scores]


def test_the_curve_finds_the_share_of_acceptable_answers() -> None:
    curve = curve_of(*halves(_answers(20_000, 1)))
    assert [curve.at(score) for score in (-1.6, -1.0, -0.4)] == pytest.approx([0.2, 0.5, 0.8], abs=0.06)
    assert curve.answers == curve.held_out == 10_000
    assert curve.error < 0.03


def test_a_wrong_curve_has_its_distance_as_error() -> None:
    answers = _answers(20_000, 2)
    always = Curve(points=((-1, 0.9),), answers=1, held_out=1, error=0)
    assert calibration_error(always, answers) == pytest.approx(0.4, abs=0.02)
    by_the_rule = Curve(points=((-2, 0), (0, 1)), answers=1, held_out=1, error=0)
    assert calibration_error(by_the_rule, answers) < 0.03


def test_halves_have_each_answer_once() -> None:
    answers = _answers(101, 3)
    first, second = halves(answers)
    assert sorted([*first, *second]) == sorted(answers)
    assert len(first) - len(second) == 1


def test_a_model_is_calibrated_with_few_answers_and_not_with_one() -> None:
    few = _answers(5, 4)
    confidence = fitted(few, few, acceptable="x", unsure_below=0.5, command="y")
    assert confidence.searched is not None
    assert 0 <= confidence.greedy.at(-1) <= 1
    with pytest.raises(ValueError, match="too few to calibrate"):
        fitted(few[:1], few, acceptable="x", unsure_below=0.5, command="y")
