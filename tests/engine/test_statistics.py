"""What the journal makes of the times that the loop tells it."""

import pytest

from app.engine.protocol import (
    SECONDS,
    TOKEN_SECONDS,
    Emitted,
    Failed,
    Hypothesis,
    ModelFigures,
    Scored,
    Spread,
    Times,
    Tokens,
)
from app.engine.scheduler import Part, Plan, Work
from app.engine.statistics import Journal

MODEL = "translate/1"
SOURCE = Tokens([1, 2, 3, 4])


def part(number: int, start: int, steps: int, *, rows: int = 1) -> Part:
    return Part(Work((b"f", number), MODEL, len(SOURCE.ids), rows), start, steps)


def journal() -> Journal:
    found = Journal(slots=8)
    found.loaded(MODEL, 2.0)
    return found


def sentence(*tokens: int) -> Emitted:
    return Emitted(1, [Hypothesis(list(tokens), [0.0] * (len(tokens) + 1), 0.0, "stop")])


def seconds(figures: ModelFigures) -> dict[str, tuple[int, float]]:
    """What was at least once."""
    names = ("answered", "failed", "waited", "consumed", "emitted")
    found = {name: getattr(figures, name) for name in names}
    return {name: (each.count, round(each.seconds, 9)) for name, each in found.items() if each.count}


def test_a_sentence_is_followed_from_its_arrival_to_its_end() -> None:
    written = journal()
    written.arrived((b"f", 1), MODEL, SOURCE, 10.0)
    written.ran(Plan(MODEL, (part(1, 0, 2),)), 10.5, 10.6)  # in two pieces
    written.ran(Plan(MODEL, (part(1, 2, 2),)), 10.7, 10.8)
    written.ran(Plan(MODEL), 10.8, 11.0)
    written.ran(Plan(MODEL), 11.0, 11.4)
    assert written.ended((b"f", 1), sentence(5, 6, 7), 11.4) == Times(1, 10.0, 10.5, 10.8, 11.0, 11.4)
    figures = written.figures({MODEL: 3})[MODEL]
    assert figures.queue.sum == pytest.approx(0.5)
    assert figures.first_token.sum == pytest.approx(1.0)
    assert figures.token.sum == pytest.approx(0.6 / 4)  # the end is a step, too
    assert (figures.source_tokens, figures.emitted_tokens, figures.rows, figures.slots) == (4, 3, 3, 8)
    assert seconds(figures) == {"answered": (1, 1.4), "waited": (1, 0.5), "consumed": (1, 0.3), "emitted": (1, 0.6)}
    assert (figures.executions, figures.last) == (4, 11.4)


def test_a_label_has_no_token() -> None:
    written = journal()
    written.arrived((b"f", 1), MODEL, SOURCE, 10.0)
    written.ran(Plan(MODEL, (part(1, 0, 4, rows=0),)), 10.5, 10.6)
    assert written.ended((b"f", 1), Scored(1, [1.0]), 10.6) == Times(1, 10.0, 10.5, 10.6, 0.0, 10.6)
    figures = written.figures({MODEL: 0})[MODEL]
    assert (sum(figures.queue.counts), sum(figures.first_token.counts), sum(figures.token.counts)) == (1, 0, 0)
    assert (figures.source_tokens, figures.emitted_tokens) == (4, 0)
    assert seconds(figures) == {"answered": (1, 0.6), "waited": (1, 0.5), "consumed": (1, 0.1)}


def test_what_fails_is_not_answered() -> None:
    written = journal()
    written.arrived((b"f", 1), MODEL, SOURCE, 10.0)
    written.ended((b"f", 1), Failed(1, "no"), 12.0)
    figures = written.figures({MODEL: 0})[MODEL]
    assert seconds(figures) == {"failed": (1, 2.0)}
    assert figures.last == 0


def test_what_was_cancelled_before_its_first_token_has_none() -> None:
    written = journal()
    written.arrived((b"f", 1), MODEL, SOURCE, 10.0)
    written.arrived((b"f", 2), MODEL, SOURCE, 10.0)
    written.ran(Plan(MODEL, (part(1, 0, 4), part(2, 0, 4))), 10.1, 10.2)
    written.cancelled((b"f", 1))
    written.ran(Plan(MODEL), 10.2, 10.3)
    assert sum(written.figures({MODEL: 1})[MODEL].first_token.counts) == 1


def test_a_version_that_is_loaded_anew_begins_anew() -> None:
    written = journal()
    written.arrived((b"f", 1), MODEL, SOURCE, 10.0)
    written.ran(Plan(MODEL, (part(1, 0, 4, rows=0),)), 10.5, 10.6)
    written.ended((b"f", 1), Scored(1, [1.0]), 10.6)
    written.unloaded(MODEL)
    assert written.figures({}) == {}
    written.loaded(MODEL, 3.0)
    assert written.figures({MODEL: 0})[MODEL].source_tokens == 0
    assert written.load_seconds.sum == pytest.approx(5.0)


def test_a_bound_belongs_to_its_bucket() -> None:
    for bounds in (SECONDS, TOKEN_SECONDS):
        spread = Spread.over(bounds)
        for value in (*bounds, 1000.0):
            spread.add(value, bounds)
        assert spread.counts == [1] * (len(bounds) + 1)
