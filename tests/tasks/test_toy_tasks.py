"""Two tasks that are defined here and nowhere else: every interface serves them by their source and answer kinds."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from unroll_client import SentenceResult, Unroll
from unroll_client import Task as ClientTask

from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.label_kind import LabelKind, LabelOptions
from app.tasks.answers.token_kind import TokenKind
from app.tasks.registry import CHECKS, TASKS
from app.tasks.sources.text import TextSource
from app.tasks.task import Face, Task
from tests.conftest import serving_store
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer

TEXT = "save the changes before closing the file"
TRIAGE = Task(
    name="triage",
    source=TextSource(),
    answer=LabelKind(),
    options=LabelOptions,
    face=Face(
        path="/v1/triage",
        summary="Say how urgent texts are",
        description="Reads a text and says how urgent it is.",
        inputs="Texts to triage.",
        results="A label for each text",
        examples={"one": {"summary": "One text", "value": {"inputs": TEXT}}},
    ),
)
SUMMARY = Task(
    name="summary",
    source=TextSource(),
    answer=TokenKind(),
    options=DecodingOptions,
    face=Face(
        path="/v1/summarize",
        summary="Summarize texts",
        description="Says a text in fewer words.",
        inputs="Texts to summarize.",
        results="A summary of each text",
        examples={"one": {"summary": "One text", "value": {"inputs": TEXT}}},
    ),
)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with the two tasks beside the registered ones."""
    folder = tmp_path_factory.mktemp("toys")
    store, tokenizer = folder / "store", tiny_tokenizer(folder)
    by_name = {draft.name: draft for draft in drafts()}
    publish_tiny(
        by_name["sentiment-en"].model_copy(update={"name": "triage-en", "task": "triage", "labels": ("later", "now")}),
        store,
        tokenizer,
    )
    summarizer = by_name["translate-en-ko"].model_copy(
        update={"name": "summary-en", "task": "summary", "target_language": "en"}
    )
    publish_tiny(summarizer, store, tokenizer)
    publish_tiny(summarizer.model_copy(update={"name": "wrong", "task": "triage"}), store, tokenizer)
    publish_tiny(summarizer.model_copy(update={"name": "unknown", "task": "singing"}), store, tokenizer)
    with serving_store(store, folder, tasks=(*TASKS, TRIAGE, SUMMARY)) as address:
        yield address


def post(url: str, **body: Any) -> Any:
    answer = httpx.post(url, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_native_routes(toys: str) -> None:
    (label,) = post(f"{toys}/v1/triage", inputs=TEXT)["results"]
    assert set(label) == {"label", "score", "scores", "model", "version"}
    assert set(label["scores"]) == {"later", "now"}
    whole = post(f"{toys}/v1/summarize", inputs=[TEXT, TEXT], max_tokens=6)
    assert whole["usage"]["inputs"] == 2
    first, second = whole["results"]
    assert first.pop("score") == pytest.approx(second.pop("score"))  # two rows of a batch may round differently
    assert first == second
    assert first["model"] == "summary-en"


def test_streams(toys: str) -> None:
    (whole,) = post(f"{toys}/v1/summarize", inputs=TEXT, max_tokens=6)["results"]
    with httpx.stream("POST", f"{toys}/v1/summarize", json={"inputs": TEXT, "max_tokens": 6, "stream": True}) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert "".join(event["text"] for event in events if "text" in event) == whole["text"]
    assert next(event["result"] for event in events if "result" in event)["text"] == whole["text"]


def test_open_inference(toys: str) -> None:
    metadata = httpx.get(f"{toys}/v2/models/triage-en").json()
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["text_input"]
    assert [tensor["name"] for tensor in metadata["outputs"]] == ["label", "score", "scores"]
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [TEXT]}
    outputs = post(f"{toys}/v2/models/triage-en/infer", inputs=[tensor])["outputs"]
    (label,) = post(f"{toys}/v1/triage", inputs=TEXT)["results"]
    assert outputs[0]["data"] == [label["label"]]
    assert outputs[2]["data"] == pytest.approx(list(label["scores"].values()))
    text = post(f"{toys}/v2/models/summary-en/generate", text_input=TEXT, parameters={"max_tokens": 6})["text_output"]
    assert text == post(f"{toys}/v1/summarize", inputs=TEXT, max_tokens=6)["results"][0]["text"]


def test_hugging_face(toys: str) -> None:
    ((best, other),) = post(f"{toys}/hf/text-classification/triage-en", inputs=TEXT)
    assert best["score"] >= other["score"]
    parameters = {"generate_parameters": {"max_new_tokens": 6}}
    (text,) = post(f"{toys}/hf/translation/summary-en", inputs=TEXT, parameters=parameters)
    assert text["translation_text"] == post(f"{toys}/v1/summarize", inputs=TEXT, max_tokens=6)["results"][0]["text"]
    answer = httpx.post(f"{toys}/hf/translation/summary-en", json={"inputs": TEXT, "parameters": {"src_lang": "en"}})
    assert answer.status_code == 422
    assert "no languages" in answer.json()["error"]


def test_openapi(toys: str) -> None:
    document = httpx.get(f"{toys}/openapi.json").json()
    operation = document["paths"]["/v1/triage"]["post"]
    assert operation["operationId"] == "triage"
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/TriageRequest"}
    assert set(document["components"]["schemas"]["TriageRequest"]["properties"]) == {
        "inputs", "model", "version", "priority", "timeout_ms", "explain", "layer", "units"
    }  # fmt: skip
    assert "429" in operation["responses"]


def test_metrics_and_models(toys: str) -> None:
    post(f"{toys}/v1/triage", inputs=[TEXT, TEXT])
    assert 'unroll_inputs_total{task="triage"}' in httpx.get(f"{toys}/metrics").text
    assert {model["task"] for model in httpx.get(f"{toys}/v1/models").json()["models"]} == {"triage", "summary"}


def test_the_client_calls_them(toys: str) -> None:
    summarize = ClientTask("summarize", "/v1/summarize", source="text", result=SentenceResult)
    with Unroll(toys) as client:
        summary = client.ask(summarize, TEXT, max_tokens=6)
    assert summary.text == post(f"{toys}/v1/summarize", inputs=TEXT, max_tokens=6)["results"][0]["text"]


def test_a_network_that_does_not_fit_its_task_is_broken(toys: str) -> None:
    broken = {item["model"]: item["reason"] for item in httpx.get(f"{toys}/v1/models").json()["broken"]}
    assert broken == {
        "wrong/1": "the task triage is text to label; this network is text to tokens",
        "unknown/1": f"the task singing is unknown; the tasks are {', '.join(CHECKS)}, triage, summary",
    }


def test_bad_input_is_a_problem(toys: str) -> None:
    answer = httpx.post(f"{toys}/v1/triage", json={"inputs": "", "polarity": True})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_task_without_a_model_says_so(toys: str) -> None:
    answer = httpx.post(f"{toys}/v1/sentiment", json={"inputs": TEXT})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/model-not-found")
