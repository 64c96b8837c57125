"""Pipelines that read texts and make none: token-classification and feature-extraction."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.blocks import response_in_pieces
from app.api.body import read_json
from app.api.compat.hugging_face.pipeline import Pipeline, chosen_by, described
from app.api.compat.hugging_face.reading_schemas import (
    Entity,
    FeatureExtractionRequest,
    Features,
    TextToEmbed,
    TextToTag,
    TokenClassificationParameters,
    TokenClassificationRequest,
)
from app.api.problems import COMMON_ERRORS, problems
from app.api.service import service_of
from app.json_pieces import JsonArray
from app.tasks.answers.spans import OUTSIDE, WordSpan, mark_spans, spans_of
from app.tasks.answers.tag_results import WordTags

TAGGING = Pipeline("token-classification", source="text", answer="tags")
EMBEDDING = Pipeline("feature-extraction", source="text", answer="state")
_FILM = "A warm, funny film that I would gladly see again."
TAGGING_EXAMPLES = {
    "one": {"summary": "One text", "value": {"inputs": "I can open the can."}},
    "words": {
        "summary": "Two texts, word by word",
        "value": {
            "inputs": ["I can open the can.", "Time flies like an arrow."],
            "parameters": {"aggregation_strategy": "none"},
        },
    },
}
EMBEDDING_EXAMPLES = {
    "one": {"summary": "One text", "value": {"inputs": _FILM}},
    "unit": {
        "summary": "Two texts, with length 1",
        "value": {"inputs": [_FILM, "The acting is awful."], "normalize": True},
    },
}
router = APIRouter(tags=["Compatible"])


@router.post(
    TAGGING.path,
    operation_id="hugging_face_token_classification",
    summary="Tag the words of a text (Hugging Face)",
    response_model=list[Entity] | list[list[Entity]],
    response_model_exclude_none=True,
    responses=problems(*COMMON_ERRORS),
    openapi_extra=described("tag-en", TokenClassificationRequest, TAGGING_EXAMPLES),
)
async def tag(request: Request) -> Response:
    """Labels for `InferenceClient(".../hf/token-classification/tag-en").token_classification(...)`. Words with one
    label are joined: if the labels mark spans (BIO, IOBES or BILOU) by these marks, else neighbours with equal labels.
    An unsupported option is refused by name.
    """
    service, chosen = service_of(request), chosen_by(request)
    body = await read_json(request, TokenClassificationRequest)
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    terms = service.accept(request, chosen, inputs=len(texts))
    async with service.until_disconnect(request, terms):
        task = TAGGING.task_of(service, chosen)
        options = TextToTag(truncate=body.parameters.truncation)
        jobs = await service.prepare(request, task, texts, options, chosen, terms)
        outputs = await service.answer(request, jobs, terms)
        results: list[Any] = [output.result for output in outputs]
        entities: list[Any] = [
            JsonArray(list(_entities(text, result.tags, body.parameters)))
            for text, result in zip(texts, results, strict=True)
        ]
        return await response_in_pieces(entities[0] if isinstance(body.inputs, str) else entities)


def _entities(text: str, words: WordTags, parameters: TokenClassificationParameters) -> Iterator[dict[str, Any]]:
    """The words or groups of a text, without those of ignored labels."""
    is_joined = parameters.aggregation_strategy != "none"
    ignored = [OUTSIDE] if parameters.ignore_labels is None else parameters.ignore_labels
    names, scores = words.names, words.scores
    groups = _groups(words.labels, names) if is_joined else [WordSpan(n, i, i) for i, n in enumerate(names)]
    for group in groups:
        if group.label not in ignored:
            start, end = words.words[group.first].start, words.words[group.last].end
            yield {
                "entity_group" if is_joined else "entity": group.label,
                "score": sum(scores[group.first : group.last + 1]) / (group.last + 1 - group.first),
                "word": text[start:end],
                "start": start,
                "end": end,
            }


def _groups(labels: Sequence[str], names: Sequence[str]) -> list[WordSpan]:
    """The words of a text in groups with one label; outside of spans, which have no marks, by equal labels."""
    spans = spans_of(names) if mark_spans(labels) else []
    inside = {place for span in spans for place in range(span.first, span.last + 1)}
    others = [place for place in range(len(names)) if place not in inside]
    # neighbours of one label have one difference between their place and their number among the others
    for _, members in groupby(enumerate(others), lambda item: (item[1] - item[0], names[item[1]])):
        places = [place for _, place in members]
        spans.append(WordSpan(names[places[0]], places[0], places[-1]))
    return sorted(spans, key=lambda span: span.first)


@router.post(
    EMBEDDING.path,
    operation_id="hugging_face_feature_extraction",
    summary="Embed a text (Hugging Face)",
    response_model=Features,
    responses=problems(*COMMON_ERRORS),
    openapi_extra=described("sentiment-en", FeatureExtractionRequest, EMBEDDING_EXAMPLES),
)
async def embed(request: Request) -> Response:
    """States for `InferenceClient(".../hf/feature-extraction/sentiment-en").feature_extraction(...)`: of each text the
    last state of the top layer, for any model that reads texts. An unsupported option is refused by name.
    """
    service, chosen = service_of(request), chosen_by(request)
    body = await read_json(request, FeatureExtractionRequest)
    terms = service.accept(request, chosen, inputs=len(body.inputs))
    async with service.until_disconnect(request, terms):
        task = service.task_answering(EMBEDDING.answer)
        options = TextToEmbed(truncate=bool(body.truncate), normalize=bool(body.normalize))
        jobs = await service.prepare(request, task, body.inputs, options, chosen, terms)
        outputs = await service.answer(request, jobs, terms)
        results: list[Any] = [output.result for output in outputs]
        return await response_in_pieces([result.embedding for result in results])
