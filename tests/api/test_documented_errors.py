"""The OpenAPI document has every error that an operation can return, with its status and type."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.main import create_app
from app.settings import Settings
from tests.api.operations import ADMIN_KEY, DOCUMENT, JSON, OPERATIONS, Operation
from tests.api.test_bad_input import BAD
from tests.conftest import serving

AUTHORIZED = {"Authorization": f"Bearer {ADMIN_KEY}"}
TOO_LARGE = bytes(3_000_001)
WRONG: tuple[object, ...] = (None, True, -1, 0, 10**12, 1.5, "", " \t", "x", "zz", "x" * 25_000, [], {}, [[]], ["", 1])
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.name for operation in OPERATIONS])


def wrong_requests(operation: Operation) -> Iterator[dict[str, Any]]:
    """Wrong requests to an operation: its key, size and form, and each member of each example."""
    good = {"headers": AUTHORIZED}
    yield {"headers": {"Authorization": "Bearer guessed"}}
    yield {}
    yield good | {"content": TOO_LARGE}
    if not operation.bodies:
        return
    yield {"headers": AUTHORIZED | {"Content-Type": next(iter(operation.bodies))}, "content": TOO_LARGE}
    for content in (b"", b"{", b"[]", b'"a"', b'{"a": "\\ud800"}', b"\xff", b'{"a": 1}'):
        for media_type in (JSON, *operation.bodies, "text/plain"):
            yield {"headers": AUTHORIZED | {"Content-Type": media_type}, "content": content}
    for example in operation.examples.values():
        value = example["value"]
        yield good | {"json": value, "headers": AUTHORIZED | {"X-Timeout-Ms": "1"}}
        yield good | {"json": value, "headers": AUTHORIZED | {"X-Timeout-Ms": "soon"}}
        yield good | {"json": value | {"no such member": 1}}
        yield good | {"json": {}}
        for name in options_of(operation):
            yield from (good | {"json": value | {name: wrong}} for wrong in WRONG)
        break  # the others differ only in options
    for example in operation.examples.values():
        yield from (good | {"json": without} for without in shortened(example["value"]))


def options_of(operation: Operation) -> list[str]:
    """The members of a JSON body."""
    name = operation.bodies[JSON]["schema"]["$ref"].rsplit("/", 1)[1]
    return list(DOCUMENT["components"]["schemas"][name]["properties"])


def shortened(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An example without each of its members, and with too many inputs."""
    for name, item in value.items():
        less = copy.deepcopy(value)
        del less[name]
        yield less
        if isinstance(item, str):
            yield value | {name: [item] * 65}


def seen(http: httpx.Client, operation: Operation, requests: Iterator[dict[str, Any]]) -> set[tuple[int, str]]:
    """Status and type of each problem that an operation returns."""
    found = set()
    for request in requests:
        answer = http.request(operation.method, operation.url, **request)
        if answer.status_code != 200:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json", answer.text
            assert problem["status"] == answer.status_code
            found.add((answer.status_code, problem["type"]))
    return found


@each_operation
def test_wrong_requests(administered: str, operation: Operation) -> None:
    with httpx.Client(base_url=administered) as http:
        found = seen(http, operation, wrong_requests(operation))
    assert (413, "/problems/body-too-large") in found
    assert JSON not in operation.bodies or (422, "/problems/invalid-request") in found
    assert found <= operation.problems(), found - operation.problems()


def test_bad_input_of_the_tasks(http: httpx.Client) -> None:
    by_path = {operation.path: operation for operation in OPERATIONS if operation.method == "POST"}
    for bad in BAD:
        if bad.path in by_path and bad.method == "POST":
            assert (bad.status, f"/problems/{bad.slug}") in by_path[bad.path].problems(), bad.name


@each_operation
def test_names_that_there_are_not(administered: str, operation: Operation) -> None:
    """Parameters of the path, and of the query string."""
    if "{" not in operation.path:
        pytest.skip("nothing is named in its path")
    if operation.name == "forget_session":
        pytest.skip("a session that is not there is no error")
    value = next((example["value"] for example in operation.examples.values()), None)
    with httpx.Client(base_url=administered, headers=AUTHORIZED) as http:
        for name in ("nobody", "x" * 200, "%00", "..%00"):
            url = operation.path.replace("{model}", name).replace("{name}", name).replace("{version}", "1")
            answer = http.request(operation.method, url, json=value)
            if answer.is_success:
                assert operation.name == "upload_file", "which gives new names"
                continue
            problem = answer.json()
            assert (problem["status"], problem["type"]) in operation.problems()


def good_requests(operation: Operation) -> Iterator[dict[str, Any]]:
    for example in operation.examples.values() or [{"value": None}]:
        yield {"headers": AUTHORIZED, "json": example["value"]}


def test_before_an_engine_is_ready_and_before_the_end(tmp_path: Path) -> None:
    app = create_app(Settings(store=tmp_path, admin_key=SecretStr(ADMIN_KEY)), engines=[f"ipc://{tmp_path}/nobody"])
    found: set[tuple[int, str]] = set()
    with serving(app) as address, httpx.Client(base_url=address) as http:
        for is_draining in (False, True):
            if is_draining:
                app.state.service.admission.drain()
            for operation in OPERATIONS:
                if operation.name != "readiness":  # which has its own error format
                    here = seen(http, operation, good_requests(operation))
                    assert here <= operation.problems(), operation.name
                    found |= here
    assert {(503, "/problems/not-ready"), (503, "/problems/draining")} <= found


def test_without_a_key_for_administrators(http: httpx.Client) -> None:
    administration = [operation for operation in OPERATIONS if operation.described.get("security")]
    assert administration
    for operation in administration:
        found = seen(http, operation, good_requests(operation))
        assert found
        assert found <= operation.problems()
