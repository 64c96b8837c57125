"""OpenAI's interface: completions, embeddings, and the list of models."""

from app.api.compat.openai import completions, embeddings
from app.api.compat.openai.errors import error_members
from app.api.routes import Route
from app.tasks.sources.text import TextSource

ROUTES = (
    Route("/v1/completions", completions.completions, TextSource(continues=True), error_members),
    Route("/v1/embeddings", embeddings.embeddings, TextSource(), error_members),
    Route("/v1/models", error_members=error_members),
    Route("/v1/models/{name}", error_members=error_members),
)
ROUTERS = (completions.router, embeddings.router)
