"""Ray Serve: replicas that batch with `@serve.batch`, behind an HTTP proxy.

Tried: its defaults, the throughput-optimized mode of its performance guide (`throughput`), that with HAProxy in place
of its own proxy (`haproxy`), the model in a thread and on the replica's event loop (`inline`), a wait of 2 and 5 ms.
Kept: throughput-optimized with HAProxy, which was more than twice as fast on sentiment; inline, a little faster on
translations at 64 clients; 5 ms. With HAProxy it listens on all interfaces; no option changes that.
"""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Sequence

from starlette.requests import Request

from benchmarks.peers.config import config, read_command_line
from benchmarks.peers.model import Answer, load

_WAIT = 5.0
_QUEUE = 1024  # requests that wait for a replica


def main() -> None:
    read_command_line()
    settings = config(wait=_WAIT, variant="throughput-haproxy-inline")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if "throughput" in settings.variant:
        os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "1"
    if "haproxy" in settings.variant:
        os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"

    import ray  # reads the environment when it is imported
    from ray import serve

    class Peer:
        """One replica."""

        def __init__(self) -> None:
            self._model = load(settings.job, settings.folder)

        @serve.batch(max_batch_size=settings.batch, batch_wait_timeout_s=settings.wait / 1000)
        async def predict(self, batch: Sequence[str | bytes]) -> list[Answer]:
            if "inline" in settings.variant:
                return self._model.predict(batch)
            return await asyncio.to_thread(self._model.predict, batch)

        async def __call__(self, request: Request) -> Answer:
            body = await request.body()
            answer: Answer = await self.predict(body if settings.takes_images else json.loads(body)["inputs"])
            return answer

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    ray.init(num_cpus=settings.workers, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
    serve.start(http_options={"host": "127.0.0.1", "port": settings.port})
    deployment = serve.deployment(Peer, num_replicas=settings.workers, max_ongoing_requests=_QUEUE)
    serve.run(deployment.bind(), route_prefix="/predict")
    stop.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
