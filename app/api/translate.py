"""POST /v1/translate: sequence to sequence."""

from fastapi import APIRouter, Request

from app.api.body import json_body, read_json
from app.api.problems import problems
from app.api.schemas import SentenceAnswer, TranslateRequest
from app.api.sentiment import COMMON_ERRORS
from app.api.service import ServiceDependency
from app.errors import UnknownLanguage
from app.tasks.translation import Translation

EXAMPLES = {
    "one": {"summary": "One sentence", "value": {"inputs": "Do you want to save the changes before closing?"}},
    "several": {
        "summary": "Several, with the languages named",
        "value": {"inputs": ["Open file", "The file could not be found."], "source": "en", "target": "ko"},
    },
    "short": {"summary": "At most 8 tokens", "value": {"inputs": "Returns a new list.", "max_tokens": 8}},
}
router = APIRouter(tags=["Tasks"])


@router.post(
    "/v1/translate",
    summary="Translate sentences",
    responses=problems(*COMMON_ERRORS, UnknownLanguage),
    openapi_extra={"requestBody": {"required": True, "content": json_body(TranslateRequest, EXAMPLES)}},
)
async def translate(request: Request, service: ServiceDependency) -> SentenceAnswer:
    """Translates each sentence, by default from English to Korean. `score` is the mean log-probability of the
    emitted tokens; `finish_reason` is `length` when `max_tokens` cut the sentence off.
    """
    body = await read_json(request, TranslateRequest)
    work = service.task(Translation).run(
        body.inputs,
        model=body.model,
        version=body.version,
        source=body.source,
        target=body.target,
        max_tokens=body.max_tokens,
    )
    results, usage = await service.answer(request, work, task="translation", inputs=len(body.inputs))
    return SentenceAnswer(results=results, usage=usage)
