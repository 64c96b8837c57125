"""Long texts whose labels a CRF chooses together: piece by piece, with other requests between, and cancelled midway."""

from pathlib import Path

import pytest
import torch

from app.engine.decode import release
from app.engine.models import Models
from app.engine.protocol import Event, Tag, Tagged, Terms, Tokens
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


@pytest.mark.parametrize("terms", [Terms(client="b"), Terms(client="a", group=1)], ids=["client", "group"])
def test_others_take_turns_with_many_long_texts(models: Models, terms: Terms) -> None:
    """Of another client, and of another HTTP request of the same one."""
    loop, pieces = Loop(models), 2
    for _ in range(4):
        loop.add(KEY, text(PIECES * PIECE + 1), Tag(), Terms(client="a"))
    loop.run(until=lambda: len(models[KEY].in_pieces) == 4)
    loop.add(KEY, text(pieces * PIECE + 1), Tag(), terms)
    turns = 0
    while not loop.events[4]:
        loop.turn()
        turns += 1
    assert turns <= 2 * (3 * pieces + 1) + 2  # each after a piece of another, and encoding
    loop.run()
    assert all(answer_in(events) for events in loop.events.values())
    assert loop.turn().is_idle


@pytest.mark.parametrize("scores", [False, True])
def test_the_probabilities_of_all_labels_are_sent_to_those_who_want_them(models: Models, scores: bool) -> None:
    """Viterbi's way forward and back, then the sums of both directions together."""
    loop, _ = begun(models, Tag(scores=scores))
    for _ in range(3 * PIECES + 1):
        assert not loop.events[0]
        loop.turn()
    answer = answer_in(loop.events[0])
    assert (answer.scores is not None) is scores
    assert len(answer.chosen) == PIECES * PIECE + 1


def test_texts_of_one_batch_get_what_each_wants(models: Models) -> None:
    loop, source = Loop(models), text(20)
    for scores in (False, True, False):
        loop.add(KEY, source, Tag(scores=scores))
    assert len(loop.turn().chunks) == 3
    answers = [answer_in(loop.events[number]) for number in range(3)]
    assert [answer.scores is not None for answer in answers] == [False, True, False]
    assert answers[0].labels == answers[1].labels == answers[2].labels
    assert answers[0].chosen == answers[1].chosen == answers[2].chosen
    assert answers[1].scores is not None
    assert (
        rows_of(answers[1].scores)[range(20), answers[1].labels].tolist() == rows_of(answers[1].chosen)[:, 0].tolist()
    )


def test_a_text_can_be_cancelled_between_two_pieces(models: Models) -> None:
    loop, _ = begun(models, Tag())
    loop.turn()
    (request,) = models[KEY].in_pieces
    loop.scheduler.remove(request.key)
    release(models[KEY], request)
    assert loop.turn().is_idle
    assert not loop.events[0]
    assert not models[KEY].in_pieces
