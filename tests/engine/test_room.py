"""Room for a version beside models that are busy: as few of them as needed leave, and not before it is needed."""

from pathlib import Path

import pytest
import torch

from app.engine.models import Models
from app.engine.room import Room
from app.engine.scheduler import Scheduler
from app.store.model_store import inspect_version
from tests.engine.test_scheduler import request as a_request

LABELS, SENTENCES = "sentiment-en/1", "translate-en-ko/1"
NEEDED = 1000


class Busy:
    """Two models that run a request, and a memory in which `NEEDED` bytes have no room while both are loaded."""

    def __init__(self, store: Path) -> None:
        self.models = Models(torch.device("cpu"), slots=4)
        self.scheduler = Scheduler(budget=60, slots=4, unit=6)
        self.room = Room(self.models, self.scheduler)
        for key in (LABELS, SENTENCES):
            self.models.load(inspect_version(store / key))
            self.scheduler.register(key)
            self.room.use(key)
            self.scheduler.add(a_request(key))
        self.started()
        self.models.memory = self.models.bytes + NEEDED - 1

    def started(self) -> set[str]:
        """The models whose waiting requests start now."""
        models = set()
        for _ in range(8):
            plan = self.scheduler.plan()
            assert plan.model is not None
            self.scheduler.charge(plan.model, 1.0)
            models |= {chunk.request.model for chunk in plan.chunks}
        return models

    def ask_both(self) -> None:
        """A request for each, the least recently used one first."""
        for key in (LABELS, SENTENCES):
            self.room.use(key)
            self.scheduler.add(a_request(key))


@pytest.fixture
def busy(tiny_store: Path) -> Busy:
    return Busy(tiny_store)


def test_no_more_models_are_to_leave_than_the_room_needs(busy: Busy) -> None:
    """Also when the one that is to leave is the most recently used one meanwhile."""
    for now in (0.0, 2.0):
        assert not busy.room.make("new/1", NEEDED, now=now)
    busy.room.use(LABELS)
    for now in (2.1, 2.2, 2.3):
        assert not busy.room.make("new/1", NEEDED, now=now)
    busy.ask_both()
    assert busy.started() == {SENTENCES}


def test_a_model_is_to_leave_only_after_a_second_without_room(busy: Busy) -> None:
    """What a version waited for before it was its turn to be loaded does not count, nor does another one's wait."""
    assert not busy.room.make("other/1", NEEDED, now=100.0)
    for now in (104.0, 104.9):
        assert not busy.room.make("new/1", NEEDED, now=now)
    busy.ask_both()
    assert busy.started() == {LABELS, SENTENCES}
    assert not busy.room.make("new/1", NEEDED, now=105.1)
    busy.ask_both()
    assert busy.started() == {SENTENCES}
