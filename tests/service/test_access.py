"""Keys of `unroll serve`: several front ends, and no secret where others can read it."""

import json
import signal
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from app.api.access.keys import hash_of, new_token
from tests.conftest import PATIENCE
from tests.service.serving import Served, started, until

TEXT = {"inputs": "a warm and funny film"}
ADDRESS = r"http://[\d.]+:\d+"


def command(store: Path, *options: str) -> list[str]:
    common = ["--store", str(store), "--port", "0", "--devices", "cpu", "--engines", "1"]
    return [sys.executable, "-m", "app", "serve", *common, *options]


def ask(served: Served, **headers: str) -> int:
    return httpx.post(f"{served.address}/v1/sentiment", json=TEXT, headers=headers, timeout=PATIENCE).status_code


def end(served: Served) -> str:
    """End the service. Returns all its output."""
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(PATIENCE) == 0
    return served.whole_log()


@pytest.mark.slow  # several services are started
def test_two_workers_know_the_keys_and_local_sees_them(tiny_store: Path, tmp_path: Path) -> None:
    in_file, in_environment, admin, password = (new_token() for _ in range(4))
    file = tmp_path / "keys.toml"
    file.write_text(f'[[keys]]\nname = "a"\nhash = "{hash_of(in_file.encode())}"\n')
    environment = {
        "UNROLL_API_KEYS": json.dumps({"keys": [{"name": "b", "hash": hash_of(in_environment.encode())}]}),
        "UNROLL_ADMIN_KEY": admin,
        "UNROLL_RATE_LIMIT_STORAGE": f"redis://:{password}@127.0.0.1:9/0",  # no process is there
        "UNROLL_RATE_LIMIT": "1000/hour",
    }
    options = ("--workers", "2", "--api-keys-file", str(file), "--log-level", "debug", "--host", "0.0.0.0")
    with started(command(tiny_store, *options), ADDRESS, **environment) as served:
        until(lambda: len(served.workers()) == 2)
        for _ in range(8):  # a connection each, to reach both front ends
            assert [ask(served, Authorization=f"Bearer {key}") for key in (in_file, in_environment, admin)] == [200] * 3
            assert ask(served, Authorization=f"Bearer {password}") == 401
        commands = [process.cmdline() for process in (psutil.Process(served.process.pid), *served.workers())]
        file.write_text("keys = []")
        until(lambda: all(ask(served, **{"X-API-Key": in_file}) == 401 for _ in range(8)))
        printed = end(served)
    assert "Every request needs a key." in printed
    assert "Redis failed" in printed
    for secret in (in_file, in_environment, admin, password):
        assert secret not in printed
        assert not any(secret in argument for arguments in commands for argument in arguments)


@pytest.mark.slow  # several services are started
def test_without_keys_it_says_who_is_answered_and_believes_proxies_that_it_is_told_of(tiny_store: Path) -> None:
    limits = ("--limit-addresses", "--rate-limit", "1/hour")
    behind = ("--host", "0.0.0.0", "--open", "--trusted-proxies", "127.0.0.0/8")
    local = "Listening on 127.0.0.1 only; no keys are set."
    public = "other machines can reach 0.0.0.0, and only administration needs a key: everyone can use the tasks."
    for options, admin, said, statuses in (
        ((), "", local, [200, 429]),
        (behind, new_token(), public, [200, 200]),
    ):
        with started(command(tiny_store, *limits, *options), ADDRESS, UNROLL_ADMIN_KEY=admin) as served:
            assert [ask(served, **{"X-Forwarded-For": f"192.0.2.{last}"}) for last in (1, 2)] == statuses
            assert ask(served, **{"X-Forwarded-For": "192.0.2.1"}) == 429
            assert said in end(served)
