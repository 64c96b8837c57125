"""The tasks as Hugging Face's clients ask them: a URL for each model, in place of a model of the Hub."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from pydantic import BaseModel, TypeAdapter
from starlette.datastructures import FormData
from starlette.responses import Response

from app.api.body import JSON, TIMEOUT_PARAMETER, json_body, media_type, query_parameters, read_fields, read_json
from app.api.compat.hugging_face.schemas import (
    ClassificationLabel,
    ClassificationParameters,
    ClassificationRequest,
    GeneratedText,
    GenerateParameters,
    ImageToTextParameters,
    ImageToTextRequest,
    TranslationParameters,
    TranslationRequest,
    TranslationText,
)
from app.api.problems import problems
from app.api.schemas import Options
from app.api.service import Service, service_of, ticket_of
from app.api.tasks.caption import BINARY, EXAMPLE_IMAGE, RAW_TYPES, decoded_images
from app.api.tasks.sentiment import COMMON_ERRORS
from app.errors import ContradictoryOptions, InvalidImage, UnknownLanguage
from app.tasks.captioning import Captioning
from app.tasks.sentiment import Sentiment
from app.tasks.translation import Translation

CLASSIFICATION = "/hf/text-classification/{model}"
TRANSLATION = "/hf/translation/{model}"
IMAGE_TO_TEXT = "/hf/image-to-text/{model}"

_SAVE = "Do you want to save the changes before closing?"
_LABELS = TypeAdapter(list[list[ClassificationLabel]])
_TRANSLATIONS = TypeAdapter(list[TranslationText])
_CAPTIONS = TypeAdapter(list[GeneratedText])
CLASSIFICATION_EXAMPLES = {
    "one": {"summary": "One text", "value": {"inputs": "A warm, funny film that I would gladly see again."}},
    "best": {
        "summary": "Two texts, the best label of each",
        "value": {"inputs": ["A warm, funny film.", "The acting is awful."], "parameters": {"top_k": 1}},
    },
}
TRANSLATION_EXAMPLES = {
    "one": {"summary": "One sentence", "value": {"inputs": _SAVE}},
    "beams": {
        "summary": "Languages named, searched with beams",
        "value": {
            "inputs": _SAVE,
            "parameters": {"src_lang": "en", "tgt_lang": "ko", "generate_parameters": {"num_beams": 4}},
        },
    },
}
IMAGE_TO_TEXT_EXAMPLES = {
    "photo": {"summary": "A photo in base64", "value": {"inputs": EXAMPLE_IMAGE}},
    "beams": {
        "summary": "Searched with beams",
        "value": {"inputs": EXAMPLE_IMAGE, "parameters": {"generation_parameters": {"num_beams": 4}}},
    },
}
router = APIRouter(tags=["Compatible"])


class Asked(NamedTuple):
    """Who is to answer a request, and when."""

    service: Service
    options: Options


def asked(request: Request) -> Asked:
    """The model is named by the path, the rest by the query. Raises RequestValidationError."""
    named = FormData([*request.query_params.multi_items(), ("model", request.path_params["model"])])
    return Asked(service_of(request), read_fields(named, Options))


def described(example: str, form: type[BaseModel], examples: dict[str, Any], **others: Any) -> dict[str, Any]:
    """What the framework does not see of an operation."""
    model = {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "Name of a model of this task in `GET /v1/models`.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        "example": example,
    }
    return {
        "parameters": [model, *query_parameters(Options, leave_out={"model"}), TIMEOUT_PARAMETER],
        "requestBody": {"required": True, "content": json_body(form, examples) | others},
    }


@router.post(
    CLASSIFICATION,
    operation_id="hugging_face_text_classification",
    summary="Label texts, for Hugging Face's clients",
    response_model=list[list[ClassificationLabel]],
    responses=problems(*COMMON_ERRORS),
    openapi_extra=described("sentiment-en", ClassificationRequest, CLASSIFICATION_EXAMPLES),
)
async def classify(request: Request) -> Response:
    """Sentiment as `InferenceClient(".../hf/text-classification/sentiment-en").text_classification(...)` asks it: for
    each text its labels, the most probable first. An option that is not supported is refused and named.
    """
    service, options = asked(request)
    body = await read_json(request, ClassificationRequest)
    terms = service.accept(request, options, inputs=len(body.inputs))
    task = service.task(Sentiment)
    async with service.attending(request, terms):
        readings = await task.prepare(body.inputs, model=options.model, version=options.version)
        ticket_of(request).count_steps(sum(reading.steps for reading in readings))
        results, usage = await task.run(readings, terms)
    service.answered(request, service.metrics.task("sentiment"), usage)
    most = (body.parameters or ClassificationParameters()).top_k
    ranked = [sorted(result.scores.items(), key=lambda item: -item[1])[:most] for result in results]
    return listed(_LABELS, [[ClassificationLabel(label=label, score=score) for label, score in row] for row in ranked])


@router.post(
    TRANSLATION,
    operation_id="hugging_face_translation",
    summary="Translate sentences, for Hugging Face's clients",
    response_model=list[TranslationText],
    responses=problems(*COMMON_ERRORS, UnknownLanguage, ContradictoryOptions),
    openapi_extra=described("translate-en-ko", TranslationRequest, TRANSLATION_EXAMPLES),
)
async def translate(request: Request) -> Response:
    """Translation as `InferenceClient(".../hf/translation/translate-en-ko").translation(...)` asks it, with the options
    of `generate` in `generate_parameters`. An option that is not supported is refused and named.
    """
    service, options = asked(request)
    body = await read_json(request, TranslationRequest)
    parameters = body.parameters or TranslationParameters()
    decoding = (parameters.generate_parameters or GenerateParameters()).decoding()
    terms = service.accept(request, options, inputs=len(body.inputs))
    counters = service.metrics.task("translation")
    async with service.attending(request, terms):
        preparing = service.task(Translation).prepare(
            body.inputs,
            decoding,
            model=options.model,
            version=options.version,
            source=parameters.src_lang,
            target=parameters.tgt_lang,
        )
        jobs = await service.counted(request, preparing)
        spoken = await service.spoken(request, jobs, terms, counters)
    return listed(_TRANSLATIONS, [TranslationText(translation_text=item.result.text) for item in spoken])


@router.post(
    IMAGE_TO_TEXT,
    operation_id="hugging_face_image_to_text",
    summary="Describe images, for Hugging Face's clients",
    response_model=list[GeneratedText],
    responses=problems(*COMMON_ERRORS, InvalidImage, ContradictoryOptions),
    openapi_extra=described(
        "caption-en",
        ImageToTextRequest,
        IMAGE_TO_TEXT_EXAMPLES,
        **dict.fromkeys((*RAW_TYPES, "application/octet-stream"), BINARY),
    ),
)
async def describe(request: Request) -> Response:
    """Captioning as `InferenceClient(".../hf/image-to-text/caption-en").image_to_text(...)` asks it: the bytes of an
    image, whatever content type they are said to have, or base64 in JSON with `parameters`. An option that is not
    supported is refused and named.
    """
    service, options = asked(request)
    decoding = GenerateParameters().decoding()
    if media_type(request) == JSON:
        body = await read_json(request, ImageToTextRequest)
        service.check_count(len(body.inputs))
        decoding = (body.parameters or ImageToTextParameters()).decoding()
        images = await asyncio.to_thread(decoded_images, body.inputs)
    else:
        images = [await request.body()]
    terms = service.accept(request, options, inputs=len(images))
    counters = service.metrics.task("captioning")
    async with service.attending(request, terms):
        preparing = service.task(Captioning).prepare(
            images, decoding, model=options.model, version=options.version, deadline=terms.deadline
        )
        jobs = await service.counted(request, preparing)
        spoken = await service.spoken(request, jobs, terms, counters)
    return listed(_CAPTIONS, [GeneratedText(generated_text=item.result.text) for item in spoken])


def listed(form: "TypeAdapter[list[Any]]", answer: list[Any]) -> Response:
    return Response(form.dump_json(answer, exclude_none=True), media_type=JSON)


def error_members(problem: Mapping[str, object]) -> dict[str, object]:
    """What Hugging Face's clients read of a problem."""
    kinds = {422: "validation", 429: "overloaded"}
    status = problem["status"]
    assert isinstance(status, int)
    return {"error": problem["detail"], "error_type": kinds.get(status, "generation")}
