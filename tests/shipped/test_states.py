"""States of the included models: the same answers in pieces, and the sizes that docs/state.md gives."""

import random
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import PATIENCE
from tests.service.serving import metric, until

PAGE = (Path(__file__).parents[2] / "docs" / "state.md").read_text(encoding="utf8")
TEXT = {
    "en": "The film begins slowly, but the second half is warm and funny, and I'd gladly see it again!",
    "ko": "처음에는 지루했지만 뒤로 갈수록 따뜻하고 재미있어서, 다시 보고 싶은 영화입니다. 강력 추천!",
}
_DECODED, _READ = "unroll_engine_emit_steps_total", "unroll_engine_consume_useful_total"
_TOLERANCE = 1e-4  # of probabilities in bfloat16; alone on an engine they have the same bits


def ask(address: str, path: str, inputs: str, **members: Any) -> dict[str, Any]:
    answer = httpx.post(f"{address}/v1/{path}", json={"inputs": inputs, **members}, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["results"][0])


def pieces(text: str, seed: int) -> list[str]:
    cuts = sorted(random.Random(seed).sample(range(1, len(text)), 4))
    return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.parametrize(
    "model", ["sentiment-en", "sentiment-ko", "sentiment-en-gru", "sentiment-en-lstm", "sentiment-en-rnn"]
)
def test_labels_in_pieces_are_those_of_the_whole(shipped_service: str, model: str) -> None:
    text = TEXT[model[10:12]]
    whole = ask(shipped_service, "sentiment", text, model=model)
    for seed in range(4):
        state: dict[str, str] = {"model": model}
        for piece in pieces(text, seed):
            result = ask(shipped_service, "sentiment", piece, return_state=True, **state)
            state = {"state": result["state"]}
        assert result["label"] == whole["label"]
        assert result["scores"] == pytest.approx(whole["scores"], abs=_TOLERANCE)


@pytest.mark.parametrize("model", ["lm-en", "lm-ko"])
def test_continuations_of_pieces_are_those_of_the_whole(shipped_service: str, model: str) -> None:
    text = TEXT[model[3:]]
    whole = ask(shipped_service, "complete", text, model=model, max_tokens=12)
    for seed in range(3):
        state: dict[str, str] = {"model": model}
        *first, last = pieces(text, seed)
        for piece in first:
            state = {"state": ask(shipped_service, "states", piece, **state)["state"]}
        assert ask(shipped_service, "complete", last, max_tokens=12, **state)["text"] == whole["text"]


def test_sizes_and_models_are_those_of_the_page(shipped_service: str) -> None:
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \| ?([\d,]*) ?\|$", PAGE, re.M)
    sizes = {name: size for names, _, size in rows for name in re.findall(r"`([\w-]+)`", names)}
    models = httpx.get(f"{shipped_service}/v1/models").json()["models"]
    assert {model["name"] for model in models} <= sizes.keys()
    for model in models:
        name, size = model["name"], sizes[model["name"]]
        if model["source"] != "text":
            assert not size, name
            continue
        answer = httpx.post(
            f"{shipped_service}/v1/states", json={"inputs": TEXT["en"], "model": name}, timeout=PATIENCE
        )
        if not size:
            assert answer.json()["type"] == "/problems/no-state", name
        else:
            assert len(answer.json()["results"][0]["state"]) == pytest.approx(int(size.replace(",", "")), rel=0.05)


def test_a_continuation_reads_nothing_twice(shipped_service: str) -> None:
    """In the service's own count of cell steps."""
    long = " ".join([TEXT["en"]] * 12)
    before = metric(shipped_service, _READ)
    state = ask(shipped_service, "states", long, model="lm-en")["state"]
    until(lambda: metric(shipped_service, _READ) > before + 200, seconds=PATIENCE)  # engines report a moment later

    def steps(**body: Any) -> float:
        decoded, read = (metric(shipped_service, name) for name in (_DECODED, _READ))
        ask(shipped_service, "complete", max_tokens=1, **body)
        until(lambda: metric(shipped_service, _DECODED) > decoded, seconds=PATIENCE)  # both are reported together
        return metric(shipped_service, _READ) - read

    assert steps(inputs=long + " and", model="lm-en") > 200
    assert steps(inputs=" and", state=state) < 10
