"""Texts in JSON."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request

from app.api.body import TIMEOUT_PARAMETER, json_body, read_json
from app.api.service import Service
from app.api.tasks.forms import RequestOptions, json_form
from app.errors import UnknownLanguage, UnrollError
from app.tasks.task import Task


class TextBody:
    """`inputs`: one text or a list."""

    errors: tuple[type[UnrollError], ...] = (UnknownLanguage,)

    def __init__(self, task: Task) -> None:
        self._form = json_form(task)
        self._examples = dict(task.face.examples)

    async def read(self, request: Request, service: Service) -> tuple[Sequence[str], RequestOptions]:
        """See `Body.read`."""
        body = await read_json(request, self._form)
        return body.inputs, body

    def described(self) -> dict[str, Any]:
        """See `Body.described`."""
        return {
            "parameters": [TIMEOUT_PARAMETER],
            "requestBody": {"required": True, "content": json_body(self._form, self._examples)},
        }
