"""Answers of every interface in one form, so that each can be compared with the answer at the start of a soak."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_TOLERANCE = 1e-3  # of scores: the batch decides the order of float32 sums


@dataclass(frozen=True)
class Read:
    """Texts or labels, their scores if the interface has them, and whether a deadline cut a text short."""

    texts: tuple[str, ...]
    scores: tuple[float, ...] = ()
    cut: bool = False

    def agrees(self, other: "Read") -> bool:
        """Whether `other` is the same answer."""
        return self.texts == other.texts and all(
            math.isclose(mine, others, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
            for mine, others in zip(self.scores, other.scores, strict=True)
        )

    def begins(self, other: "Read") -> bool:
        """Whether `other` is the whole of this answer, which a deadline cut short. Compared is the text before the
        first incomplete character, which may become another one."""
        pairs = zip(_valid(self.texts), _valid(other.texts), strict=False)
        return len(self.texts) == len(other.texts) and all(
            whole.startswith(text) or text.startswith(whole) for text, whole in pairs
        )


def _valid(texts: Iterable[str]) -> Iterable[str]:
    return (text.partition("\N{REPLACEMENT CHARACTER}")[0].rstrip() for text in texts)


class ProblemInStream(Exception):
    """A stream ended with a problem, whose slug is the message."""


Reading = Callable[[bytes], Read]


def native(body: bytes) -> Read:
    """Results of `/v1/sentiment`, `/v1/caption`, `/v1/translate` and `/v1/complete`."""
    return _results(json.loads(body)["results"])


def native_stream(body: bytes) -> Read:
    """Events of these routes: the parts of each text must be the text of its result."""
    parts: dict[int, str] = {}
    results: dict[int, Any] = {}
    last = ""
    for last, data in _events(body):
        if last == "token":
            parts[data["input"]] = parts.get(data["input"], "") + data["text"]
        elif last == "result":
            results[data["input"]] = data["result"]
        elif last == "error":
            raise ProblemInStream(_slug(data))
    if last != "done":
        raise ValueError(f"the stream ends with the event {last!r} instead of 'done'")
    for index, result in results.items():
        _check_parts(parts.get(index, ""), result["text"])
    return _results([results[index] for index in sorted(results)])


def openai(body: bytes) -> Read:
    """`/v1/completions`."""
    return Read(tuple(choice["text"] for choice in json.loads(body)["choices"]))


def openai_stream(body: bytes) -> Read:
    """Chunks of `/v1/completions` with one choice."""
    if not body.endswith(b"data: [DONE]\n\n"):
        _raise_problem(body)
        raise ValueError("the stream does not end with [DONE]")
    chunks = [data for _, data in _events(body.removesuffix(b"data: [DONE]\n\n"))]
    return Read(("".join(choice["text"] for chunk in chunks for choice in chunk["choices"]),))


def hugging_face(body: bytes) -> Read:
    """`/hf/...`: labels of each text, best first, or texts."""
    items = json.loads(body)
    if isinstance(items[0], list):
        return Read(tuple(item[0]["label"] for item in items), tuple(item[0]["score"] for item in items))
    return Read(tuple(next(value for name, value in item.items() if name.endswith("_text")) for item in items))


def open_inference(body: bytes) -> Read:
    """`/v2/models/{model}/infer`."""
    tensors = {tensor["name"]: tensor["data"] for tensor in json.loads(body)["outputs"]}
    return Read(tuple(tensors.get("label") or tensors["text"]), tuple(tensors["score"]))


def generate(body: bytes) -> Read:
    """`/v2/models/{model}/generate`."""
    answer = json.loads(body)
    return Read((answer["text_output"],), (answer["score"],), answer["finish_reason"] == "deadline")


def generate_stream(body: bytes) -> Read:
    """`/v2/models/{model}/generate_stream`."""
    _raise_problem(body)
    events = [data for _, data in _events(body)]
    text = "".join(event.get("text_output", "") for event in events)
    return Read((text,), (events[-1]["score"],), events[-1]["finish_reason"] == "deadline")


def anything(body: bytes) -> Read:
    """Any body, also an empty one."""
    return Read(())


def json_object(body: bytes) -> Read:
    """Any JSON object, compared by nothing."""
    if not isinstance(json.loads(body), dict | list):
        raise ValueError("neither an object nor a list")
    return Read(())


def metrics(body: bytes) -> Read:
    """Prometheus' text format with the service's own metrics."""
    if b"\nunroll_engines_ready " not in body:
        raise ValueError("the metric unroll_engines_ready is missing")
    return Read(())


def _results(results: Iterable[Any]) -> Read:
    rows = list(results)
    return Read(
        tuple(row["label"] if "label" in row else row["text"] for row in rows),
        tuple(row["score"] for row in rows),
        any(row.get("finish_reason") == "deadline" for row in rows),
    )


def _events(body: bytes) -> Iterable[tuple[str, Any]]:
    """Name and data of each server-sent event, without comments."""
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            yield fields.get("event", ""), json.loads(fields["data"])


def _check_parts(parts: str, text: str) -> None:
    if parts != text:
        raise ValueError(f"the streamed text {parts!r} is not the result's {text!r}")


def _raise_problem(body: bytes) -> None:
    for _, data in _events(body.removesuffix(b"data: [DONE]\n\n")):
        if "error" in data:
            raise ProblemInStream(_slug(data))


def _slug(problem: Any) -> str:
    return str(problem.get("type", problem)).removeprefix("/problems/")
