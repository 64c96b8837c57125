"""Each method of both clients against a real service: the answers are those of plain HTTP."""

import ast
import subprocess
import sys
import typing
from functools import partial
from pathlib import Path
from typing import Any, assert_type

import httpx
import pytest
from pydantic import BaseModel
from unroll_client import (
    Answers,
    AsyncUnroll,
    CompleteOptions,
    Image,
    InvalidRequest,
    SentenceOptions,
    SentenceResult,
    SentimentOptions,
    SentimentResult,
    Stream,
    TranslateOptions,
    Unroll,
    results,
)

from app.api import schemas
from app.api.tasks.forms import json_form
from app.tasks import sentiment
from app.tasks.answers import label_results, source_tokens, token_results, usage
from app.tasks.captioning import CAPTIONING
from app.tasks.completion import COMPLETION
from app.tasks.sentiment import SENTIMENT
from app.tasks.translation import TRANSLATION
from tests.client.asking import KINDS, Kind, asked
from tests.client.conftest import png

kinds = pytest.mark.parametrize("kind", KINDS)
TEXTS = ["a good film", "save the file", "open the file"]
DECODING: list[dict[str, Any]] = [
    {},
    {"temperature": 0.8, "seed": 7, "max_tokens": 12, "top_p": 0.9},
    {"beams": 3, "n_best": 2, "length_penalty": 0.6, "max_tokens": 8},
    {"logprobs": 2, "attention": True, "max_tokens": 5},
    {"stop": ["a", "을"], "min_tokens": 2, "no_repeat_ngram_size": 3, "repetition_penalty": 1.2, "max_tokens": 9},
]


