"""The figures that follow from the times of requests."""

import gc

import pytest

from app.engine.cost import cost_of
from app.engine.figures import SECONDS, TOKEN_SECONDS, Histogram, ModelFigures
from app.engine.protocol import (
    AnswerSpec,
    Decode,
    Decoded,
    Failed,
    Forecast,
    Forecasted,
    Hypothesis,
    Label,
    Labelled,
    Series,
    Table,
    Times,
    Tokens,
)
from app.engine.request import Chunk, Request, whole
from app.engine.scheduler import Plan, Scheduler
from app.engine.statistics import Statistics

MODEL = "translate/1"
SOURCE = Tokens([1, 2, 3, 4])


def request(number: int, answer: AnswerSpec) -> Request:
    return Request((b"f", number), MODEL, SOURCE, answer, cost_of(SOURCE, answer))


def statistics() -> Statistics:
    found = Statistics(slots=8)
    found.loaded(MODEL, 2.0)
    return found


def sentence(*tokens: int) -> Decoded:
    return Decoded(1, [Hypothesis(list(tokens), [0.0] * (len(tokens) + 1), 0.0, "stop")])


def seconds(figures: ModelFigures) -> dict[str, tuple[int, float]]:
    """The times with at least one event."""
    names = ("answered", "failed", "waited", "encoded", "decoded")
    found = {name: getattr(figures, name) for name in names}
    return {name: (each.count, round(each.seconds, 9)) for name, each in found.items() if each.count}


def test_a_sentence_is_followed_from_its_arrival_to_its_end() -> None:
    written = statistics()
    one = request(1, Decode(9))
    written.arrived(one, 10.0)
    written.executed(Plan(MODEL, (Chunk(one, 0, 2),)), 10.5, 10.6)
    written.executed(Plan(MODEL, (Chunk(one, 2, 2),)), 10.7, 10.8)
    written.executed(Plan(MODEL), 10.8, 11.0)
    written.executed(Plan(MODEL), 11.0, 11.4)
    assert written.ended(one, sentence(5, 6, 7), 11.4) == Times(1, 10.0, 10.5, 10.8, 11.0, 11.4)
    figures = written.figures({MODEL: 3})[MODEL]
    assert figures.queue.sum == pytest.approx(0.5)
    assert figures.first_token.sum == pytest.approx(1.0)
    assert figures.token.sum == pytest.approx(0.6 / 4)  # the end is a step, too
    assert (figures.source_tokens, figures.decoded_tokens, figures.rows, figures.slots) == (4, 3, 3, 8)
    assert seconds(figures) == {"answered": (1, 1.4), "waited": (1, 0.5), "encoded": (1, 0.3), "decoded": (1, 0.6)}
    assert (figures.executions, figures.last_answered) == (4, 11.4)


def test_a_label_has_no_token() -> None:
    written = statistics()
    one = request(1, Label())
    written.arrived(one, 10.0)
    written.executed(Plan(MODEL, (whole(one),)), 10.5, 10.6)
    assert written.ended(one, Labelled(1, [1.0]), 10.6) == Times(1, 10.0, 10.5, 10.6, 0.0, 10.6)
    figures = written.figures({MODEL: 0})[MODEL]
    assert (sum(figures.queue.counts), sum(figures.first_token.counts), sum(figures.token.counts)) == (1, 0, 0)
    assert (figures.source_tokens, figures.decoded_tokens) == (4, 0)
    assert seconds(figures) == {"answered": (1, 0.6), "waited": (1, 0.5), "encoded": (1, 0.1)}


def test_a_window_that_is_read_anew_has_started_once() -> None:
    written = statistics()
    window = Series(Table(1, bytes(4 * 6)))
    answer = Forecast(3)
    one = Request((b"f", 1), MODEL, window, answer, cost_of(window, answer))
    written.arrived(one, 10.0)
    for turn in range(3):
        written.executed(Plan(MODEL, (whole(one),)), 10.5 + turn, 10.6 + turn)
    assert written.ended(one, Forecasted(1, Table(1, bytes(12))), 12.6) == Times(1, 10.0, 10.5, 10.6, 0.0, 12.6)
    figures = written.figures({MODEL: 0})[MODEL]
    assert (sum(figures.queue.counts), figures.executions) == (1, 3)
    assert seconds(figures) == {"answered": (1, 2.6), "waited": (1, 0.5), "encoded": (1, 0.1), "decoded": (1, 2.0)}


