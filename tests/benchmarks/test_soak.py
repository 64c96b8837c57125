"""The soak: ledger, judgements, report, a server that fails in every way, and a short soak of the real service."""

import asyncio
import json
import mmap
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from app.tasks.captioning import EXAMPLE_IMAGE
from benchmarks.soak.asking import Run, Sender
from benchmarks.soak.expectations import EXPECTED, Killed, judged
from benchmarks.soak.faults import client_ports
from benchmarks.soak.flatness import growths
from benchmarks.soak.kills import Kills
from benchmarks.soak.ledger import End, Ledger, Outcome
from benchmarks.soak.log_reader import LogReader
from benchmarks.soak.processes import Processes, Role, Sample, anonymous
from benchmarks.soak.questions import get
from benchmarks.soak.readings import ProblemInStream, Read, json_object, native, native_stream, openai_stream
from benchmarks.soak.report import Result, write_into
from benchmarks.soak.wire import Answer, Connection, Pace, request
from tests.service.serving import serving

PROBLEM = {"content-type": "application/problem+json"}
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def problem(slug: str, status: int, **headers: str) -> Answer:
    body = json.dumps({"type": f"/problems/{slug}", "status": status, "detail": "d"}).encode()
    return Answer(status, PROBLEM | headers, body)


def good(text: str, *, reason: str = "stop") -> Answer:
    body = json.dumps({"results": [{"text": text, "score": -1.0, "finish_reason": reason}]}).encode()
    return Answer(200, {"content-type": "application/json"}, body)


# The ledger


def test_a_request_ends_once() -> None:
    ledger = Ledger()
    entry = ledger.enter("clients", "GET /")
    ledger.close(entry, End(Outcome.ANSWERED))
    with pytest.raises(AssertionError, match="two ends"):
        ledger.close(entry, End(Outcome.LOST))


def test_requests_without_an_end_are_lost() -> None:
    ledger = Ledger()
    ledger.close(ledger.enter("clients", "GET /"), End(Outcome.ANSWERED))
    ledger.enter("clients", "GET /")
    ledger.close_rest()
    assert ledger.sent["clients"] == ledger.outcomes.total() == 2
    assert ledger.total(Outcome.LOST) == 1
    assert "still unanswered" in ledger.failures[0]


# Judgements


@pytest.mark.parametrize(
    ("actor", "answer", "outcome"),
    [
        ("clients", good("yes"), Outcome.ANSWERED),
        ("clients", good("no"), Outcome.WRONG),
        ("clients", good("y", reason="deadline"), Outcome.WRONG),
        ("clients", Answer(200, {}, b"{"), Outcome.WRONG),
        ("clients", Answer(502, {}, b"Bad Gateway"), Outcome.LOST),
        ("clients", problem("overloaded", 429, **{"retry-after": "1"}), Outcome.REFUSED),
        ("clients", problem("overloaded", 429), Outcome.WRONG),
        ("clients", problem("overloaded", 503, **{"retry-after": "1"}), Outcome.WRONG),
        ("clients", problem("no-such-kind", 429), Outcome.WRONG),
        ("clients", problem("internal", 500), Outcome.LOST),
        ("clients", problem("timed-out", 504), Outcome.LOST),
        ("clients", problem("not-ready", 503, **{"retry-after": "2"}), Outcome.LOST),
        ("short deadlines", problem("timed-out", 504), Outcome.REFUSED),
        ("short deadlines", good("y", reason="deadline"), Outcome.ANSWERED),
        ("short deadlines", good("n", reason="deadline"), Outcome.WRONG),
        ("bad input", good("yes"), Outcome.WRONG),
        ("slow senders", Answer(408, {}, b""), Outcome.REFUSED),
        ("malformed HTTP", problem("overloaded", 429, **{"retry-after": "4"}), Outcome.REFUSED),
    ],
)
def test_an_answer_is_judged_by_what_its_actor_expects(actor: str, answer: Answer, outcome: Outcome) -> None:
    assert judged(EXPECTED[actor], answer, native, Read(("yes",), (-1.0,))).outcome is outcome


def test_not_ready_is_right_only_after_the_end_of_a_worker() -> None:
    answer = problem("not-ready", 503, **{"retry-after": "2"})
    assert judged(EXPECTED["clients"], answer, native, None, Killed(workers=1)).outcome is Outcome.REFUSED
    assert judged(EXPECTED["clients"], answer, native, None, Killed(engines=1)).outcome is Outcome.LOST


