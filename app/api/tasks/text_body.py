"""Texts in JSON."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field

from app.api.body import TIMEOUT_PARAMETER, json_body, read_json
from app.api.file_text import is_image_url
from app.api.options import Inputs
from app.api.service import Service
from app.api.tasks.forms import RequestOptions, json_form
from app.errors import InputTooShort, UnknownLanguage, UnrollError
from app.tasks.request_form import RequestForm
from app.tasks.task import Task


class TextInputs(RequestForm):
    """One text or a list of texts."""

    inputs: Inputs = Field(description="One text, or a list of texts.")


class TextBody:
    """`inputs`: one text or a list."""

    inputs: type[BaseModel] = TextInputs
    media_types: tuple[str, ...] = ()
    words = "a text or a list of texts"
    errors: tuple[type[UnrollError], ...] = (UnknownLanguage, InputTooShort)

    def __init__(self, task: Task) -> None:
        self.json = json_form(task, TextInputs)
        self._examples = dict(task.face.examples)

    async def read(self, request: Request, service: Service) -> tuple[Sequence[str], RequestOptions]:
        """See `Body.read`."""
        body = await read_json(request, self.json)
        return body.inputs, body

    def recognises(self, inputs: object) -> bool:
        """See `PartBody.recognises`."""
        first = inputs[0] if isinstance(inputs, list) and inputs else inputs
        return isinstance(first, str) and not is_image_url(first)

    async def items(self, inputs: Sequence[str], options: RequestOptions, service: Service) -> Sequence[str]:
        """See `PartBody.items`."""
        return inputs

    def described(self) -> dict[str, Any]:
        """See `Body.described`."""
        return {
            "parameters": [TIMEOUT_PARAMETER],
            "requestBody": {"required": True, "content": json_body(self.json, self._examples)},
        }
