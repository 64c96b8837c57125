"""POST /v1/translate: sequence to sequence."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.body import TIMEOUT_PARAMETER, json_body, read_json
from app.api.problems import problems
from app.api.schemas import STREAMED, SentenceAnswer, TranslateRequest
from app.api.service import service_of
from app.api.tasks.sentiment import COMMON_ERRORS
from app.errors import ContradictoryOptions, UnknownLanguage
from app.tasks.translation import Translation

_SAVE = "Do you want to save the changes before closing?"
EXAMPLES = {
    "one": {"summary": "One sentence", "value": {"inputs": _SAVE}},
    "several": {
        "summary": "Several, with the languages named",
        "value": {"inputs": ["Open file", "The file could not be found."], "source": "en", "target": "ko"},
    },
    "short": {"summary": "At most 8 tokens", "value": {"inputs": "Returns a new list.", "max_tokens": 8}},
    "beams": {
        "summary": "Beam search, the three best",
        "value": {"inputs": _SAVE, "beams": 5, "n_best": 3, "length_penalty": 0.6},
    },
    "drawn": {
        "summary": "Drawn at random, again the same with the seed",
        "value": {"inputs": _SAVE, "temperature": 0.8, "top_p": 0.95, "seed": 7},
    },
    "constrained": {
        "summary": "Begins with a word, repeats no three tokens, ends before a string",
        "value": {"inputs": _SAVE, "prefix": "닫기", "no_repeat_ngram_size": 3, "stop": ["?", "."]},
    },
    "explained": {
        "summary": "Log-probabilities, alternatives and word alignment",
        "value": {"inputs": "Open file", "logprobs": 2, "attention": True},
    },
    "streamed": {"summary": "As server-sent events", "value": {"inputs": _SAVE, "stream": True}},
    "soon": {
        "summary": "Before others, within a second",
        "value": {"inputs": _SAVE, "priority": 5, "timeout_ms": 1000},
    },
}
router = APIRouter(tags=["Tasks"])


@router.post(
    "/v1/translate",
    summary="Translate sentences",
    response_model=SentenceAnswer,
    responses={200: STREAMED, **problems(*COMMON_ERRORS, UnknownLanguage, ContradictoryOptions)},
    openapi_extra={
        "parameters": [TIMEOUT_PARAMETER],
        "requestBody": {"required": True, "content": json_body(TranslateRequest, EXAMPLES)},
    },
)
async def translate(request: Request) -> Response:
    """Translates each sentence, by default from English to Korean: greedily, with beam search (`beams`) or drawn at
    random (`temperature`). With `stream` the answer comes as server-sent events while it is emitted.
    """
    service = service_of(request)
    body = await read_json(request, TranslateRequest)
    terms = service.accept(request, body, inputs=len(body.inputs))
    preparing = service.task(Translation).prepare(
        body.inputs, body, model=body.model, version=body.version, source=body.source, target=body.target
    )
    return await service.sentences(request, preparing, terms, service.metrics.task("translation"))
