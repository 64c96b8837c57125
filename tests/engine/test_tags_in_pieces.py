"""Long texts whose labels a CRF chooses together: piece by piece, with other requests between, and cancelled midway."""

from pathlib import Path

import pytest
import torch

from app.engine.decode import release
from app.engine.models import Models
from app.engine.protocol import Event, Tag, Tagged, Tokens
from app.models.crf import PIECE
from tests.engine.loop import Loop, load
from tests.engine.number_references import rows_of, tags_alone
from tests.engine.references import open_shipped
from tests.tiny_store import VOCABULARY

KEY = "tag-crf/1"
PIECES = 4


@pytest.fixture(scope="module")
def models(number_store: Path) -> Models:
    return load(Models(torch.device("cpu"), slots=8, precision="float32"), number_store, KEY)


def text(length: int) -> Tokens:
    generator = torch.Generator().manual_seed(length)
    return Tokens(torch.randint(4, VOCABULARY, (length,), generator=generator).tolist())


def begun(models: Models, answer: Tag) -> tuple[Loop, Tokens]:
    """A long text that is encoded and waits for its first piece."""
    loop, source = Loop(models), text(PIECES * PIECE + 1)
    loop.add(KEY, source, answer)
    loop.run(until=lambda: bool(models[KEY].in_pieces))
    return loop, source


def answer_in(events: list[Event]) -> Tagged:
    (event,) = events
    assert isinstance(event, Tagged)
    return event


def test_a_short_text_passes_a_long_one(models: Models, number_store: Path) -> None:
    loop, source = begun(models, Tag(scores=True))
    short = text(PIECE)
    loop.add(KEY, short, Tag(scores=True))
    loop.run(until=lambda: bool(loop.events[1]))
    assert not loop.events[0]
    loop.run()
    shipped = open_shipped(number_store, KEY)
    for number, of_request in enumerate((source, short)):
        labels, scores = tags_alone(shipped, of_request)
        answer = answer_in(loop.events[number])
        assert answer.labels == labels
        assert answer.scores is not None
        torch.testing.assert_close(rows_of(answer.scores), scores, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("scores", "turns"), [(False, 2 * PIECES + 1), (True, 3 * PIECES + 1)])
def test_marginals_are_computed_for_those_who_want_them(models: Models, scores: bool, turns: int) -> None:
    """Viterbi's way forward and back, then the sums of both directions together."""
    loop, _ = begun(models, Tag(scores=scores))
    for _ in range(turns):
        assert not loop.events[0]
        loop.turn()
    assert (answer_in(loop.events[0]).scores is not None) is scores


def test_texts_of_one_batch_get_what_each_wants(models: Models) -> None:
    loop, source = Loop(models), text(20)
    for scores in (False, True, False):
        loop.add(KEY, source, Tag(scores=scores))
    assert len(loop.turn().chunks) == 3
    answers = [answer_in(loop.events[number]) for number in range(3)]
    assert [answer.scores is not None for answer in answers] == [False, True, False]
    assert answers[0].labels == answers[1].labels == answers[2].labels


def test_a_text_can_be_cancelled_between_two_pieces(models: Models) -> None:
    loop, _ = begun(models, Tag())
    loop.turn()
    (request,) = models[KEY].in_pieces
    loop.scheduler.remove(request.key)
    release(models[KEY], request)
    assert loop.turn().is_idle
    assert not loop.events[0]
    assert not models[KEY].in_pieces
