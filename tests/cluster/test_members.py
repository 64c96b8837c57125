"""Front ends and engines as members of a cluster, without Ray: the same members, whose calls to the coordinator stay in
this process. Engines are real processes at tcp endpoints."""

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cluster import ClusterOptions
from app.cluster.coordinator import Coordinator
from app.cluster.engine import EngineMember
from app.cluster.front_end import FrontEndMember
from app.cluster.keys import draw_keys
from app.cluster.scaling import PendingSteps
from app.cluster.service_settings import settings_of
from app.main import create_app
from app.settings import Settings
from tests.conftest import PATIENCE, serving, wait_until_ready
from tests.service.serving import until
from tests.service.test_versions import NAME, Load, loaded, version_of
from tests.service.versions import KEY, Admin, put_version


class Cluster:
    """A coordinator and engines in an event loop of their own, which front ends call from theirs."""

    def __init__(self, store: Path | str, **settings: Any) -> None:
        self.settings = Settings(store=store, admin_key=KEY, **({"workers": 2} | settings))
        self._keys = draw_keys()
        self._loop = asyncio.new_event_loop()
        self._coordinator = Coordinator()
        self._engines: list[EngineMember] = []
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
        self._engines.append(engine)
        self._run(engine.start())

    def stop_engine(self) -> None:
        self._run(self._engines.pop(0).stop())

    def restart_coordinator(self) -> None:
        """What it knew is lost."""
        self._coordinator = Coordinator()

    @contextmanager
    def front_end(self) -> Iterator[str]:
        app = create_app(self.settings, cluster=FrontEndMember(self.settings, self.coordinate, self._keys.public))
        with serving(app) as address:
            wait_until_ready(address)
            yield address

    def close(self) -> None:
        while self._engines:
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


def test_a_version_at_a_url_reaches_the_copy_of_each_member(store: Path, tmp_path: Path) -> None:
    url = f"file://{store}"
    with cluster_of(url, store_cache=tmp_path / "cache") as (_, one, other), Admin(one) as admin:
        put_version(store, NAME, 2)
        assert admin.load(NAME).json()["default_version"] == 2
        until(lambda: version_of(other) == 2)
        assert admin.choose(NAME, 1).status_code == 200
        until(lambda: version_of(other) == 1)


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
    with pytest.raises(ValueError, match="no such settings: wokers"):
        settings_of(ClusterOptions(settings={"wokers": 2}))
    with pytest.raises(ValueError, match="at least min_engines, 3"):
        ClusterOptions(min_engines=3, max_engines=2)
