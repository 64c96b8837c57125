"""The response examples in the OpenAPI document are those of the shipped models."""

import httpx
import pytest

from app.api.openapi.examples import recorded_answers
from tests.api.operations import BY_NAME
from tests.docs.shipped_answers import record_answer
from tests.shipped.conftest import rounded

RECORDED = [
    pytest.param(name, example, answer, id=f"{name} {example}")
    for name, answers in recorded_answers().items()
    for example, answer in answers.items()
]


@pytest.mark.parametrize(("name", "example", "answer"), RECORDED)
def test_example_is_answered_as_it_says(http: httpx.Client, name: str, example: str, answer: object) -> None:
    assert record_answer(http, BY_NAME[name], example) == rounded(answer), "run: make examples"
