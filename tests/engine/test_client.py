"""What the client does when engines end, hang or come late: with real engine processes, which the tests kill."""

import asyncio
import fcntl
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from app.desired_state import DesiredState
from app.engine.client import Asked, EngineClient
from app.engine.config import EngineConfig
from app.engine.forking import EngineTemplate
from app.engine.process import EngineProcesses, engine_devices, on_device
from app.engine.protocol import Decode, Decoded, Label, Labelled, Pixels, Progress, Status, Terms, Tokens
from app.errors import EngineFailed, TimedOut
from app.store.classifier import Classifier
from app.store.hashes import FOLDER, Hashes
from tests.conftest import PATIENCE
from tests.service.versions import put_version
from tests.tiny_store import IMAGE_SIZE, drafts, publish_tiny

LABEL, TRANSLATE, CAPTION = "sentiment-en/1", "translate-en-ko/1", "caption-en/1"
SOURCE = Tokens([9, 9, 9])  # to which the tiny translator's sentence has no end
SLOW = [0]  # forbidden: not the native unit, which ends thousands of tokens before a status comes
LONG = Decode(max_tokens=3000, forbidden=SLOW)
ENDLESS = Decode(max_tokens=1_000_000)
POISON = Pixels(IMAGE_SIZE, bytes(3 * IMAGE_SIZE**2))


@pytest.fixture(scope="module")
def engine(tiny_store: Path, template: EngineTemplate) -> Iterator[EngineProcesses]:
    """An engine process for tests that do not kill it."""
    config = EngineConfig(endpoint="", store=str(tiny_store))
    running = EngineProcesses(config, ["cpu"], heartbeat_seconds=30, template=template)
    yield running
    running.stop()


@pytest.fixture
def start_engines(tiny_store: Path, template: EngineTemplate) -> Iterator[Callable[..., EngineProcesses]]:
    """Starts engine processes over the tiny store."""
    started: list[EngineProcesses] = []

    def start(count: int = 1, *, heartbeat_seconds: float = PATIENCE, store: Path = tiny_store) -> EngineProcesses:
        config = EngineConfig(endpoint="", store=str(store))
        started.append(EngineProcesses(config, ["cpu"] * count, heartbeat_seconds=heartbeat_seconds, template=template))
        return started[-1]

    yield start
    for engines in started:
        engines.stop()


