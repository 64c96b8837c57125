"""POST /v1/caption: image to sequence. Three ways to send an image end in one."""

import base64
import binascii
from importlib.resources import files
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from app.api.problems import problems
from app.api.schemas import CaptionForm, CaptionQuery, CaptionRequest, SentenceAnswer
from app.api.sentiment import COMMON_ERRORS
from app.api.service import ServiceDependency
from app.errors import EmptyInput, InvalidImage, UnsupportedMedia

Form = TypeVar("Form", bound=BaseModel)
RAW_TYPES = ("image/jpeg", "image/png", "image/webp")
_EXAMPLE = base64.b64encode(files("app.web").joinpath("static/example.webp").read_bytes()).decode()
_BINARY = {"schema": {"type": "string", "format": "binary"}}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": CaptionRequest.model_json_schema(),
                "examples": {"photo": {"summary": "A photo in base64", "value": {"inputs": _EXAMPLE}}},
            },
            "multipart/form-data": {"schema": CaptionForm.model_json_schema()},
            **dict.fromkeys(RAW_TYPES, _BINARY),
        },
    }
}
router = APIRouter(tags=["Tasks"])


@router.post(
    "/v1/caption",
    summary="Describe images in a sentence",
    responses=problems(*COMMON_ERRORS, InvalidImage, UnsupportedMedia),
    openapi_extra=BODY,
)
async def caption(request: Request, service: ServiceDependency) -> SentenceAnswer:
    """Describes each image in an English sentence.

    Send `multipart/form-data` with one or more files in `images`, or `application/json` with base64 strings in
    `inputs`, or the bytes of one image as they are with its own content type (options then go into the query string).
    JPEG, PNG and WebP are taken: turned upright by their EXIF orientation, grey, palette, transparent (over
    white), CMYK or 16-bit.
    """
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type == "application/json":
        body = _validated(CaptionRequest, await request.body())
        inputs = [body.inputs] if isinstance(body.inputs, str) else body.inputs
        service.check_count(len(inputs))
        images = [_decoded(text, index) for index, text in enumerate(inputs)]
        options = CaptionQuery.model_validate(body.model_dump(exclude={"inputs"}))
    elif content_type == "multipart/form-data":
        images, options = await _from_form(request, service)
    elif content_type in RAW_TYPES:
        images = [await request.body()]
        options = _validated(CaptionQuery, dict(request.query_params))
    else:
        taken = ", ".join(("multipart/form-data", "application/json", *RAW_TYPES))
        raise UnsupportedMedia(f"the content type is {content_type or 'missing'}; send one of {taken}")
    work = service.captioning.run(images, model=options.model, version=options.version, max_tokens=options.max_tokens)
    results, usage = await service.answer(request, work, task="captioning", inputs=len(images))
    return SentenceAnswer(results=results, usage=usage)


async def _from_form(request: Request, service: ServiceDependency) -> tuple[list[bytes], CaptionQuery]:
    async with request.form() as form:
        uploads = [upload for upload in form.getlist("images") if isinstance(upload, UploadFile)]
        service.check_count(len(uploads))
        images = [await upload.read() for upload in uploads]
        fields = {name: value for name, value in form.items() if name != "images" and value != ""}
    if not images:
        raise EmptyInput("the form has no file in 'images'; send one or more JPEG, PNG or WebP files")
    return images, _validated(CaptionQuery, fields)


def _decoded(text: str, index: int) -> bytes:
    content = text.partition(";base64,")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage(f"inputs[{index}] is not base64: {error}", input=index) from error


def _validated(form: type[Form], content: bytes | dict[str, Any]) -> Form:
    """pydantic's verdict in the framework's words, so that it becomes the same problem as anywhere."""
    try:
        if isinstance(content, bytes):
            return form.model_validate_json(content)
        return form.model_validate(content)
    except ValidationError as error:
        found = [item | {"loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        raise RequestValidationError(found) from error
