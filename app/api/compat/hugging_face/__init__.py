"""Hugging Face's interface: a route for each pipeline, with the model in its path."""

from app.api.compat.hugging_face import generation, reading, tasks
from app.api.compat.hugging_face.errors import error_members
from app.api.routes import Route

ROUTES = (
    Route(tasks.CLASSIFICATION.path, tasks.classify, error_members=error_members),
    Route(tasks.TRANSLATION.path, tasks.translate, error_members=error_members),
    Route(tasks.IMAGE_TO_TEXT.path, tasks.describe, error_members=error_members),
    Route(reading.TAGGING.path, reading.tag, error_members=error_members),
    Route(reading.EMBEDDING.path, reading.embed, error_members=error_members),
    Route(generation.TEXT_GENERATION.path, generation.generate, error_members=error_members),
)
ROUTERS = (tasks.router, reading.router, generation.router)
