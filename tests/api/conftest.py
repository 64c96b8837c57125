"""What the tests of the HTTP edge share."""

import httpx
import pytest


@pytest.fixture(scope="session")
def endless(server: str) -> str:
    """A text whose translation by the tiny store's model ends only at `max_tokens`, 4000 at most."""
    for number in range(20):
        text = f"save the file {number}"
        answer = httpx.post(f"{server}/v1/translate", json={"inputs": text, "max_tokens": 4000}, timeout=60)
        if answer.json()["results"][0]["finish_reason"] == "length":
            return text
    raise AssertionError("the tiny translator ends every text; choose other weights")