async def until(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def client_of(engines: EngineProcesses) -> AsyncIterator[EngineClient]:
    async with EngineClient(engines.endpoints) as client:
        await until(lambda: client.view.is_ready)
        yield client


def gauge(status: Status, name: str) -> float:
    return status.gauges.get(name, 0.0)


def running(client: EngineClient) -> float:
    return sum(gauge(status, "running") for status in client.view.ready)


def kill(engines: EngineProcesses, number: int = signal.SIGKILL) -> None:
    for pid in engines.pids:
        os.kill(pid, number)


def caption_rows(client: EngineClient) -> float:
    return sum(status.figures[CAPTION].rows for status in client.view.ready)


async def killed_while_running(client: EngineClient, engines: EngineProcesses, *, at_least: int = 1) -> None:
    """Kill the engines while they run something, and wait for the next ones."""
    await until(lambda: running(client) >= at_least)
    restarts = client.view.restarts
    kill(engines)
    await until(lambda: client.view.restarts > restarts)


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(EngineFailed) as failure:
        await call
    return failure.value.detail


def test_a_request_is_refused_when_an_engine_ends_while_it_runs_alone(
    start_engines: Callable[..., EngineProcesses],
) -> None:
    """Its neighbours are answered: one that was suspect, too, and one that came later."""

    async def scenario() -> None:
        engines = start_engines()
        async with client_of(engines) as client:
            guilty = asyncio.create_task(client.answer(TRANSLATE, SOURCE, ENDLESS, Terms()))
            await until(lambda: running(client) >= 1)
            beside = asyncio.create_task(client.answer(TRANSLATE, SOURCE, LONG, Terms()))
            await until(lambda: running(client) >= 2)
            await killed_while_running(client, engines, at_least=2)
            await killed_while_running(client, engines, at_least=2)  # both are suspects now
            later = asyncio.create_task(client.answer(LABEL, Tokens([5, 6]), Label(), Terms()))
            await killed_while_running(client, engines)
            assert "it ran alone" in await refused(guilty)
            assert len((await beside).hypotheses[0].tokens) == LONG.max_tokens
            assert len((await later).scores) == 2
            assert client.pending == 0

    asyncio.run(scenario())


def test_requests_run_together_again_and_in_halves_only_after_a_second_death(
    start_engines: Callable[..., EngineProcesses],
) -> None:
    async def scenario() -> None:
        engines = start_engines()
        async with client_of(engines) as client:
            options = Decode(max_tokens=2500, forbidden=SLOW)
            sent = [asyncio.create_task(client.answer(TRANSLATE, SOURCE, options, Terms())) for _ in range(8)]
            await until(lambda: running(client) == 8)
            await killed_while_running(client, engines, at_least=8)
            await killed_while_running(client, engines, at_least=8)  # they ran together once more
            seen = set()
            while not all(task.done() for task in sent):
                seen.add(running(client))
                await asyncio.sleep(0.01)
            answers = [task.result().hypotheses[0].tokens for task in sent]
            assert max(seen) == 4
            assert all(answer == answers[0] for answer in answers)

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize(("beside", "deaths"), [(6, 5), (40, 8)])
def test_the_one_request_that_ends_engines_is_found_among_many(
    start_engines: Callable[..., EngineProcesses], beside: int, deaths: int
) -> None:
    """The test ends each engine while that request runs, as a fault of a kernel would."""

    async def scenario() -> None:
        engines = start_engines()
        async with client_of(engines) as client:
            options = Decode(max_tokens=400, forbidden=SLOW)
            guilty = asyncio.create_task(client.answer(CAPTION, POISON, ENDLESS, Terms()))
            sent = [asyncio.create_task(client.answer(TRANSLATE, SOURCE, options, Terms())) for _ in range(beside)]
            while not guilty.done():
                await until(lambda: guilty.done() or caption_rows(client) > 0)
                if not guilty.done():
                    await killed_while_running(client, engines)
            assert "it ran alone" in await refused(guilty)
            answers = [(await task).hypotheses[0].tokens for task in sent]
            assert all(answer == answers[0] and len(answer) == 400 for answer in answers)
            assert client.view.restarts <= deaths  # twice among all, then in halves down to one

    asyncio.run(scenario())


@contextmanager
def endless_load(engines: EngineProcesses, version: Path) -> Iterator[None]:
    """The engines wait for the hash of a version's weights, which this process would have to compute."""
    weights = version / "model.safetensors"
    with weights.open("rb") as file:
        Hashes(engines.folder / FOLDER).of(file)
    (record,) = (engines.folder / FOLDER).iterdir()
    with record.open("r+") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        locked.truncate()
        yield


@pytest.mark.slow
def test_a_request_whose_load_ends_engines_is_refused(tiny_store: Path, tmp_path: Path) -> None:
    """It is the one that is blamed: the request that runs beside the load is answered."""
    store, large = tmp_path / "store", drafts()[0]
    for name in (TRANSLATE, LABEL):
        shutil.copytree(tiny_store / name, store / name)
    assert isinstance(large.architecture, Classifier)
    encoder = large.architecture.encoder
    encoder = encoder.model_copy(update={"recurrence": encoder.recurrence.model_copy(update={"hidden_size": 400})})
    architecture = large.architecture.model_copy(update={"encoder": encoder})
    draft = large.model_copy(update={"version": 2, "architecture": architecture})
    version = publish_tiny(draft, store, store / LABEL / "tokenizer.json")
    key = f"{draft.name}/2"
    folders = {name: str(store / name) for name in (TRANSLATE, LABEL, key)}

    async def scenario(engines: EngineProcesses) -> None:
        async with client_of(engines) as client:
            guilty = asyncio.create_task(client.answer(key, Tokens([5, 6]), Label(), Terms()))
            beside = asyncio.create_task(client.answer(TRANSLATE, SOURCE, LONG, Terms()))
            for at_least in (1, 1, 0):  # it is alone in the end
                await until(lambda: client.view.state_of(key) == "loading" and running(client) >= at_least)  # noqa: B023
                restarts = client.view.restarts
                kill(engines)
                await until(lambda: client.view.restarts > restarts)  # noqa: B023
            assert "it ran alone" in await refused(guilty)
            assert len((await beside).hypotheses[0].tokens) == LONG.max_tokens

    state = DesiredState(folders, {draft.name: 1})
    config = EngineConfig(endpoint="", store=str(store))
    engines = EngineProcesses(config, ["cpu"], heartbeat_seconds=30, desired_state=state)
    try:
        with endless_load(engines, version):
            asyncio.run(scenario(engines))
    finally:
        engines.stop()


def test_a_stream_goes_on_unbroken_when_its_engine_ends(start_engines: Callable[..., EngineProcesses]) -> None:
    async def scenario() -> None:
        engines = start_engines()
        options = Decode(max_tokens=1500, prefix=[7, 8])
        async with client_of(engines) as client:
            whole = (await client.answer(TRANSLATE, SOURCE, options, Terms())).hypotheses[0]
            tokens: list[int] = []
            log_probs: list[float] = []
            killed = False
            async with aclosing(client.stream(TRANSLATE, SOURCE, options, Terms())) as events:
                async for event in events:
                    if isinstance(event, Progress):
                        tokens += event.tokens
                        log_probs += event.log_probs
                        if not killed and len(tokens) > 100:
                            killed = True
                            kill(engines)
                    else:
                        last = event
            assert killed
            assert client.view.restarts == 1
            assert tokens == whole.tokens == last.hypotheses[0].tokens
            assert tokens[:2] == options.prefix
            assert log_probs == pytest.approx(whole.log_probs, abs=1e-4)

    asyncio.run(scenario())


def test_closing_a_stream_cancels_its_request(engine: EngineProcesses) -> None:
    async def scenario() -> None:
        async with client_of(engine) as client:
            before = client.view.ready[0].counters["cancelled"]
            async with aclosing(client.stream(TRANSLATE, SOURCE, ENDLESS, Terms())) as events:
                assert isinstance(await anext(events), Progress)
            assert client.pending == 0
            await until(lambda: client.view.ready[0].counters["cancelled"] == before + 1)
            await until(lambda: running(client) == 0)

    asyncio.run(scenario())


def test_an_engine_that_hangs_is_killed_and_its_requests_are_answered(
    start_engines: Callable[..., EngineProcesses],
) -> None:
    async def scenario() -> None:
        engines = start_engines(heartbeat_seconds=5)  # a busy machine stops an engine for a second
        async with client_of(engines) as client:
            sent = asyncio.create_task(client.answer(TRANSLATE, SOURCE, LONG, Terms()))
            await until(lambda: running(client) >= 1)
            kill(engines, signal.SIGSTOP)
            assert len((await sent).hypotheses[0].tokens) == LONG.max_tokens
            assert client.view.restarts == 1

    asyncio.run(scenario())


@pytest.mark.slow
def test_an_idle_engine_is_not_taken_for_one_that_hangs(start_engines: Callable[..., EngineProcesses]) -> None:
    async def scenario() -> None:
        async with client_of(start_engines(heartbeat_seconds=5)) as client:
            await asyncio.sleep(6)
            assert client.view.restarts == 0

    asyncio.run(scenario())


def test_requests_go_to_the_engine_with_the_least_work(start_engines: Callable[..., EngineProcesses]) -> None:
    async def scenario() -> None:
        engines = start_engines(2)
        async with client_of(engines) as client, EngineClient(engines.endpoints) as other:
            await until(lambda: other.view.is_ready)
            long = asyncio.create_task(client.answer(TRANSLATE, SOURCE, ENDLESS, Terms()))
            await until(lambda: sum(gauge(status, "pending_steps") for status in other.view.ready) > 0)
            idle = next(status for status in other.view.ready if not gauge(status, "pending_steps")).instance
            for front_end in (client, other):  # the other one knows of the long request from the engine
                for _ in range(10):
                    await front_end.answer(LABEL, Tokens([5, 6]), Label(), Terms())

            def received() -> dict[str, float]:
                return {status.instance: status.counters["requests"] for status in client.view.ready}

            await until(lambda: sum(received().values()) == 21)
            assert received()[idle] == 20
            long.cancel()

    asyncio.run(scenario())


def test_requests_prefer_the_engine_that_has_loaded_their_version(
    tiny_store: Path, tmp_path: Path, start_engines: Callable[..., EngineProcesses]
) -> None:
    """From any front end, until that engine has much more work than the others."""
    store = tmp_path / "store"
    shutil.copytree(tiny_store / "sentiment-en", store / "sentiment-en")
    put_version(store, "sentiment-en", 2)  # the default one, so that the first is loaded when it is asked for

    async def scenario() -> None:
        engines = start_engines(2, store=store)
        async with client_of(engines) as client, EngineClient(engines.endpoints) as other:
            await until(lambda: other.view.is_ready)

            def loaded(front_end: EngineClient) -> int:
                return sum(LABEL in status.precisions for status in front_end.view.ready)

            assert loaded(client) == 0
            for front_end in (client, other):
                for _ in range(10):
                    await front_end.answer(LABEL, Tokens([5, 6]), Label(), Terms())
                await until(lambda: loaded(other) > 0)
            await until(lambda: sum(status.counters["requests"] for status in client.view.ready) == 20)
            assert loaded(client) == loaded(other) == 1
            many = (client.answer(LABEL, Tokens([5] * 100), Label(), Terms()) for _ in range(300))
            await asyncio.gather(*many)
            await until(lambda: loaded(client) == 2)

    asyncio.run(scenario())


def test_a_deadline_holds_also_when_no_engine_is_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EngineClient([f"ipc://{tmp_path}/nobody"]) as client:
            with pytest.raises(TimedOut):
                await client.answer(LABEL, Tokens([5, 6]), Label(), Terms(deadline=time.monotonic() + 0.1))
            assert client.pending == 0

    asyncio.run(scenario())


def test_closing_the_client_ends_its_calls(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EngineClient([f"ipc://{tmp_path}/nobody"]) as client:
            sent = asyncio.create_task(client.answer(TRANSLATE, SOURCE, LONG, Terms()))
            await until(lambda: client.pending == 1)
        assert await refused(sent) == "the service is ending"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ("cpu", ["cpu", "cpu", "cpu"]),
        ("cuda:0,cuda:1", ["cuda:0", "cuda:1"]),
        ("cuda:1,cpu", ["cuda:1", "cpu", "cpu", "cpu"]),
    ],
)
def test_each_device_has_its_engine(devices: str, expected: list[str]) -> None:
    assert engine_devices(devices, 3) == expected


