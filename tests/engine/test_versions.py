"""Versions that are loaded when a request needs them, in a memory too small for all: nothing fails, nothing differs."""

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from app.engine.client import EngineClient
from app.engine.models import Models
from app.engine.protocol import Decode, Decoded, Explain, Label, Labelled, Status, Terms, Tokens
from app.engine.sizes import needed_bytes
from app.errors import EngineFailed, ModelNotLoaded, ModelUnavailable
from app.store.model_store import inspect_version
from tests.conftest import engine_in_thread
from tests.engine.references import label_alone, open_shipped
from tests.service.versions import put_version

LABELS, SENTENCES = "sentiment-en", "translate-en-ko"
VERSIONS = 6  # of each
Scenario = Callable[[EngineClient], Awaitable[Any]]


@pytest.fixture(scope="module")
def store(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with six different versions of two names."""
    store = tmp_path_factory.mktemp("versions") / "store"
    for name in (LABELS, SENTENCES):
        shutil.copytree(tiny_store / name, store / name)
        for version in range(2, VERSIONS + 1):
            put_version(store, name, version, scale=3.0 * version)
    return store


@asynccontextmanager
async def engine(store: Path, folder: Path, **config: Any) -> AsyncIterator[EngineClient]:
    with engine_in_thread(store, folder, **config) as endpoint:
        async with EngineClient([endpoint]) as client:
            await client.wait_ready(20)
            yield client


def room_for(store: Path, count: int, name: str = SENTENCES) -> int:
    """Memory for `count` versions, of which one is being loaded."""
    return count * needed_bytes(inspect_version(store / name / "1"))


async def status_of(client: EngineClient) -> Status:
    """A status that is asked for from now on."""
    seen = client.view.ready[0]
    while client.view.ready[0] is seen:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return client.view.ready[0]


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


def ask(client: EngineClient, key: str, seed: int, seconds: float = 60) -> Coroutine[Any, Any, Labelled | Decoded]:
    rng = random.Random(seed)
    source = Tokens([rng.randrange(4, 400) for _ in range(rng.randint(1, 30))])
    terms = Terms(deadline=time.monotonic() + seconds, client=f"client {seed % 3}")
    if key.startswith(LABELS):
        return client.answer(key, source, Label(), terms)
    return client.answer(key, source, Decode(12), terms)


def content(answer: Labelled | Decoded) -> list[float] | list[int]:
    return answer.scores if isinstance(answer, Labelled) else answer.hypotheses[0].tokens


def test_many_versions_in_a_small_memory_answer_as_if_all_were_loaded(store: Path, tmp_path: Path) -> None:
    """One after another, and all at once."""
    keys = [f"{name}/{version}" for version in range(1, VERSIONS + 1) for name in (LABELS, SENTENCES)]

    async def answers(memory: int) -> tuple[list[Any], Status]:
        async with engine(store, tmp_path, models_memory=memory) as client:
            one_by_one = [content(await ask(client, key, seed)) for seed in range(2) for key in keys]
            at_once = await asyncio.gather(*(ask(client, key, seed) for seed in range(6) for key in keys))
            return [*one_by_one, *map(content, at_once)], await status_of(client)

    roomy, of_roomy = asyncio.run(answers(2**30))
    tight, of_tight = asyncio.run(answers(room_for(store, 2)))
    assert all(one == pytest.approx(other, abs=1e-6) for one, other in zip(tight, roomy, strict=True))
    assert of_roomy.counters["evictions"] == 0
    assert sorted(of_roomy.precisions) == sorted(keys)
    assert of_tight.counters["evictions"] > len(keys)
    assert of_tight.models == sorted(keys)
    assert of_tight.models_bytes <= of_tight.models_memory == room_for(store, 2)
    assert of_tight.counters["failed"] == of_tight.counters["expired"] == of_tight.gauges["waiting"] == 0


def test_default_versions_are_loaded_at_the_start_and_the_others_on_first_use(store: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with engine(store, tmp_path) as client:
            assert sorted(client.view.precisions) == [f"{LABELS}/{VERSIONS}", f"{SENTENCES}/{VERSIONS}"]
            assert client.view.state_of(f"{LABELS}/1") == "available"
            await ask(client, f"{LABELS}/1", 1)
            await status_of(client)
            assert client.view.state_of(f"{LABELS}/1") == "loaded"

    asyncio.run(scenario())


def test_the_least_recently_used_version_leaves(store: Path, tmp_path: Path) -> None:
    asked = (1, 2, 1, 3, 1, 4)

    async def scenario() -> list[set[str]]:
        async with engine(store, tmp_path, models_memory=room_for(store, 2)) as client:
            loaded = []
            for version in asked:
                await ask(client, f"{SENTENCES}/{version}", version)
                loaded.append({key for key in (await status_of(client)).precisions if key.startswith(SENTENCES)})
            return loaded

    loaded = asyncio.run(scenario())
    recent = [f"{SENTENCES}/6"]  # the default version, loaded at the start
    for version, keys in zip(asked, loaded, strict=True):
        key = f"{SENTENCES}/{version}"
        recent = [key, *(other for other in recent if other != key)]
        assert keys == set(recent[: len(keys)])
    assert len(loaded[-1]) < len(recent)


def test_a_burst_for_one_version_loads_it_in_one_engine(store: Path, tmp_path: Path) -> None:
    key = f"{LABELS}/1"
    for name in ("first", "second"):
        (tmp_path / name).mkdir()

    async def scenario() -> list[bool]:
        async with EngineClient([first, second]) as client:
            await until(lambda: client.view.is_ready)
            await asyncio.gather(*(ask(client, key, seed) for seed in range(8)))
            seen = client.view.ready
            await until(lambda: not any(one is other for one in seen for other in client.view.ready))
            return [key in status.precisions for status in client.view.ready]

    with engine_in_thread(store, tmp_path / "first") as first, engine_in_thread(store, tmp_path / "second") as second:
        assert sorted(asyncio.run(scenario())) == [False, True]


def test_without_room_a_request_waits_until_its_deadline(store: Path, tmp_path: Path) -> None:
    """A version that runs a request does not leave; when that has ended, the next request is answered."""

    async def scenario() -> None:
        async with engine(store, tmp_path, models_memory=room_for(store, 1)) as client:
            long = asyncio.create_task(client.answer(f"{SENTENCES}/1", Tokens([9, 9]), Decode(10**6), Terms()))
            await until(lambda: client.view.ready[0].gauges["running"] == 1)
            with pytest.raises(ModelNotLoaded, match=r"those in use leave it no room .* \(models_memory\)"):
                await ask(client, f"{SENTENCES}/2", 1, seconds=0.5)
            waiting = asyncio.create_task(ask(client, f"{SENTENCES}/2", 1))
            await until(lambda: client.view.state_of(f"{SENTENCES}/2") == "loading")
            assert not waiting.done()
            long.cancel()
            await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())


def test_a_version_is_not_kept_out_by_one_that_is_always_busy(store: Path, tmp_path: Path) -> None:
    """Nothing fails: the busy one starts no request for a moment, and goes on afterwards."""

    async def scenario() -> tuple[int, int]:
        async with engine(store, tmp_path, models_memory=room_for(store, 1)) as client:
            answered = 0

            async def keep_asking() -> None:
                nonlocal answered
                while True:
                    await client.answer(f"{SENTENCES}/1", Tokens([9] * 30), Decode(40, min_tokens=40), Terms())
                    answered += 1

            busy = [asyncio.create_task(keep_asking()) for _ in range(6)]
            await until(lambda: answered > 20)
            await asyncio.wait_for(ask(client, f"{SENTENCES}/2", 1), 20)
            before = answered
            await until(lambda: answered > before + 20)
            assert not any(task.done() for task in busy)
            for task in busy:
                task.cancel()
            return before, answered

    asyncio.run(scenario())


def test_a_version_larger_than_the_memory_is_broken(store: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        memory = room_for(store, 1, LABELS)
        assert memory < room_for(store, 1)
        async with engine(store, tmp_path, models_memory=memory) as client:
            client.set_desired({key: str(store / key) for key in client.view.ready[0].broken})
            reason = client.view.broken[f"{SENTENCES}/1"]
            assert f"may take {memory:,} (models_memory)" in reason
            with pytest.raises(ModelUnavailable, match="models_memory"):
                await ask(client, f"{SENTENCES}/1", 1)
            await ask(client, f"{LABELS}/1", 1)

    asyncio.run(scenario())


def test_a_broken_version_is_found_without_a_request_and_fails_those_that_wait(
    tiny_store: Path, tmp_path: Path
) -> None:
    for name in (LABELS, SENTENCES):
        shutil.copytree(tiny_store / name, tmp_path / "store" / name)
    misfit = put_version(tmp_path / "store", LABELS, 2, shape=9)
    damaged = put_version(tmp_path / "store", SENTENCES, 2) / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\7")
    put_version(tmp_path / "store", LABELS, 3)
    put_version(tmp_path / "store", SENTENCES, 3)

    async def scenario() -> dict[str, str]:
        async with engine(tmp_path / "store", tmp_path) as client:
            with pytest.raises(ModelUnavailable, match=r"output\.bias of shape"):
                await ask(client, f"{LABELS}/2", 1)
            await until(lambda: len(client.view.broken) == 2)
            return client.view.broken

    broken = asyncio.run(scenario())
    assert "output.bias of shape (9,)" in broken[f"{LABELS}/{misfit.name}"]
    assert "SHA-256" in broken[f"{SENTENCES}/2"]


def test_a_version_that_was_unloaded_is_not_loaded_by_a_request(store: Path, tmp_path: Path) -> None:
    key = f"{LABELS}/1"

    async def scenario() -> None:
        async with engine(store, tmp_path) as client:
            await ask(client, key, 1)
            await client.unload(key, linger=0)
            with pytest.raises(ModelUnavailable):
                await ask(client, key, 1)
            await client.load(key, str(store / key))
            await ask(client, key, 1)
            assert key in (await status_of(client)).precisions

    asyncio.run(scenario())


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_the_float32_form_of_a_classifier_is_made_by_the_first_explanation(
    store: Path, precision: Any, tmp_path: Path
) -> None:
    models = Models(torch.device("cpu"), slots=4, precision=precision)
    models.load(inspect_version(store / LABELS / "1"))
    model = models[f"{LABELS}/1"]
    is_exact = precision == "float32" and model.policy.looks_each_step  # a GPU has it in another form
    assert model.exact is (model.network if is_exact else None)

    async def scenario() -> tuple[Labelled, int, int]:
        async with engine(store, tmp_path, precision=precision) as client:
            await ask(client, f"{LABELS}/1", 1)
            before = (await status_of(client)).models_bytes
            answer = await client.answer(f"{LABELS}/1", Tokens([5, 6, 7]), Label(Explain(layer=0)), Terms())
            return answer, before, (await status_of(client)).models_bytes

    answer, before, after = asyncio.run(scenario())
    expected = label_alone(open_shipped(store, f"{LABELS}/1"), Tokens([5, 6, 7]))
    assert answer.scores == pytest.approx(expected, abs=1e-6)
    weights = inspect_version(store / LABELS / "1").weights
    assert after - before == (0 if is_exact else 4 * weights)


def test_an_explanation_whose_files_are_gone_fails_alone(tiny_store: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_store / LABELS, tmp_path / "store" / LABELS)
    key, explained = f"{LABELS}/1", Label(Explain())

    async def scenario() -> None:
        async with engine(tmp_path / "store", tmp_path, precision="auto") as client:
            await ask(client, key, 1)
            weights = tmp_path / "store" / key / "model.safetensors"
            weights.rename(weights.with_suffix(".away"))
            with pytest.raises(EngineFailed, match=r"model\.safetensors cannot be read"):
                await client.answer(key, Tokens([5, 6]), explained, Terms())
            await ask(client, key, 1)
            weights.with_suffix(".away").rename(weights)
            answer = await client.answer(key, Tokens([5, 6]), explained, Terms())
            assert answer.explanation is not None

    asyncio.run(scenario())
