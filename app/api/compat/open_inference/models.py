"""GET /v2/...: who answers, what its models take and tell, whether they are ready, and what they did."""

import time

from fastapi import APIRouter, Request

from app.api.compat.open_inference.paths import MODEL, VERSION, described, manifest_of
from app.api.compat.open_inference.schemas import (
    Duration,
    InferenceStatistics,
    Live,
    ModelConfiguration,
    ModelMetadata,
    ModelReady,
    ModelStatistics,
    Ready,
    ServerMetadata,
    Statistics,
    TensorConfiguration,
    TensorMetadata,
)
from app.api.compat.open_inference.tensors import Tensor, inputs_of, outputs_of
from app.api.problems import problems
from app.api.service import Service, ServiceDependency
from app.engine.figures import Durations
from app.errors import Draining, ModelNotFound, ModelUnavailable, NotReady
from app.store.manifest import Manifest

EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "generate",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "statistics",
)
_TYPES = {"BYTES": "TYPE_STRING", "UINT8": "TYPE_UINT8", "FP32": "TYPE_FP32"}  # as a configuration calls them
_EPOCH = time.time() - time.monotonic()  # what engines' clock has to be added to
_OF_A_MODEL = problems(ModelNotFound, ModelUnavailable)
router = APIRouter(tags=["Open Inference Protocol"])


@router.get("/v2", summary="Who answers, for clients of the Open Inference Protocol")
async def server(request: Request) -> ServerMetadata:
    """Name, version, and the extensions of the protocol that are there."""
    return ServerMetadata(version=request.app.version, extensions=list(EXTENSIONS))


@router.get("/v2/health/live", summary="Is the process up, by the Open Inference Protocol?")
async def live() -> Live:
    """200 as long as the front end runs, whatever the engines do, as `/healthz` tells it."""
    return Live()


@router.get(
    "/v2/health/ready",
    summary="Are requests answered, by the Open Inference Protocol?",
    responses=problems(NotReady, Draining),
)
async def ready(service: ServiceDependency) -> Ready:
    """200 when `/readyz` answers 200, else 503 with a problem that says what is missing."""
    if service.admission.is_draining:
        raise Draining("the service is about to end; ask another one")
    if not service.client.view.is_ready:
        raise NotReady("not every engine has loaded its models; ask again in a moment")
    return Ready()


@router.get("/v2/models/stats", summary="What all models did, for clients of the Open Inference Protocol")
async def all_statistics(service: ServiceDependency) -> Statistics:
    """Inputs that the engines answered with each version, whichever route and front end they came by, and the time
    that took them."""
    usable = service.catalog.usable(service.client.view)
    return Statistics(model_stats=[_statistics(service, entry.manifest) for entry in usable])


@router.get(
    MODEL,
    summary="What a model takes and tells",
    responses=_OF_A_MODEL,
    openapi_extra=described("sentiment-en", MODEL),
)
@router.get(
    VERSION,
    summary="What a version takes and tells",
    responses=_OF_A_MODEL,
    openapi_extra=described("sentiment-en", VERSION),
)
async def metadata(request: Request, service: ServiceDependency) -> ModelMetadata:
    """Names, datatypes and shapes of the tensors of `infer`. Of several inputs one is sent. An output is told when it
    is asked for, or when none is."""
    manifest = manifest_of(request, service)
    task = service.task_of(manifest)
    versions = [entry.manifest.version for entry in service.catalog.of_name(manifest.name, service.client.view)]
    return ModelMetadata(
        name=manifest.name,
        versions=[str(version) for version in sorted(versions)],
        inputs=[_described(tensor) for tensor in inputs_of(task)],
        outputs=[_described(tensor) for tensor in outputs_of(task, manifest)],
    )


