"""The service over the shipped checkpoints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import PATIENCE
from tests.service.serving import serving

STORE = Path(__file__).parents[2] / "model_store"


@pytest.fixture(scope="session")
def shipped_service() -> Iterator[str]:
    """Address of `unroll serve` over `model_store/`."""
    with serving(STORE, "--engines", "1") as served:
        yield served.address


@pytest.fixture
def http(shipped_service: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shipped_service, timeout=PATIENCE + 20) as client:
        yield client


def results_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The results in an answer, which is no problem."""
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def rounded(value: Any) -> Any:
    """Floats nearly as they are: kernels of other processors differ in the last places, and 8 bits in the second. A
    confidence rises steeply with the score."""
    if isinstance(value, dict):
        return {
            key: pytest.approx(item, abs=0.1) if key == "confidence" and isinstance(item, float) else rounded(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return pytest.approx(value, rel=0.02, abs=0.03) if isinstance(value, float) else value
