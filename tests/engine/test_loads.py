"""Loads that are asked for more than once, fail, or come while the version is checked."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from app.engine.models import Models
from app.engine.protocol import Failed, Load, Loaded, NotLoaded
from app.engine.request import Output
from app.engine.scheduler import Scheduler
from app.engine.statistics import Statistics
from app.engine.versions import Reply, Versions
from app.store.listing import list_store
from tests.engine.test_scheduler import request as a_request
from tests.service.versions import put_version
from tests.store.test_regular_files import no_descriptor_free

NAME = "sentiment-en"
KEY = f"{NAME}/1"
FRONT_END, OTHER = b"front end", b"other"


class Loads:
    """The versions of a store, as the loop of an engine advances them."""

    def __init__(self, store: Path) -> None:
        self.scheduler = Scheduler(budget=60, slots=4, unit=6)
        self.statistics = Statistics(4)
        self.versions = Versions(Models(torch.device("cpu"), slots=4), self.scheduler, self.statistics, lambda _: None)
        listing = list_store(store)
        self.versions.begin({key: str(folder) for key, folder in listing.folders.items()}, listing.defaults)
        self.replies: list[Reply] = []
        self.outputs: list[Output] = []

    def advance(self, until: Callable[[], bool]) -> None:
        """Turns of the loop until the condition holds."""
        end = time.monotonic() + 100
        while not until():
            assert time.monotonic() < end, "it did not happen"
            replies, outputs = self.versions.advance()
            self.replies += replies
            self.outputs += outputs
            for request, _ in outputs:
                self.scheduler.remove(request.key)
            time.sleep(0.001)

    def settle(self) -> None:
        self.advance(lambda: not self.versions.are_changing and not self.versions._unchecked)


def damage(store: Path) -> None:
    weights = store / KEY / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    """A store in which `KEY` is not a default version."""
    shutil.copytree(tiny_store / NAME, tmp_path / "store" / NAME)
    put_version(tmp_path / "store", NAME, 2)
    return tmp_path / "store"


def test_a_version_that_failed_is_not_loaded_again_for_the_same_request(store: Path) -> None:
    loads = Loads(store)
    loads.settle()
    damage(store)
    loads.versions.use(KEY)
    loads.scheduler.add(a_request(KEY))
    loads.advance(lambda: bool(loads.outputs))
    loads.settle()
    assert [type(event) for _, event in loads.outputs] == [Failed]
    assert loads.statistics.counters["load_failures"] == 1


def test_each_front_end_gets_one_reply_however_often_it_asks(store: Path) -> None:
    loads = Loads(store)
    for client in (FRONT_END, OTHER, FRONT_END, FRONT_END):
        assert loads.versions.load(client, Load(KEY, str(store / KEY))) == []
    loads.settle()
    assert loads.replies == [(FRONT_END, Loaded(KEY)), (OTHER, Loaded(KEY))]


def test_a_version_whose_check_fails_is_not_opened_for_a_load_that_came_meanwhile(store: Path) -> None:
    damage(store)
    loads = Loads(store)
    loads.advance(lambda: loads.versions._checking.key == KEY)
    while not loads.versions._checking.is_done:
        time.sleep(0.001)
    loads.versions.load(FRONT_END, Load(KEY, str(store / KEY)))
    loads.settle()
    ((client, reply),) = loads.replies
    assert client == FRONT_END
    assert isinstance(reply, NotLoaded)


def test_a_version_is_loaded_once_its_files_can_be_read(store: Path) -> None:
    """For a front end, which gets the reason, and for a request; neither makes the version broken."""
    loads = Loads(store)
    loads.settle()
    reason = "manifest.json cannot be read: Too many open files"
    with no_descriptor_free():
        loads.versions.load(FRONT_END, Load(KEY, str(store / KEY)))
        loads.settle()
        loads.versions.use(KEY)
        loads.scheduler.add(a_request(KEY))
        loads.advance(lambda: bool(loads.outputs))
    assert loads.replies == [(FRONT_END, NotLoaded(KEY, reason, "reading"))]
    ((_, event),) = loads.outputs
    assert isinstance(event, Failed)
    assert (event.not_loaded, event.gone) == (True, False)
    assert loads.versions.broken == {}
    loads.versions.load(FRONT_END, Load(KEY, str(store / KEY)))
    loads.settle()
    assert loads.replies[1:] == [(FRONT_END, Loaded(KEY))]
