"""Each allocation of a run fails, one run for each: an answer is the undisturbed one, or a clear error."""

import logging
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from app.engine import forecast
from app.engine.faults import NO_MEMORY, NO_MEMORY_FOR_ALL
from app.engine.models import Models
from app.engine.protocol import (
    AnswerSpec,
    Decode,
    Decoded,
    Embed,
    Embedded,
    Event,
    Explain,
    Failed,
    Forecast,
    Forecasted,
    Frames,
    Label,
    Labelled,
    Pixels,
    Progress,
    Series,
    Source,
    Table,
    Tag,
    Tagged,
    Tokens,
    Values,
)
from app.store.model_store import open_version
from tests.engine.failing_allocations import FailingAllocations
from tests.engine.loop import Loop, load
from tests.engine.number_references import rows_of, series
from tests.engine.test_encode import one_way
from tests.engine.test_sampling import alternatives_of, attention_of
from tests.tiny_numbers import FRAME_SIZE
from tests.tiny_store import IMAGE_SIZE, VOCABULARY, publish_tiny, tiny_tokenizer

UNIT = 2
SENTIMENT, TRANSLATE, CAPTION = "sentiment-en/1", "translate-en-ko/1", "caption-en/1"
NUMBERS = [
    "tag-crf/1",
    "classify-frames/1",
    "forecast-tiny/1",
    "forecast-state/1",
    "forecast-decoder/1",
    "forecast-window/1",
]
Work = list[tuple[Source, AnswerSpec]]


@pytest.fixture(scope="module")
def whole(tiny_store: Path) -> Models:
    """Models that read a source in one go."""
    models = Models(torch.device("cpu"), slots=8, precision="float32")
    for key in (SENTIMENT, TRANSLATE, CAPTION):
        models.load(open_version(tiny_store / key))
    return models


