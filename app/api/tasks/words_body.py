"""Texts, or lists of words, in JSON."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Request
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app.api.body import TIMEOUT_PARAMETER, json_body, read_json
from app.api.service import Service
from app.api.tasks.forms import RequestOptions, json_form
from app.errors import InputTooShort, UnknownLanguage, UnrollError
from app.tasks.request_form import RequestForm
from app.tasks.sources.words import Words
from app.tasks.task import Task

_WordList = Annotated[list[str], Field(min_length=1)]
_Given = str | _WordList


def _listed(inputs: object) -> object:
    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, list) and inputs:
        for index, item in enumerate(inputs):
            _check_item(item, index)
        return inputs
    raise PydanticCustomError("words", "Input should be a text, or a list of texts and of lists of words")


def _check_item(item: object, index: int) -> None:
    if isinstance(item, str):
        return
    if not (isinstance(item, list) and item):
        raise PydanticCustomError(
            "words", "inputs[{index}] should be a text, or a list of at least one word", {"index": index}
        )
    for number, word in enumerate(item):
        if not isinstance(word, str):
            raise PydanticCustomError(
                "words", "inputs[{index}][{number}] should be a text", {"index": index, "number": number}
            )


class WordInputs(RequestForm):
    """One text, or a list in which each is a text or a list of words."""

    inputs: Annotated[
        Any,
        BeforeValidator(_listed, json_schema_input_type=str | Annotated[list[_Given], Field(min_length=1)]),
    ] = Field(description="One text, or a list: each is a text, or a list of words.")


class WordsBody:
    """`inputs`: one text, or a list of texts and of lists of words."""

    errors: tuple[type[UnrollError], ...] = (UnknownLanguage, InputTooShort)

    def __init__(self, task: Task) -> None:
        self.json = json_form(task, WordInputs)
        self._examples = dict(task.face.examples)

    async def read(self, request: Request, service: Service) -> tuple[Sequence[str | Words], RequestOptions]:
        """See `Body.read`."""
        body: Any = await read_json(request, self.json)
        service.check_count(len(body.inputs))
        return [Words(item) if isinstance(item, list) else item for item in body.inputs], body

    def described(self) -> dict[str, Any]:
        """See `Body.described`."""
        return {
            "parameters": [TIMEOUT_PARAMETER],
            "requestBody": {"required": True, "content": json_body(self.json, self._examples)},
        }
