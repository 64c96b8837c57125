"""GET /healthz, /readyz and /metrics: for machines that watch the service."""

from typing import Any, Literal

from fastapi import APIRouter, Response

from app import metrics
from app.api.schemas import BrokenModel, Health, Readiness
from app.api.service import ServiceDependency

METRICS: dict[str, Any] = {
    "description": "All metrics in Prometheus' text format",
    "content": {
        "text/plain": {
            "schema": {"type": "string"},
            "example": "# HELP unroll_engines Engines that there should be\n"
            "# TYPE unroll_engines gauge\n"
            "unroll_engines 2.0\n",
        }
    },
}
router = APIRouter(tags=["Operation"])


@router.get("/healthz", operation_id="health", summary="Is the process up?")
async def healthz() -> Health:
    """200 as long as the front end runs, whatever the engines do."""
    return Health()


@router.get(
    "/readyz",
    operation_id="readiness",
    summary="Are requests answered?",
    responses={503: {"model": Readiness, "description": "Not every engine is ready, or the service is about to end"}},
)
async def readyz(service: ServiceDependency, response: Response) -> Readiness:
    """200 when every engine has loaded and warmed every model that is whole and the service is not about to end, else
    503. Broken versions are listed; the others serve on. An engine that is started again later does not change it as
    long as another one is there."""
    view = service.client.view
    broken = [BrokenModel(model=key, reason=reason) for key, reason in service.catalog.broken(view).items()]
    status: Literal["ready", "starting", "draining"] = "ready" if view.is_ready else "starting"
    if service.admission.is_draining:
        status = "draining"
    if status != "ready":
        response.status_code = 503
    return Readiness(
        status=status,
        engines_ready=len(view.ready),
        engines=view.count,
        models=sorted(view.models),
        broken=broken,
    )


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: METRICS},
)
async def prometheus(service: ServiceDependency) -> Response:
    """Counts and times of requests, and what the engines ran, in Prometheus' text format."""
    return Response(service.metrics.render(), media_type=metrics.CONTENT_TYPE)
