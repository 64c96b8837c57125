"""A problem of each kind, provoked by an HTTP request to a real service with its default limits."""

import io
import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import fsspec
import httpx
from PIL import Image
from pydantic import SecretStr

from app.api.access.keys import hash_of
from app.api.problems import ALL_KINDS
from app.engine.config import EngineConfig
from app.engine.sizes import needed_bytes
from app.main import create_app
from app.settings import Settings
from app.store.model_store import inspect_version
from app.store.remote import RemoteStore
from app.store.text_input import TokenizerUse
from app.text.word_tokenizers import build
from tests.docs.services import client_of, client_of_ready, running_engine
from tests.service.serving import until
from tests.service.versions import put_version
from tests.store.clouds import environment
from tests.tiny_store import TEXTS, drafts, make_tiny_store, publish_tiny

USER_KEY, ADMIN_KEY = "unroll_the-key-of-a-user", "unroll_the-key-of-an-administrator"
BUCKET = "s3://models"
NO_SERVER = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
}  # no process listens on the port "discard"
Provoked = Iterator[tuple[str, httpx.Response]]  # the slug that is expected, or `SLUG of OPERATION`, and the answer


def record_problems(folder: Path) -> dict[str, dict[str, Any]]:
    """The bodies of `recorded_problems`. `folder` holds the stores of the services."""
    answers = dict(_provoked(folder))
    slugs = [kind.slug for kind in ALL_KINDS]
    assert {slug_of(name) for name in answers} == set(slugs), "provoke a problem of each kind"
    return {
        name: _body(answers[name], slug_of(name)) for name in sorted(answers, key=lambda n: slugs.index(slug_of(n)))
    }


def slug_of(name: str) -> str:
    """The slug of a recorded problem."""
    return name.partition(" of ")[0]


def _body(answer: httpx.Response, slug: str) -> dict[str, Any]:
    """A problem as native routes answer it, without the members of a compatible interface."""
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"/problems/{slug}", body
    return {name: value for name, value in body.items() if name not in ("error", "error_type")}


def _provoked(folder: Path) -> Provoked:
    store, endpoint = _store(folder), f"ipc://{folder}/socket"
    with running_engine(EngineConfig(endpoint=endpoint, store=str(store), device="cpu")) as stop_engine:
        open_to_all = create_app(Settings(store=store), engines=[endpoint])
        open_to_all.add_api_route("/failing", _failing)
        with client_of_ready(open_to_all) as http:
            yield from _wrong_inputs(http)
            yield from _wrong_models(http)
            yield from _wrong_requests(http)
        with client_of_ready(create_app(_with_keys(store), engines=[endpoint])) as http:
            yield from _refused_callers(http)
            yield from _failed_administration(http, store)
        with client_of_ready(create_app(Settings(store=store, request_seconds=1), engines=[endpoint])) as http:
            yield from _too_slow(http)
        with client_of_ready(create_app(Settings(store=store, workers=2), engines=[endpoint])) as http:
            yield "sessions-off", http.get("/v1/sessions")
        with client_of_ready(create_app(_with_redis(store, folder), engines=[endpoint])) as http:
            yield "sessions-unreachable", http.get("/v1/sessions")
        with client_of_ready(create_app(Settings(store=store), engines=[endpoint])) as http:
            stop_engine()
            yield from _unanswered(http)
    yield from _without_room(store, folder)
    yield from _cut_off(store, folder)


def _store(folder: Path) -> Path:
    """The tiny store, with a model that refuses unknown words, a damaged version, and one whose numbers are NaN."""
    store = make_tiny_store(folder)
    build("spaces", TEXTS[0].split(), unk=None).save(str(folder / "words.json"))
    draft = next(draft for draft in drafts() if draft.name == "sentiment-en-uni")
    refusing = {"name": "sentiment-en-words", "tokenizer": TokenizerUse(unknown="refuse")}
    publish_tiny(draft.model_copy(update=refusing), store, folder / "words.json")
    damaged = put_version(store, "sentiment-en", 2) / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    put_version(store, "translate-en-ko", 2, scale=float("nan"))
    return store


def _with_keys(store: Path) -> Settings:
    user = {"name": "shop", "hash": hash_of(USER_KEY.encode()), "rate_limit": "60/minute"}
    return Settings(
        store=str(store),
        api_keys=SecretStr(json.dumps({"keys": [user]})),
        admin_key=SecretStr(ADMIN_KEY),
        cors_origins="https://shop.example",
    )


