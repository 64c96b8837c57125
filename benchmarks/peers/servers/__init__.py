"""The servers that are compared: what each is called, where it listens, and how a request to it looks.

Each module starts one server: `python -m benchmarks.peers.servers.MODULE JOB PORT`. Its docstring says which settings
were tried and which were kept.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.inputs import Workload

UNROLL = "Unroll"
NOT_RUN = {
    "Triton Inference Server": "it comes as a container image only; there is no package of the server to install",
}
_BOUNDARY = "peers"


@dataclass(frozen=True)
class Server:
    """`package` is its distribution, for the version; `form` turns a workload into requests as it takes them."""

    name: str
    module: str
    package: str
    form: Callable[[Workload], Workload]


def _same(work: Workload) -> Workload:
    """Unroll's own requests."""
    return work


def _at(path: str) -> Callable[[Workload], Workload]:
    """`{"inputs": text}`, or the bytes of an image, to a path."""

    def form(work: Workload) -> Workload:
        if work.content_type != "application/json":
            return replace(work, path=path)
        return replace(work, path=path, bodies=[json.dumps({"inputs": text_of(body)}).encode() for body in work.bodies])

    return form


def text_of(body: bytes) -> str:
    """The text in one of Unroll's requests."""
    return str(json.loads(body)["inputs"])


def _lists(work: Workload) -> Workload:
    """BentoML batches lists only: a list of one text in JSON, or a form with one image file."""
    if work.content_type == "application/json":
        bodies = [json.dumps({"inputs": [text_of(body)]}).encode() for body in work.bodies]
        return replace(work, path="/predict", bodies=bodies)
    head = 'Content-Disposition: form-data; name="images"; filename="image.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    start, end = f"--{_BOUNDARY}\r\n{head}".encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()
    form = f"multipart/form-data; boundary={_BOUNDARY}"
    return replace(work, path="/predict", content_type=form, bodies=[start + body + end for body in work.bodies])


SERVERS = (
    Server("plain FastAPI", "plain_fastapi", "fastapi", _at("/predict")),
    Server("LitServe", "lit", "litserve", _at("/predict")),
    Server("BentoML", "bento", "bentoml", _lists),
    Server("Ray Serve", "ray_serve", "ray", _at("/predict")),
    Server("Mosec", "mosec_server", "mosec", _at("/inference")),
    Server("TorchServe", "torch_serve", "torchserve", _at("/predictions/peer")),
    Server(UNROLL, "unroll", "unroll-serve", _same),
)
