"""Requests of the largest size to a service of processes: other requests are answered meanwhile."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.large_answers import REQUESTS, probes_beside
from tests.service.serving import serving


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
def test_health_is_answered_beside_the_largest_requests(tiny_store: Path, name: str) -> None:
    with serving(tiny_store) as served:
        seconds, size = probes_beside(urlsplit(served.address).netloc, *REQUESTS[name])
    assert size > 1_000_000
    assert len(seconds) > 50