@pytest.mark.parametrize(
    ("device", "of_config", "expected"), [("cpu", 0, 7), ("cuda:0", 0, 0), ("cpu", 5, 5), ("cuda:0", 5, 5)]
)
def test_a_gpu_does_not_get_the_share_of_a_cpu_for_its_models(device: str, of_config: int, expected: int) -> None:
    config = on_device(EngineConfig(endpoint="", store="", models_memory=of_config), device, 7)
    assert (config.device, config.models_memory) == (device, expected)


def test_decoded_is_the_last_event_of_a_stream(engine: EngineProcesses) -> None:
    async def scenario() -> list[Progress | Decoded]:
        async with client_of(engine) as client:
            return [event async for event in client.stream(TRANSLATE, SOURCE, Decode(max_tokens=40), Terms())]

    *progress, last = asyncio.run(scenario())
    assert all(isinstance(event, Progress) for event in progress)
    assert isinstance(last, Decoded)
    assert [token for event in progress for token in event.tokens] == last.hypotheses[0].tokens  # type: ignore[union-attr]


def test_several_sources_are_answered_in_order_as_each_alone(engine: EngineProcesses) -> None:
    async def scenario() -> None:
        async with client_of(engine) as client:
            sources = [Tokens([5 + place % 4] * (1 + place % 7)) for place in range(70)]
            asked = [Asked(LABEL, source, Label(), 10, None) for source in sources]
            together = await client.answer_all(asked, Terms())
            for source, answer in zip(sources, together, strict=True):
                alone = await client.answer(LABEL, source, Label(), Terms())
                assert isinstance(answer, Labelled)
                assert answer.scores == pytest.approx(alone.scores, abs=1e-3)
            assert client.pending == 0

    asyncio.run(scenario())


def test_the_first_failure_of_several_cancels_the_others(engine: EngineProcesses) -> None:
    async def scenario() -> None:
        async with client_of(engine) as client:
            asked = [Asked(TRANSLATE, SOURCE, ENDLESS, 10, None)] * 3
            wrong = Asked(LABEL, Tokens([1_000_000]), Label(), 10, None)
            with pytest.raises(EngineFailed):
                await client.answer_all([*asked, wrong], Terms())
            assert client.pending == 0
            await until(lambda: client.view.ready[0].gauges["running"] == 0)

    asyncio.run(scenario())


def test_several_sources_are_answered_although_their_engine_ends(
    start_engines: Callable[..., EngineProcesses],
) -> None:
    async def scenario() -> None:
        engines = start_engines()
        async with client_of(engines) as client:
            work = client.answer_all([Asked(TRANSLATE, SOURCE, LONG, 10, None)] * 3, Terms())
            answers = asyncio.create_task(work)
            await until(lambda: running(client) == 3)
            await killed_while_running(client, engines, at_least=1)
            for answer in await answers:
                assert isinstance(answer, Decoded)
                assert len(answer.hypotheses[0].tokens) == LONG.max_tokens

    asyncio.run(scenario())