@router.get(
    f"{MODEL}/ready",
    summary="Does a model answer?",
    responses=problems(ModelNotFound, ModelUnavailable, NotReady),
    openapi_extra=described("sentiment-en", MODEL),
)
@router.get(
    f"{VERSION}/ready",
    summary="Does a version answer?",
    responses=problems(ModelNotFound, ModelUnavailable, NotReady),
    openapi_extra=described("sentiment-en", VERSION),
)
async def model_ready(request: Request, service: ServiceDependency) -> ModelReady:
    """200 when an engine has it, else a problem that says why not."""
    manifest = manifest_of(request, service)
    if manifest.key not in service.client.view.models:
        raise NotReady(f"no engine has loaded {manifest.key} yet; ask again in a moment")
    return ModelReady(name=manifest.name)


@router.get(
    f"{MODEL}/config",
    summary="A model's configuration, for Triton's clients",
    response_model_exclude_none=True,
    responses=_OF_A_MODEL,
    openapi_extra=described("sentiment-en", MODEL),
)
@router.get(
    f"{VERSION}/config",
    summary="A version's configuration, for Triton's clients",
    response_model_exclude_none=True,
    responses=_OF_A_MODEL,
    openapi_extra=described("sentiment-en", VERSION),
)
async def configuration(request: Request, service: ServiceDependency) -> ModelConfiguration:
    """The tensors without the dimension of the batch, and how large a batch may be: what Triton's tools read."""
    manifest = manifest_of(request, service)
    task = service.task_of(manifest)
    inputs = [_configured(tensor) for tensor in inputs_of(task)]
    if len(inputs) > 1:
        inputs = [tensor.model_copy(update={"optional": True}) for tensor in inputs]
    return ModelConfiguration(
        name=manifest.name,
        max_batch_size=service.most_inputs,
        input=inputs,
        output=[_configured(tensor) for tensor in outputs_of(task, manifest)],
    )


@router.get(
    f"{MODEL}/stats",
    summary="What a model did, for clients of the Open Inference Protocol",
    responses=_OF_A_MODEL,
    openapi_extra=described("sentiment-en", MODEL),
)
@router.get(
    f"{VERSION}/stats",
    summary="What a version did, for clients of the Open Inference Protocol",
    responses=_OF_A_MODEL,
    openapi_extra=described("sentiment-en", VERSION),
)
async def statistics(request: Request, service: ServiceDependency) -> Statistics:
    """As of all models, but of one version, or of all that have a name."""
    manifest = manifest_of(request, service)
    manifests = [manifest]
    if "version" not in request.path_params:
        manifests = [entry.manifest for entry in service.catalog.of_name(manifest.name, service.client.view)]
    return Statistics(model_stats=[_statistics(service, one) for one in manifests])


def _described(tensor: Tensor) -> TensorMetadata:
    return TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=list(tensor.shape))


def _configured(tensor: Tensor) -> TensorConfiguration:
    return TensorConfiguration(name=tensor.name, data_type=_TYPES[tensor.datatype], dims=list(tensor.shape[1:]))


def _statistics(service: Service, manifest: Manifest) -> ModelStatistics:
    engines = [status.figures[manifest.key] for status in service.client.view.ready if manifest.key in status.figures]

    def summed(name: str) -> Duration:
        found: list[Durations] = [getattr(figures, name) for figures in engines]
        seconds = sum(occasions.seconds for occasions in found)
        return Duration(count=sum(occasions.count for occasions in found), ns=round(seconds * 1e9))

    last = max((figures.last_answered for figures in engines), default=0.0)
    success = summed("answered")
    return ModelStatistics(
        name=manifest.name,
        version=str(manifest.version),
        last_inference=round((_EPOCH + last) * 1000) if last else 0,
        inference_count=success.count,
        execution_count=sum(figures.executions for figures in engines),
        inference_stats=InferenceStatistics(
            success=success,
            fail=summed("failed"),
            queue=summed("waited"),
            compute_input=summed("encoded"),
            compute_infer=summed("decoded"),
            compute_output=Duration(count=0, ns=0),  # text is made of tokens outside of engines
        ),
    )
