"""The requests of a soak: all tasks over all interfaces, plain and streamed, of mixed lengths. Each has one answer."""

import base64
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.inputs import Workload, long_texts, workload
from benchmarks.soak import readings
from benchmarks.soak.readings import Read, Reading
from benchmarks.soak.store import default_models
from benchmarks.soak.wire import request
from benchmarks.texts import review

_TEXTS, _PHOTOS, _LONG, _LISTS = 24, 6, 2, 4  # questions of each interface
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """`right` is the answer at the start of the soak."""

    route: str
    path: str
    reading: Reading
    body: bytes = b""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: _JSON)
    right: Read | None = None

    def request(self, more: Mapping[str, str]) -> bytes:
        """The bytes to send, with more headers."""
        return request(self.method, self.path, body=self.body, headers={**self.headers, **more})


def get(path: str, reading: Reading) -> Question:
    """A GET request."""
    return Question(route=f"GET {path}", path=path, reading=reading, method="GET", headers={})


def post(path: str, content: object, reading: Reading, *, route: str = "") -> Question:
    """A POST request with JSON."""
    return Question(route=route or f"POST {path}", path=path, reading=reading, body=json.dumps(content).encode())


def questions(store: Path) -> list[Question]:
    """Questions to the default model of each task."""
    models = {task: entry.manifest.name for task, entry in default_models(store).items()}
    found: list[Question] = []
    if "sentiment" in models:
        found += _sentiment(_texts("sentiment", store), models["sentiment"])
    if "translation" in models:
        found += _translation(_texts("translate", store), models["translation"])
    if "captioning" in models:
        found += _captioning(_work("caption", store), models["captioning"])
    if "completion" in models:
        found += _completion(models["completion"])
    return found


def slow_question(store: Path) -> Question | None:
    """A stream of a megabyte and more, for slow readers; None without a language model."""
    if "completion" not in (entries := default_models(store)):
        return None
    limit = min(256, entries["completion"].manifest.limits.max_tokens or 256)
    return post(
        "/v1/complete",
        {"inputs": _beginnings(8), "min_tokens": limit, "max_tokens": limit, "logprobs": 5, "stream": True},
        readings.native_stream,
        route="POST /v1/complete, long stream",
    )


def _sentiment(texts: list[str], model: str) -> Iterator[Question]:
    hf, v2 = f"/hf/text-classification/{model}", f"/v2/models/{model}/infer"
    for text in texts:
        yield post("/v1/sentiment", {"inputs": text}, readings.native)
        yield post(hf, {"inputs": text, "parameters": {"top_k": 1}}, readings.hugging_face)
        yield post(v2, _tensor([text]), readings.open_inference)
    for some in _lists(texts):
        yield post("/v1/sentiment", {"inputs": some}, readings.native)
        yield post(v2, _tensor(some), readings.open_inference)


def _translation(texts: list[str], model: str) -> Iterator[Question]:
    hf, v2 = f"/hf/translation/{model}", f"/v2/models/{model}/infer"
    for text in texts:
        yield post("/v1/translate", {"inputs": text}, readings.native)
        yield post("/v1/translate", {"inputs": text, "stream": True}, readings.native_stream, route="translate, stream")
        yield post(hf, {"inputs": text}, readings.hugging_face)
        yield post(f"/v2/models/{model}/generate", {"text_input": text}, readings.generate)
        yield post(f"/v2/models/{model}/generate_stream", {"text_input": text}, readings.generate_stream)
    for some in _lists(texts):
        yield post("/v1/translate", {"inputs": some, "stream": True}, readings.native_stream, route="translate, stream")
        yield post("/v1/translate", {"inputs": some, "beams": 4}, readings.native, route="POST /v1/translate, beams")
        yield post(v2, _tensor(some), readings.open_inference)


def _captioning(work: Workload, model: str) -> Iterator[Question]:
    hf = f"/hf/image-to-text/{model}"
    for photo in work.bodies[:_PHOTOS]:
        jpeg = {"Content-Type": "image/jpeg"}
        coded = base64.b64encode(photo).decode()
        yield Question(route="POST /v1/caption", path="/v1/caption", reading=readings.native, body=photo, headers=jpeg)
        yield post("/v1/caption", {"inputs": coded, "stream": True}, readings.native_stream, route="caption, stream")
        yield Question(route=f"POST {hf}", path=hf, reading=readings.hugging_face, body=photo, headers=jpeg)


def _completion(model: str) -> Iterator[Question]:
    hf = f"/hf/text-generation/{model}"
    for text in _beginnings(_TEXTS):
        yield post("/v1/complete", {"inputs": text, "max_tokens": 24}, readings.native)
        asked = {"model": model, "prompt": text, "temperature": 0}
        yield post("/v1/completions", asked, readings.openai)
        yield post("/v1/completions", {**asked, "stream": True}, readings.openai_stream, route="completions, stream")
        yield post(hf, {"inputs": text, "parameters": {"max_new_tokens": 12}}, readings.hugging_face)


def _work(job: str, store: Path) -> Workload:
    work = workload(job, store)
    assert work is not None, f"no default model for {job}"
    return work


def _texts(job: str, store: Path) -> list[str]:
    """Texts of ordinary lengths, and some as long as the model accepts."""
    bodies = _work(job, store).bodies[:_TEXTS] + long_texts(job, store).bodies[:_LONG]
    return [json.loads(body)["inputs"] for body in bodies]


def _lists(texts: list[str]) -> Iterator[list[str]]:
    for first in range(_LISTS):
        yield texts[first : len(texts) - _LONG : _LISTS]


def _beginnings(count: int) -> list[str]:
    source = random.Random(count)
    return [review(source.randint(3, 12), source).rstrip(".") for _ in range(count)]


def _tensor(texts: list[str]) -> dict[str, object]:
    return {"inputs": [{"name": "text_input", "shape": [len(texts)], "datatype": "BYTES", "data": texts}]}