def plain(server: str, path: str, **body: Any) -> Any:
    answer = httpx.post(f"{server}{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def near(expected: Any) -> Any:
    """Floats to four places: a batch of other neighbours may differ in the last ones."""
    if isinstance(expected, dict):
        return {key: near(item) for key, item in expected.items()}
    if isinstance(expected, list):
        return [near(item) for item in expected]
    return pytest.approx(expected, abs=1e-4) if isinstance(expected, float) else expected


def content(result: BaseModel) -> Any:
    return result.model_dump(exclude_unset=True, exclude={"usage"})


@kinds
@pytest.mark.parametrize("options", [{}, {"explain": True, "layer": 0, "model": "sentiment-en"}], ids=str)
def test_sentiment(kind: Kind, server: str, options: dict[str, Any]) -> None:
    expected = plain(server, "/v1/sentiment", inputs=TEXTS, **options)
    answers = asked(kind, server, lambda client: client.sentiment(TEXTS, **options))
    assert isinstance(answers, Answers)
    assert [content(result) for result in answers] == near(expected["results"])
    assert answers.usage.model_dump() == expected["usage"]
    one = asked(kind, server, lambda client: client.sentiment(TEXTS[1], **options))
    assert isinstance(one, SentimentResult)
    assert content(one) == near(expected["results"][1])
    assert one.usage is not None
    assert one.usage.inputs == 1


@kinds
@pytest.mark.parametrize("options", DECODING, ids=str)
@pytest.mark.parametrize("task", ["translate", "complete"])
def test_sentences_of_texts(kind: Kind, server: str, task: str, options: dict[str, Any]) -> None:
    if task == "complete":
        options = {name: item for name, item in options.items() if name != "attention"} | {"next_tokens": 2}
    expected = plain(server, f"/v1/{task}", inputs=TEXTS, **options)
    answers = asked(kind, server, lambda client: getattr(client, task)(TEXTS, **options))
    assert [content(result) for result in answers] == near(expected["results"])
    one = asked(kind, server, lambda client: getattr(client, task)(TEXTS[0], **options))
    assert content(one) == near(expected["results"][0])
    assert one.usage.inputs == 1


@kinds
def test_images_are_paths_bytes_or_files(kind: Kind, server: str, photo: Path) -> None:
    with photo.open("rb") as file:
        answers = asked(
            kind, server, lambda client: client.caption([photo, str(photo), photo.read_bytes(), file], max_tokens=6)
        )
    assert len(answers) == 4
    assert len({result.text for result in answers}) == 1
    one = asked(kind, server, lambda client: client.caption(photo, max_tokens=6))
    assert one.text == answers[0].text
    raw = httpx.post(
        f"{server}/v1/caption?max_tokens=6", content=photo.read_bytes(), headers={"Content-Type": "image/png"}
    )
    assert one.text == raw.json()["results"][0]["text"]


@kinds
@pytest.mark.parametrize("options", DECODING, ids=str)
def test_captions_have_all_options(kind: Kind, server: str, photo: Path, options: dict[str, Any]) -> None:
    image = photo.read_bytes()
    form = {name: str(item).lower() if isinstance(item, bool) else item for name, item in options.items()}
    expected = httpx.post(f"{server}/v1/caption", files=[("images", ("a", image))], data=form).json()["results"]
    answers = asked(kind, server, lambda client: client.caption([image], **options))
    assert [content(result) for result in answers] == near(expected)


@kinds
def test_models_and_readiness(kind: Kind, server: str) -> None:
    models = asked(kind, server, lambda client: client.models())
    assert [model.model_dump() for model in models.models] == httpx.get(f"{server}/v1/models").json()["models"]
    readiness = asked(kind, server, lambda client: client.ready())
    assert readiness
    assert readiness.status == "ready"
    assert "translate-en-ko/1" in readiness.models


@kinds
@pytest.mark.parametrize("task", ["sentiment", "caption", "translate", "complete"])
def test_no_inputs_no_answers(kind: Kind, server: str, task: str) -> None:
    answers = asked(kind, server, lambda client: getattr(client, task)([]))
    assert answers == []
    assert answers.usage.inputs == 0


@kinds
def test_long_lists_are_sent_in_parts_and_come_back_in_order(kind: Kind, server: str) -> None:
    """The service of the tests takes 64 inputs: the client finds out."""
    texts = [f"save the file {number}" for number in range(150)]
    expected = [plain(server, "/v1/translate", inputs=texts[at : at + 50])["results"] for at in (0, 50, 100)]
    for terms in ({}, {"most_inputs": 7}, {"most_inputs": 64, "concurrency": 1}):
        answers = asked(kind, server, lambda client: client.translate(texts), **terms)
        assert [result.text for result in answers] == [result["text"] for part in expected for result in part]
        assert answers.usage.inputs == 150


@kinds
def test_parts_are_drawn_with_the_seeds_of_the_whole(kind: Kind, server: str) -> None:
    def drawn(client: Any) -> Any:
        return client.translate(TEXTS, temperature=1.0, seed=11)

    whole = asked(kind, server, drawn)
    parts = asked(kind, server, drawn, most_inputs=2)
    assert [result.text for result in parts] == [result.text for result in whole]
    assert [result.seed for result in parts] == [11, 12, 13]


@kinds
def test_a_refused_input_of_a_long_list_is_told_by_its_place(kind: Kind, server: str) -> None:
    texts = ["a good film"] * 130 + [" "]
    with pytest.raises(InvalidRequest, match="of the inputs from number 128 on:") as refusal:
        asked(kind, server, lambda client: client.sentiment(texts))
    assert refusal.value.type == "/problems/empty-input"
    assert refusal.value.input == 130


def captioned(client: Any, image: bytes) -> Any:
    return client.caption(image, max_tokens=4)


@kinds
def test_bodies_that_are_too_large_are_halved(kind: Kind, server: str) -> None:
    """Each is well within the limits of the service, which takes 3 MB at once; all of them are not."""
    images = [png(number) + bytes(900_000) for number in range(6)]
    answers = asked(kind, server, lambda client: client.caption(images, max_tokens=4))
    for image, result in zip(images, answers, strict=True):
        assert result.text == asked(kind, server, partial(captioned, image=image)).text


def test_unknown_options_are_refused_before_anything_is_sent() -> None:
    with Unroll("http://127.0.0.1:9") as client, pytest.raises(TypeError, match=r"max_token: no option.*max_tokens"):
        client.translate("a", max_token=3)  # type: ignore[call-overload]
    with Unroll("http://127.0.0.1:9") as client, pytest.raises(TypeError, match="is a str"):
        client.translate([3])  # type: ignore[list-item]


def test_an_address_is_a_url() -> None:
    with pytest.raises(ValueError, match="begins with http"):
        Unroll("127.0.0.1:8000")
    for wrong in ("ftp://host", "http://", "http://host:port", ""):
        with pytest.raises(ValueError, match="is no URL"):
            Unroll(wrong)
    with pytest.raises(ValueError, match="at least 1"):
        Unroll(most_inputs=0)


def test_types_say_what_comes(server: str, photo: Path) -> None:
    with Unroll(server) as client:
        assert_type(client.sentiment("a"), SentimentResult)
        assert_type(client.sentiment(["a"]), Answers[SentimentResult])
        assert_type(client.caption(photo), SentenceResult)
        assert_type(client.caption([photo]), Answers[SentenceResult])
        mixed: list[Image] = [photo, photo.read_bytes()]
        assert_type(client.caption(mixed), Answers[SentenceResult])
        assert_type(client.translate("a"), SentenceResult)
        assert_type(client.complete(("a",)), Answers[SentenceResult])
        assert_type(client.stream_translate("a"), Stream[SentenceResult])
        assert_type(client.stream_translate(["a"]), Stream[Answers[SentenceResult]])
        assert_type(client.stream_translate(["a"]).result(), Answers[SentenceResult])
        with pytest.raises(ValueError, match="frozen"):
            client.sentiment("a").label = "other"  # type: ignore[misc]


OPTIONS = {
    SentimentOptions: json_form(SENTIMENT),
    TranslateOptions: json_form(TRANSLATION),
    CompleteOptions: json_form(COMPLETION),
    SentenceOptions: json_form(CAPTIONING),
}


@pytest.mark.parametrize(("options", "request_"), OPTIONS.items(), ids=lambda part: part.__name__)
def test_options_are_those_of_the_service(options: Any, request_: type[BaseModel]) -> None:
    assert options.__optional_keys__ == request_.model_fields.keys() - {"inputs", "stream"}


MODELS = {name: kind for name, kind in vars(results).items() if isinstance(kind, type) and issubclass(kind, BaseModel)}
RESULTS = [
    (mine, vars(module)[name])
    for name, mine in MODELS.items()
    for module in (label_results, sentiment, source_tokens, token_results, usage, schemas)
    if mine.__module__ == results.__name__ and name in vars(module)
]


@pytest.mark.parametrize(("mine", "theirs"), RESULTS, ids=lambda part: part.__name__)
def test_results_have_all_that_the_service_tells(mine: type[BaseModel], theirs: type[BaseModel]) -> None:
    hidden = {name for name, field in theirs.model_fields.items() if field.exclude}
    openais = {"object", "data"} if mine is results.ModelList else set()
    assert mine.model_fields.keys() - {"usage"} == theirs.model_fields.keys() - hidden - openais
    for name, field in mine.model_fields.items():
        assert name == "usage" or field.is_required() == theirs.model_fields[name].is_required()


def test_there_are_results_to_compare() -> None:
    assert {"SentimentResult", "SentenceResult", "ModelInfo", "Readiness", "Usage"} <= {
        mine.__name__ for mine, _ in RESULTS
    }


def test_members_of_a_newer_service_are_kept() -> None:
    result = results.SentenceResult.model_validate(
        {"text": "a", "score": -1, "finish_reason": "new", "model": "m", "version": 1, "more": [1]}
    )
    assert result.more == [1]  # type: ignore[attr-defined]


def test_the_clients_have_the_same_methods() -> None:
    def methods(client: type) -> dict[str, Any]:
        return {name: typing.get_type_hints(item) for name, item in vars(client).items() if name[0] != "_"}

    mine, twin = methods(Unroll), methods(AsyncUnroll)
    twin["close"] = twin.pop("aclose")
    assert mine.keys() == twin.keys()
    for name in mine:
        assert mine[name].keys() == twin[name].keys()
        if not name.startswith("stream"):
            assert mine[name] == twin[name]


def test_importing_the_client_imports_no_service() -> None:
    code = "import sys, unroll_client; print(sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = ast.literal_eval(
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode()
    )
    assert not set(loaded) & {"torch", "fastapi", "starlette", "zmq", "numpy", "PIL", "tokenizers", "uvicorn"}
    assert "app" not in loaded
