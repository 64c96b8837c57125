"""Three tasks over HTTP, on untrained networks: the shapes of results, not their quality."""

import base64
import io
import math

import httpx
import pytest
from PIL import Image


def png(color: str = "orange", size: tuple[int, int] = (80, 60)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def test_sentiment_of_one_text(http: httpx.Client) -> None:
    answer = http.post("/v1/sentiment", json={"inputs": "a warm and funny film"})
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert result["model"] == "sentiment-en"
    assert result["version"] == 1
    assert result["score"] == result["scores"][result["label"]] == max(result["scores"].values())
    assert math.isclose(sum(result["scores"].values()), 1, abs_tol=1e-6)
    assert math.isclose(result["polarity"], result["scores"]["positive"] - result["scores"]["negative"])
    assert answer.json()["usage"]["inputs"] == 1
    assert answer.json()["usage"]["source_tokens"] > 0


def test_script_chooses_the_model_of_each_text(http: httpx.Client) -> None:
    texts = ["a warm film", "돈이 아깝다", "ok 최고의 영화", "12 :) !!"]
    results = http.post("/v1/sentiment", json={"inputs": texts}).json()["results"]
    assert [result["model"] for result in results] == ["sentiment-en", "sentiment-ko", "sentiment-ko", "sentiment-en"]


def test_translate(http: httpx.Client) -> None:
    body = {"inputs": ["save the changes", "close the file"], "source": "en", "target": "ko", "max_tokens": 5}
    answer = http.post("/v1/translate", json=body).json()
    assert len(answer["results"]) == 2
    for result in answer["results"]:
        assert result["finish_reason"] in ("stop", "length")
        assert result["score"] <= 0
    assert answer["usage"]["emitted_tokens"] <= 10


def test_caption_by_all_three_ways_is_the_same(http: httpx.Client) -> None:
    image = png()
    as_json = http.post("/v1/caption", json={"inputs": base64.b64encode(image).decode()})
    as_data_url = http.post(
        "/v1/caption", json={"inputs": ["data:image/png;base64," + base64.b64encode(image).decode()]}
    )
    as_raw = http.post("/v1/caption", content=image, headers={"Content-Type": "image/png"})
    as_form = http.post("/v1/caption", files=[("images", ("a.png", image, "image/png"))])
    answers = [answer.json()["results"] for answer in (as_json, as_data_url, as_raw, as_form)]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0]["model"] == "caption-en"


def test_caption_of_several_files_in_order(http: httpx.Client) -> None:
    colors = ["red", "lime", "blue"]
    files = [("images", (f"{color}.png", png(color), "image/png")) for color in colors]
    together = http.post("/v1/caption", files=files, data={"max_tokens": "6"}).json()["results"]
    alone = [
        http.post("/v1/caption?max_tokens=6", content=png(color), headers={"Content-Type": "image/png"}).json()[
            "results"
        ][0]
        for color in colors
    ]
    assert [result["text"] for result in together] == [result["text"] for result in alone]


@pytest.mark.parametrize("task", ["sentiment", "translate"])
def test_named_model_and_version(http: httpx.Client, task: str) -> None:
    name = {"sentiment": "sentiment-ko", "translate": "translate-en-ko"}[task]
    answer = http.post(f"/v1/{task}", json={"inputs": "a film", "model": name, "version": 1})
    assert answer.json()["results"][0]["model"] == name


def test_models(http: httpx.Client) -> None:
    answer = http.get("/v1/models").json()
    assert [model["name"] for model in answer["models"]] == [
        "caption-en",
        "classify-digits-motion",
        "forecast-weather",
        "lm-en",
        "lm-ko",
        "sentiment-en",
        "sentiment-en-uni",
        "sentiment-ko",
        "tag-en",
        "translate-en-ko",
    ]
    assert answer["broken"] == []
    translator = answer["models"][-1]
    assert translator["languages"] == ["en", "ko"]
    assert "GRU-9" in translator["architecture"]
    assert translator["default"] is True


def test_metrics_count_what_was_answered(http: httpx.Client) -> None:
    def value(name: str) -> float:
        lines = http.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    before = value('unroll_inputs_total{task="sentiment"}')
    http.post("/v1/sentiment", json={"inputs": ["a", "b", "c"]})
    assert value('unroll_inputs_total{task="sentiment"}') == before + 3
    assert value("unroll_engines_ready") == 1
    assert http.get("/healthz").json() == {"status": "ok"}