def test_a_request_may_fail_with_its_second_engine() -> None:
    answer = problem("engine-failed", 500)
    ends = [judged(EXPECTED["clients"], answer, native, None, Killed(engines_during=count)) for count in (1, 2)]
    assert [end.outcome for end in ends] == [Outcome.LOST, Outcome.REFUSED]


def test_a_stream_may_fail_with_its_engine_while_its_version_is_unloaded() -> None:
    answer = Answer(200, {}, b'event: error\ndata: {"type":"/problems/model-unavailable"}\n\n')
    ends = [judged(EXPECTED["clients"], answer, native_stream, None, Killed(engines_during=count)) for count in (0, 1)]
    assert [end.outcome for end in ends] == [Outcome.LOST, Outcome.REFUSED]


def test_a_process_that_hangs_dies_later() -> None:
    kills = Kills()
    kills.note(Role.ENGINE, within=60)
    kills.note(Role.ENGINE)
    assert kills.count(Role.ENGINE, time.monotonic() + 1) == 1
    assert kills.count(Role.FRONT_END, 0) == 0


def test_streams_are_read_whole() -> None:
    token = b'event: token\ndata: {"input":0,"text":"yes"}\n\n'
    result = b'event: result\ndata: {"input":0,"result":{"text":"%s","score":-1,"finish_reason":"stop"}}\n\n'
    done = b'event: done\ndata: {"usage":{}}\n\n'
    assert native_stream(token + b": keep-alive\n\n" + result % b"yes" + done) == Read(("yes",), (-1,))
    with pytest.raises(ValueError, match="instead of 'done'"):
        native_stream(token + result % b"yes")
    with pytest.raises(ValueError, match="is not the result's"):
        native_stream(token + result % b"no" + done)
    with pytest.raises(ProblemInStream, match="timed-out"):
        native_stream(token + b'event: error\ndata: {"type":"/problems/timed-out"}\n\n')
    with pytest.raises(ValueError, match="DONE"):
        openai_stream(b'data: {"choices":[{"text":"yes"}]}\n\n')


# Exchanges with a server that fails in every way


async def served(serve: Serve, ask: Callable[[Run], Awaitable[None]]) -> Ledger:
    """The ledger after `ask`."""
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        run = Run(server.sockets[0].getsockname()[1], [], "", 0)
        await ask(run)
        run.ledger.close_rest()
        return run.ledger


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def _ends_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")
    writer.close()


async def _chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("serve", "actor", "outcome"),
    [
        (_chunks, "probes", Outcome.ANSWERED),
        (_closes, "probes", Outcome.LOST),
        (_closes, "malformed HTTP", Outcome.REFUSED),
        (_ends_early, "probes", Outcome.LOST),
    ],
)
def test_the_end_of_an_exchange_is_in_the_ledger(serve: Serve, actor: str, outcome: Outcome) -> None:
    async def ask(run: Run) -> None:
        await Sender(run, actor).ask(get("/", json_object))

    ledger = asyncio.run(served(serve, ask))
    assert ledger.outcomes == Counter({(actor, outcome): 1})


def test_a_kept_connection_is_used_again() -> None:
    connections = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await _chunks(reader, writer)

    async def ask(run: Run) -> None:
        sender = Sender(run, "probes")
        for _ in range(3):
            await sender.ask(get("/", json_object))
        sender.hang_up()

    assert asyncio.run(served(counted, ask)).total(Outcome.ANSWERED) == 3
    assert connections == 1


def test_a_connection_may_close_only_if_its_own_worker_was_killed() -> None:
    async def ask(run: Run) -> None:
        for noted in (True, False):
            sender = Sender(run, "clients")
            async with sender.entered("GET /") as entry:
                connection = await sender.fresh()
                run.kills.note(Role.FRONT_END, [connection.port if noted else connection.port + 1])
                await connection.send(request("GET", "/", headers={}))
                await connection.answer()
            assert entry.end is not None
            assert entry.end.outcome is (Outcome.KILLED if noted else Outcome.LOST)

    asyncio.run(served(_closes, ask))


def test_a_retry_after_a_kill_is_counted() -> None:
    async def ask(run: Run) -> None:
        sender = Sender(run, "clients")
        connection = await sender.fresh()
        port = connection.port
        run.kills.note(Role.FRONT_END, range(1, 65536))  # every connection until now
        assert run.kills.ended(connection)
        assert port
        end = await sender.ask_again_if_killed(get("/", json_object))
        assert end.outcome is Outcome.LOST  # the connection is newer than the kill
        assert not run.retries

    asyncio.run(served(_closes, ask))


