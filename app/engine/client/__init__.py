"""The front end's side of the engines: submit a request, await its answer. Free of torch."""

from app.engine.client.client import Asked, EngineClient
from app.engine.client.versions import LoadInterrupted
from app.engine.client.view import EngineView

__all__ = ["Asked", "EngineClient", "EngineView", "LoadInterrupted"]
