"""A service on Ray Serve for `benchmarks.cluster`: `python -m benchmarks.ray_service STORE REPLICAS PORT`.

It runs until its standard input ends, with as many front ends as engines, and prints a line when it is ready.
"""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",  # as other services have it
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",  # imports of a first start can take longer than Ray's 5 seconds
}
_START_SECONDS = 600


@contextmanager
def on_ray(store: Path, replicas: int, port: int, *, haproxy: bool) -> Iterator[int]:
    """The process id of a service on Ray, at a port of this machine. With `haproxy` Ray runs HAProxy in place of its
    own proxy. It ends with the block."""
    variables = os.environ | _QUIET | {"RAY_SERVE_ENABLE_HA_PROXY": str(int(haproxy))}
    command = [sys.executable, "-m", "benchmarks.ray_service", str(store.resolve()), str(replicas), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert "ready\n" in process.stdout, "the service on Ray did not start"
        try:
            yield process.pid
        finally:
            process.stdin.close()


def main() -> None:
    """Serve until standard input ends."""
    store, replicas, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    import ray
    from ray import serve

    from app.cluster import ClusterOptions, build

    ray.init(num_cpus=2 * replicas + 1, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    settings = {
        "store": store,
        "workers": replicas,
        "log_requests": False,
        "open": True,
    }  # Ray's HAProxy is on all addresses
    options = ClusterOptions(settings=settings, min_engines=replicas, max_engines=replicas)
    serve.run(build(options), name="unroll")
    end = time.monotonic() + _START_SECONDS
    while not _is_ready(port):
        if time.monotonic() > end:
            sys.exit(f"the service is not ready after {_START_SECONDS:.0f} s")
        time.sleep(0.2)
    print("ready", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
