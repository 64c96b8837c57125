"""The service on Ray Serve: three nodes on this machine, real engines and front ends, requests through Ray's proxy.

Ray has an environment of its own: `make test-ray`.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from unroll_client import Retries, Unroll
from websockets.sync.client import connect

from app.cluster import ClusterOptions, build
from tests.api.test_rates import SERVER, redis_at
from tests.conftest import PATIENCE, serving_store
from tests.sequences import scores, step
from tests.service.serving import metric
from tests.service.test_versions import NAME, loaded, version_of
from tests.service.versions import KEY, Admin, put_version
from tests.store.clouds import s3_bucket, upload

ray = pytest.importorskip("ray", reason="The service on Ray is NOT tested in this environment; `make test-ray` does it")
serve = pytest.importorskip("ray.serve")

START_SECONDS = 300.0  # until a replica of Ray runs, on a busy machine
ADDRESS = "http://127.0.0.1:8000"
BODIES: dict[str, dict[str, Any]] = {
    "/v1/sentiment": {"inputs": ["a warm and funny film"] * 2},
    "/v1/translate": {"inputs": "do you want to save the changes", "max_tokens": 40, "min_tokens": 40},
}
LONG = {"inputs": ["do you want to save the changes"] * 8, "max_tokens": 60, "min_tokens": 60}
pytestmark = pytest.mark.timeout(1200)


def until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.2)


@dataclass(frozen=True)
class Nodes:
    """Three nodes: the head has the front ends and an engine, the others an engine each. `bucket` is their store, and
    `store` a folder with the same versions."""

    cluster: Any
    others: list[Any]
    store: Path
    bucket: str
    options: ClusterOptions


@pytest.fixture(scope="module")
def nodes(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("ray")
    store = folder / "store"
    environment = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
        "RAY_raylet_start_wait_time_s": "300",  # a busy machine is many times slower
        "RAY_agent_register_timeout_ms": "300000",
        "RAY_worker_register_timeout_seconds": "300",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120",
        "RAY_worker_niceness": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_enable_metrics_collection": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    memory = {"object_store_memory": 80 * 2**20}
    with ExitStack() as stack:
        bucket = stack.enter_context(s3_bucket())  # Ray's processes inherit the environment that leads to it
        for name in (NAME, "sentiment-en-uni", "translate-en-ko", "caption-en"):
            shutil.copytree(tiny_store / name, store / name)
            upload(store / name / "1", bucket)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment.items():
            patch.setenv(name, value)
        head = {"num_cpus": 4, "resources": {"front": 8, "engine": 1}, "include_dashboard": False, **memory}
        cluster = Cluster()
        stack.callback(cluster.shutdown)
        started(lambda: cluster.add_node(**head))
        others = [started(lambda: cluster.add_node(num_cpus=2, resources={"engine": 1}, **memory)) for _ in range(2)]
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False, namespace="serve")
        stack.callback(ray.shutdown)
        settings = {
            "store": bucket,
            "store_cache": str(folder / "cache"),
            "admin_key": KEY,
            "precision": "float32",
            "workers": 2,
            "state_secret": "a secret",
            "log_requests": False,
        }
        if SERVER is not None:
            settings["session_storage"] = stack.enter_context(redis_at(folder / "redis"))
        options = ClusterOptions(
            settings=settings,
            min_engines=1,
            max_engines=3,
            pending_steps=100,
            upscale_seconds=1,
            downscale_seconds=3,
            look_back_seconds=11,
            engine_actor={"num_cpus": 1, "resources": {"engine": 1}},
            front_end_actor={"num_cpus": 0.5, "resources": {"front": 1}},
        )
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": 8000})
        stack.callback(serve.shutdown)
        serve.run(build(options), name="unroll", route_prefix="/")
        until(is_ready, "a ready service")
        yield Nodes(cluster, others, store, bucket, options)


def started(start: Callable[[], Any], tries: int = 5) -> Any:
    """A node. On a busy machine one may take longer than the 30 seconds that Ray waits."""
    while True:
        tries -= 1
        try:
            return start()
        except Exception:
            if not tries:
                raise


def is_ready() -> bool:
    try:
        return httpx.get(f"{ADDRESS}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def engines() -> int:
    """Engines that run, as Ray Serve has them."""
    deployment = serve.status().applications["unroll"].deployments["Engine"]
    return int(deployment.replica_states.get("RUNNING", 0))


class Clients:
    """Plain HTTP clients without retries, and the status of each of their requests."""

    def __init__(self, count: int, bodies: list[tuple[str, dict[str, Any]]]) -> None:
        self.statuses: list[int | str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=bodies[place % len(bodies)]) for place in range(count)]

    def _ask(self, path: str, body: dict[str, Any]) -> None:
        with httpx.Client(base_url=ADDRESS, timeout=PATIENCE) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(path, json=body)
                    self.statuses.append(answer.status_code if answer.status_code == 200 else answer.text)
                except httpx.TransportError as error:
                    self.statuses.append(repr(error))

    def answers_more(self, count: int) -> None:
        """Wait for so many more responses."""
        before = len(self.statuses)
        until(lambda: len(self.statuses) >= before + count, f"{count} more responses")

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        self.answers_more(10)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def assert_all_answered(self) -> None:
        print(f"{len(self.statuses)} responses")
        assert Counter(self.statuses).keys() == {200}


def test_three_tasks_a_stream_and_pieces_through_the_proxy(nodes: Nodes, tmp_path: Path) -> None:
    """They answer as one machine does."""
    photo = (Path(__file__).parents[2] / "app/web/static/example.webp").read_bytes()
    text = "A warm, funny film"
    with (
        serving_store(nodes.store, tmp_path, precision="float32") as alone,
        Unroll(ADDRESS, timeout=PATIENCE) as client,
        Unroll(alone, timeout=PATIENCE) as other,
    ):
        expected = other.sentiment(text, model="sentiment-en-uni")
        assert client.sentiment(text).polarity == pytest.approx(other.sentiment(text).polarity, abs=1e-5)
        whole = client.translate("do you want to save the changes", max_tokens=30)
        assert whole.text == other.translate("do you want to save the changes", max_tokens=30).text
        assert client.caption(photo, max_tokens=5).text == other.caption(photo, max_tokens=5).text
        stream = client.stream_translate("do you want to save the changes", max_tokens=30)
        assert len(list(stream)) > 1
        assert stream.result().text == whole.text
        with client.stream_translate("do you want to save the changes", min_tokens=4000, max_tokens=4000) as stream:
            next(iter(stream))
            until(lambda: metric(ADDRESS, "unroll_engine_running") == 1, "a token before the answer is complete")
        until(lambda: metric(ADDRESS, "unroll_engine_running") == 0, "the end of a request whose stream was closed")
    with connect(ADDRESS.replace("http", "ws") + "/v1/sentiment/stream") as pieces:
        for piece in ("A warm, funny", " film"):
            pieces.send(json.dumps({"inputs": piece, "model": "sentiment-en-uni"}))
            last = json.loads(pieces.recv(timeout=PATIENCE))
    assert last["results"][0]["polarity"] == pytest.approx(expected.polarity, abs=1e-5)


def test_versions_switch_on_all_replicas_under_load(nodes: Nodes) -> None:
    with Clients(10, [("/v1/translate", LONG), *BODIES.items()]) as clients, Admin(ADDRESS) as admin:
        until(lambda: engines() >= 2, "a second engine")
        upload(put_version(nodes.store, NAME, 2), nodes.bucket)
        answer = admin.load(NAME)
        assert (answer.status_code, answer.json().get("default_version")) == (200, 2), answer.text
        assert {version_of(ADDRESS) for _ in range(20)} == {2}  # of both front ends
        clients.answers_more(20)
        assert admin.unload(NAME, 1).status_code == 200
        assert {tuple(loaded(ADDRESS)) for _ in range(10)} == {(2,)}
        clients.answers_more(20)
    clients.assert_all_answered()


def test_engines_follow_the_load_and_a_node_may_be_lost(nodes: Nodes) -> None:
    until(lambda: engines() == 1, "one engine without load")
    with Clients(10, [("/v1/translate", LONG), ("/v1/sentiment", BODIES["/v1/sentiment"])]) as clients:
        until(lambda: engines() == 3, "scaling to 3 engines")
        clients.answers_more(20)
        nodes.cluster.remove_node(nodes.others.pop(), allow_graceful=False)
        until(lambda: engines() == 2, "the loss of a node")
        clients.answers_more(40)
        for name in ("Engine", "Coordinator"):
            kill(the_process(f"ServeReplica:unroll:{name}"))
            clients.answers_more(40)
    clients.assert_all_answered()
    with Clients(1, [("/v1/sentiment", BODIES["/v1/sentiment"])]) as clients:  # little work, so engines leave
        until(lambda: engines() == 1, "scaling back to 1 engine")
        clients.answers_more(20)
    clients.assert_all_answered()


def test_a_session_outlives_its_front_end_and_clients_retry(nodes: Nodes) -> None:
    if SERVER is None:
        pytest.skip("NO REDIS: sessions on Ray are NOT tested")
    pieces = ["A warm, funny fi", "lm that I'd gladly", " see again"]
    retries = Retries(attempts=50, first_wait=0.5, longest_wait=2, broken=True)
    with Unroll(ADDRESS, timeout=START_SECONDS, retries=retries) as client:
        whole = client.sentiment("".join(pieces), model="sentiment-en-uni")
        client.sentiment(pieces[0], model="sentiment-en-uni", session="talk", session_start=True)
        for piece in pieces[1:]:
            kill(the_process("ServeReplica:unroll:FrontEnd"))
            last = client.sentiment(piece, session="talk")
        assert last.label == whole.label
        assert last.polarity == pytest.approx(whole.polarity, abs=1e-5)


def test_a_sequence_of_tritons_clients_outlives_its_front_end(nodes: Nodes) -> None:
    """Its parameters are in the body alone: any front end finds it in Redis."""
    if SERVER is None:
        pytest.skip("NO REDIS: sequences on Ray are NOT tested")
    model, pieces = "sentiment-en-uni", ["A warm, funny fi", "lm that I'd gladly", " see again"]
    with httpx.Client(base_url=ADDRESS, timeout=START_SECONDS) as http:
        whole = scores(step(http, model, "".join(pieces)))
        scores(step(http, model, pieces[0], sequence_id=42, sequence_start=True))
        for piece in pieces[1:]:
            kill(the_process("ServeReplica:unroll:FrontEnd"))
            last = scores(answered(partial(step, http, model, piece, sequence_id=42)))
        assert last == pytest.approx(whole, abs=1e-5)
        ended = step(http, model, "", sequence_id=42, sequence_end=True)
        assert step(http, model, "a", sequence_id=42).status_code == 409, ended.text


def answered(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The response, where a front end was just killed: broken connections and 5xx of the proxy are tried again."""
    end = time.monotonic() + START_SECONDS
    while True:
        with suppress(httpx.TransportError):
            answer = ask()
            if answer.status_code < 500:
                return answer
        assert time.monotonic() < end, "no response"
        time.sleep(0.5)


