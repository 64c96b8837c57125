"""POST /v1/complete: sequence to next token, and the next, and the next."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.body import TIMEOUT_PARAMETER, json_body, read_json
from app.api.problems import problems
from app.api.schemas import STREAMED, CompleteRequest, SentenceAnswer
from app.api.service import service_of
from app.api.tasks.sentiment import COMMON_ERRORS
from app.errors import ContradictoryOptions, UnknownLanguage
from app.tasks.completion import Completion

_BEGUN = "This film is one of the"
EXAMPLES = {
    "one": {"summary": "The most probable continuation", "value": {"inputs": _BEGUN, "max_tokens": 24}},
    "next": {
        "summary": "What may come next, with probabilities",
        "value": {"inputs": ["The acting is", "정말 재미있게"], "next_tokens": 5, "max_tokens": 1},
    },
    "drawn": {
        "summary": "Drawn at random, again the same with the seed",
        "value": {"inputs": _BEGUN, "temperature": 0.8, "top_p": 0.9, "seed": 7, "max_tokens": 40},
    },
    "beams": {
        "summary": "Beam search, the two best",
        "value": {"inputs": "이 영화는", "beams": 4, "n_best": 2, "max_tokens": 20},
    },
    "streamed": {"summary": "As server-sent events", "value": {"inputs": _BEGUN, "max_tokens": 24, "stream": True}},
}
router = APIRouter(tags=["Tasks"])


@router.post(
    "/v1/complete",
    summary="Go on with texts",
    response_model=SentenceAnswer,
    responses={200: STREAMED, **problems(*COMMON_ERRORS, UnknownLanguage, ContradictoryOptions)},
    openapi_extra={
        "parameters": [TIMEOUT_PARAMETER],
        "requestBody": {"required": True, "content": json_body(CompleteRequest, EXAMPLES)},
    },
)
async def complete(request: Request) -> Response:
    """Goes on with each text, token after token, by a language model: greedily, with beam search (`beams`) or drawn at
    random (`temperature`). The input and `text` side by side are the whole text. With `next_tokens` the most probable
    next tokens are told with their probabilities; with `stream` the answer comes as server-sent events.

    Without `model` the script of each text chooses one, so English and Korean may stand in one request.
    """
    service = service_of(request)
    body = await read_json(request, CompleteRequest)
    terms = service.accept(request, body, inputs=len(body.inputs))
    preparing = service.task(Completion).prepare(
        body.inputs, body, model=body.model, version=body.version, next_tokens=body.next_tokens
    )
    return await service.sentences(request, preparing, terms, service.metrics.task("completion"))
