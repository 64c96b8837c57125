"""Requests of the largest size to a service of processes: other requests are answered meanwhile."""

import http.client
import json
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.service.serving import serving

TEXTS = [f"the plot makes {number}" for number in range(16)]
WIDEST = {"max_tokens": 1024, "min_tokens": 1024, "logprobs": 20}  # with 16 inputs, 983,040 numbers
REQUESTS = {
    "whole": ("/v1/complete", {"inputs": TEXTS, **WIDEST}),
    "streamed": ("/v1/complete", {"inputs": TEXTS, **WIDEST, "stream": True}),
    "openai": ("/v1/completions", {"model": "lm-en", "prompt": TEXTS, "n": 4, "max_tokens": 1024, "logprobs": 5}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
def test_health_is_answered_beside_the_largest_requests(tiny_store: Path, name: str) -> None:
    """Other processes may take the processor for longer than 20 ms, so a few probes may be later."""
    with serving(tiny_store) as served:
        host = urlsplit(served.address).netloc
        path, body = REQUESTS[name]
        sizes: list[int] = []

        def ask() -> None:
            connection = http.client.HTTPConnection(host, timeout=120)
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200
            sizes.append(len(answer.read()))

        asking = threading.Thread(target=ask)
        asking.start()
        probe = http.client.HTTPConnection(host, timeout=120)
        seconds = []
        while asking.is_alive():
            began = time.perf_counter()
            probe.request("GET", "/healthz")
            probe.getresponse().read()
            seconds.append(time.perf_counter() - began)
            time.sleep(0.003)
        asking.join()
    assert sizes[0] > 1_000_000
    assert len(seconds) > 50
    assert sorted(seconds)[int(0.95 * len(seconds))] < 0.02
    assert max(seconds) < 1
