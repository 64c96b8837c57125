"""Inputs of one of several kinds: that of the named model, or that which the request shows."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol, Union

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, Field, create_model

from app.api.body import JSON, checked, is_long, json_body, media_type, read_long, unsupported_content
from app.api.service import Service
from app.api.tasks.files import with_query
from app.api.tasks.forms import RequestOptions, json_form, options_form
from app.errors import UnrollError
from app.tasks.task import Task


class PartBody(Protocol):
    """The body of a kind that is one of several."""

    inputs: type[BaseModel]  # a form with the member `inputs` of a JSON body
    media_types: tuple[str, ...]  # beside JSON
    words: str  # what an input is, for errors
    errors: tuple[type[UnrollError], ...]

    async def read(self, request: Request, service: Service) -> tuple[Sequence[Any], RequestOptions]:
        """See `Body.read`."""

    def recognises(self, inputs: object) -> bool:
        """Whether the JSON value of `inputs` is of this kind, as far as its form tells."""

    async def items(self, inputs: Any, options: RequestOptions, service: Service) -> Sequence[Any]:
        """Inputs from the checked value of `inputs`. Raises `errors`."""

    def described(self) -> dict[str, Any]:
        """See `Body.described`."""


class OneOfBody:
    """`inputs` of one of the kinds of `parts`. In JSON the named model says which it is, or else their form; other
    content types belong to one kind each. The query string may have options."""

    def __init__(self, task: Task, parts: Mapping[str, PartBody]) -> None:
        self._task = task
        self._parts = parts
        self._options = options_form(task)
        self.json = json_form(task, _any_of(list(parts.values())))
        self.errors = tuple(dict.fromkeys(error for part in parts.values() for error in part.errors))

    async def read(self, request: Request, service: Service) -> tuple[Sequence[Any], RequestOptions]:
        """See `Body.read`."""
        content_type = media_type(request)
        if content_type != JSON:
            for part in self._parts.values():
                if content_type in part.media_types:
                    return await part.read(request, service)
            raise unsupported_content(request, JSON, *self._media_types)
        content = await request.body()
        body = await read_long(content, self.json)
        options = with_query(request, body, self._options)
        part = self._part_of(body.inputs, options, service)
        if is_long(content):
            inputs = await asyncio.to_thread(self._checked, body.inputs, part, options)
        else:
            inputs = self._checked(body.inputs, part, options)
        return await part.items(inputs, options, service), options

    def _part_of(self, inputs: object, options: RequestOptions, service: Service) -> PartBody:
        """The kind that the named model reads, or that the inputs show."""
        if options.model is not None:
            return self._parts[service.chosen(self._task, options, self._task.source.kinds).source]
        for part in self._parts.values():
            if part.recognises(inputs):
                return part
        raise _refused(f"Input should be {'; or '.join(part.words for part in self._parts.values())}")

    def _checked(self, inputs: object, part: PartBody, options: RequestOptions) -> Any:
        """Inputs in the form of their kind."""
        try:
            form: Any = checked({"inputs": inputs}, part.inputs)
        except RequestValidationError:
            others = [other for other in self._parts.values() if other is not part]
            if options.model is not None and any(other.recognises(inputs) for other in others):
                raise _refused(f"Input should be {part.words}, which {options.model} reads") from None
            raise
        return form.inputs

    @property
    def _media_types(self) -> list[str]:
        return [media for part in self._parts.values() for media in part.media_types]

    def described(self) -> dict[str, Any]:
        """See `Body.described`."""
        described = [part.described() for part in self._parts.values()]
        parameters = {item["name"]: item for one in described for item in one["parameters"]}
        others = {
            media: content
            for one in described
            for media, content in one["requestBody"]["content"].items()
            if media != JSON
        }
        content = json_body(self.json, dict(self._task.face.examples)) | others
        return {"parameters": [*parameters.values()], "requestBody": {"required": True, "content": content}}


def _refused(message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "inputs", "loc": ("body", "inputs"), "msg": message}])


def _any_of(parts: Sequence[PartBody]) -> type[BaseModel]:
    """A form whose `inputs` are those of any part. The part checks them when it is known."""
    fields = [part.inputs.model_fields["inputs"] for part in parts]
    kinds: Any = Union[tuple(Annotated[field.annotation, *field.metadata] for field in fields)]  # noqa: UP007 - made here
    description = " ".join(field.description or "" for field in fields)
    anything = Annotated[Any, BeforeValidator(lambda value: value, json_schema_input_type=kinds)]
    form: type[BaseModel] = create_model("AnyInputs", inputs=(anything, Field(description=description)))
    return form
