"""Each method of both clients against a real service: the answers are those of plain HTTP."""

import ast
import subprocess
import sys
import typing
from dataclasses import MISSING, fields
from functools import partial
from pathlib import Path
from typing import Any, assert_type

import httpx
import pytest
from pydantic import BaseModel
from unroll_client import (
    TASKS,
    Answers,
    AsyncUnroll,
    Image,
    InvalidRequest,
    SentenceResult,
    SentimentResult,
    Stream,
    Task,
    TaskResult,
    Unroll,
    forecasts,
    results,
    service_info,
)
from unroll_client.values import Value

from app.api import schemas
from app.api.tasks.bodies import body_of
from app.tasks import registry as service
from app.tasks import sentiment
from app.tasks.answers import (
    label_results,
    source_tokens,
    state_kind,
    tag_results,
    token_results,
    usage,
    value_results,
)
from app.tasks.request_form import RequestForm
from tests.client.both_clients import KINDS, Kind, result_of, streamed
from tests.client.conftest import png

kinds = pytest.mark.parametrize("kind", KINDS)
TEXTS = ["a good film", "save the file", "open the file"]
DECODING: list[dict[str, Any]] = [
    {},
    {"temperature": 0.8, "seed": 7, "max_tokens": 12, "top_p": 0.9},
    {"beams": 3, "n_best": 2, "length_penalty": 0.6, "max_tokens": 8},
    {"logprobs": 2, "attention": True, "explain": True, "layer": 0, "max_tokens": 5},
    {"stop": ["a", "을"], "min_tokens": 2, "no_repeat_ngram_size": 3, "repetition_penalty": 1.2, "max_tokens": 9},
]


def plain(server: str, path: str, **body: Any) -> Any:
    answer = httpx.post(f"{server}{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def near(expected: Any) -> Any:
    """Floats to four places: a batch of other neighbours may differ in the last ones."""
    if isinstance(expected, dict):
        return {key: near(item) for key, item in expected.items()}
    if isinstance(expected, list):
        return [near(item) for item in expected]
    return pytest.approx(expected, abs=1e-4) if isinstance(expected, float) else expected


def content(result: Value) -> Any:
    return {name: item for name, item in result.to_dict().items() if name != "usage"}


@kinds
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"explain": True, "layer": 0, "model": "sentiment-en"},
        {"explain": True, "layer": 0, "units": 4, "model": "sentiment-en"},
    ],
    ids=str,
)
def test_sentiment(kind: Kind, server: str, options: dict[str, Any]) -> None:
    expected = plain(server, "/v1/sentiment", inputs=TEXTS, **options)
    answers = result_of(kind, server, lambda client: client.sentiment(TEXTS, **options))
    assert isinstance(answers, Answers)
    assert [content(result) for result in answers] == near(expected["results"])
    assert answers.usage.to_dict() == expected["usage"]
    one = result_of(kind, server, lambda client: client.sentiment(TEXTS[1], **options))
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
    answers = result_of(kind, server, lambda client: getattr(client, task)(TEXTS, **options))
    assert [content(result) for result in answers] == near(expected["results"])
    one = result_of(kind, server, lambda client: getattr(client, task)(TEXTS[0], **options))
    assert content(one) == near(expected["results"][0])
    assert one.usage.inputs == 1


@kinds
def test_images_are_paths_bytes_or_files(kind: Kind, server: str, photo: Path) -> None:
    with photo.open("rb") as file:
        answers = result_of(
            kind, server, lambda client: client.caption([photo, str(photo), photo.read_bytes(), file], max_tokens=6)
        )
    assert len(answers) == 4
    assert len({result.text for result in answers}) == 1
    one = result_of(kind, server, lambda client: client.caption(photo, max_tokens=6))
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
    answers = result_of(kind, server, lambda client: client.caption([image], **options))
    assert [content(result) for result in answers] == near(expected)


@kinds
def test_models_and_readiness(kind: Kind, server: str) -> None:
    models = result_of(kind, server, lambda client: client.models())
    assert [model.to_dict() for model in models.models] == httpx.get(f"{server}/v1/models").json()["models"]
    readiness = result_of(kind, server, lambda client: client.ready())
    assert readiness
    assert readiness.status == "ready"
    assert "translate-en-ko/1" in readiness.models


@kinds
@pytest.mark.parametrize(
    "task", ["sentiment", "caption", "translate", "complete", "classify", "tag", "forecast", "embed"]
)
def test_no_inputs_no_answers(kind: Kind, server: str, task: str) -> None:
    answers = result_of(kind, server, lambda client: getattr(client, task)([]))
    assert answers == []
    assert answers.usage.inputs == 0


