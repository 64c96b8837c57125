"""A plain FastAPI endpoint: one request at a time in each uvicorn worker, no batching.

Tried: the model on the event loop (`inline`), in one thread beside it (`executor`), in FastAPI's pool of threads, as
a `def` endpoint does (`threads`). Kept: `inline`, in most short trials the fastest on sentiment, where the threads were
slowest. On translations the trials do not tell `inline` and `executor` apart.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from benchmarks.peers.config import Config, config, read_command_line
from benchmarks.peers.model import Answer, load

_VARIANT = "inline"
_Predict = Callable[[str | bytes], Answer]


def _endpoint(settings: Config, predict: _Predict) -> Callable[[Request], Awaitable[Answer]]:
    """`inline` runs the model on the event loop, `executor` in one thread beside it, `threads` in FastAPI's pool of
    threads, where a `def` endpoint runs too."""

    async def item(request: Request) -> str | bytes:
        body = await request.body()
        return body if settings.takes_images else str(json.loads(body)["inputs"])

    async def inline(request: Request) -> Answer:
        return predict(await item(request))

    async def threads(request: Request) -> Answer:
        return await run_in_threadpool(predict, await item(request))

    thread = ThreadPoolExecutor(1)

    async def executor(request: Request) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(thread, predict, await item(request))

    return {"inline": inline, "threads": threads, "executor": executor}[settings.variant]


def create_app() -> FastAPI:
    """The app of one worker, with its own model."""
    settings = config(variant=_VARIANT)
    model = load(settings.job, settings.folder)
    app = FastAPI()
    app.post("/predict", response_model=None)(_endpoint(settings, lambda item: model.predict([item])[0]))
    return app


def main() -> None:
    read_command_line()
    settings = config(variant=_VARIANT)
    uvicorn.run(
        "benchmarks.peers.servers.plain_fastapi:create_app",
        factory=True,
        host="127.0.0.1",
        port=settings.port,
        workers=settings.workers,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
