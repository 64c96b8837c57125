"""GET /v1/models and /v1/models/{name}: the versions that the service has."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path

from app.api.options import ModelName
from app.api.problems import problems
from app.api.schemas import (
    BrokenModel,
    ListedModel,
    ModelInfo,
    ModelList,
    NamedModel,
    QualityFigure,
    RegistersInfo,
    SeriesInfo,
)
from app.api.service import Service, ServiceDependency
from app.engine.client import EngineView
from app.errors import ModelNotFound, ModelUnavailable
from app.store.forecaster import Forecaster
from app.store.manifest import Manifest
from app.tasks.catalog import Catalog, Entry
from app.tasks.states.carrying import why_no_state

router = APIRouter(tags=["Models"])
Named = Annotated[
    ModelName, Path(openapi_examples={"shipped": {"summary": "A shipped language model", "value": "lm-en"}})
]


@router.get("/v1/models", operation_id="list_models", summary="List the models", response_model_exclude_none=True)
async def models(service: ServiceDependency) -> ModelList:
    """Every usable version: its task, architecture and measured quality, whether it is a default, and whether it is
    loaded. `broken` lists the versions that cannot be used, with the reason. `data` lists the language models for
    OpenAI's clients."""
    usable = service.catalog.usable(service.client.view)
    languages = dict.fromkeys(entry.manifest.name for entry in usable if entry.manifest.continues)
    data = [ListedModel(id=name) for name in languages]
    return ModelList(models=_infos(service.catalog, usable, service.client.view), broken=_broken(service), data=data)


@router.get(
    "/v1/models/{name}",
    operation_id="get_model",
    summary="Get a model",
    response_model_exclude_none=True,
    responses=problems(ModelNotFound, ModelUnavailable),
)
async def model(name: Named, service: ServiceDependency) -> NamedModel:
    """The versions of one name; `broken` lists the unusable ones. The other members are for OpenAI's clients.
    If no version of the name can be used, the response is a problem with the reason."""
    service.catalog.named(None, name, None, service.client.view)
    return NamedModel(
        id=name,
        models=_infos(service.catalog, service.catalog.of_name(name, service.client.view), service.client.view),
        broken=[version for version in _broken(service) if version.model.rpartition("/")[0] == name],
    )


def _infos(catalog: Catalog, usable: Sequence[Entry], view: EngineView) -> list[ModelInfo]:
    """The versions in their order; the first one of each name is its default."""
    first = {entry.manifest.name: entry.manifest.version for entry in reversed(usable)}
    return [
        _info(entry.manifest, first[entry.manifest.name], view, is_default=catalog.is_default(entry.manifest, view))
        for entry in usable
    ]


def _broken(service: Service) -> list[BrokenModel]:
    broken = service.catalog.broken(service.client.view)
    return [BrokenModel(model=key, reason=reason) for key, reason in broken.items()]


def _info(manifest: Manifest, default_version: int, view: EngineView, *, is_default: bool) -> ModelInfo:
    return ModelInfo(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        description=manifest.description,
        domain=manifest.domain,
        languages=list(manifest.languages),
        architecture=manifest.architecture.describe(),
        parameters=manifest.parameters,
        bytes=manifest.bytes,
        labels=list(manifest.labels),
        source=manifest.source,
        series=_series(manifest),
        frames=manifest.frames,
        registers=_registers(manifest),
        unsure_below=None if manifest.confidence is None else manifest.confidence.unsure_below,
        quality=[QualityFigure(measure=item.measure, value=item.value, data=item.data) for item in manifest.quality],
        state=view.state_of(manifest.key),
        carries_state=why_no_state(manifest) is None,
        default=is_default,
        default_version=manifest.version == default_version,
        licence=manifest.licence,
    )


def _registers(manifest: Manifest) -> RegistersInfo | None:
    registers = manifest.registers
    return None if registers is None else RegistersInfo(names=list(registers.tokens), default=registers.default)


def _series(manifest: Manifest) -> SeriesInfo | None:
    series, network = manifest.series, manifest.architecture
    if series is None:
        return None
    horizon = network.horizon if isinstance(network, Forecaster) else None
    return SeriesInfo(
        features=[feature.name for feature in series.features],
        targets=[target.name for target in series.targets],
        window=series.window,
        horizon=horizon,
        longest_horizon=None if isinstance(network, Forecaster) and network.is_stepwise else horizon,
        pad=series.pad,
        missing=series.missing,
        interval=series.interval,
    )
