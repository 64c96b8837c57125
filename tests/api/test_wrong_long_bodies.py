"""Long bodies that are wrong: one mistake is reported, and the event loop answers between."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from pydantic_core import from_json

from app.api.body import read_long
from app.api.tasks.bodies import body_of
from app.tasks.registry import TASKS
from app.tasks.request_form import RequestForm

MANY = 40_000
TENSOR = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["a"]}
LISTS = {
    "/v1/sentiment": {"inputs": [[1, 2]] * MANY},
    "/v1/tag": {"inputs": [[1]] * MANY},
    "/v1/tag?words": {"inputs": [[1] * MANY]},
    "/v1/classify": {"inputs": ["a", *[1] * MANY], "model": "sentiment-en"},
    "/v1/classify?clips": {"inputs": [{"frames": "a"}, *[1] * MANY]},
    "/v1/caption": {"inputs": [1] * MANY},
    "/v1/translate": {"inputs": "a", "stop": [1] * MANY},
    "/v1/completions": {"model": "lm-en", "prompt": "a", "stop": [1] * MANY},
    "/v1/embeddings": {"model": "lm-en", "input": [[1]] * MANY},
    "/hf/feature-extraction/sentiment-en": {"inputs": [1] * MANY},
    "/hf/text-classification/sentiment-en": {"inputs": [1] * MANY},
    "/v2/models/sentiment-en/infer": {"inputs": [1] * MANY},
    "/v2/models/lm-en/generate": {"text_input": "a", "parameters": {"stop": [1] * MANY}},
}
MEMBERS = {f"m{number}": 1 for number in range(MANY)}
UNKNOWN = {
    "/v1/sentiment": {"inputs": "a", **MEMBERS},
    "/v1/completions": {"model": "lm-en", "prompt": "a", "stream_options": MEMBERS},
    "/hf/text-classification/sentiment-en": {"inputs": "a", "parameters": MEMBERS},
    "/v2/models/lm-en/generate": {"text_input": "a", **MEMBERS},
    "/v2/models/lm-en/infer": {"inputs": [TENSOR], "parameters": MEMBERS},
}


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_refused_at_its_first_mistake(kinds: httpx.Client, path: str) -> None:
    answer = kinds.post(path.partition("?")[0], json=LISTS[path])
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "/problems/invalid-request"
    assert len(answer.json()["errors"]) == 1


@pytest.mark.parametrize("path", UNKNOWN)
def test_many_unknown_members_are_one_mistake(kinds: httpx.Client, path: str) -> None:
    answer = kinds.post(path, json=UNKNOWN[path])
    assert answer.status_code == 422, answer.text
    (mistake,) = answer.json()["errors"]
    assert "members" in mistake["message"] or "at most 100 items" in mistake["message"]


def forms(base: type[BaseModel] = RequestForm) -> Iterator[type[BaseModel]]:
    for form in base.__subclasses__():
        yield form
        yield from forms(form)


def lists_in(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "list":
            yield schema
        for part in schema.values():
            yield from lists_in(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from lists_in(part)


def test_every_list_of_a_form_ends_at_its_first_mistake() -> None:
    found = [schema for form in forms() for schema in lists_in(form.__pydantic_core_schema__)]
    assert len(found) > 20
    assert all(schema.get("fail_fast") for schema in found)


def test_the_loop_runs_while_a_long_body_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    form = body_of(next(task for task in TASKS if task.name == "forecasting")).json
    content = json.dumps({"inputs": [[1, 2]] * 400_000}).encode()
    turns, at_pieces = 0, []

    def noted(piece: bytes) -> Any:
        at_pieces.append(turns)
        return from_json(piece)

    async def read() -> int:
        nonlocal turns
        reading = asyncio.create_task(read_long(content, form))
        while not reading.done():
            await asyncio.sleep(0)
            turns += 1
        body: Any = await reading
        return len(body.inputs)

    monkeypatch.setattr("app.api.long_json.from_json", noted)
    assert asyncio.run(read()) == 400_000
    assert len(at_pieces) > 20
    assert len(set(at_pieces)) > 2