@kinds
def test_usage_has_the_steps_that_states_had_read(kind: Kind, server: str) -> None:
    primed = result_of(kind, server, lambda client: client.states("a warm and funny", model="lm-en"))
    one = result_of(kind, server, lambda client: client.complete(" film", state=primed.state, max_tokens=1))
    many = result_of(kind, server, lambda client: client.complete([" film"] * 100, state=primed.state, max_tokens=1))
    assert primed.usage.kept_steps is None
    assert one.usage.kept_steps > 2
    assert many.usage.kept_steps == 100 * one.usage.kept_steps  # in several parts


@kinds
def test_long_lists_are_sent_in_parts_and_come_back_in_order(kind: Kind, server: str) -> None:
    """The service of the tests accepts 64 inputs, which the client learns from the first refusal."""
    texts = [f"save the file {number}" for number in range(150)]
    expected = [plain(server, "/v1/translate", inputs=texts[at : at + 50])["results"] for at in (0, 50, 100)]
    for terms in ({}, {"max_inputs": 7}, {"max_inputs": 64, "concurrency": 1}):
        answers = result_of(kind, server, lambda client: client.translate(texts), **terms)
        assert [result.text for result in answers] == [result["text"] for part in expected for result in part]
        assert answers.usage.inputs == 150


@kinds
def test_a_refused_part_ends_the_call(kind: Kind, server: str) -> None:
    with pytest.raises(InvalidRequest, match="in the part that starts at input 4:") as refusal:
        result_of(kind, server, lambda client: client.sentiment(["a"] * 5 + [" "] + ["a"] * 9), max_inputs=2)
    assert refusal.value.input == 5


@kinds
def test_parts_are_drawn_with_the_seeds_of_the_whole(kind: Kind, server: str) -> None:
    def drawn(client: Any) -> Any:
        return client.translate(TEXTS, temperature=1.0, seed=11)

    whole = result_of(kind, server, drawn)
    parts = result_of(kind, server, drawn, max_inputs=2)
    assert [result.text for result in parts] == [result.text for result in whole]
    assert [result.seed for result in parts] == [11, 12, 13]


@kinds
def test_a_refused_input_of_a_long_list_has_its_place(kind: Kind, server: str) -> None:
    texts = ["a good film"] * 130 + [" "]
    with pytest.raises(InvalidRequest, match="in the part that starts at input 128:") as refusal:
        result_of(kind, server, lambda client: client.sentiment(texts))
    assert refusal.value.type == "/problems/empty-input"
    assert refusal.value.input == 130


def captioned(client: Any, image: bytes) -> Any:
    return client.caption(image, max_tokens=4)


@kinds
def test_bodies_that_are_too_large_are_halved(kind: Kind, server: str) -> None:
    """Each image fits into a body of the service, at most 3 MB; all of them together do not."""
    images = [png(number) + bytes(900_000) for number in range(6)]
    answers = result_of(kind, server, lambda client: client.caption(images, max_tokens=4))
    for image, result in zip(images, answers, strict=True):
        assert result.text == result_of(kind, server, partial(captioned, image=image)).text


def test_unknown_options_are_refused_before_anything_is_sent() -> None:
    with Unroll("http://127.0.0.1:9") as client, pytest.raises(TypeError, match=r"no option max_token; .*max_tokens"):
        client.translate("a", max_token=3)  # type: ignore[call-overload]
    with Unroll("http://127.0.0.1:9") as client, pytest.raises(TypeError, match="is a str"):
        client.translate([3])  # type: ignore[list-item]


def test_an_address_is_a_url() -> None:
    with pytest.raises(ValueError, match="starts with http"):
        Unroll("127.0.0.1:8000")
    for wrong in ("ftp://host", "http://", "http://host:port", ""):
        with pytest.raises(ValueError, match=r"is not (a|the) URL"):
            Unroll(wrong)
    with pytest.raises(ValueError, match="at least 1"):
        Unroll(max_inputs=0)


def test_types_of_results(server: str, photo: Path) -> None:
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
        with pytest.raises(AttributeError, match="cannot assign"):
            client.sentiment("a").label = "other"  # type: ignore[misc]


@kinds
def test_any_task_can_be_asked_and_streamed(kind: Kind, server: str) -> None:
    """As the methods do it, and without a table of options or a class for the result."""
    mine = Task("mine", "/v1/translate", source="text", result=SentenceResult)
    expected = plain(server, "/v1/translate", inputs=TEXTS, max_tokens=6)["results"]
    answers = result_of(kind, server, lambda client: client.ask(mine, TEXTS, max_tokens=6))
    assert [content(result) for result in answers] == near(expected)
    tokens, result = streamed(kind, server, lambda client: client.stream(mine, TEXTS[0], max_tokens=6))
    assert "".join(map(str, tokens)) == result.text == expected[0]["text"]
    untyped = Task("untyped", "/v1/sentiment", source="text", result=TaskResult)
    one = result_of(kind, server, lambda client: client.ask(untyped, TEXTS[0]))
    assert content(one) == near(plain(server, "/v1/sentiment", inputs=TEXTS[0])["results"][0])