def test_a_state_that_the_client_carries_goes_to_any_front_end(nodes: Nodes) -> None:
    retries = Retries(attempts=50, first_wait=0.5, longest_wait=2, broken=True)
    with Unroll(ADDRESS, timeout=START_SECONDS, retries=retries) as client:
        whole = client.sentiment("A warm, funny film", model="sentiment-en-uni")
        first = client.sentiment("A warm, ", model="sentiment-en-uni", return_state=True)
        assert first.state is not None
        kill(the_process("ServeReplica:unroll:FrontEnd"))
        last = client.sentiment("funny film", model="sentiment-en-uni", state=first.state)
    assert last.polarity == pytest.approx(whole.polarity, abs=1e-5)


def test_a_new_deployment_with_the_same_secret_loses_no_request(nodes: Nodes) -> None:
    """Front ends and engines of both reach each other while those of the new one take their places."""
    with Clients(3, list(BODIES.items())) as clients:
        clients.answers_more(20)
        settings = nodes.options.settings | {"request_seconds": 100}
        serve.run(build(nodes.options.model_copy(update={"settings": settings})), name="unroll", route_prefix="/")
        clients.answers_more(40)
    clients.assert_all_answered()


def test_a_killed_proxy_breaks_connections_which_the_client_retries(nodes: Nodes) -> None:
    """Ray starts another proxy. The requests in the killed one are lost: a client with `broken` sends them again."""
    until(is_ready, "a ready service")
    retries = Retries(attempts=100, first_wait=0.5, longest_wait=2, broken=True)
    answers: list[str] = []

    def ask() -> None:
        with Unroll(ADDRESS, timeout=START_SECONDS, retries=retries) as client:
            answers.extend(client.translate("do you want to save", max_tokens=40).text for _ in range(30))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) > 10, "some answers")
    kill(the_process("ServeProxyActor", "ProxyActor"))
    for thread in threads:
        thread.join()
    assert len(answers) == 90
    assert len(set(answers)) == 1


def the_process(*names: str) -> psutil.Process:
    """A process of Ray, by its title, once it is there: Ray may just start it again."""
    until(lambda: bool(processes(*names)), f"a process {' or '.join(names)}")
    return processes(*names)[0]


def processes(*names: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it ended meanwhile
            title = " ".join(process.cmdline())
            if title.startswith("ray::") and any(name in title for name in names):
                found.append(process)
    return found


def kill(process: psutil.Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
