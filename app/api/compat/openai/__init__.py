"""OpenAI's interface: completions, embeddings, and the list of models."""

from app.api.compat.openai import completions, embeddings
from app.api.compat.openai.errors import members_naming
from app.api.routes import Route
from app.tasks.sources.text import TextSource

ROUTES = (
    Route("/v1/completions", completions.completions, TextSource(continues=True), members_naming("prompt")),
    Route("/v1/embeddings", embeddings.embeddings, TextSource(), members_naming("input")),
    Route("/v1/models", error_members=members_naming("input")),
    Route("/v1/models/{name}", error_members=members_naming("input")),
)
ROUTERS = (completions.router, embeddings.router)
