"""Models share an engine by time, as a client sees it."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.conftest import serving_store

BUSY_SECONDS = 3.0
LONG = {"inputs": ["save the changes before closing"] * 200, "min_tokens": 400, "max_tokens": 400}


@pytest.mark.slow
def test_a_model_that_served_for_long_does_not_wait_for_one_that_was_idle(tiny_store: Path, tmp_path: Path) -> None:
    """One text of the former beside a large request of the latter."""
    texts = {"inputs": ["a good film " * 150] * 64}
    with serving_store(tiny_store, tmp_path, max_inputs=256) as address, httpx.Client(base_url=address) as client:

        def served(path: str, body: object) -> float:
            """Seconds of a request."""
            began = time.monotonic()
            answer = client.post(path, json=body, timeout=60)
            assert answer.status_code == 200, answer.text
            return time.monotonic() - began

        with ThreadPoolExecutor(2) as pool:
            end = time.monotonic() + BUSY_SECONDS
            while time.monotonic() < end:
                served("/v1/sentiment", texts)
            large = pool.submit(served, "/v1/translate", LONG)
            time.sleep(0.3)
            waited = []
            while not large.done():
                waited.append(served("/v1/sentiment", {"inputs": "a good film"}))
            assert large.result() > 1.0
            assert len(waited) > 4  # with one that waits for its end there would be one, perhaps two
