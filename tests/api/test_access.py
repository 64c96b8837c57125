"""Access control on real servers: keys, roles, rates and concurrent inputs."""

import json
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from click.testing import CliRunner
from fastapi import FastAPI
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from openai import OpenAI
from starlette.requests import Request
from starlette.routing import Mount, Route

from app.api.access.guard import CALLER, PROBES, CallerLimits, Guard, client_of
from app.api.access.keys import Key, Keys, hash_of, new_token
from app.api.access.rates import Rates
from app.api.access.roles import Role
from app.cli.main import main
from app.main import create_app
from app.settings import Settings
from tests.api.operations import DOCUMENT
from tests.conftest import serving, wait_until_ready
from tests.service.serving import until

TEXT = {"inputs": "a warm and funny film"}
ORIGIN = "https://pages.example"
SLIP = "unroll_a-key-where-its-hash-belongs"
TOKENS = {
    name: new_token()
    for name in ("user", "admin", "monitor", "slow", "slow2", "narrow", "wide", "openai", "face", "raw", "own", "other")
}
LIMITS: dict[str, dict[str, Any]] = {
    "admin": {"role": "admin"},
    "monitor": {"role": "monitor"},
    "slow": {"rate_limit": "3/hour"},
    "slow2": {"rate_limit": "1/hour"},
    "openai": {"rate_limit": "2/hour"},
    "face": {"rate_limit": "2/hour"},
    "raw": {"rate_limit": "1/hour"},
    "narrow": {"concurrent_inputs": 2},
}


def entry(name: str, token: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "hash": hash_of(token.encode()), **members}


def entries(names: Sequence[str]) -> str:
    return json.dumps({"keys": [entry(name, TOKENS[name], **LIMITS.get(name, {})) for name in names]})


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


def ask(address: str, headers: dict[str, str], path: str = "/v1/sentiment", **body: Any) -> httpx.Response:
    return httpx.post(f"{address}{path}", json=body or TEXT, headers=headers)


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


@contextmanager
def answering(store: Path, endpoint: str, **settings: Any) -> Iterator[str]:
    with serving(create_app(Settings(store=store, **settings), engines=[endpoint])) as address:
        wait_until_ready(address)
        yield address


