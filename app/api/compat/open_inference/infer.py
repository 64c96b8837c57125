"""POST /v2/models/{model}/infer: any task, for clients of the Open Inference Protocol v2."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.api.body import JSON, checked, json_body, read_long
from app.api.compat.open_inference.binary import HEADER, OCTETS, split
from app.api.compat.open_inference.inputs import inputs_of
from app.api.compat.open_inference.options import chosen_by, parameters_form, sequence_of, with_states
from app.api.compat.open_inference.outputs import check_outputs, encoded, outputs_of_results
from app.api.compat.open_inference.paths import for_both, manifest_of
from app.api.compat.open_inference.schemas import InferAnswer, InferRequest
from app.api.problems import COMMON_ERRORS, STATE_ERRORS, problems
from app.api.service import service_of
from app.api.tasks.files import BINARY
from app.errors import ContradictoryOptions, InputError, InvalidImage
from app.store.manifest import Manifest
from app.tasks.task import Task

INFER = "/infer"
_FILM = "A warm, funny film that I would gladly see again."
EXAMPLES = {
    "one": {
        "summary": "One text",
        "value": {"inputs": [{"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [_FILM]}]},
    },
    "classification": {
        "summary": "Two texts, the best label of each",
        "value": {
            "id": "42",
            "parameters": {"priority": 1, "timeout": 5_000_000},
            "inputs": [
                {"name": "text_input", "shape": [2], "datatype": "BYTES", "data": [_FILM, "The acting is awful."]}
            ],
            "outputs": [{"name": "scores", "parameters": {"classification": 1}}, {"name": "polarity"}],
        },
    },
}
router = APIRouter(tags=["Open Inference Protocol"])
_ANSWER: dict[str, Any] = {
    "description": f"The outputs. With binary outputs the header `{HEADER}` gives the length of the JSON, and the "
    "data follows the JSON",
    "content": {OCTETS: BINARY},
}
_ERRORS = problems(*COMMON_ERRORS, InvalidImage, ContradictoryOptions, *STATE_ERRORS)


@for_both(
    router.post,
    INFER,
    summary="Run {}",
    example="sentiment-en",
    content=lambda: json_body(InferRequest, EXAMPLES) | {OCTETS: BINARY},
    response_model=InferAnswer,
    responses={200: _ANSWER, **_ERRORS},
)
async def infer(request: Request) -> Response:
    """Inference for `tritonclient.http` and KServe's `InferenceRESTClient`: tensors in, tensors out, in JSON or as
    bytes after it. The metadata of a model lists its tensors. An unsupported option is refused by name.
    """
    service = service_of(request)
    content, tail = split(await request.body(), request.headers.get(HEADER))
    body = await read_long(content, InferRequest)
    manifest = manifest_of(request, service)
    if body.model_name not in (None, manifest.name):
        raise InputError(f"model_name is {body.model_name!r}, but the path names {manifest.name}; leave it out")
    task = service.task_of(manifest)
    tensors = inputs_of(body, tail, task, manifest)
    check_outputs(body.outputs or (), task, manifest)
    given = with_states(body.parameters or {}, tensors.state, body.outputs or ())
    parameters = checked(given, parameters_form(task), "parameters")
    chosen = chosen_by(request, manifest, parameters)
    terms = service.accept(request, chosen, inputs=tensors.source.inputs)
    async with service.until_disconnect(request, terms):
        inputs = await tensors.source.read(task, manifest)
        asked = sequence_of(manifest, parameters)
        async with service.turn(request, asked, terms, inputs=len(inputs)) as turn:
            jobs = await service.prepare(request, task, inputs, parameters, chosen, terms, turn)
            outputs = await service.answer(request, jobs, terms, turn)
    results = [output.result for output in outputs]
    return _answer(body, task, jobs[0].entry.manifest, results, binary=parameters.binary_data_output)


def _answer(
    body: InferRequest, task: Task, manifest: Manifest, results: Sequence[BaseModel], *, binary: bool
) -> Response:
    outputs = outputs_of_results(results, task, manifest)
    heads, tail = encoded(outputs, body.outputs or (), manifest, binary=binary)
    answer = InferAnswer(model_name=manifest.name, model_version=str(manifest.version), id=body.id, outputs=heads)
    content = answer.model_dump_json(exclude_none=True).encode()
    if all(head.parameters is None for head in heads):
        return Response(content, media_type=JSON)
    return Response(content + tail, media_type=OCTETS, headers={HEADER: str(len(content))})
