"""The Open Inference Protocol v2, with Triton's extensions."""

from app.api.compat.open_inference import generate, infer, models, repository
from app.api.compat.open_inference.errors import error_members
from app.api.compat.open_inference.paths import both
from app.api.routes import Route

ROUTES = (
    *(Route(path, infer.infer, error_members=error_members) for path in both(infer.INFER)),
    *(Route(path, generate.generate, error_members=error_members) for path in both(generate.GENERATE)),
    *(Route(path, generate.generate_stream, error_members=error_members) for path in both(generate.STREAM)),
    Route("/v2", error_members=error_members),
    Route("/v2/{rest:path}", error_members=error_members),
)
ROUTERS = (models.router, infer.router, generate.router, repository.router)
