"""GET /v2/...: the server, and the metadata, readiness, configuration and statistics of models."""

import time

from fastapi import APIRouter, Request

from app.api.compat.open_inference.paths import for_both, manifest_of
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
from app.api.compat.open_inference.tensors import Tensor, answers_of, sources_of, states_of
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
    "sequence",
    "statistics",
)
_TYPES = {"BYTES": "TYPE_STRING", "UINT8": "TYPE_UINT8", "FP32": "TYPE_FP32"}  # in a configuration
_EPOCH = time.time() - time.monotonic()  # seconds from 1970 to the zero of the clock of engines
_ERRORS = problems(ModelNotFound, ModelUnavailable)
_EXAMPLE = "sentiment-en"
router = APIRouter(tags=["Open Inference Protocol"])


@router.get("/v2", summary="Describe the server")
async def server(request: Request) -> ServerMetadata:
    """Name, version, and the supported extensions of the protocol."""
    return ServerMetadata(version=request.app.version, extensions=list(EXTENSIONS))


@router.get("/v2/health/live", summary="Check that the process is up")
async def live() -> Live:
    """200 while the front end runs, like `/healthz`."""
    return Live()


@router.get(
    "/v2/health/ready",
    summary="Check that requests are answered",
    responses=problems(NotReady, Draining),
)
async def ready(service: ServiceDependency) -> Ready:
    """200 when `/readyz` returns 200, otherwise 503 with a problem."""
    if service.admission.is_draining:
        raise Draining("the service is about to end; use another replica")
    if not service.client.view.is_ready:
        raise NotReady("not every engine has loaded its models; retry when /readyz returns 200")
    return Ready()


@router.get("/v2/models/stats", summary="Get the statistics of all models")
async def all_statistics(service: ServiceDependency) -> Statistics:
    """The number of inputs that engines answered with each version, from all routes and front ends, and their times."""
    usable = service.catalog.usable(service.client.view)
    return Statistics(model_stats=[_statistics(service, entry.manifest) for entry in usable])


@for_both(router.get, "", summary="Describe {}", example=_EXAMPLE, responses=_ERRORS)
async def metadata(request: Request, service: ServiceDependency) -> ModelMetadata:
    """Names, datatypes and shapes of the tensors of `infer`. A request has one of the inputs, and `state` beside it if
    it continues. A response has the requested outputs, or all but `state`."""
    manifest = manifest_of(request, service)
    task = service.task_of(manifest)
    states = states_of(task, manifest)
    versions = [entry.manifest.version for entry in service.catalog.of_name(manifest.name, service.client.view)]
    return ModelMetadata(
        name=manifest.name,
        versions=[str(version) for version in sorted(versions)],
        inputs=[_described(tensor) for tensor in (*sources_of(task, manifest), *states)],
        outputs=[_described(tensor) for tensor in (*answers_of(task, manifest), *states)],
    )


@for_both(
    router.get,
    "/ready",
    summary="Check that {} is ready",
    example=_EXAMPLE,
    responses=problems(ModelNotFound, ModelUnavailable, NotReady),
)
async def model_ready(request: Request, service: ServiceDependency) -> ModelReady:
    """200 when an engine serves it, loaded or not, otherwise a problem with the reason."""
    manifest = manifest_of(request, service)
    if manifest.key not in service.client.view.models:
        raise NotReady(f"no engine serves {manifest.key} yet; retry in some seconds")
    return ModelReady(name=manifest.name)


@for_both(
    router.get,
    "/config",
    summary="Get the configuration of {}",
    example=_EXAMPLE,
    response_model_exclude_none=True,
    responses=_ERRORS,
)
async def configuration(request: Request, service: ServiceDependency) -> ModelConfiguration:
    """The tensors without their batch dimension, and the limit of the batch size, for Triton's tools."""
    manifest = manifest_of(request, service)
    task = service.task_of(manifest)
    sources = [_configured(tensor) for tensor in sources_of(task, manifest)]
    if len(sources) > 1:
        sources = [_optional(tensor) for tensor in sources]
    states = [_configured(tensor) for tensor in states_of(task, manifest)]
    return ModelConfiguration(
        name=manifest.name,
        max_batch_size=service.most_inputs,
        input=[*sources, *map(_optional, states)],
        output=[*(_configured(tensor) for tensor in answers_of(task, manifest)), *states],
    )


@for_both(
    router.get,
    "/stats",
    summary="Get the statistics of {}",
    example=_EXAMPLE,
    responses=_ERRORS,
)
async def statistics(request: Request, service: ServiceDependency) -> Statistics:
    """The statistics of `GET /v2/models/stats` for one version, or for all versions of a name."""
    manifest = manifest_of(request, service)
    manifests = [manifest]
    if "version" not in request.path_params:
        manifests = [entry.manifest for entry in service.catalog.of_name(manifest.name, service.client.view)]
    return Statistics(model_stats=[_statistics(service, one) for one in manifests])


def _described(tensor: Tensor) -> TensorMetadata:
    return TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=list(tensor.shape))


def _configured(tensor: Tensor) -> TensorConfiguration:
    return TensorConfiguration(name=tensor.name, data_type=_TYPES[tensor.datatype], dims=list(tensor.shape[1:]))


def _optional(tensor: TensorConfiguration) -> TensorConfiguration:
    return tensor.model_copy(update={"optional": True})


def _statistics(service: Service, manifest: Manifest) -> ModelStatistics:
    engines = [status.figures[manifest.key] for status in service.client.view.ready if manifest.key in status.figures]

    def summed(name: str) -> Duration:
        durations: list[Durations] = [getattr(figures, name) for figures in engines]
        seconds = sum(one.seconds for one in durations)
        return Duration(count=sum(one.count for one in durations), ns=round(seconds * 1e9))

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
            compute_output=Duration(count=0, ns=0),  # the front end turns tokens into text
        ),
    )
