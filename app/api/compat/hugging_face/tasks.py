"""Pipelines without streams: text-classification, translation and image-to-text."""

import asyncio

from fastapi import APIRouter, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from app.api.body import JSON, media_type, read_json
from app.api.compat.hugging_face.long_texts import TextToLabel, TextToTranslate
from app.api.compat.hugging_face.pipeline import Pipeline, chosen_by, described, list_response
from app.api.compat.hugging_face.schemas import (
    ClassificationLabel,
    ClassificationRequest,
    GeneratedText,
    GenerateParameters,
    ImageToTextParameters,
    ImageToTextRequest,
    TranslationParameters,
    TranslationRequest,
    TranslationText,
)
from app.api.problems import COMMON_ERRORS, problems
from app.api.service import service_of
from app.api.tasks.files import BINARY
from app.api.tasks.image_body import RAW_TYPES, decoded_images
from app.errors import ContradictoryOptions, InvalidImage, UnknownLanguage
from app.tasks.answers.transcript import sentences
from app.tasks.captioning import EXAMPLE_IMAGE
from app.tasks.options import LanguagePair
from app.tasks.task import Task

CLASSIFICATION = Pipeline("text-classification", source="text", answer="label")
TRANSLATION = Pipeline("translation", source="text", answer="tokens")
IMAGE_TO_TEXT = Pipeline("image-to-text", source="image", answer="tokens")

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
        "summary": "Beam search, with the languages named",
        "value": {
            "inputs": _SAVE,
            "parameters": {"src_lang": "en", "tgt_lang": "ko", "generate_parameters": {"num_beams": 4}},
        },
    },
}
IMAGE_TO_TEXT_EXAMPLES = {
    "photo": {"summary": "A photo in base64", "value": {"inputs": EXAMPLE_IMAGE}},
    "beams": {
        "summary": "Beam search",
        "value": {"inputs": EXAMPLE_IMAGE, "parameters": {"generation_parameters": {"num_beams": 4}}},
    },
}
router = APIRouter(tags=["Compatible"])


@router.post(
    CLASSIFICATION.path,
    operation_id="hugging_face_text_classification",
    summary="Classify a text (Hugging Face)",
    response_model=list[list[ClassificationLabel]],
    responses=problems(*COMMON_ERRORS),
    openapi_extra=described("sentiment-en", ClassificationRequest, CLASSIFICATION_EXAMPLES),
)
async def classify(request: Request) -> Response:
    """Labels for `InferenceClient(".../hf/text-classification/sentiment-en").text_classification(...)`: the labels of
    each text, the most probable first. An unsupported option is refused by name.
    """
    service, chosen = service_of(request), chosen_by(request)
    body = await read_json(request, ClassificationRequest)
    terms = service.accept(request, chosen, inputs=len(body.inputs))
    async with service.until_disconnect(request, terms):
        task = CLASSIFICATION.task_of(service, chosen)
        options = TextToLabel(truncate=body.parameters.truncation)
        jobs = await service.prepare(request, task, body.inputs, options, chosen, terms)
        outputs = await service.answer(request, jobs, terms)
    most, scores = body.parameters.top_k, (task.answer.scores(output.result) for output in outputs)
    ranked = (sorted(one.items(), key=lambda item: -item[1])[:most] for one in scores)
    labels = [[ClassificationLabel(label=label, score=score) for label, score in row] for row in ranked]
    return list_response(_LABELS, labels)


@router.post(
    TRANSLATION.path,
    operation_id="hugging_face_translation",
    summary="Translate a sentence (Hugging Face)",
    response_model=list[TranslationText],
    responses=problems(*COMMON_ERRORS, UnknownLanguage, ContradictoryOptions),
    openapi_extra=described("translate-en-ko", TranslationRequest, TRANSLATION_EXAMPLES),
)
async def translate(request: Request) -> Response:
    """Translations for `InferenceClient(".../hf/translation/translate-en-ko").translation(...)`, with the options of
    `generate` in `generate_parameters`. An unsupported option is refused by name.
    """
    service, chosen = service_of(request), chosen_by(request)
    body = await read_json(request, TranslationRequest)
    terms = service.accept(request, chosen, inputs=len(body.inputs))
    async with service.until_disconnect(request, terms):
        task = TRANSLATION.task_of(service, chosen)
        options = _translation(task, body.parameters)
        jobs = await service.prepare(request, task, body.inputs, options, chosen, terms)
        outputs = await service.answer(request, jobs, terms)
    return list_response(
        _TRANSLATIONS, [TranslationText(translation_text=one.result.text) for one in sentences(outputs)]
    )


def _translation(task: Task, parameters: TranslationParameters) -> TextToTranslate:
    """The options of a translation. Raises ContradictoryOptions for languages of a task that has none."""
    has_languages = issubclass(task.options, LanguagePair)
    if not has_languages and (parameters.src_lang is not None or parameters.tgt_lang is not None):
        raise ContradictoryOptions(
            f"the task {task.name} has no languages: leave out src_lang and tgt_lang", options=["src_lang", "tgt_lang"]
        )
    return parameters.options(has_languages=has_languages)


@router.post(
    IMAGE_TO_TEXT.path,
    operation_id="hugging_face_image_to_text",
    summary="Describe an image (Hugging Face)",
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
    """Captions for `InferenceClient(".../hf/image-to-text/caption-en").image_to_text(...)`. The body is an image file
    of any content type, or base64 in JSON with `parameters`. An unsupported option is refused by name.
    """
    service, chosen = service_of(request), chosen_by(request)
    decoding = GenerateParameters().decoding()
    if media_type(request) == JSON:
        body = await read_json(request, ImageToTextRequest)
        service.check_count(len(body.inputs))
        decoding = (body.parameters or ImageToTextParameters()).decoding()
        images = await asyncio.to_thread(decoded_images, body.inputs)
    else:
        images = [await request.body()]
    terms = service.accept(request, chosen, inputs=len(images))
    async with service.until_disconnect(request, terms):
        task = IMAGE_TO_TEXT.task_of(service, chosen)
        jobs = await service.prepare(request, task, images, decoding, chosen, terms)
        outputs = await service.answer(request, jobs, terms)
    return list_response(_CAPTIONS, [GeneratedText(generated_text=one.result.text) for one in sentences(outputs)])
