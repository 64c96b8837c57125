"""Fixtures of the tests of the HTTP interface."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.api.operations import ADMIN_KEY
from tests.conftest import serving_store
from tests.tiny_numbers import FRAME_SIZE, publish_numbers
from tests.tiny_store import drafts, make_tiny_store, publish_tiny, tiny_tokenizer

MOST_FRAMES = 20  # of a request to `number_server`


@pytest.fixture(scope="session")
def endless(server: str) -> str:
    """A text whose translation by the tiny store's model ends only at `max_tokens`, with a limit of 4000."""
    for number in range(20):
        text = f"save the file {number}"
        answer = httpx.post(f"{server}/v1/translate", json={"inputs": text, "max_tokens": 4000})
        if answer.json()["results"][0]["finish_reason"] == "length":
            return text
    raise AssertionError("the tiny translator ends every text; choose other weights")


def with_more_time(ask: Callable[[int], httpx.Response]) -> httpx.Response:
    """The first answer with a part of a text, by growing timeouts in milliseconds: a busy machine has none at first."""
    for milliseconds in (20, 100, 400, 1600, 6400):
        answer = ask(milliseconds)
        if answer.status_code != 504:
            break
    return answer


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the tiny models of all tasks; not to be changed by a test."""
    folder = tmp_path_factory.mktemp("every-kind")
    store = make_tiny_store(folder)
    publish_numbers(store, folder)
    translator = next(draft for draft in drafts() if draft.task == "translation")
    by_sentence = {"name": "translate-one-sentence", "one_sentence": True, "default": False}
    publish_tiny(translator.model_copy(update=by_sentence), store, tiny_tokenizer(folder))
    return store


@pytest.fixture(scope="session")
def every_kind_server(every_kind: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server over the tiny models of all tasks."""
    folder = tmp_path_factory.mktemp("every-kind-server")
    with serving_store(every_kind, folder, max_inputs=64, max_frames=24) as address:
        yield address


@pytest.fixture
def kinds(every_kind_server: str) -> Iterator[httpx.Client]:
    """A client of the server over all tasks."""
    with httpx.Client(base_url=every_kind_server) as client:
        yield client


@pytest.fixture(scope="module")
def administered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server for one module, which may unload models with `ADMIN_KEY`."""
    folder = tmp_path_factory.mktemp("administered")
    store = make_tiny_store(folder)
    key = SecretStr(ADMIN_KEY)
    with serving_store(store, folder, admin_key=key, max_body_bytes=3_000_000, max_inputs=64) as address:
        yield address


@pytest.fixture(scope="session")
def number_server(number_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server over the tiny models of series, frames and tags."""
    folder = tmp_path_factory.mktemp("number-server")
    sources: dict[str, Any] = {"max_series_steps": 5000, "max_windows": 200, "max_window_numbers": 3000}
    sources["max_request_pixels"] = MOST_FRAMES * FRAME_SIZE**2
    answers: dict[str, Any] = {"max_horizon": 9000, "max_answer_numbers": 600_000, "max_pending_steps": 4_000_000}
    with serving_store(number_store, folder, **sources, **answers) as address:
        yield address


@pytest.fixture
def numbers(number_server: str) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=number_server) as client:
        yield client
