"""POST /v1/sentiment: sequence to label."""

from fastapi import APIRouter, Request

from app.api.body import json_body, read_json
from app.api.problems import problems
from app.api.schemas import SentimentAnswer, SentimentRequest
from app.api.service import ServiceDependency
from app.errors import (
    BodyTooLarge,
    EmptyInput,
    EngineFailed,
    InputTooLong,
    ModelNotFound,
    ModelUnavailable,
    NotReady,
    Overloaded,
    TimedOut,
    TooManyInputs,
    UnknownLanguage,
    UnsupportedMedia,
)
from app.tasks.sentiment import Sentiment

COMMON_ERRORS = (
    BodyTooLarge,
    UnsupportedMedia,
    EmptyInput,
    InputTooLong,
    TooManyInputs,
    ModelNotFound,
    ModelUnavailable,
    Overloaded,
    NotReady,
    TimedOut,
    EngineFailed,
)
EXAMPLES = {
    "one": {"summary": "One text", "value": {"inputs": "A warm, funny film that I would gladly see again."}},
    "mixed": {
        "summary": "English and Korean together",
        "value": {
            "inputs": ["The plot makes no sense and the acting is worse.", "정말 재미있게 봤어요. 강력 추천합니다!"]
        },
    },
    "named": {
        "summary": "A model by name",
        "value": {"inputs": "돈이 아깝다. 최악의 영화", "model": "sentiment-ko", "version": 1},
    },
}
router = APIRouter(tags=["Tasks"])


@router.post(
    "/v1/sentiment",
    summary="Label texts as positive or negative",
    responses=problems(*COMMON_ERRORS, UnknownLanguage),
    openapi_extra={"requestBody": {"required": True, "content": json_body(SentimentRequest, EXAMPLES)}},
)
async def sentiment(request: Request, service: ServiceDependency) -> SentimentAnswer:
    """Reads each text with a recurrent network and answers with the most probable label, the probability of each
    label, and `polarity`, a signed degree from -1 (negative) to +1 (positive).

    Without `model` the script of each text chooses one, so English and Korean may stand in one request.
    """
    body = await read_json(request, SentimentRequest)
    work = service.task(Sentiment).run(body.inputs, model=body.model, version=body.version)
    results, usage = await service.answer(request, work, task="sentiment", inputs=len(body.inputs))
    return SentimentAnswer(results=results, usage=usage)