def test_a_port_that_is_used_again_is_not_of_the_kill() -> None:
    async def ask(run: Run) -> None:
        kills = Kills()
        old = await Connection.open(run.port)
        kills.note(Role.FRONT_END, [old.port])
        new = await Connection.open(run.port)
        new.port = old.port
        assert kills.ended(old)
        assert not kills.ended(new)
        old.close()
        new.close()

    asyncio.run(served(_closes, ask))


def test_a_slow_reader_takes_its_time() -> None:
    async def long(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n[" + b" " * 19998 + b"]")

    async def ask(run: Run) -> None:
        since = time.monotonic()
        await Sender(run, "slow readers").ask(get("/", json_object), pace=Pace(bytes_per_second=50_000, size=1000))
        assert time.monotonic() - since >= 0.35

    assert asyncio.run(served(long, ask)).total(Outcome.ANSWERED) == 1


def test_client_ports_are_those_of_a_process() -> None:
    async def ask(run: Run) -> None:
        connection = await Connection.open(run.port)
        await asyncio.sleep(0.05)
        assert connection.port in client_ports(os.getpid(), run.port)
        assert client_ports(os.getpid(), 1) == set()
        connection.close()

    asyncio.run(served(_closes, ask))


# Memory, log, report


def samples(pid: int, role: Role, sizes: list[float], *, born: float = -10) -> list[Sample]:
    """A sample each 10 s; sizes in MB."""
    taken = []
    for place, megabytes in enumerate(sizes):
        at, size = 10.0 * place, int(1e6 * megabytes)
        taken.append(Sample(at, role, pid, at - born, size, size, size, size, files=9, threads=3))
    return [sample for sample in taken if sample.age >= 0]


def result(ledger: Ledger, taken: list[Sample], *, problems: tuple[str, ...] = ()) -> Result:
    return Result(
        about="about",
        seconds=1000,
        ledger=ledger,
        growths=growths(taken, 1000),
        faults=Counter({"engine killed": 2}),
        retries=Counter(),
        slowest_recovery=1.5,
        most_growth=0.02,
        problems=problems,
    )


def test_growth_compares_the_first_third_with_the_last() -> None:
    leak = [100 + at / 10 for at in range(100)]
    (growth,) = growths(samples(1, Role.ENGINE, leak), 1000)
    assert growth.judged
    assert growth.share == pytest.approx(5.6 / 101.4, rel=0.05)
    (flat,) = growths(samples(1, Role.ENGINE, [50.0] * 12 + [100.0] * 88), 1000)  # the warm-up does not count
    assert flat.share == 0


def test_memory_that_comes_and_goes_with_the_load_is_no_growth_and_a_leak_beside_it_is() -> None:
    def loaded(leak: float) -> list[float]:
        """Three levels, of which the highest is more frequent in the second half."""
        return [600 + leak * at / 100 + 100 * (at % 3 if at < 50 else (0, 2, 2)[at % 3]) for at in range(100)]

    (growth,) = growths(samples(1, Role.ENGINE, loaded(0)), 1000)
    assert growth.median[1] > 1.1 * growth.median[0]
    assert growth.share == 0
    (growth,) = growths(samples(1, Role.ENGINE, loaded(40)), 1000)
    assert growth.share == pytest.approx(40 * 0.56 / 600, rel=0.1)


def test_a_short_soak_does_not_judge_memory() -> None:
    assert growths(samples(1, Role.ENGINE, [100.0 + at for at in range(30)]), 300) == []


def test_only_processes_that_lived_through_are_judged() -> None:
    taken = samples(1, Role.ENGINE, [100.0] * 100) + samples(2, Role.ENGINE, [200.0] * 100, born=400)
    taken += samples(3, Role.ENGINE, [200.0] * 100, born=50)  # too young for its warm-up to be over
    assert [growth.what for growth in growths(taken, 1000) if growth.judged] == ["engine, process 1"]


def test_a_soak_without_failures_passes() -> None:
    ledger = Ledger()
    ledger.close(ledger.enter("clients", "GET /"), End(Outcome.ANSWERED))
    passed = result(ledger, samples(1, Role.ENGINE, [100.0] * 100))
    assert passed.failures() == []
    assert "**Passed:** nothing lost, no wrong answer, memory grew by at most 0.0%." in passed.markdown()
    assert "| clients | 1 | 1 | 0 | 0 | 0 | 0 | 0 |" in passed.markdown()


def test_a_soak_names_every_reason_of_its_failure() -> None:
    ledger = Ledger()
    ledger.close(ledger.enter("clients", "GET /"), End(Outcome.WRONG, "no instead of yes"))
    ledger.enter("clients", "GET /")
    ledger.close_rest()
    failed = result(ledger, samples(1, Role.ENGINE, [100 + at for at in range(100)]), problems=("an actor failed",))
    assert [failure.split()[0] for failure in failed.failures()] == ["an", "1", "1", "memory"]
    assert "no instead of yes" in failed.markdown()


def test_the_report_replaces_its_part_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- soak -->\nold\n<!-- end of soak -->\nafter\n")
    write_into(page, "new\n")
    write_into(page, "newer\n")
    assert page.read_text() == "before\n<!-- soak -->\nnewer\n<!-- end of soak -->\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="has no part"):
        write_into(page, "new")


def test_a_log_reader_that_stops_fills_the_pipe(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with LogReader(path) as log:
        log.stop()
        time.sleep(0.3)
        os.set_blocking(log.descriptor, False)
        os.write(log.descriptor, b"x" * 4000)
        with pytest.raises(BlockingIOError):
            os.write(log.descriptor, b"y" * 4000)
        log.go_on()
    assert path.read_bytes() == b"x" * 4000


def test_anonymous_memory_is_what_a_process_allocates() -> None:
    before = anonymous(os.getpid())
    size = 20_000_000
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as taken:
        taken.write(bytes(size))
        assert anonymous(os.getpid()) - before > 0.9 * size


def test_the_roles_of_a_service(tiny_store: Path) -> None:
    """A process has a role as soon as it runs its program, and none when it ends."""
    with serving(tiny_store, "--engines", "1", "--workers", "2") as served:
        processes, seen = Processes(served.process.pid, workers=2), dict[int, set[Role]]()
        httpx.post(f"{served.address}/v1/caption", json={"inputs": EXAMPLE_IMAGE})
        for kills in range(3):
            (engine,) = processes.of(Role.ENGINE)
            engine.kill()
            end = time.monotonic() + 30
            while not any(process.pid != engine.pid for process in processes.of(Role.ENGINE)):
                for sample in processes.samples(0):
                    seen.setdefault(sample.pid, set()).add(sample.role)
                    assert sample.anonymous > 0
                assert time.monotonic() < end, kills
        for sample in processes.samples(0):
            seen.setdefault(sample.pid, set()).add(sample.role)
    assert all(len(roles) == 1 for roles in seen.values()), seen
    counted = Counter(role for (role,) in seen.values())
    assert counted.keys() == {Role.SUPERVISOR, Role.FRONT_END, Role.TEMPLATE, Role.ENGINE, Role.IMAGE_DECODER}
    assert (counted[Role.SUPERVISOR], counted[Role.FRONT_END]) == (1, 2)


# As a whole


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_short_soak_of_the_real_service_loses_nothing(tiny_store: Path, tmp_path: Path) -> None:
    faults = "log reader stopped,engine killed,worker killed,engine stopped,worker stopped"
    options = ["--store", str(tiny_store), "--output", str(tmp_path)]
    options += ["--minutes", "0.34", "--clients", "2", "--pace", "0.1", "--heartbeat", "5", "--growth", "1000"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", *options, "--faults", faults],
        capture_output=True,
        text=True,
        timeout=390,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "**Passed:**" in (tmp_path / "soak.md").read_text()
    assert (tmp_path / "soak.png").stat().st_size > 10_000
    figures = json.loads((tmp_path / "soak.json").read_text())
    assert figures["sent"].keys() == EXPECTED.keys()
    outcomes = Counter[str]()
    for name, count in figures["outcomes"].items():
        outcomes[name.rpartition(": ")[2]] += count
    assert outcomes.total() == sum(figures["sent"].values()) > 200
    for outcome in ("answered", "refused", "hung up"):
        assert outcomes[outcome] > 20, outcome
    assert {what for _, what in figures["faults"]} >= {"engine killed", "worker killed", "service terminated"}
    routes = figures["routes"]
    assert all(any(part in route for route in routes) for part in ("/v1/", "/v2/", "/hf/", "completions", "stream"))
