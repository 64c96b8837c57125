"""POST /v1/caption: image to sequence. Three ways to send an image end in one."""

import asyncio
import base64
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

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
from app.api.problems import problems
from app.api.schemas import STREAMED, CaptionForm, CaptionRequest, SentenceAnswer, SentenceOptions
from app.api.service import Service, service_of
from app.api.tasks.sentiment import COMMON_ERRORS
from app.errors import ContradictoryOptions, EmptyInput, InvalidImage
from app.tasks.captioning import Captioning

MULTIPART = "multipart/form-data"
RAW_TYPES = ("image/jpeg", "image/png", "image/webp")
_MORE_FILES = 1000  # over the most inputs, so that their number can be told; beyond it the form is not read on
EXAMPLE_IMAGE = base64.b64encode(files("app.web").joinpath("static/example.webp").read_bytes()).decode()
BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = CaptionForm.model_json_schema()
for _option in _FORM["properties"].keys() - {"images"}:
    _FORM["properties"][_option]["examples"] = [""]  # Swagger UI fills these in; a blank field counts as left out
EXAMPLES = {
    "photo": {"summary": "A photo in base64", "value": {"inputs": EXAMPLE_IMAGE}},
    "beams": {"summary": "Beam search, the two best", "value": {"inputs": EXAMPLE_IMAGE, "beams": 4, "n_best": 2}},
    "drawn": {
        "summary": "Drawn at random, again the same with the seed",
        "value": {"inputs": EXAMPLE_IMAGE, "temperature": 0.7, "top_k": 20, "seed": 7},
    },
    "explained": {
        "summary": "Where in the image each word was looked for",
        "value": {"inputs": EXAMPLE_IMAGE, "logprobs": 1, "attention": True, "max_tokens": 4},
    },
    "streamed": {"summary": "As server-sent events", "value": {"inputs": EXAMPLE_IMAGE, "stream": True}},
}
BODY: dict[str, Any] = {
    "parameters": [*query_parameters(SentenceOptions), TIMEOUT_PARAMETER],
    "requestBody": {
        "required": True,
        "content": {
            **json_body(CaptionRequest, EXAMPLES),
            MULTIPART: {"schema": _FORM},
            **dict.fromkeys(RAW_TYPES, BINARY),
        },
    },
}
router = APIRouter(tags=["Tasks"])


@router.post(
    "/v1/caption",
    summary="Describe images in a sentence",
    response_model=SentenceAnswer,
    responses={200: STREAMED, **problems(*COMMON_ERRORS, InvalidImage, ContradictoryOptions)},
    openapi_extra=BODY,
)
async def caption(request: Request) -> Response:
    """Describes each image in an English sentence: greedily, with beam search (`beams`) or drawn at random
    (`temperature`). With `stream` the answer comes as server-sent events while it is emitted.

    Send `multipart/form-data` with one or more files in `images`, or `application/json` with base64 strings in
    `inputs`, or the bytes of one image as they are with its own content type. Options are form fields or members; with
    any of the three they may also stand in the query string.

    JPEG, PNG and WebP are taken: turned upright by their EXIF orientation, grey, palette, transparent (over
    white), CMYK or 16-bit.
    """
    service = service_of(request)
    content_type = media_type(request)
    options: SentenceOptions
    if content_type == JSON:
        images, options = await _from_json(request, service)
    elif content_type == MULTIPART:
        images, options = await _from_form(request, service)
    elif content_type in (*RAW_TYPES, "image/jpg"):  # a common misspelling
        images, options = [await request.body()], SentenceOptions()
    else:
        raise unsupported_content(request, MULTIPART, JSON, *RAW_TYPES)
    if request.query_params:
        options = _with_query(options, read_fields(request.query_params, SentenceOptions))
    terms = service.accept(request, options, inputs=len(images))
    preparing = service.task(Captioning).prepare(
        images, options, model=options.model, version=options.version, deadline=terms.deadline
    )
    return await service.sentences(request, preparing, terms, service.metrics.task("captioning"))


async def _from_json(request: Request, service: Service) -> tuple[list[bytes], SentenceOptions]:
    body = await read_json(request, CaptionRequest)
    service.check_count(len(body.inputs))
    return await asyncio.to_thread(decoded_images, body.inputs), body  # many megabytes, so not on the event loop


async def _from_form(request: Request, service: Service) -> tuple[list[bytes], SentenceOptions]:
    async with request.form(max_files=service.most_inputs + _MORE_FILES) as form:
        uploads = [upload for upload in form.getlist("images") if isinstance(upload, UploadFile)]
        service.check_count(len(uploads))
        images = [await upload.read() for upload in uploads]
        fields = FormData([(name, value) for name, value in form.multi_items() if name != "images"])
    if not images:
        raise EmptyInput("the form has no file in 'images'; send one or more JPEG, PNG or WebP files")
    return images, read_fields(fields, SentenceOptions)


def _with_query(in_body: SentenceOptions, in_query: SentenceOptions) -> SentenceOptions:
    """All options, wherever they stand. Raises ContradictoryOptions for one that stands in both places."""
    twice = sorted(in_body.model_fields_set & in_query.model_fields_set)
    if twice:
        raise ContradictoryOptions(
            f"{', '.join(twice)}: given in the body and in the query; leave out one", options=twice
        )
    given = {name: getattr(in_query, name) for name in in_query.model_fields_set}
    return in_body.model_copy(update=given)


def decoded_images(texts: Sequence[str]) -> list[bytes]:
    """Image files in base64. Raises InvalidImage."""
    images = []
    for index, text in enumerate(texts):
        content = text.split(";base64,", 1)[-1] if text.startswith("data:") else text
        try:
            images.append(base64.b64decode(content, validate=True))
        except ValueError as error:
            detail = f"inputs[{index}] is not base64: {error}; send an image file in base64"
            raise InvalidImage(detail, input=index) from error
    return images
