"""Front ends and engines as members of a cluster, without Ray: the same members, whose calls to the coordinator stay in
this process. Engines are real processes at tcp endpoints."""

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from fastapi import FastAPI
from pydantic import SecretStr

from app.cluster import ClusterOptions
from app.cluster.coordinator import Coordinator
from app.cluster.directory import Directory
from app.cluster.engine import EngineMember
from app.cluster.front_end import FrontEndMember
from app.cluster.keys import keys_of
from app.cluster.membership import Membership
from app.cluster.scaling import PendingSteps
from app.cluster.service_settings import settings_of
from app.cluster.shared_state import CoordinatedState
from app.desired_state import DesiredState
from app.main import create_app
from app.settings import Settings
from tests.conftest import PATIENCE, serving, wait_until_ready
from tests.service.serving import until
from tests.service.test_versions import NAME, Load, loaded, version_of
from tests.service.versions import KEY, Admin, put_version


class Cluster:
    """A coordinator and engines in an event loop of their own, which front ends call from theirs."""

    def __init__(self, store: Path | str, **settings: Any) -> None:
        self.settings = Settings(
            store=store, admin_key=KEY, state_secret=SecretStr("a secret"), **({"workers": 2} | settings)
        )
        self._keys = keys_of(self.settings)
        self._loop = asyncio.new_event_loop()
        self._coordinator = Coordinator()
        self.members: list[EngineMember] = []
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    async def coordinate(self, method: str, *arguments: Any) -> Any:
        call = getattr(self._coordinator, method)(*arguments)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def start_engine(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        engine = EngineMember(self.settings, self.coordinate, self._keys, device="cpu", endpoint=endpoint)
        self.members.append(engine)
        self._run(engine.start())

    def stop_engine(self) -> None:
        self._run(self.members.pop(0).stop())

    def restart_coordinator(self) -> None:
        """What it knew is lost."""
        self._coordinator = Coordinator()

    def app(self) -> FastAPI:
        """A front end."""
        return create_app(self.settings, cluster=FrontEndMember(self.settings, self.coordinate, self._keys.public))

    @contextmanager
    def front_end(self) -> Iterator[str]:
        with serving(self.app()) as address:
            wait_until_ready(address)
            yield address

    def close(self) -> None:
        while self.members:
            self.stop_engine()
        self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    for name in (NAME, "translate-en-ko"):
        shutil.copytree(tiny_store / name, tmp_path / "store" / name)
    return tmp_path / "store"


@contextmanager
def cluster_of(store: Path | str, **settings: Any) -> Iterator[tuple[Cluster, str, str]]:
    """A cluster with an engine and two front ends."""
    cluster = Cluster(store, **settings)
    with ExitStack() as stack:
        stack.callback(cluster.close)
        cluster.start_engine()
        yield cluster, stack.enter_context(cluster.front_end()), stack.enter_context(cluster.front_end())


def test_no_request_fails_while_engines_the_coordinator_and_versions_change(store: Path) -> None:
    with cluster_of(store) as (cluster, one, other), Load(one) as load, Load(other) as other_load, Admin(one) as admin:
        cluster.start_engine()
        cluster.stop_engine()
        put_version(store, NAME, 2)
        assert admin.load(NAME).status_code == 200
        until(lambda: version_of(other) == 2)
        cluster.restart_coordinator()
        before = other_load.so_far()
        until(lambda: other_load.so_far() > before + 20)
        put_version(store, NAME, 3)
        with Admin(other) as administrator:
            assert administrator.load(NAME).status_code == 200
            assert administrator.unload(NAME, 1).status_code == 200
        assert loaded(one) == loaded(other) == [3, 2]
        cluster.start_engine()  # it learns the desired versions
        cluster.stop_engine()
        assert version_of(one, model=NAME, version=2) == 2
        assert version_of(other) == 3
    for each in (load, other_load):
        assert {status for _, _, status, _ in each.answers} == {200}


def test_a_front_end_that_starts_between_two_engines_waits_for_the_next(store: Path) -> None:
    """As in a new deployment: the old engine has left, and the new one is not ready."""
    cluster = Cluster(store)
    with ExitStack() as stack:
        stack.callback(cluster.close)
        cluster.start_engine()
        cluster.stop_engine()
        time.sleep(5)  # the coordinator knows that there is none
        starting = threading.Timer(2, cluster.start_engine)
        starting.start()
        stack.callback(starting.join)
        address = stack.enter_context(serving(cluster.app()))
        answer = httpx.post(f"{address}/v1/sentiment", json={"inputs": "a warm film"}, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text


def test_an_engine_that_ends_is_silent_until_its_member_has_restarted_it(store: Path) -> None:
    """Ray Serve replaces a replica whose engine is silent for long."""
    before = set(psutil.Process().children())
    with cluster_of(store) as (cluster, one, _):
        (member,) = cluster.members
        assert member.silent_seconds() == 0
        (engine,) = (
            process
            for process in psutil.Process().children()
            if process not in before and "app.engine" in process.cmdline()
        )
        engine.kill()
        until(lambda: member.silent_seconds() > 0.5)
        until(lambda: member.silent_seconds() == 0)
        assert version_of(one) == 1


def test_a_version_at_a_url_reaches_the_copy_of_each_member(store: Path, tmp_path: Path) -> None:
    url = f"file://{store}"
    with cluster_of(url, store_cache=tmp_path / "cache") as (_, one, other), Admin(one) as admin:
        put_version(store, NAME, 2)
        assert admin.load(NAME).json()["default_version"] == 2
        until(lambda: version_of(other) == 2)
        assert admin.choose(NAME, 1).status_code == 200
        until(lambda: version_of(other) == 1)


@asynccontextmanager
async def members(*update_stores: Callable[[], None]) -> AsyncIterator[list[Membership]]:
    """Members of one coordinator, each with its way to bring its copy of the store up to date."""
    coordinator = Coordinator()

    async def coordinate(method: str, *arguments: Any) -> Any:
        return await getattr(coordinator, method)(*arguments)

    async with AsyncExitStack() as stack:
        joined = [Membership(coordinate, DesiredState(), update) for update in update_stores]
        for each in joined:
            await each.join()
            await stack.enter_async_context(each.following())
        yield joined


def nothing() -> None:
    """Of a store in a folder there is nothing to copy."""


def test_a_member_that_copies_for_long_is_not_forgotten() -> None:
    async def run() -> None:
        async with members(lambda: time.sleep(13), nothing) as (slow, other):
            slow.change(endpoint="tcp://one")
            seen: list[Directory] = []
            while other.directory.endpoints != ("tcp://one",):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            other.on_change = seen.append
            await other.update_stores()
            assert seen
            assert all(directory.endpoints == ("tcp://one",) for directory in seen)

    asyncio.run(run())


def test_a_copy_that_fails_holds_up_nobody_and_is_tried_again() -> None:
    tries = []

    def update() -> None:
        tries.append(time.monotonic())
        if len(tries) == 1:
            raise RuntimeError("the disk is full")

    async def run() -> None:
        async with members(update, nothing) as (_, other):
            await other.update_stores()
            assert len(tries) == 1
            while len(tries) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    asyncio.run(run())


def test_changes_at_one_front_end_follow_each_other() -> None:
    """A turn is that of a member, so two changes of the same one would both have it."""

    async def run() -> None:
        async with members(nothing) as (member,):
            state = CoordinatedState(member)

            async def add(key: str) -> None:
                async with state.turn():
                    desired = state.read()
                    await asyncio.sleep(0.3)  # it loads
                    await state.write(DesiredState({**desired.versions, key: "folder"}, revision=desired.revision))

            await asyncio.gather(add("a/1"), add("b/1"))
            assert state.read().versions.keys() == {"a/1", "b/1"}

    asyncio.run(run())


def test_a_caller_that_leaves_while_it_waits_for_the_turn_does_not_keep_it() -> None:
    async def run() -> None:
        async with members(nothing, nothing) as (one, other):
            for pause in (0.0, 0.01, 0.05, 0.1, 0.25):

                async def change() -> None:
                    async with CoordinatedState(one).turn():
                        await asyncio.sleep(60)

                async with CoordinatedState(other).turn():
                    waiting = asyncio.create_task(change())
                    await asyncio.sleep(pause)
                waiting.cancel()
                with suppress(asyncio.CancelledError):
                    await waiting
                async with asyncio.timeout(5), CoordinatedState(other).turn():
                    pass

    asyncio.run(run())


def test_a_member_leaves_soon_from_a_coordinator_that_does_not_answer() -> None:
    async def run() -> None:
        coordinator, is_silent = Coordinator(), False

        async def coordinate(method: str, *arguments: Any) -> Any:
            if is_silent:
                await asyncio.sleep(3600)
            return await getattr(coordinator, method)(*arguments)

        member = Membership(coordinate, DesiredState(), nothing)
        await member.join()
        async with asyncio.timeout(10), member.following():
            is_silent = True

    asyncio.run(run())


def test_engines_are_as_many_as_the_pending_steps_ask_for() -> None:
    class Context:
        def __init__(self, **pending: float) -> None:
            self.aggregated_metrics = {"pending_steps": pending} if pending else {}

    policy = PendingSteps(target=1000)
    assert policy(Context()) == (1.0, {})
    assert policy(Context(one=400.0)) == (1.0, {})
    assert policy(Context(one=4000.0, two=1000.0)) == (5.0, {})


def test_the_file_for_serve_deploy_has_valid_options() -> None:
    written = yaml.safe_load((Path(__file__).parents[2] / "deploy/ray/serve.yaml").read_text(encoding="utf8"))
    (application,) = written["applications"]
    assert application["import_path"] == "app.cluster:build"
    settings = settings_of(ClusterOptions.model_validate(application["args"]))
    assert settings.host == written["http_options"]["host"]


def test_settings_are_those_of_the_options_and_must_protect_the_tasks(tmp_path: Path) -> None:
    settings = settings_of(ClusterOptions(settings={"store": str(tmp_path), "workers": 3}))
    assert (settings.store, settings.workers) == (str(tmp_path), 3)
    assert settings.state_secret is not None
    with pytest.raises(ValueError, match=r"other machines can reach 0\.0\.0\.0"):
        settings_of(ClusterOptions(settings={"host": "0.0.0.0"}))
    with pytest.raises(ValueError, match="session_storage needs state_secret"):
        settings_of(ClusterOptions(settings={"session_storage": "redis://127.0.0.1"}))
    with pytest.raises(ValueError, match="no such settings: wokers"):
        settings_of(ClusterOptions(settings={"wokers": 2}))
    with pytest.raises(ValueError, match="at least min_engines, 3"):
        ClusterOptions(min_engines=3, max_engines=2)


def test_the_haproxy_of_ray_listens_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    with pytest.raises(ValueError, match="other machines can reach the HAProxy of RAY_SERVE_ENABLE_HA_PROXY"):
        settings_of(ClusterOptions())
    assert settings_of(ClusterOptions(settings={"open": True})).open
    assert settings_of(ClusterOptions(settings={"host": "127.0.0.1"})).host == "127.0.0.1"


def test_a_new_deployment_with_the_same_secret_has_the_same_keys() -> None:
    first, second, other = (keys_of(settings_of(ClusterOptions(settings={"state_secret": each}))) for each in "aab")
    assert first == second
    assert first != other
    drawn = (keys_of(settings_of(ClusterOptions())) for _ in range(2))
    assert len(set(drawn)) == 2