def alive() -> int:
    """Requests that something keeps."""
    gc.collect()
    return sum(type(each) is Request for each in gc.get_objects())


def test_a_forecast_has_its_first_numbers_once_its_series_is_encoded() -> None:
    written, series, answer = statistics(), Series(Table(1, bytes(4 * 6))), Forecast(1)
    one = Request((b"f", 1), MODEL, series, answer, cost_of(series, answer))
    written.arrived(one, 10.0)
    one.made.append(Table(1, bytes(4)))
    written.executed(Plan(MODEL, (whole(one),)), 10.5, 10.6)
    assert written.ended(one, Forecasted(1, Table(1, bytes(4))), 10.6).first_token == 10.6
    figures = written.figures({MODEL: 0})[MODEL]
    assert sum(figures.first_token.counts) == 1


@pytest.mark.parametrize("how", ["answered", "failed", "cancelled", "cancelled before it ran"])
def test_nothing_keeps_a_request_that_has_ended_without_a_unit(how: str) -> None:
    """Its source may have megabytes, and the next unit of its model may never come."""
    written, before = statistics(), alive()
    scheduler = Scheduler(budget=100, slots=8, unit=6)
    scheduler.register(MODEL)
    for number in range(5):
        one = request(number, Forecast(1))
        written.arrived(one, 10.0)
        scheduler.add(one)
        plan = scheduler.plan()
        if how == "cancelled before it ran":  # its front end is gone
            scheduler.remove(one.key)
            written.cancelled(one)
        written.executed(plan, 10.1, 10.2)
        if how.startswith("cancelled"):
            scheduler.remove(one.key)
            written.cancelled(one)
        else:
            written.ended(one, Failed(number, "no") if how == "failed" else Forecasted(number, Table(1, b"")), 10.2)
            scheduler.remove(one.key)
        del one, plan
    assert alive() == before


def test_what_fails_is_not_answered() -> None:
    written = statistics()
    one = request(1, Label())
    written.arrived(one, 10.0)
    written.ended(one, Failed(1, "no"), 12.0)
    figures = written.figures({MODEL: 0})[MODEL]
    assert seconds(figures) == {"failed": (1, 2.0)}
    assert figures.last_answered == 0


def test_what_was_cancelled_before_its_first_token_has_none() -> None:
    written = statistics()
    one, other = request(1, Decode(9)), request(2, Decode(9))
    scheduler = Scheduler(budget=100, slots=8, unit=6)
    scheduler.register(MODEL)
    for each in (one, other):
        written.arrived(each, 10.0)
        scheduler.add(each)
    written.executed(scheduler.plan(), 10.1, 10.2)
    removed = scheduler.remove(one.key)
    assert removed is one
    written.cancelled(one)
    written.executed(scheduler.plan(), 10.2, 10.3)
    assert (one.first_token, other.first_token) == (0.0, 10.3)
    assert sum(written.figures({MODEL: 1})[MODEL].first_token.counts) == 1


def test_a_version_that_is_loaded_anew_begins_anew() -> None:
    written = statistics()
    one = request(1, Label())
    written.arrived(one, 10.0)
    written.executed(Plan(MODEL, (whole(one),)), 10.5, 10.6)
    written.ended(one, Labelled(1, [1.0]), 10.6)
    written.unloaded(MODEL)
    assert written.figures({}) == {}
    written.loaded(MODEL, 3.0)
    assert written.figures({MODEL: 0})[MODEL].source_tokens == 0
    assert written.load_seconds.sum == pytest.approx(5.0)


def test_a_bound_belongs_to_its_bucket() -> None:
    for bounds in (SECONDS, TOKEN_SECONDS):
        histogram = Histogram.empty(bounds)
        for value in (*bounds, 1000.0):
            histogram.add(value, bounds)
        assert histogram.counts == [1] * (len(bounds) + 1)
