"""Images: in JSON (base64), as files of a multipart form, or as the bytes of one file."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, Field

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
from app.api.file_text import file_content
from app.api.options import Inputs
from app.api.service import Service
from app.api.tasks.files import BINARY, MULTIPART, read_files, with_query
from app.api.tasks.forms import RequestOptions, json_form, options_form
from app.errors import EmptyInput, InvalidImage, UnrollError
from app.tasks.request_form import RequestForm
from app.tasks.task import Task

RAW_TYPES = ("image/jpeg", "image/png", "image/webp")
_FIELD = "images"


class ImageInputs(RequestForm):
    """One image or a list of images in base64; a `data:` URL is accepted too."""

    inputs: Inputs = Field(description="One image file in base64, or a list.")


class ImageFiles(BaseModel):
    """Images as files. Options are parameters of the query string, or more fields of the form."""

    images: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(
        description="One or more JPEG, PNG or WebP files."
    )


class ImageBody:
    """Options are JSON members or form fields; all three bodies may have them in the query string instead."""

    errors: tuple[type[UnrollError], ...] = (InvalidImage,)

    def __init__(self, task: Task) -> None:
        self.json = json_form(task, ImageInputs)
        self._options = options_form(task)
        self._examples = dict(task.face.examples)

    async def read(self, request: Request, service: Service) -> tuple[Sequence[bytes], RequestOptions]:
        """See `Body.read`."""
        content_type = media_type(request)
        options: RequestOptions
        if content_type == JSON:
            images, options = await self._from_json(request, service)
        elif content_type == MULTIPART:
            images, fields = await read_files(request, _FIELD, most=service.most_inputs)
            service.check_count(len(images))
            if not images:
                raise EmptyInput("the form has no file in the field images; send one or more JPEG, PNG or WebP files")
            options = read_fields(fields, self._options)
        elif content_type in (*RAW_TYPES, "image/jpg"):  # a common misspelling
            images, options = [await request.body()], self._options()
        else:
            raise unsupported_content(request, MULTIPART, JSON, *RAW_TYPES)
        return images, with_query(request, options, self._options)

    async def _from_json(self, request: Request, service: Service) -> tuple[list[bytes], RequestOptions]:
        body = await read_json(request, self.json)
        service.check_count(len(body.inputs))
        return await asyncio.to_thread(decoded_images, body.inputs), body  # many megabytes: off the event loop

    def described(self) -> dict[str, Any]:
        """See `Body.described`."""
        return {
            "parameters": [*query_parameters(self._options), TIMEOUT_PARAMETER],
            "requestBody": {
                "required": True,
                "content": {
                    **json_body(self.json, self._examples),
                    MULTIPART: {"schema": ImageFiles.model_json_schema()},
                    **dict.fromkeys(RAW_TYPES, BINARY),
                },
            },
        }


def decoded_images(texts: Sequence[str]) -> list[bytes]:
    """Image files in base64 or `data:` URLs. Raises InvalidImage."""
    images = []
    for index, text in enumerate(texts):
        try:
            images.append(file_content(text))
        except ValueError as error:
            detail = f"inputs[{index}] is not base64: {error}; send an image file in base64"
            raise InvalidImage(detail, input=index) from error
    return images
