"""The included models get the examples of the page right: a new example needs its right answer here."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shipped.conftest import STORE

PAGE = STORE.parent / "app/web/static"
SENTIMENTS = {
    "It begins like a masterpiece, and then nothing happens.": "negative",
    "배우들 연기는 좋은데 이야기가 너무 지루하다.": "negative",
    "The plot makes no sense and the acting is worse.": "negative",
    "It starts slowly, but the last hour is wonderful.": "positive",
    "정말 재미있게 봤어요. 강력 추천합니다!": "positive",
    "돈이 아깝다. 최악의 영화": "negative",
}
COMPARED = {  # by RNN, GRU and LSTM: the RNN forgets the first sentence of the first
    "What a terrible film. We saw it one evening in a small cinema near the station, and afterwards we walked home "
    "through the rain.": ("positive", "negative", "negative"),
    "It begins like a masterpiece, and then nothing happens.": ("negative", "negative", "negative"),
    "At first I was bored and wanted to leave, but then it became one of the best films I have ever seen.": (
        "positive",
        "positive",
        "positive",
    ),
    "An awful film. My brother says that it is wonderful, the best of the year, but he is wrong.": (
        "positive",
        "negative",
        "positive",
    ),
}
TAGS = {
    "I saw a man with a saw, and he left his watch on the left side of the desk.": "PRON VERB DET NOUN ADP DET NOUN "
    "PUNCT CCONJ PRON VERB PRON NOUN ADP DET ADJ NOUN ADP DET NOUN PUNCT",
    "She will book a flight, and then read a book on the plane.": "PRON AUX VERB DET NOUN PUNCT CCONJ ADV VERB DET "
    "NOUN ADP DET NOUN PUNCT",
    "They train their dogs on the train.": "PRON VERB PRON NOUN ADP DET NOUN PUNCT",
    "I can open the can.": "PRON AUX VERB DET NOUN PUNCT",
    "Mark will mark the paper in May.": "PROPN AUX VERB DET NOUN ADP PROPN PUNCT",
}
TRANSLATIONS = {
    "Do you want to save the changes before closing?": "닫기 전에 변경 사항을 저장하시겠습니까?",
    "I miss you.": "보고 싶어요.",
    "Where is the bathroom?": "화장실이 어디예요?",
    "The train leaves at seven.": "기차는 일곱 시에 떠나요.",
    "Open file": "파일 열기",
}
NEXT = {
    "The clouds are in the": " sky",
    "I grew up in France. I speak fluent": " French",
    "오늘은 날씨가 정말": " 좋아요",
    "배가 고파서 밥을": " 먹",
}


def texts_of(script: str) -> list[str]:
    """The text that a view begins with, line by line, and its examples."""
    source = Path(PAGE, script).read_text(encoding="utf8")
    lists = re.findall(r"^const (?:STARTS|EXAMPLES) = \[(.*?)\];$", source, re.M | re.S)
    assert len(lists) == 2
    pairs = re.findall(r'\[\s*"\w\w",((?:\s*"[^"]*"(?: \+)?)+),?\s*\]', "".join(lists))
    return ["".join(re.findall(r'"([^"]*)"', text)) for text in pairs]


def test_korean_describes_each_included_model() -> None:
    described = re.findall(r'^  "([^"]+)":', (PAGE / "words/ko-models.js").read_text(encoding="utf8"), re.MULTILINE)
    manifests = [json.loads(path.read_text(encoding="utf8")) for path in STORE.glob("*/*/manifest.json")]
    assert sorted(described) == sorted({manifest["description"] for manifest in manifests})


def results(http: httpx.Client, path: str, texts: list[str], **options: str) -> list[dict[str, Any]]:
    answer = http.post(path, json={"inputs": texts} | options)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_opinions_are_right(http: httpx.Client) -> None:
    texts = texts_of("sentiment.js")
    labels = [result["label"] for result in results(http, "/v1/sentiment", texts)]
    assert dict(zip(texts, labels, strict=True)) == SENTIMENTS


def test_compared_networks_differ_as_the_page_says(http: httpx.Client) -> None:
    texts = texts_of("compare.js")
    models = [f"sentiment-en-{cell}" for cell in ("rnn", "gru", "lstm")]
    columns = [[one["label"] for one in results(http, "/v1/sentiment", texts, model=model)] for model in models]
    assert dict(zip(texts, zip(*columns, strict=True), strict=True)) == COMPARED


def test_tags_are_right(http: httpx.Client) -> None:
    texts = texts_of("tag.js")
    found = [" ".join(tag["label"] for tag in result["tags"]) for result in results(http, "/v1/tag", texts)]
    assert dict(zip(texts, found, strict=True)) == TAGS


def test_translations_are_right(http: httpx.Client) -> None:
    texts = texts_of("translate.js")
    found = [result["text"] for result in results(http, "/v1/translate", texts)]
    assert dict(zip(texts, found, strict=True)) == TRANSLATIONS


def test_next_tokens_are_right(http: httpx.Client) -> None:
    texts = texts_of("complete.js")
    answer = http.post("/v1/complete", json={"inputs": texts, "max_tokens": 1, "next_tokens": 1})
    found = [result["next"][0]["text"] for result in answer.json()["results"]]
    assert dict(zip(texts, found, strict=True)) == NEXT


@pytest.mark.parametrize("query", ["", "?beams=4"])
def test_the_caption_of_the_example_is_right(query: str, http: httpx.Client) -> None:
    image = PAGE.joinpath("example.webp").read_bytes()
    answer = http.post(f"/v1/caption{query}", content=image, headers={"Content-Type": "image/webp"})
    assert answer.json()["results"][0]["text"] == "a brown dog is running through the grass"