@pytest.fixture(scope="module")
def keyed(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """A server with all of `TOKENS`, which pages of `ORIGIN` may use."""
    settings = {"api_keys": entries(list(TOKENS)), "cors_origins": ORIGIN, "hsts_seconds": 3600}
    with answering(tiny_store, engine_endpoint, **settings) as address:
        yield address


def operations(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of every route, with `x` for variables."""
    for path, item in DOCUMENT["paths"].items():
        for method in item:
            yield method.upper(), re.sub(r"{\w+}", "x", path)
    for route in app.routes:
        if isinstance(route, Route):
            yield "GET", route.path
        elif isinstance(route, Mount):
            yield "GET", f"{route.path}/x"


@pytest.mark.parametrize(("method", "path"), sorted(set(operations(create_app(Settings(), engines=[])))))
def test_all_but_pages_and_probes_needs_a_key(keyed: str, method: str, path: str) -> None:
    open_to_all = path in {*PROBES, "/", "/docs", "/openapi.json"} or path.startswith("/assets/")
    for headers in ({}, {"Authorization": "Bearer unroll_wrong"}, {"X-API-Key": "unroll_wrong"}):
        answer = httpx.request(method, f"{keyed}{path}", headers=headers)
        if open_to_all:
            assert answer.status_code == (404 if path.endswith("/x") else 200)
        else:
            assert problem(answer) == (401, "wrong-key")
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="unroll"'
            assert "unroll_wrong" not in answer.text


@pytest.mark.parametrize("path", ["/nothing", "//v1/sentiment", "/assets/../v1/models", "/v1/models/"])
def test_no_other_way_to_write_a_path_goes_past_the_keys(keyed: str, path: str) -> None:
    place = urlsplit(keyed)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split()[1] in {b"401", b"404"}
    assert b'"data"' not in answer


@pytest.mark.parametrize(
    "headers",
    [
        bearer("user"),
        {"Authorization": f"bearer   {TOKENS['user']}"},
        {"X-API-Key": TOKENS["user"]},
        {"X-API-Key": TOKENS["user"], "Authorization": "Basic bm9ib2R5Og=="},
        bearer("admin"),
    ],
)
def test_a_key_is_taken_from_either_header(keyed: str, headers: dict[str, str]) -> None:
    assert ask(keyed, headers).status_code == 200


@pytest.mark.parametrize(
    "sent", ["Basic {}", "{}", "Bearer x{}", "Bearer {}x", "Bearer sha256:{}", "Bearer", "Bearer \xff", "Token {}"]
)
def test_what_is_nearly_a_key_is_none(keyed: str, sent: str) -> None:
    value = sent.format(TOKENS["user"]).encode("latin-1")
    answer = httpx.post(f"{keyed}/v1/sentiment", json=TEXT, headers={b"Authorization": value})
    assert problem(answer) == (401, "wrong-key")


def test_the_hash_of_a_key_is_no_key(keyed: str) -> None:
    for hashed in (hash_of(TOKENS["user"].encode()), hash_of(TOKENS["user"].encode()).removeprefix("sha256:")):
        assert problem(ask(keyed, {"X-API-Key": hashed})) == (401, "wrong-key")


def test_a_role_is_enough_or_it_is_not(keyed: str) -> None:
    change = f"{keyed}/v1/models/sentiment-en/load"
    assert problem(httpx.post(change, headers=bearer("user"), json={})) == (403, "not-allowed")
    loaded = httpx.post(change, headers=bearer("admin"), json={"version": 1})
    assert (loaded.status_code, loaded.json()["version"]) == (200, 1)
    for name, status in (("user", 200), ("admin", 200), ("monitor", 200)):
        assert httpx.get(f"{keyed}/metrics", headers=bearer(name)).status_code == status
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/sentiment"), ("POST", "/v1/models/sentiment-en/load")):
        assert problem(httpx.request(method, f"{keyed}{path}", headers=bearer("monitor"))) == (403, "not-allowed")


def refusals(address: str, name: str, reason: str) -> float:
    """The number of refusals for a reason, in the metrics of a caller with a key."""
    lines = httpx.get(f"{address}/metrics", headers=bearer(name)).text.splitlines()
    sample = f'unroll_refusals_total{{reason="{reason}"}} '
    return sum(float(line.removeprefix(sample)) for line in lines if line.startswith(sample))


ADMINISTRATION = [
    ("POST", "/v1/models/sentiment-en/load"),
    ("POST", "/v1/models/sentiment-en/unload"),
    ("PUT", "/v1/models/sentiment-en/default"),
    ("POST", "/v2/repository/models/sentiment-en/load"),
    ("POST", "/v2/repository/models/sentiment-en/unload"),
]


@pytest.mark.parametrize(("method", "path"), ADMINISTRATION)
def test_refusals_of_administration_are_counted(keyed: str, method: str, path: str) -> None:
    before = [refusals(keyed, "monitor", reason) for reason in ("not-allowed", "wrong-key")]
    for name in ("user", "monitor"):
        answer = httpx.request(method, f"{keyed}{path}", headers=bearer(name), json={"version": 1})
        assert problem(answer) == (403, "not-allowed")
    assert problem(httpx.request(method, f"{keyed}{path}", json={"version": 1})) == (401, "wrong-key")
    after = [refusals(keyed, "monitor", reason) for reason in ("not-allowed", "wrong-key")]
    assert after == [before[0] + 2, before[1] + 1]


def test_a_rate_is_kept_for_each_caller_and_refusals_are_counted(keyed: str) -> None:
    for _ in range(5):
        assert httpx.get(f"{keyed}/v1/models", headers=bearer("slow")).status_code == 200  # not a task
    answers = [ask(keyed, bearer("slow")) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    refused = answers[-1]
    assert problem(refused) == (429, "rate-limited")
    assert refused.json()["limit"] == 3
    assert refused.headers["RateLimit-Limit"] == "3"
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert refused.headers["RateLimit-Policy"] == "3;w=3600"
    assert 3500 < int(refused.headers["RateLimit-Reset"]) <= 3600
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"]
    assert refused.json()["retry_after_seconds"] == int(refused.headers["Retry-After"])
    assert ask(keyed, bearer("user")).status_code == 200
    counted = httpx.get(f"{keyed}/metrics", headers=bearer("monitor")).text
    assert 'unroll_refusals_total{reason="rate-limited"}' in counted
    assert 'unroll_refusals_total{reason="wrong-key"}' in counted
    assert 'unroll_http_requests_total{route="/v1/sentiment",status="429"}' in counted
    assert not any(token in counted for token in TOKENS.values())


def test_a_refusal_does_not_wait_for_the_body(keyed: str) -> None:
    place = urlsplit(keyed)

    def announced(token: str) -> bytes:
        with socket.create_connection((place.hostname, place.port), timeout=100) as connection:
            lines = "POST /v1/sentiment HTTP/1.1", "Host: localhost", f"X-API-Key: {token}", "Content-Length: 500000"
            connection.sendall("\r\n".join((*lines, "", "")).encode())
            return connection.recv(65536)  # without the rest of the body

    assert ask(keyed, bearer("raw")).status_code == 200
    assert announced(TOKENS["raw"]).startswith(b"HTTP/1.1 429")
    assert announced("unroll_wrong").startswith(b"HTTP/1.1 401")


def test_inputs_at_the_same_time_are_bounded_and_come_free(keyed: str, endless: str) -> None:
    body = {"inputs": [endless] * 2, "max_tokens": 4000, "stream": True}
    with httpx.stream("POST", f"{keyed}/v1/translate", json=body, headers=bearer("narrow")) as running:
        assert running.status_code == 200
        lines = running.iter_lines()
        next(lines)
        refused = ask(keyed, bearer("narrow"))
        assert problem(refused) == (429, "rate-limited")
        assert refused.headers["Retry-After"] == "1"
        assert ask(keyed, bearer("wide")).status_code == 200
    until(lambda: ask(keyed, bearer("narrow")).status_code == 200)
    too_many = ask(keyed, bearer("narrow"), inputs=["a", "b", "c"])
    assert problem(too_many) == (422, "too-many-inputs")
    assert too_many.json()["limit"] == 2
    assert (
        ask(keyed, bearer("narrow"), inputs=["a film", "b film"]).status_code == 200
    )  # a refused request frees its inputs
    counted = httpx.get(f"{keyed}/metrics", headers=bearer("monitor")).text
    assert 'unroll_refusals_total{reason="concurrency"}' in counted


def test_openais_client_sends_a_key_and_understands_refusals(keyed: str) -> None:
    with OpenAI(base_url=f"{keyed}/v1", api_key=TOKENS["openai"], max_retries=0) as client:
        for _ in range(2):
            assert client.completions.create(model="lm-en", prompt="the plot", max_tokens=3).choices
        with pytest.raises(openai.RateLimitError) as refused:
            client.completions.create(model="lm-en", prompt="the plot", max_tokens=3)
        assert "retry_after_seconds" in refused.value.response.json()
    with OpenAI(base_url=f"{keyed}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError, match="the key is unknown"):
            client.completions.create(model="lm-en", prompt="the plot", max_tokens=3)
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
    with (
        OpenAI(base_url=f"{keyed}/v1", api_key=TOKENS["monitor"], max_retries=0) as client,
        pytest.raises(openai.PermissionDeniedError),
    ):
        client.models.list()


def test_hugging_faces_client_sends_a_key_and_understands_refusals(keyed: str) -> None:
    def client(token: str) -> InferenceClient:
        return InferenceClient(base_url=f"{keyed}/hf/text-classification/sentiment-en", token=token)

    for _ in range(2):
        assert client(TOKENS["face"]).text_classification("a film")
    for token, status in ((TOKENS["face"], 429), ("wrong", 401)):
        with pytest.raises(HfHubHTTPError) as refused:
            client(token).text_classification("a film")
        assert refused.value.response.status_code == status


def test_pages_of_other_origins_may_ask_if_they_are_named(keyed: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    for origin, allowed in ((ORIGIN, True), ("https://else.example", False)):
        preflight = httpx.options(f"{keyed}/v1/sentiment", headers={"Origin": origin, **asked})
        if allowed:
            assert preflight.status_code == 200
        else:
            assert problem(preflight) == (400, "cross-origin")
            assert f"POST from {origin} is not allowed" in preflight.json()["detail"]
        assert "Origin" in preflight.headers["Vary"]
        assert preflight.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        answer = ask(keyed, bearer("user") | {"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert "Access-Control-Allow-Credentials" not in answer.headers
    method = {"Origin": ORIGIN, "Access-Control-Request-Method": "DELETE"}
    assert problem(httpx.options(f"{keyed}/v1/sentiment", headers=method)) == (400, "cross-origin")
    other = httpx.options(f"{keyed}/v2/models/sentiment-en/infer", headers=method)
    assert (problem(other), other.json()["error"]) == ((400, "cross-origin"), other.json()["detail"])
    assert (
        "authorization"
        in httpx.options(f"{keyed}/v1/sentiment", headers={"Origin": ORIGIN, **asked}).headers[
            "Access-Control-Allow-Headers"
        ]
    )
    refused = ask(keyed, {"Origin": ORIGIN})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]


def test_other_origins_are_off_by_default(http: httpx.Client) -> None:
    answer = http.post("/v1/sentiment", json=TEXT, headers={"Origin": ORIGIN})
    assert answer.json()["type"] == "/problems/cross-site"
    preflight = http.options("/v1/sentiment", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 403
    for told in (answer, preflight):
        assert not any(name.startswith("access-control-") for name in told.headers)


@pytest.mark.parametrize(
    ("path", "policy", "kept"),
    [
        ("/", "default-src 'self'; img-src 'self' blob: data:; ", "no-cache"),
        ("/docs", "; style-src 'self' 'unsafe-inline'", "no-cache"),
        ("/assets/web/app.js", "default-src 'self'", "no-cache"),
        ("/v1/models", "default-src 'none'", "no-store"),
        ("/healthz", "default-src 'none'", "no-store"),
        ("/nothing", "default-src 'none'", "no-store"),
    ],
)
def test_every_answer_tells_browsers_what_not_to_do(
    http: httpx.Client, keyed: str, path: str, policy: str, kept: str
) -> None:
    for answer in (http.get(path), httpx.get(f"{keyed}{path}")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
        if answer.status_code != 401:
            assert policy in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == kept
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        scripts = answer.headers["Content-Security-Policy"].partition("script-src")[2].partition(";")[0]
        assert "unsafe" not in scripts
    assert "Strict-Transport-Security" not in http.get(path).headers
    assert httpx.get(f"{keyed}{path}").headers["Strict-Transport-Security"] == "max-age=3600"


def test_streams_and_refusals_have_the_headers_once(keyed: str) -> None:
    body = {"inputs": "save the changes", "stream": True}
    for answer in (ask(keyed, bearer("user"), "/v1/translate", **body), ask(keyed, {})):
        assert answer.headers.get_list("Cache-Control") == ["no-store"]
        assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]


def test_the_file_of_keys_is_read_again(
    tiny_store: Path, engine_endpoint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys.toml"

    def write(*names: str) -> None:
        new = tmp_path / "new"
        new.write_text(
            "\n".join(f'[[keys]]\nname = "{name}"\nhash = "{hash_of(TOKENS[name].encode())}"' for name in names)
        )
        new.replace(file)

    write("user", "own")
    with answering(tiny_store, engine_endpoint, api_keys_file=file) as address:

        def status(name: str) -> int:
            return ask(address, bearer(name)).status_code

        assert (status("user"), status("own"), status("other")) == (200, 200, 401)
        write("user", "other")
        until(lambda: status("other") == 200)
        assert (status("user"), status("own")) == (200, 401)
        file.write_text(f'[[keys]]\nname = "user"\nhash = "{TOKENS["user"]}"')  # a key in place of its hash, by mistake
        until(lambda: "the keys are unchanged" in caplog.text)
        assert (status("user"), status("other")) == (200, 200)
        file.unlink()
        until(lambda: "No such file" in caplog.text)
        assert status("user") == 200
        write("own")
        until(lambda: status("own") == 200)
        assert (status("user"), status("other")) == (401, 401)
    assert not any(token in caplog.text for token in TOKENS.values())


def test_addresses_have_limits_only_when_told_to(tiny_store: Path, engine_endpoint: str) -> None:
    limits: dict[str, Any] = {"rate_limit": "2/hour", "concurrent_inputs": 3}
    with answering(tiny_store, engine_endpoint, **limits) as address:
        assert [ask(address, {}).status_code for _ in range(4)] == [200] * 4
    with answering(tiny_store, engine_endpoint, **limits, limit_addresses=True) as address:
        assert ask(address, {}, inputs=["a"] * 4).status_code == 422
        assert [ask(address, {"Authorization": "Bearer x"}).status_code for _ in range(3)] == [200, 429, 429]
        assert ask(address, {}).status_code == 429


def test_administrators_key_alone_leaves_the_tasks_open(tiny_store: Path, engine_endpoint: str) -> None:
    with answering(tiny_store, engine_endpoint, admin_key=TOKENS["admin"]) as address:
        for headers in ({}, {"Authorization": "Bearer x"}, bearer("admin")):
            assert ask(address, headers).status_code == 200
        change = f"{address}/v1/models/sentiment-en/load"
        for method, path in ADMINISTRATION:
            for headers in ({}, {"X-API-Key": "x"}):
                refused = httpx.request(method, f"{address}{path}", json={}, headers=headers)
                assert problem(refused) == (401, "wrong-key")
        assert refusals(address, "admin", "wrong-key") == 2 * len(ADMINISTRATION)
        assert httpx.post(change, json={"version": 1}, headers={"X-API-Key": TOKENS["admin"]}).status_code == 200


def test_the_scheduler_shares_by_key() -> None:
    """Two keys from one address are two clients; one key from two addresses is one."""
    keys = Keys([Key(**entry(name, TOKENS[name])) for name in ("own", "other")], required=True)
    guard = Guard(keys, Rates(), CallerLimits())

    def client(name: str, address: str) -> str:
        headers = [(b"x-api-key", TOKENS[name].encode())]
        scope: dict[str, object] = {"type": "http", "headers": headers, "client": (address, 1)}
        scope[CALLER] = guard.caller_of(dict(headers), address)
        return client_of(Request(scope))

    assert client("own", "192.0.2.1") == client("own", "192.0.2.2") != client("other", "192.0.2.1")


def test_an_address_of_ipv6_is_a_network() -> None:
    guard = Guard(Keys(required=False), Rates(), CallerLimits("1/hour", by_address=True))
    names = [guard.caller_of({}, address).name for address in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")]
    assert names[0] == names[1] != names[2]
    assert guard.caller_of({}, "192.0.2.1").name == "192.0.2.1"


def test_a_new_key_is_told_once_and_its_entry_works(tmp_path: Path) -> None:
    for options, suffix in (((), "toml"), (("--json",), "json")):
        made = CliRunner().invoke(main, ["key", "new", "--name", "alice", "--role", "admin", *options])
        assert made.exit_code == 0
        token = made.stderr.split()[-1]
        assert token.startswith("unroll_")
        assert len(token) > 40
        assert token not in made.stdout
        file = tmp_path / f"keys.{suffix}"
        file.write_text(made.stdout if suffix == "toml" else f'{{"keys": [{made.stdout}]}}')
        key = Keys(file=file, required=True).find(token.encode())
        assert key is not None
        assert (key.name, key.role) == ("alice", Role.ADMIN)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ((), (None, None)),
        (("--rate-limit", "10/second;1000/hour", "--concurrent-inputs", "32"), ("10/second;1000/hour", 32)),
        (("--rate-limit", "", "--concurrent-inputs", "0"), ("", 0)),
    ],
)
def test_a_new_key_may_have_limits_of_its_own(
    tmp_path: Path, options: Sequence[str], limits: tuple[str | None, int | None], as_json: bool
) -> None:
    made = CliRunner().invoke(main, ["key", "new", "--name", "김.alice", *options, *(["--json"] if as_json else [])])
    assert made.exit_code == 0
    file = tmp_path / ("keys.json" if as_json else "keys.toml")
    file.write_text(f'{{"keys": [{made.stdout}]}}' if as_json else made.stdout, encoding="utf8")
    key = Keys(file=file, required=True).find(made.stderr.split()[-1].encode())
    assert key is not None
    assert (key.name, key.rate_limit, key.concurrent_inputs) == ("김.alice", *limits)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--name", "a b"), "Invalid value for --name: 1 to 64 letters"),
        (
            ("--name", "a", "--rate-limit", "often"),
            "Invalid value for --rate-limit: Value error, write a rate like 10/",
        ),
        (
            ("--name", "a", "--rate-limit", "0/hour"),
            "Invalid value for --rate-limit: Value error, a rate allows 1 to 100000",
        ),
        (
            ("--name", "a", "--concurrent-inputs", "-1"),
            "Invalid value for --concurrent-inputs: Input should be greater",
        ),
        (("--name", "a", "--concurrent-inputs", "many"), "'many' is not a valid integer"),
    ],
)
def test_an_entry_that_no_service_would_take_is_not_made(options: Sequence[str], said: str) -> None:
    made = CliRunner().invoke(main, ["key", "new", *options])
    assert made.exit_code == 2
    assert said in " ".join(made.output.split())
    assert "unroll_" not in made.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[keys]]\nname = 'a'", "keys.0.hash: Field required"),
        (f"[[keys]]\nname = 'a'\nhash = '{SLIP}'", "keys.0.hash: String should match"),
        (f"[[keys]]\nname = 'a'\nhash = '{hash_of(b'a')}'\nrole = 'king'", "keys.0.role: Input should be 'user'"),
        (f"[[keys]]\nname = 'a'\nhash = '{hash_of(b'a')}'\nrate_limit = 'x'", "write a rate like 10/second"),
        (f"[[keys]]\nname = 'a'\nhash = '{hash_of(b'a')}'\nrate_limit = '0/hour'", "allows 1 to 100000 requests"),
        (f"[[keys]]\nname = 'a'\nhash = '{hash_of(b'a')}'\n" * 2, "two keys have the same name: a, a"),
        (f"keys = {SLIP}", "not valid TOML"),
    ],
)
def test_a_file_of_keys_that_is_wrong_ends_the_start_and_is_not_quoted(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    started = CliRunner().invoke(main, ["serve", "--api-keys-file", str(file)])
    assert started.exit_code != 0
    assert said in started.output
    assert str(file) in started.output or "same name" in said
    assert SLIP not in started.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--api-keys-file", "/nowhere/keys.toml"], "/nowhere/keys.toml: No such file"),
        (["--admin-key-file", "/nowhere/key"], "/nowhere/key: No such file"),
        (["--rate-limit", "often"], "rate_limit"),
        (["--rate-limit-storage", "http://somewhere"], "rate_limit_storage"),
        (["--cors-origins", "pages.example"], "cors_origins"),
        (["--host", "0.0.0.0"], "other machines can reach 0.0.0.0, and the tasks need no key"),
        (["--host", "0.0.0.0", "--admin-key", "x"], "other machines can reach 0.0.0.0, and the tasks need no key"),
        (["--host", "::"], "other machines can reach ::, and the tasks need no key"),
    ],
)
def test_what_cannot_be_served_safely_is_not_served(options: list[str], said: str) -> None:
    started = CliRunner().invoke(main, ["serve", *options])
    assert started.exit_code != 0
    assert said in started.output


def test_keys_in_the_environment_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLL_API_KEYS", "{")
    started = CliRunner().invoke(main, ["serve"])
    assert "UNROLL_API_KEYS: line 1: not valid JSON" in started.output


@pytest.mark.parametrize(("method", "path"), [("POST", "load"), ("POST", "unload"), ("PUT", "default")])
def test_without_a_key_for_administrators_nothing_can_be_changed(server: str, method: str, path: str) -> None:
    answer = httpx.request(method, f"{server}/v1/models/sentiment-en/{path}", json={"version": 1})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/admin-off")
    assert "UNROLL_ADMIN_KEY" in answer.json()["detail"]
