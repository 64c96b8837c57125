"""POST /v1/sentiment: sequence to label."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.body import TIMEOUT_PARAMETER, json_body, read_json
from app.api.problems import problems
from app.api.schemas import SentimentAnswer, SentimentRequest
from app.api.service import json_response, service_of, ticket_of
from app.engine.protocol import Explain
from app.errors import (
    BodyTooLarge,
    ContradictoryOptions,
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
    UnknownWord,
    UnsupportedMedia,
)
from app.tasks.sentiment import Sentiment

COMMON_ERRORS = (
    BodyTooLarge,
    UnsupportedMedia,
    EmptyInput,
    InputTooLong,
    UnknownWord,
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
    "explained": {
        "summary": "The label after each token",
        "value": {"inputs": "It begins well, but the end is a disappointment.", "explain": True},
    },
    "inside": {
        "summary": "With the gates and cells of the first layer",
        "value": {"inputs": "Not bad at all", "explain": True, "layer": 0},
    },
    "soon": {
        "summary": "Before others, and within five seconds",
        "value": {"inputs": "Two hours that I will never get back.", "priority": 5, "timeout_ms": 5000},
    },
}
router = APIRouter(tags=["Tasks"])


@router.post(
    "/v1/sentiment",
    summary="Label texts as positive or negative",
    response_model=SentimentAnswer,
    responses=problems(*COMMON_ERRORS, UnknownLanguage, ContradictoryOptions),
    openapi_extra={
        "parameters": [TIMEOUT_PARAMETER],
        "requestBody": {"required": True, "content": json_body(SentimentRequest, EXAMPLES)},
    },
)
async def sentiment(request: Request) -> Response:
    """Reads each text with a recurrent network and answers with the most probable label, the probability of each
    label, and `polarity`, a signed degree from -1 (negative) to +1 (positive).

    With `explain` the probability of each label is told as it stands after each token, and with `layer` what the units
    of that layer did.

    Without `model` the script of each text chooses one, so English and Korean may stand in one request.
    """
    service = service_of(request)
    body = await read_json(request, SentimentRequest)
    terms = service.accept(request, body, inputs=len(body.inputs))
    task = service.task(Sentiment)
    async with service.attending(request, terms):
        explain = Explain(body.layer) if body.explain else None
        readings = await task.prepare(body.inputs, model=body.model, version=body.version, explain=explain)
        ticket_of(request).count_steps(sum(reading.steps for reading in readings))
        results, usage = await task.run(readings, terms)
    service.answered(request, service.metrics.task("sentiment"), usage)
    return json_response(SentimentAnswer(results=results, usage=usage))
