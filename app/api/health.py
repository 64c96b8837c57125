"""GET /healthz, /readyz and /metrics, for monitoring."""

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


@router.get("/healthz", operation_id="health", summary="Check that the process is up")
async def healthz() -> Health:
    """200 while the front end runs, even without a ready engine."""
    return Health()


@router.get(
    "/readyz",
    operation_id="readiness",
    summary="Check that requests are answered",
    responses={503: {"model": Readiness, "description": "Not every engine is ready, or the service is about to end"}},
)
async def readyz(service: ServiceDependency, response: Response) -> Readiness:
    """200 when every engine has loaded the default versions, or done so for 0.3 s, and the service is not about
    to end; otherwise 503. Broken versions are listed, and the others are served: their requests load them. Later, a
    restart of one engine does not change the status while another engine is ready."""
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
        models=sorted(view.models & service.catalog.keys),
        broken=broken,
    )


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Get metrics for Prometheus",
    response_class=Response,
    responses={200: METRICS},
)
async def prometheus(service: ServiceDependency) -> Response:
    """Metrics of requests and engines in Prometheus' text format."""
    return Response(service.metrics.render(), media_type=metrics.CONTENT_TYPE)
