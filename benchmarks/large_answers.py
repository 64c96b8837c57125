"""The delay of other requests beside answers of the largest size: `python -m benchmarks.large_answers`."""

import http.client
import json
import threading
import time
from pathlib import Path

import click

from benchmarks.options import ENGINES, STORE
from benchmarks.report import heading, table
from benchmarks.service import running_service

_TEXTS = [f"the plot makes {number}" for number in range(16)]
_WIDEST = {"max_tokens": 1024, "min_tokens": 1024, "logprobs": 20}  # with 16 inputs, 983,040 numbers
REQUESTS: dict[str, tuple[str, dict[str, object]]] = {
    "whole": ("/v1/complete", {"inputs": _TEXTS, **_WIDEST}),
    "streamed": ("/v1/complete", {"inputs": _TEXTS, **_WIDEST, "stream": True}),
    "openai": ("/v1/completions", {"model": "lm-en", "prompt": _TEXTS, "n": 4, "max_tokens": 1024, "logprobs": 5}),
}
_PAUSE = 0.003  # seconds between two probes


def probes_beside(netloc: str, path: str, body: dict[str, object]) -> tuple[list[float], int]:
    """Seconds of each `GET /healthz` while the request is answered, and the bytes of its answer."""
    sizes: list[int] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(netloc, timeout=120)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        sizes.append(len(answer.read()) if answer.status == http.client.OK else 0)

    asking = threading.Thread(target=ask)
    asking.start()
    probe = http.client.HTTPConnection(netloc, timeout=120)
    seconds = []
    while asking.is_alive():
        began = time.perf_counter()
        probe.request("GET", "/healthz")
        probe.getresponse().read()
        seconds.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    asking.join()
    return seconds, sum(sizes)


@click.command()
@STORE
@ENGINES
def main(store: Path, engines: int) -> None:
    """Print a Markdown table of the milliseconds that `/healthz` takes beside each kind of answer."""
    click.echo(f"{heading('benchmarks.large_answers')}\n")
    rows = []
    with running_service(store, engines) as service:
        for name, (path, body) in REQUESTS.items():
            began = time.perf_counter()
            seconds, size = probes_beside(f"127.0.0.1:{service.port}", path, body)
            took = time.perf_counter() - began
            sample = sorted(seconds)
            shares = [1e3 * sample[int(share * (len(sample) - 1))] for share in (0.5, 0.95, 0.99, 1)]
            figures = [f"{size / 1e6:.1f}", f"{took:.1f}", str(len(sample)), *(f"{share:.1f}" for share in shares)]
            rows.append([name, *figures])
    heads = ["answer", "MB", "seconds", "probes", "p50 ms", "p95 ms", "p99 ms", "largest ms"]
    click.echo(table(heads, rows, words=heads[:1]))


if __name__ == "__main__":
    main()