def test_every_task_has_its_methods() -> None:
    for client in (Unroll, AsyncUnroll):
        for task in TASKS:
            assert hasattr(client, task.name)
            assert hasattr(client, f"stream_{task.name}") == task.streams


def test_the_table_is_that_of_the_service() -> None:
    kinds = {task.name: tuple("text" if kind == "words" else kind for kind in task.sources) for task in TASKS}
    assert {(task.name, task.path, kinds[task.name], task.answer) for task in TASKS} == {
        (task.verb, task.face.path, task.source.kinds, task.answer.kind) for task in service.TASKS
    }


REQUESTS: dict[str, type[RequestForm]] = {task.verb: body_of(task).json for task in service.TASKS}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_options_are_those_of_the_service(task: Task[Any]) -> None:
    assert task.options is not None
    assert task.options.__optional_keys__ == REQUESTS[task.name].members().keys() - {"inputs", "stream"}


MINE = {
    name: kind
    for module in (results, forecasts, service_info)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Value) and kind.__module__ == module.__name__
}
RESULTS = [
    (mine, vars(module)[name])
    for name, mine in MINE.items()
    for module in (
        label_results,
        sentiment,
        source_tokens,
        state_kind,
        tag_results,
        token_results,
        usage,
        value_results,
        schemas,
    )
    if name in vars(module)
]


@pytest.mark.parametrize(("mine", "theirs"), RESULTS, ids=lambda part: part.__name__)
def test_results_have_the_members_of_the_service(mine: type[Value], theirs: type[BaseModel]) -> None:
    hidden = {name for name, field in theirs.model_fields.items() if field.exclude}
    openais = {"object", "data"} if mine is service_info.ModelList else set()
    members = {field.name: field for field in fields(mine)}
    assert members.keys() - {"usage"} == theirs.model_fields.keys() - hidden - openais
    for name, field in members.items():
        assert name == "usage" or (field.default is MISSING) == theirs.model_fields[name].is_required()


def test_there_are_results_to_compare() -> None:
    compared = {mine.__name__ for mine, _ in RESULTS}
    assert {"SentimentResult", "SentenceResult", "ModelInfo", "SeriesInfo", "Readiness", "Usage"} <= compared
    assert {
        "LabelExplanation",
        "TokenExplanation",
        "NetworkRun",
        "TagResult",
        "WordTag",
        "Span",
        "StateResult",
        "ForecastResult",
    } <= compared


def test_members_of_a_newer_service_are_kept() -> None:
    content = {"text": "a", "score": -1, "finish_reason": "new", "model": "m", "version": 1, "more": [1]}
    result = results.SentenceResult.read(content)
    assert result.more == [1]  # type: ignore[attr-defined]
    assert result.to_dict() == content


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"label": None}, "label is not of type str"),
        ({"score": "high"}, "score is not of type float"),
        ({"scores": [1]}, "scores is not of type dict"),
        ({"scores": {"good": None}}, "scores.good is not of type float"),
        ({"explanation": {"method": "m"}}, "explanation.labels is missing"),
        ({"version": 1.5}, "version is not of type int"),
    ],
)
def test_members_of_another_type_are_refused(members: dict[str, Any], message: str) -> None:
    content = {"label": "good", "score": 1, "scores": {"good": 1}, "polarity": 1, "model": "m", "version": 1}
    assert results.SentimentResult.read(content).score == 1.0
    with pytest.raises(ValueError, match=message):
        results.SentimentResult.read(content | members)


def test_the_generated_files_are_current() -> None:
    folder = Path(__file__).parents[2] / "clients" / "python"
    ran = subprocess.run([sys.executable, "-m", "generate", "--check"], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_clients_have_the_same_methods() -> None:
    def methods(client: type) -> dict[str, Any]:
        public = {name: item for name, item in vars(client).items() if name[0] != "_"}
        return {
            name: [typing.get_type_hints(one) for one in typing.get_overloads(item) or [item]]
            for name, item in public.items()
        }

    mine, twin = methods(Unroll), methods(AsyncUnroll)
    twin["close"] = twin.pop("aclose")
    assert mine.keys() == twin.keys()
    for name in mine:
        assert [hints.keys() for hints in mine[name]] == [hints.keys() for hints in twin[name]]
        if not name.startswith(("stream", "pieces")):
            assert mine[name] == twin[name]


def test_importing_the_client_needs_httpx_alone() -> None:
    code = "import sys, unroll_client; print(sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = ast.literal_eval(
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode()
    )
    assert not set(loaded) & {"torch", "fastapi", "starlette", "zmq", "numpy", "PIL", "tokenizers", "uvicorn"}
    assert not set(loaded) & {"app", "pydantic", "httpx_sse"}
