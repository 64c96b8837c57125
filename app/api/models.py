"""GET /v1/models: what can be served."""

from fastapi import APIRouter

from app.api.schemas import BrokenModel, ListedModel, ModelInfo, ModelList, QualityFigure
from app.api.service import ServiceDependency
from app.store.manifest import Manifest

router = APIRouter(tags=["Models"])


@router.get("/v1/models", operation_id="list_models", summary="List the models")
async def models(service: ServiceDependency) -> ModelList:
    """Every version that is loaded: what it does, how it is built, how good it was measured to be, and whether
    it answers by default. Versions that cannot be used are listed in `broken`, with the reason. `data` names the
    language models for OpenAI's clients."""
    view = service.client.view
    broken = [BrokenModel(model=key, reason=reason) for key, reason in service.catalog.broken(view).items()]
    usable = service.catalog.usable(view)
    first = {entry.manifest.name: entry.manifest.version for entry in reversed(usable)}
    infos = [_info(entry.manifest, first[entry.manifest.name]) for entry in usable]
    languages = dict.fromkeys(entry.manifest.name for entry in usable if entry.manifest.task == "completion")
    return ModelList(models=infos, broken=broken, data=[ListedModel(id=name) for name in languages])


def _info(manifest: Manifest, default_version: int) -> ModelInfo:
    return ModelInfo(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        description=manifest.description,
        languages=list(manifest.languages),
        architecture=manifest.architecture.describe(),
        parameters=manifest.parameters,
        bytes=manifest.bytes,
        labels=list(manifest.labels),
        quality=[QualityFigure(measure=item.measure, value=item.value, data=item.data) for item in manifest.quality],
        default=manifest.default,
        default_version=manifest.version == default_version,
        licence=manifest.licence,
    )
