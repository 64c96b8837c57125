"""POST /v1/embeddings: the states of any recurrent encoder over texts, for OpenAI's clients."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.blocks import response_in_pieces
from app.api.body import TIMEOUT_PARAMETER, json_body, read_json
from app.api.compat.openai.embedding_schemas import EmbeddingItem, EmbeddingList, EmbeddingRequest, EmbeddingUsage
from app.api.openapi.deferred import Deferred
from app.api.problems import COMMON_ERRORS, problems
from app.api.service import service_of
from app.json_pieces import JsonArray
from app.tasks.job import Job, Output

_FILM = "A warm, funny film that I would gladly see again."
EXAMPLES = {
    "one": {"summary": "One text", "value": {"model": "sentiment-en", "input": _FILM}},
    "base64": {
        "summary": "Two texts, as the client of OpenAI asks for them",
        "value": {"model": "lm-en", "input": [_FILM, "The acting is awful."], "encoding_format": "base64"},
    },
}
router = APIRouter(tags=["Compatible"])


@router.post(
    "/v1/embeddings",
    operation_id="openai_embeddings",
    summary="Embed a text (OpenAI)",
    response_model=EmbeddingList,
    responses=problems(*COMMON_ERRORS),
    openapi_extra=Deferred(
        lambda: {
            "parameters": [TIMEOUT_PARAMETER],
            "requestBody": {"required": True, "content": json_body(EmbeddingRequest, EXAMPLES)},
        }
    ),
)
async def embeddings(request: Request) -> Response:
    """Embeddings for `OpenAI(base_url=".../v1", api_key="x").embeddings.create(...)`: the last state of the top layer
    of any model that reads texts, with the length 1. `/v1/embed` has other states and other sources. An unsupported
    option is refused by name. Errors have OpenAI's member `error` as well.
    """
    service = service_of(request)
    body = await read_json(request, EmbeddingRequest)
    chosen = body.options()
    terms = service.accept(request, chosen, inputs=len(body.input))
    async with service.until_disconnect(request, terms):
        task = service.task_answering("state")
        jobs = await service.prepare(request, task, body.input, body.embedding(), chosen, terms)
        outputs = await service.answer(request, jobs, terms)
        return await response_in_pieces(_answer(body, jobs, outputs).model_dump())


def _answer(body: EmbeddingRequest, jobs: Sequence[Job], outputs: Sequence[Output]) -> EmbeddingList:
    tokens = sum(job.tokens for job in jobs)
    results: list[Any] = [output.result for output in outputs]
    numbers: list[Any] = [_encoded(result.embedding, body.encoding_format) for result in results]
    data = [EmbeddingItem.model_construct(index=index, embedding=one) for index, one in enumerate(numbers)]
    return EmbeddingList.model_construct(
        data=data, model=body.model, usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
    )


def _encoded(numbers: JsonArray, encoding: str | None) -> JsonArray | str:
    if encoding != "base64":
        return numbers
    return b64encode(np.asarray(numbers.values, "<f4").tobytes()).decode()
