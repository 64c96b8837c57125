"""Clips: in JSON (base64), as files of a multipart form, or as the bytes of one animated file."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app.api.body import (
    JSON,
    TIMEOUT_PARAMETER,
    json_body,
    media_type,
    query_parameters,
    read_fields,
    read_json,
    unsupported_content,
)
from app.api.file_text import file_content, is_image_url
from app.api.service import Service
from app.api.tasks.files import BINARY, MULTIPART, read_files, with_query
from app.api.tasks.forms import RequestOptions, json_form, options_form
from app.errors import EmptyInput, InputTooShort, InvalidImage, UnrollError
from app.tasks.request_form import RequestForm
from app.tasks.sources.frames import Clip
from app.tasks.task import Task

RAW_TYPES = ("image/gif", "image/webp", "image/png", "image/jpeg")
_FIELD = "frames"


class ClipObject(RequestForm):
    """A clip that says so, for requests that name no model."""

    frames: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="Images in base64 in their order, or one animated GIF or WebP."
    )


def _clips(inputs: object) -> object:
    """The base64 texts of each clip."""
    if isinstance(inputs, list) and inputs:
        if all(isinstance(item, str) for item in inputs):
            return [inputs]
        return [_clip(item, f"inputs[{index}]") for index, item in enumerate(inputs)]
    return [_clip(inputs, "inputs")]


def _clip(item: object, where: str) -> object:
    if isinstance(item, dict) and item.keys() == {_FIELD}:
        item = item[_FIELD]
    if isinstance(item, str):
        return [item]
    if isinstance(item, list) and item and all(isinstance(image, str) for image in item):
        return item
    raise PydanticCustomError(
        "clip",
        "{where} should be a clip: a list of images in base64, or one animated file in base64, alone or as the member "
        "'frames' of an object",
        {"where": where},
    )


_ClipText = str | Annotated[list[str], Field(min_length=1)] | ClipObject


class ClipInputs(RequestForm):
    """One clip or a list of clips. A list of strings is one clip."""

    inputs: Annotated[
        Any,
        BeforeValidator(_clips, json_schema_input_type=_ClipText | Annotated[list[_ClipText], Field(min_length=1)]),
    ] = Field(
        description="A clip: a list of images in base64, or one animated GIF or WebP; or a list of clips, each a list, "
        "a file or an object with `frames`. A list of strings is one clip."
    )


class ClipFiles(BaseModel):
    """A clip as files. Options are parameters of the query string, or more fields of the form."""

    frames: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(
        description="The images of one clip in their order (JPEG, PNG or WebP), or one animated GIF or WebP."
    )


class FramesBody:
    """Options are JSON members or form fields; all three bodies may have them in the query string instead."""

    inputs: type[BaseModel] = ClipInputs
    words = "a clip, as an object with 'frames'"
    media_types: tuple[str, ...] = (MULTIPART, *RAW_TYPES)
    errors: tuple[type[UnrollError], ...] = (InvalidImage, InputTooShort)

    def __init__(self, task: Task) -> None:
        self.json = json_form(task, ClipInputs)
        self._options = options_form(task)
        self._examples = dict(task.face.examples)

    async def read(self, request: Request, service: Service) -> tuple[Sequence[Clip], RequestOptions]:
        """See `Body.read`."""
        content_type = media_type(request)
        options: Any
        if content_type == JSON:
            options = await read_json(request, self.json)
            clips = await self.items(options.inputs, options, service)
        elif content_type == MULTIPART:
            images, fields = await read_files(request, _FIELD, most=service.most_frames)
            if not images:
                raise EmptyInput(
                    "the form has no file in the field frames; send the images of a clip, or one GIF or WebP"
                )
            clips, options = [Clip(images)], read_fields(fields, self._options)
        elif content_type in RAW_TYPES:
            clips, options = [Clip([await request.body()])], self._options()
        else:
            raise unsupported_content(request, MULTIPART, JSON, *RAW_TYPES)
        return clips, with_query(request, options, self._options)

    def recognises(self, inputs: object) -> bool:
        """See `PartBody.recognises`."""
        first = inputs[0] if isinstance(inputs, list) and inputs else inputs
        if isinstance(first, str):
            return is_image_url(first)
        return isinstance(first, dict) and first.keys() == {_FIELD} and not _is_numbers(first[_FIELD])

    async def items(self, inputs: Sequence[Sequence[str]], options: RequestOptions, service: Service) -> Sequence[Clip]:
        """See `PartBody.items`. A thread decodes many megabytes."""
        service.check_count(len(inputs))
        return await asyncio.to_thread(_decoded, inputs)

    def described(self) -> dict[str, Any]:
        """See `Body.described`."""
        return {
            "parameters": [*query_parameters(self._options), TIMEOUT_PARAMETER],
            "requestBody": {
                "required": True,
                "content": {
                    **json_body(self.json, self._examples),
                    MULTIPART: {"schema": ClipFiles.model_json_schema()},
                    **dict.fromkeys(RAW_TYPES, BINARY),
                },
            },
        }


def _is_numbers(value: object) -> bool:
    """Whether a column of a series has the name of the member."""
    return isinstance(value, list) and bool(value) and not isinstance(value[0], str)


def _decoded(clips: Sequence[Sequence[str]]) -> list[Clip]:
    """Clips from base64 or `data:` URLs. Raises InvalidImage."""
    decoded = []
    for index, texts in enumerate(clips):
        images = []
        for number, text in enumerate(texts):
            try:
                images.append(file_content(text))
            except ValueError as error:
                raise InvalidImage(
                    f"frame {number} of inputs[{index}] is not base64: {error}; send an image file in base64",
                    input=index,
                ) from error
        decoded.append(Clip(images))
    return decoded