@pytest.fixture(scope="module")
def divisible(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Models that read a source in parts."""
    folder = tmp_path_factory.mktemp("divisible")
    models = Models(torch.device("cpu"), slots=8, precision="float32")
    for draft in one_way("lstm"):
        models.load(open_version(publish_tiny(draft, folder / "store", tiny_tokenizer(folder))))
    return models


@pytest.fixture(scope="module")
def numbers(number_store: Path) -> Models:
    """Models over series, frames and tags."""
    return load(Models(torch.device("cpu"), slots=8, precision="float32"), number_store, *NUMBERS)


def run(models: Models, key: str, work: Work) -> dict[int, list[Event]]:
    """The events of each request, as the engine's loop gets them."""
    loop = Loop(models, budget=60, unit=UNIT)
    for source, answer in work:
        loop.add(key, source, answer)
    events = loop.run()
    assert models[key].rows == 0
    assert not models[key].in_pieces
    return events


def texts(*lengths: int) -> list[Tokens]:
    rng = random.Random(3)
    return [Tokens([rng.randrange(4, VOCABULARY) for _ in range(length)]) for length in lengths]


def images(count: int) -> list[Pixels]:
    rng = random.Random(4)
    return [Pixels(IMAGE_SIZE, rng.randbytes(3 * IMAGE_SIZE**2)) for _ in range(count)]


def tables(columns: int, *lengths: int) -> list[Series]:
    generator = torch.Generator().manual_seed(5)
    return [series(torch.randn(length, columns, generator=generator)) for length in lengths]


def clips(*counts: int) -> list[Frames]:
    rng = random.Random(6)
    return [Frames(FRAME_SIZE, count, rng.randbytes(3 * FRAME_SIZE**2 * count)) for count in counts]


def each(sources: Sequence[Source], *answers: AnswerSpec) -> Work:
    return list(zip(sources, answers, strict=True))


IN_PARTS = texts(3, 7, 11)
SHORT = texts(2, 4, 5)
PLAIN = Decode(4)
MANY = 16  # more than fail one after the other
CASES: dict[str, tuple[str, str, Work]] = {
    "labels in parts": ("divisible", SENTIMENT, each(IN_PARTS, *[Label()] * 3)),
    "sentences in parts": ("divisible", TRANSLATE, each(IN_PARTS, PLAIN, PLAIN, Decode(4, stream=True))),
    "labels": ("whole", SENTIMENT, each(SHORT, *[Label()] * 3)),
    "explanations": ("whole", SENTIMENT, each(SHORT, Label(), Label(Explain()), Label(Explain(0, 4)))),
    "plain": ("whole", TRANSLATE, each(SHORT, PLAIN, Decode(2), PLAIN)),
    "streams": ("whole", TRANSLATE, each(SHORT, *[Decode(length, stream=True) for length in (4, 2, 3)])),
    "beams": ("whole", TRANSLATE, each(SHORT, Decode(4, beams=3, n_best=2), Decode(3, beams=2), PLAIN)),
    "beams beside plain rows": (
        "whole",
        TRANSLATE,
        each(texts(5, 5, 5, 5), PLAIN, Decode(4, beams=2), Decode(3, alternatives=2), Decode(3, stream=True)),
    ),
    "options": (
        "whole",
        TRANSLATE,
        each(
            SHORT,
            Decode(3, temperature=0.8, top_k=9, seed=5, alternatives=3),
            Decode(3, attention=True, no_repeat_ngram=2, repetition_penalty=1.3),
            Decode(4, prefix=[7, 8], min_tokens=3, stream=True),
        ),
    ),
    "captions": ("whole", CAPTION, each(images(2), Decode(2, beams=2), Decode(3, attention=True))),
    "states beside labels": ("whole", SENTIMENT, each(SHORT, Embed("mean"), Label(), Embed("max"))),
    "states beside sentences": ("whole", TRANSLATE, each(SHORT, PLAIN, Embed(), PLAIN)),
    "tags": ("numbers", "tag-crf/1", each(SHORT, Tag(), Tag(scores=True), Embed())),
    "clips": ("numbers", "classify-frames/1", each(clips(2, 3), Label(), Label(Explain(0)))),
    "rows at once": (
        "numbers",
        "forecast-tiny/1",
        each(tables(3, *MANY * [6]), Forecast(3, states=True), *(MANY - 1) * [Forecast(2)]),
    ),
    "rows by state": (
        "numbers",
        "forecast-state/1",
        each(tables(2, 3, 9, 4), Forecast(5), Forecast(4, stream=True), Forecast(1, states=True)),
    ),
    "rows by state, in one batch": (
        "numbers",
        "forecast-state/1",
        each(tables(2, 4, 4, 4), Forecast(5, states=True), Forecast(4, stream=True), Forecast(1)),
    ),
    "rows by a decoder": (
        "numbers",
        "forecast-decoder/1",
        each(tables(3, 5, *(MANY - 1) * [3]), Forecast(5), *(MANY - 1) * [Forecast(3, stream=True)]),
    ),
    "rows by windows": ("numbers", "forecast-window/1", each(tables(1, 6, 6), Forecast(4), Forecast(3, stream=True))),
}


def test_the_cases_allocate_where_they_should(whole: Models) -> None:
    """The mode sees what fails: a run in which nothing can be allocated answers nothing."""
    _, key, work = CASES["plain"]
    with FailingAllocations(first=1, times=10**9) as mode:
        events = run(whole, key, work)
    assert mode.count > 0
    assert all(isinstance(of_request[-1], Failed) for of_request in events.values())


STEP = 1 if "UNROLL_FUZZ_SECONDS" in os.environ else 12  # `make fuzz` lets each allocation fail: twenty minutes
STEPS = pytest.mark.parametrize(
    ("step", "times"),
    [(17, 1), pytest.param(STEP, 1, marks=pytest.mark.slow), pytest.param(STEP, 12, marks=pytest.mark.slow)],
)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of errors are not logged."""
    caplog.set_level(logging.CRITICAL, logger="unroll.engine")


@STEPS
@pytest.mark.parametrize("case", CASES)
def test_an_allocation_that_fails_gives_no_wrong_answer(
    request: pytest.FixtureRequest, case: str, step: int, times: int
) -> None:
    fixture, key, work = CASES[case]
    fail_each(request.getfixturevalue(fixture), key, work, step, times)


def fail_each(models: Models, key: str, work: Work, step: int, times: int) -> None:
    """Run the work once for each allocation, or for each of `step` ones: this one and the next ones, `times` in all,
    fail."""
    expected = run(models, key, work)
    with FailingAllocations() as undisturbed:
        run(models, key, work)
    assert undisturbed.count > 20
    answered = failed = 0
    for first in range(1, undisturbed.count + 1, step):
        with FailingAllocations(first, times) as mode:
            events = run(models, key, work)
        assert mode.count >= first
        models[key].block = models[key].slots.capacity
        for number, of_request in events.items():
            if isinstance(of_request[-1], Failed):
                failed += 1
                assert of_request[-1].reason in (NO_MEMORY, NO_MEMORY_FOR_ALL)
            else:
                answered += 1
                assert_equal(of_request, expected[number])
    print(f"{undisturbed.count} allocations, {answered} answers, {failed} clear errors")
    assert answered
    assert_all_equal(run(models, key, work), expected)


@pytest.mark.parametrize(
    "case", ["rows at once", "rows by state, in one batch", "rows by a decoder", "rows by windows"]
)
def test_a_message_without_memory_gives_no_wrong_answer(
    numbers: Models, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Rows become messages after they are computed: what fails there runs again, and no row is kept twice."""
    _, key, work = CASES[case]
    expected = run(numbers, key, work)
    makers = {name: getattr(forecast, name) for name in ("table", "Table", "join_tables")}
    made, first = 0, 0

    def patch(name: str) -> None:
        def make(*parts: Any) -> Any:
            nonlocal made
            made += 1
            if made == first:
                raise MemoryError
            return makers[name](*parts)

        monkeypatch.setattr(forecast, name, make)

    for name in makers:
        patch(name)
    run(numbers, key, work)
    for failing in range(1, made + 1):
        made, first = 0, failing
        for number, events in run(numbers, key, work).items():
            if isinstance(events[-1], Failed):
                assert events[-1].reason in (NO_MEMORY, NO_MEMORY_FOR_ALL)
            else:
                assert_equal(events, expected[number])


def assert_all_equal(found: dict[int, list[Event]], expected: dict[int, list[Event]]) -> None:
    for number, events in found.items():
        assert_equal(events, expected[number])


def assert_equal(found: list[Event], expected: list[Event]) -> None:
    """The same answer; of a stream also, in the sum, the same parts."""
    assert _streamed(found) == _streamed(expected)
    last, reference = found[-1], expected[-1]
    if isinstance(reference, Labelled):
        assert isinstance(last, Labelled)
        assert last.scores == pytest.approx(reference.scores, abs=1e-5)
        assert last.explanation == reference.explanation
        return
    if isinstance(reference, Forecasted | Tagged | Embedded):
        assert_numbers_equal(last, reference)
        return
    assert isinstance(last, Decoded)
    assert isinstance(reference, Decoded)
    for mine, other in zip(last.hypotheses, reference.hypotheses, strict=True):
        assert (mine.tokens, mine.finish_reason) == (other.tokens, other.finish_reason)
        assert mine.log_probs == pytest.approx(other.log_probs, abs=1e-4)
        assert [[token for token, _ in step] for step in alternatives_of(mine)] == [
            [token for token, _ in step] for step in alternatives_of(other)
        ]
        assert [len(row) for row in attention_of(mine)] == [len(row) for row in attention_of(other)]


def assert_numbers_equal(found: Event, reference: Forecasted | Tagged | Embedded) -> None:
    """The same labels, and numbers that differ by no more than the order of sums does."""
    assert type(found) is type(reference)
    for name in found.__struct_fields__:
        mine, other = getattr(found, name), getattr(reference, name)
        if isinstance(other, Table):
            assert mine.columns == other.columns
            torch.testing.assert_close(rows_of(mine), rows_of(other), rtol=1e-5, atol=1e-5)
        else:
            assert mine == other


def _streamed(events: list[Event]) -> tuple[list[int], int]:
    """Tokens, and the number of rows."""
    tokens = [token for event in events if isinstance(event, Progress) for token in event.tokens]
    return tokens, sum(len(event.rows) for event in events if isinstance(event, Values))