def _with_redis(store: Path, folder: Path) -> Settings:
    """The settings of a service that cannot reach the Redis with its sessions."""
    nobody = SecretStr(f"redis+unix://{folder}/no-redis")
    return Settings(store=str(store), session_storage=nobody, state_secret=SecretStr("a secret of the example"))


def _failing() -> None:
    """The endpoint of a route with a bug."""
    raise RuntimeError("this route has a bug")


def _wrong_inputs(http: httpx.Client) -> Provoked:
    def post(inputs: object, **others: object) -> httpx.Response:
        return http.post("/v1/sentiment", json={"inputs": inputs, **others})

    photo = io.BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGB").save(photo, "JPEG")
    cut = photo.getvalue()[: photo.tell() // 2]
    yield "empty-input", post("")
    yield "input-too-long", post("a" * 30_000)
    yield from _too_long(http)
    yield "too-many-inputs", post(["a film"] * 300)
    day = [0.0, 5.6, -1.0, 3.4]
    yield "input-too-short", http.post("/v1/forecast", json={"inputs": [day] * 4})
    yield (
        "invalid-series",
        http.post("/v1/forecast", json={"inputs": [day, day, [0.0, None, -1.0, 3.4], day, day, day]}),
    )
    yield "invalid-image", http.post("/v1/caption", content=cut, headers={"Content-Type": "image/jpeg"})
    yield "unknown-word", post("a warm and zyzzyva film", model="sentiment-en-words")


def _too_long(http: httpx.Client) -> Provoked:
    """Inputs of routes without the option `truncate`."""
    wide = io.BytesIO()
    Image.new("L", (40_000, 1)).save(wide, "PNG")
    for operation, path in {
        "caption": "v1/caption",
        "hugging_face_image_to_text": "hf/image-to-text/caption-en",
    }.items():
        answer = http.post(f"/{path}", content=wide.getvalue(), headers={"Content-Type": "image/png"})
        yield f"input-too-long of {operation}", answer
    for task, model in {
        "text-classification": "sentiment-en",
        "translation": "translate-en-ko",
        "text-generation": "lm-en",
    }.items():
        answer = http.post(f"/hf/{task}/{model}", json={"inputs": "a" * 30_000})
        yield f"input-too-long of hugging_face_{task.replace('-', '_')}", answer


def _wrong_models(http: httpx.Client) -> Provoked:
    def translate(**options: object) -> httpx.Response:
        return http.post("/v1/translate", json={"inputs": "Open file", **options})

    yield "unknown-language", translate(source="en", target="fr")
    yield "contradictory-options", translate(n_best=3)
    yield "model-not-found", translate(model="translate-en-fr")
    yield "engine-failed", translate(model="translate-en-ko", version=2)
    state = http.post("/v1/states", json={"inputs": "this film", "model": "lm-en"}).json()["results"][0]["state"]
    changed = state[:99] + ("B" if state[99] == "A" else "A") + state[100:]
    yield "invalid-state", http.post("/v1/complete", json={"inputs": " is", "state": changed})
    yield "state-mismatch", http.post("/v1/complete", json={"inputs": " is", "state": state, "model": "lm-ko"})
    yield (
        "no-state",
        http.post("/v1/sentiment", json={"inputs": "a film", "model": "sentiment-en", "return_state": True}),
    )
    yield "session-lost", http.post("/v1/complete", json={"inputs": " is", "model": "lm-en", "session": "talk-1"})
    body = {"inputs": "a film", "model": "sentiment-en", "version": 2}
    yield "model-unavailable", http.post("/v1/sentiment", json=body)


def _wrong_requests(http: httpx.Client) -> Provoked:
    large = bytes(Settings().max_body_bytes + 1)
    json_type = {"Content-Type": "application/json"}
    yield "unsupported-media", http.post("/v1/sentiment", content=b"a film", headers={"Content-Type": "text/plain"})
    yield "body-too-large", http.post("/v1/sentiment", content=large, headers=json_type)
    yield "invalid-request", http.post("/v1/sentiment", json={})
    yield "unreadable-body", http.post("/v1/sentiment", content=b'{"inputs": "a film"', headers=json_type)
    yield "admin-off", http.post("/v1/models/sentiment-en/load")
    yield "not-found", http.get("/v1/sentiments")
    yield "method-not-allowed", http.get("/v1/sentiment")
    yield "internal", http.get("/failing")
    yield "malformed-request", _without_host(http)
    yield "head-too-large", http.get("/healthz", headers={"X-Large": "a" * 70_000})
    yield "host-not-allowed", http.get("/v1/models", headers={"Host": "models.example"})
    yield "cross-site", http.post("/v1/sentiment", json={}, headers={"Origin": "https://elsewhere.example"})


def _without_host(http: httpx.Client) -> httpx.Response:
    connection = HTTPConnection(http.base_url.host, http.base_url.port)
    with closing(connection):
        connection.putrequest("GET", "/healthz", skip_host=True)
        connection.endheaders()
        response = connection.getresponse()
        return httpx.Response(response.status, content=response.read())


def _too_slow(http: httpx.Client) -> Provoked:
    """A body that never ends, at a service that waits for less than a second."""
    never = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"{"
        never.wait()

    threading.Timer(3, never.set).start()
    yield "request-too-slow", http.post("/v1/sentiment", content=body(), headers={"Content-Type": "application/json"})


def _refused_callers(http: httpx.Client) -> Provoked:
    user = {"X-API-Key": USER_KEY}
    preflight = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    yield "cross-origin", http.options("/v1/sentiment", headers=preflight)
    yield "wrong-key", http.post("/v1/sentiment", json={"inputs": "a film"})
    yield "not-allowed", http.post("/v1/models/sentiment-en/load", headers=user)
    for _ in range(60):
        http.post("/v1/sentiment", json={"inputs": ""}, headers=user)
    yield "rate-limited", http.post("/v1/sentiment", json={"inputs": "a film"}, headers=user)


def _failed_administration(http: httpx.Client, store: Path) -> Provoked:
    administrator = {"X-API-Key": ADMIN_KEY}
    yield "load-failed", http.post("/v1/models/sentiment-en/load", json={"version": 2}, headers=administrator)
    store.joinpath("lm-en", "default.json").mkdir()  # also root cannot write this file
    yield "store-not-writable", http.put("/v1/models/lm-en/default", json={"version": 1}, headers=administrator)


def _unanswered(http: httpx.Client) -> Provoked:
    """Inputs for an engine that has stopped: one request more than the service accepts."""
    settings = Settings()
    requests = settings.max_pending // settings.max_inputs + 1
    body = {"inputs": ["a film"] * settings.max_inputs, "timeout_ms": 2000}
    with ThreadPoolExecutor(requests) as pool:
        answers = list(pool.map(lambda _: http.post("/v1/sentiment", json=body), range(requests)))
    yield "overloaded", next(answer for answer in answers if answer.status_code == 429)
    yield "timed-out", next(answer for answer in answers if answer.status_code == 504)


def _without_room(store: Path, folder: Path) -> Provoked:
    """A version for which another one leaves no room, since it decodes a long text."""
    endpoint, key = f"ipc://{folder}/small", "translate-en-ko/1"
    memory = needed_bytes(inspect_version(store / key))
    config = EngineConfig(endpoint=endpoint, store=str(store), device="cpu", models_memory=memory)
    app = create_app(Settings(store=store), engines=[endpoint])
    long = {"inputs": "Open file", "model": "translate-en-ko", "version": 1, "min_tokens": 4000, "max_tokens": 4000}
    with running_engine(config), client_of_ready(app) as http, ThreadPoolExecutor(1) as pool:
        running = pool.submit(http.post, "/v1/translate", json=long)
        until(lambda: 'unroll_engine_running{engine="0"} 1.0' in http.get("/metrics").text)
        yield "model-not-loaded", http.post("/v1/sentiment", json={"inputs": "a film", "timeout_ms": 200})
        assert running.result().status_code == 200


def _cut_off(store: Path, folder: Path) -> Provoked:
    """A service that reaches neither an engine nor its store, and then drains."""
    cache = folder / "cache"
    copy = RemoteStore(BUCKET, cache).root / "lm-en"
    copy.mkdir()
    shutil.copytree(store / "lm-en" / "1", copy / "1")
    settings = Settings(store=BUCKET, store_cache=str(cache), admin_key=SecretStr(ADMIN_KEY))
    app = create_app(settings, engines=[f"ipc://{folder}/no-engine"])
    with environment(NO_SERVER):
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # it may be connected to a server that is there
        with client_of(app) as http:
            yield "not-ready", http.post("/v1/complete", json={"inputs": "a film"})
            yield "store-unreachable", http.post("/v1/models/lm-en/load", headers={"X-API-Key": ADMIN_KEY})
            app.state.service.admission.drain()
            yield "draining", http.get("/v2/health/ready")
        fsspec.get_filesystem_class("s3").clear_instance_cache()
