"""POST /v1/caption: image to sequence. Three ways to send an image end in one."""

import asyncio
import base64
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile

from app.api.body import JSON, json_body, media_type, read_fields, read_json, unsupported_content
from app.api.problems import problems
from app.api.schemas import CaptionForm, CaptionRequest, DecodingOptions, SentenceAnswer
from app.api.sentiment import COMMON_ERRORS
from app.api.service import Service, ServiceDependency
from app.errors import EmptyInput, InvalidImage
from app.tasks.captioning import Captioning

MULTIPART = "multipart/form-data"
RAW_TYPES = ("image/jpeg", "image/png", "image/webp")
_MORE_FILES = 1000  # over the most inputs, so that their number can be told; beyond it the form is not read on
_EXAMPLE = base64.b64encode(files("app.web").joinpath("static/example.webp").read_bytes()).decode()
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = CaptionForm.model_json_schema()
for _option in ("model", "version", "max_tokens"):
    _FORM["properties"][_option]["examples"] = [""]  # Swagger UI fills these in; a blank field counts as left out
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **json_body(CaptionRequest, {"photo": {"summary": "A photo in base64", "value": {"inputs": _EXAMPLE}}}),
            MULTIPART: {"schema": _FORM},
            **dict.fromkeys(RAW_TYPES, _BINARY),
        },
    }
}
router = APIRouter(tags=["Tasks"])


@router.post(
    "/v1/caption",
    summary="Describe images in a sentence",
    responses=problems(*COMMON_ERRORS, InvalidImage),
    openapi_extra=BODY,
)
async def caption(request: Request, service: ServiceDependency) -> SentenceAnswer:
    """Describes each image in an English sentence.

    Send `multipart/form-data` with one or more files in `images`, or `application/json` with base64 strings in
    `inputs`, or the bytes of one image as they are with its own content type (options then go into the query string).
    JPEG, PNG and WebP are taken: turned upright by their EXIF orientation, grey, palette, transparent (over
    white), CMYK or 16-bit.
    """
    content_type = media_type(request)
    options: DecodingOptions
    if content_type == JSON:
        images, options = await _from_json(request, service)
    elif content_type == MULTIPART:
        images, options = await _from_form(request, service)
    elif content_type in (*RAW_TYPES, "image/jpg"):  # a common misspelling
        images = [await request.body()]
        options = read_fields(request.query_params, DecodingOptions)
    else:
        raise unsupported_content(request, MULTIPART, JSON, *RAW_TYPES)
    work = service.task(Captioning).run(
        images, model=options.model, version=options.version, max_tokens=options.max_tokens
    )
    results, usage = await service.answer(request, work, task="captioning", inputs=len(images))
    return SentenceAnswer(results=results, usage=usage)


async def _from_json(request: Request, service: Service) -> tuple[list[bytes], DecodingOptions]:
    body = await read_json(request, CaptionRequest)
    service.check_count(len(body.inputs))
    return await asyncio.to_thread(_decoded, body.inputs), body  # many megabytes, so not on the event loop


async def _from_form(request: Request, service: Service) -> tuple[list[bytes], DecodingOptions]:
    async with request.form(max_files=service.most_inputs + _MORE_FILES) as form:
        uploads = [upload for upload in form.getlist("images") if isinstance(upload, UploadFile)]
        service.check_count(len(uploads))
        images = [await upload.read() for upload in uploads]
        fields = {name: value for name, value in form.items() if name != "images" and value != ""}
    if not images:
        raise EmptyInput("the form has no file in 'images'; send one or more JPEG, PNG or WebP files")
    return images, read_fields(fields, DecodingOptions)


def _decoded(texts: Sequence[str]) -> list[bytes]:
    images = []
    for index, text in enumerate(texts):
        content = text.split(";base64,", 1)[-1] if text.startswith("data:") else text
        try:
            images.append(base64.b64decode(content, validate=True))
        except ValueError as error:
            detail = f"inputs[{index}] is not base64: {error}; send an image file in base64"
            raise InvalidImage(detail, input=index) from error
    return images
