"""What a state saves and costs: `python -m benchmarks.states`. Figures of docs/state.md."""

import base64
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import psutil
from websockets.sync.client import ClientConnection, connect

from benchmarks.options import STORE
from benchmarks.report import heading, table
from benchmarks.service import Service, engines_of, running_service

_SENTENCE = "The film begins slowly, but the second half is warm and funny, and I would gladly see it again. "
_WORD = " and"
_FORKS = 64  # inputs of one request


@click.command()
@STORE
@click.option("--tokens", default=2000, show_default=True, help="Tokens of the prompt, at least.")
@click.option("--rounds", default=9, show_default=True, help="Measurements of each figure; the table has medians.")
@click.option("--streams", default=1000, show_default=True, help="Streams of pieces that are open at the same time.")
@click.option("--idle", default=20.0, show_default=True, help="Seconds without a piece.")
def main(store: Path, tokens: int, rounds: int, streams: int, idle: float) -> None:
    """Time to the first token with and without a state, bytes of states, forks a second, and open streams."""
    click.echo(f"{heading('benchmarks.states')}\n")
    with running_service(store, 1, "--state-secret", "benchmark", "--max-streams", str(streams)) as service:
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=120) as http:
            click.echo(_prefix(http, tokens, rounds) + "\n")
            click.echo(_sizes(http) + "\n")
        if streams:
            click.echo(_open_streams(service, streams, idle))


def _prefix(http: httpx.Client, tokens: int, rounds: int) -> str:
    """A prompt read anew, and a state after it."""
    prompt = _SENTENCE
    while (read := _usage(http, prompt)) < tokens:
        prompt += _SENTENCE * max(1, int(len(prompt) / len(_SENTENCE) * (tokens / read - 1)))
    state = _post(http, "states", {"inputs": prompt, "model": "lm-en"})["results"][0]["state"]
    without = {"inputs": prompt + _WORD, "model": "lm-en", "max_tokens": 1}
    carried = {"inputs": _WORD, "state": state, "max_tokens": 1}
    steps = [_post(http, "complete", body)["usage"]["source_tokens"] for body in (without, carried)]
    firsts = [[_first_token(http, body) for _ in range(rounds)] for body in (without, carried)]
    one = _rate(http, carried, rounds * 8)
    many = _rate(http, carried | {"inputs": [_WORD] * _FORKS}, rounds) * _FORKS
    rows = [
        ["tokens read", *(f"{count:,}" for count in steps)],
        ["time to the first token, ms", *(f"{statistics.median(times) * 1000:.1f}" for times in firsts)],
        ["forks a second, one after the other", "", f"{one:,.0f}"],
        [f"forks a second, {_FORKS} in one request", "", f"{many:,.0f}"],
    ]
    return table(["", "without a state", "with a state"], rows, words=("",))


def _usage(http: httpx.Client, prompt: str) -> int:
    answer = _post(http, "complete", {"inputs": prompt, "model": "lm-en", "max_tokens": 1})
    return int(answer["usage"]["source_tokens"])


def _first_token(http: httpx.Client, body: dict[str, Any]) -> float:
    """Seconds until the first event of a stream."""
    began = time.perf_counter()
    with http.stream("POST", "/v1/complete", json=body | {"stream": True}) as answer:
        next(answer.iter_bytes())
        return time.perf_counter() - began


def _rate(http: httpx.Client, body: dict[str, Any], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        _post(http, "complete", body)
    return count / (time.perf_counter() - began)


def _sizes(http: httpx.Client) -> str:
    """The state of each model of the store after a sentence, and why others have none."""
    rows = []
    for entry in sorted(http.get("/v1/models").json()["models"], key=lambda model: str(model["name"])):
        if entry["source"] != "text":
            continue
        answer = http.post("/v1/states", json={"inputs": _SENTENCE, "model": entry["name"]})
        if answer.status_code == 200:
            state = answer.json()["results"][0]["state"]
            rows.append([f"`{entry['name']}`", f"{len(state):,}", f"{len(base64.urlsafe_b64decode(state + '==')):,}"])
        else:
            rows.append([f"`{entry['name']}`", "none", ""])
    return table(["state of", "characters", "bytes"], rows, words=("state of",))


def _open_streams(service: Service, count: int, idle: float) -> str:
    """What open streams cost while no piece comes."""
    front = psutil.Process(service.pid)
    engines = engines_of(front)
    without = _work_of_idle(front, engines, idle)
    memory = front.memory_info().rss
    began = time.perf_counter()
    with _streams(service, count) as streams:
        for stream in streams:
            stream.send(json.dumps({"inputs": "A warm, funny film ", "model": "sentiment-en"}))
        for stream in streams:
            assert "results" in json.loads(stream.recv(timeout=120))
        answered = time.perf_counter() - began
        grown = front.memory_info().rss - memory
        within = _work_of_idle(front, engines, idle)
        times = []
        for stream in streams[:100]:
            sent = time.perf_counter()
            stream.send(json.dumps({"inputs": "that I would see again "}))
            stream.recv(timeout=120)
            times.append(time.perf_counter() - sent)
    rows = [
        ["first pieces of all answered after, s", "", f"{answered:.1f}"],
        [f"processor time of the front end in {idle:g} s without a piece, s", f"{without[0]:.2f}", f"{within[0]:.2f}"],
        [f"processor time of the engine in {idle:g} s without a piece, s", f"{without[1]:.2f}", f"{within[1]:.2f}"],
        ["memory of the front end for each, kB", "", f"{grown / count / 1000:.0f}"],
        ["a later piece, ms", "", f"{statistics.median(times) * 1000:.1f}"],
    ]
    return table(["", "no stream", f"{count:,} open streams"], rows, words=("",))


def _work_of_idle(front: psutil.Process, engines: list[psutil.Process], seconds: float) -> list[float]:
    """Processor seconds of the front end and of its engines while nothing is sent."""
    before = [_worked(front), sum(map(_worked, engines))]
    time.sleep(seconds)
    return [_worked(front) - before[0], sum(map(_worked, engines)) - before[1]]


@contextmanager
def _streams(service: Service, count: int) -> Iterator[list[ClientConnection]]:
    address = f"ws://127.0.0.1:{service.port}/v1/sentiment/stream"
    with ExitStack() as stack:
        yield [stack.enter_context(connect(address, compression=None, ping_interval=None)) for _ in range(count)]


def _worked(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def _post(http: httpx.Client, task: str, body: dict[str, Any]) -> Any:
    answer = http.post(f"/v1/{task}", json=body)
    answer.raise_for_status()
    return answer.json()


if __name__ == "__main__":
    main()
