"""The response examples in the OpenAPI document are those of the shipped models."""

import httpx
import pytest

from app.api.openapi.answers import ANSWERS
from tests.api.operations import BY_NAME
from tests.shipped.conftest import rounded


@pytest.mark.parametrize(("name", "asked"), [(name, asked) for name, answers in ANSWERS.items() for asked in answers])
def test_example_is_answered_as_it_says(http: httpx.Client, name: str, asked: str) -> None:
    operation = BY_NAME[name]
    answer = http.request(operation.method, operation.url, json=operation.examples[asked]["value"])
    assert answer.json() == rounded(ANSWERS[name][asked])
