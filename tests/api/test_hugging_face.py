"""Hugging Face's own clients get the results of the native interface."""

import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import GenerationError, HfHubHTTPError, OverloadedError, ValidationError
from PIL import Image

from tests.service.serving import until

TEXT = "a warm and funny film"
SENTENCE = "do you want to save the changes"
PROMPT = "the plot makes"


def client(server: str, task: str, model: str) -> InferenceClient:
    return InferenceClient(base_url=f"{server}/hf/{task}/{model}", token="x")


def results(http: httpx.Client, path: str, **body: Any) -> list[dict[str, Any]]:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()["results"]
    return told


def png(color: str = "orange") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (80, 60), color).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("model", ["sentiment-en", "sentiment-ko", "sentiment-en?version=1"])
def test_labels_are_all_of_them_best_first(server: str, http: httpx.Client, model: str) -> None:
    labels = client(server, "text-classification", model).text_classification(TEXT)
    (expected,) = results(http, "/v1/sentiment", inputs=TEXT, model=model.split("?")[0])
    ranked = sorted(expected["scores"].items(), key=lambda item: -item[1])
    assert [item.label for item in labels] == [label for label, _ in ranked]
    assert [item.score for item in labels] == pytest.approx([score for _, score in ranked], abs=1e-5)


def test_best_labels_are_as_many_as_were_asked_for(server: str) -> None:
    of = client(server, "text-classification", "sentiment-en")
    assert of.text_classification(TEXT, top_k=1) == of.text_classification(TEXT)[:1]
    assert of.text_classification(TEXT, top_k=9, function_to_apply="softmax") == of.text_classification(TEXT)


def test_several_texts_have_a_list_each(http: httpx.Client) -> None:
    answer = http.post("/hf/text-classification/sentiment-en", json={"inputs": [TEXT, PROMPT]}).json()
    alone = [http.post("/hf/text-classification/sentiment-en", json={"inputs": text}).json() for text in (TEXT, PROMPT)]
    assert [[item["label"] for item in row] for row in answer] == [[item["label"] for item in row] for (row,) in alone]
    assert answer != [answer[0], answer[0]]


def test_translation_is_the_native_one(server: str, http: httpx.Client) -> None:
    of = client(server, "translation", "translate-en-ko")
    (expected,) = results(http, "/v1/translate", inputs=SENTENCE)
    assert of.translation(SENTENCE).translation_text == expected["text"]
    assert of.translation(SENTENCE, src_lang="en", tgt_lang="ko").translation_text == expected["text"]


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ({"num_beams": 4}, {"beams": 4}),
        ({"max_new_tokens": 5}, {"max_tokens": 5}),
        ({"do_sample": True}, None),
        ({"do_sample": True, "temperature": 1.5, "top_k": 9, "top_p": 0.9, "seed": 5},
         {"temperature": 1.5, "top_k": 9, "top_p": 0.9, "seed": 5}),
        ({"temperature": 1.5, "seed": 6}, {"temperature": 1.5, "seed": 6}),
        ({"do_sample": False, "temperature": 1.0, "seed": 6}, {}),
        ({"temperature": 0, "num_beams": 1}, {"beams": 1}),
        ({"repetition_penalty": 3.0}, {"repetition_penalty": 3.0}),
        ({"no_repeat_ngram_size": 2}, {"no_repeat_ngram_size": 2}),
        ({"min_new_tokens": 24}, {"min_tokens": 24}),
        ({"early_stopping": False, "use_cache": True, "num_return_sequences": 1, "typical_p": 1.0}, {}),
    ],
    ids=str,
)  # fmt: skip
def test_generate_parameters_are_decoding_options(
    server: str, http: httpx.Client, parameters: dict[str, Any], options: dict[str, Any] | None
) -> None:
    text = client(server, "translation", "translate-en-ko").translation(SENTENCE, generate_parameters=parameters)
    if options is None:  # drawn at random
        seen = {text.translation_text}
        for _ in range(5):
            other = client(server, "translation", "translate-en-ko")
            seen.add(other.translation(SENTENCE, generate_parameters=parameters).translation_text)
        assert len(seen) > 1
    else:
        assert text.translation_text == results(http, "/v1/translate", inputs=SENTENCE, **options)[0]["text"]


def test_image_is_sent_as_bytes_and_as_file(server: str, http: httpx.Client, tmp_path: Path) -> None:
    image = png()
    path = tmp_path / "image.png"
    path.write_bytes(image)
    (expected,) = results(http, "/v1/caption", inputs=base64.b64encode(image).decode())
    of = client(server, "image-to-text", "caption-en")
    for content in (image, path, str(path)):
        assert of.image_to_text(content).generated_text == expected["text"]


def test_image_in_json_takes_parameters(http: httpx.Client) -> None:
    inputs = base64.b64encode(png("navy")).decode()
    for parameters, options in (
        ({"max_new_tokens": 4}, {"max_tokens": 4}),
        ({"generation_parameters": {"num_beams": 3}}, {"beams": 3}),
        ({"max_new_tokens": 4, "generation_parameters": {"num_beams": 3}}, {"beams": 3, "max_tokens": 4}),
    ):
        answer = http.post("/hf/image-to-text/caption-en", json={"inputs": inputs, "parameters": parameters})
        (expected,) = results(http, "/v1/caption", inputs=inputs, **options)
        assert answer.json() == [{"generated_text": expected["text"]}]


def test_text_is_gone_on_with(server: str, http: httpx.Client) -> None:
    of = client(server, "text-generation", "lm-en")
    (expected,) = results(http, "/v1/complete", inputs=PROMPT, max_tokens=20)
    assert of.text_generation(PROMPT, max_new_tokens=20) == expected["text"]
    assert of.text_generation(PROMPT, max_new_tokens=20, return_full_text=True) == PROMPT + expected["text"]
    (drawn,) = results(http, "/v1/complete", inputs=PROMPT, max_tokens=20, temperature=1.0, seed=3)
    assert of.text_generation(PROMPT, max_new_tokens=20, do_sample=True, seed=3) == drawn["text"] != expected["text"]


def test_details_tell_tokens_and_why_it_ended(server: str, http: httpx.Client) -> None:
    of = client(server, "text-generation", "lm-en")
    (expected,) = results(http, "/v1/complete", inputs=PROMPT, max_tokens=20, logprobs=2)
    answer = of.text_generation(PROMPT, max_new_tokens=20, details=True, top_n_tokens=2)
    assert answer.generated_text == expected["text"]
    details = answer.details
    assert details is not None
    assert [token.text for token in details.tokens] == [token["text"] for token in expected["tokens"]]
    assert len({(token.id, token.text) for token in details.tokens}) == len({token.id for token in details.tokens})
    told = [[item["text"] for item in top] for top in details.top_tokens or []]
    assert told == [[item["text"] for item in token["alternatives"]] for token in expected["tokens"]]
    assert (details.finish_reason, details.generated_tokens) == ("length", 20)
    stop = expected["text"][4:6]
    stopped = of.text_generation(PROMPT, max_new_tokens=20, details=True, stop=[stop])
    assert stopped.generated_text == expected["text"][: expected["text"].index(stop)].rstrip()
    assert stopped.details is not None
    assert stopped.details.finish_reason == "stop_sequence"


@pytest.mark.parametrize(
    "options", [{}, {"seed": 2, "temperature": 2.0}, {"stop": ["a"]}, {"stop": ["기"]}, {"top_n_tokens": 3}], ids=str
)
@pytest.mark.parametrize("prompt", [PROMPT, "x", ""])
def test_tokens_of_a_stream_spell_the_whole(server: str, prompt: str, options: dict[str, Any]) -> None:
    of = client(server, "text-generation", "lm-en")
    options = {"max_new_tokens": 30, **options}
    whole = of.text_generation(prompt, details=True, **options)
    events = list(of.text_generation(prompt, details=True, stream=True, **options))
    assert "".join(event.token.text for event in events) == whole.generated_text == events[-1].generated_text
    assert "".join(of.text_generation(prompt, stream=True, **options)) == whole.generated_text
    assert [event.index for event in events] == list(range(1, len(events) + 1))
    assert [event.generated_text for event in events[:-1]] == [None] * (len(events) - 1)
    details = events[-1].details
    assert details is not None
    assert whole.details is not None
    assert details.finish_reason == whole.details.finish_reason
    assert details.seed == whole.details.seed == options.get("seed")
    ids = [token.id for token in whole.details.tokens]
    if not options.get("stop"):
        assert [event.token.id for event in events] == ids
        assert details.generated_tokens == len(ids)
    if "top_n_tokens" in options:
        assert all(len(event.top_tokens or []) == 3 for event in events)


def test_a_stream_that_ends_in_a_space_has_it_in_its_last_token(http: httpx.Client) -> None:
    """A drawn text is found that has a token of a space alone, and is drawn again up to that token."""
    path, drawn = "/hf/text-generation/lm-en", {"do_sample": True, "temperature": 5.0, "details": True}
    for seed in range(20):
        body = {"inputs": PROMPT, "parameters": {**drawn, "seed": seed, "max_new_tokens": 500}}
        (found,) = http.post(path, json=body).json()
        spellings = [token["text"] for token in found["details"]["tokens"]]
        if " " in spellings[1:]:
            break
    length = spellings.index(" ", 1) + 1
    parameters = {**drawn, "seed": seed, "max_new_tokens": length}
    (whole,) = http.post(path, json={"inputs": PROMPT, "parameters": parameters}).json()
    assert whole["generated_text"].endswith(" ")
    answer = http.post(path, json={"inputs": PROMPT, "parameters": parameters, "stream": True})
    events = [json.loads(line.removeprefix("data:")) for line in answer.text.split("\n") if line]
    assert "".join(event["token"]["text"] for event in events) == whole["generated_text"]
    assert events[-1]["generated_text"] == whole["generated_text"]
    assert len(events) == length


def test_the_asynchronous_client_reads_them_too(server: str, http: httpx.Client) -> None:
    async def ask() -> tuple[str, str, str]:
        base = f"{server}/hf"
        labels = await AsyncInferenceClient(f"{base}/text-classification/sentiment-en").text_classification(TEXT)
        text = await AsyncInferenceClient(f"{base}/translation/translate-en-ko").translation(SENTENCE)
        async with AsyncInferenceClient(f"{base}/text-generation/lm-en") as client:
            tokens = [token async for token in await client.text_generation(PROMPT, stream=True)]
        return labels[0].label, text.translation_text, "".join(tokens)

    assert asyncio.run(ask()) == (
        results(http, "/v1/sentiment", inputs=TEXT)[0]["label"],
        results(http, "/v1/translate", inputs=SENTENCE)[0]["text"],
        results(http, "/v1/complete", inputs=PROMPT)[0]["text"],
    )


REFUSED = [
    ("text-classification/sentiment-en", {"parameters": {"function_to_apply": "sigmoid"}}, "function_to_apply"),
    ("text-classification/sentiment-en", {"parameters": {"function_to_apply": "none"}}, "function_to_apply"),
    ("text-classification/sentiment-en", {"parameters": {"top_k": 0}}, "top_k"),
    ("text-classification/sentiment-en", {"options": {"cache": False}}, "options.cache"),
    ("translation/translate-en-ko", {"parameters": {"truncation": "only_second"}}, "truncation"),
    ("translation/translate-en-ko", {"parameters": {"src_lang": "eng_Latn"}}, "src_lang"),
    ("translation/translate-en-ko", {"parameters": {"clean_up_tokenization_spaces": True}}, "clean_up"),
    ("translation/translate-en-ko", {"parameters": {"src_lang": "ko", "tgt_lang": "en"}}, "from en to ko"),
    ("text-generation/lm-en", {"stream": True, "inputs": ["a", "b"]}, "stream"),
    ("text-generation/lm-en", {"stream": True, "parameters": {"return_full_text": True}}, "return_full_text"),
    ("text-generation/lm-en", {"parameters": {"top_n_tokens": 2}}, "top_n_tokens"),
    ("text-generation/lm-en?version=x", {}, "version"),
    *(
        ("text-generation/lm-en", {"parameters": {name: value}}, name)
        for name, value in {
            "adapter_id": "a",
            "best_of": 2,
            "decoder_input_details": True,
            "frequency_penalty": 0.5,
            "grammar": {"type": "json", "value": {}},
            "truncate": 5,
            "typical_p": 0.9,
            "watermark": True,
            "return_all": True,
        }.items()
    ),
    *(
        ("translation/translate-en-ko", {"parameters": {"generate_parameters": {name: value}}}, name)
        for name, value in {
            "max_length": 20,
            "min_length": 5,
            "early_stopping": True,
            "epsilon_cutoff": 0.1,
            "eta_cutoff": 0.1,
            "penalty_alpha": 0.5,
            "num_beam_groups": 2,
            "num_return_sequences": 2,
            "use_cache": False,
            "length_penalty": 2.0,
            "min_p": 0.1,
            "bad_words_ids": [[1]],
        }.items()
    ),
    ("text-generation/lm-en", {"parameters": {"do_sample": False, "top_p": 0.5}}, "top_p"),
    ("text-generation/lm-en", {"parameters": {"do_sample": True, "temperature": 0}}, "temperature"),
    ("translation/translate-en-ko", {"parameters": {"generate_parameters": {"num_beams": 2, "top_k": 3}}}, "beams"),
]


@pytest.mark.parametrize(
    ("path", "native", "member", "native_member"),
    [
        ("text-classification/sentiment-en", "/v1/sentiment", "label", "label"),
        ("translation/translate-en-ko", "/v1/translate", "translation_text", "text"),
        ("text-generation/lm-en", "/v1/complete", "generated_text", "text"),
    ],
)
def test_long_texts_are_cut_on_request(
    http: httpx.Client, path: str, native: str, member: str, native_member: str
) -> None:
    text = "the plot of the film " * 1000 + PROMPT
    (expected,) = results(http, native, inputs=text, model=path.partition("/")[2], truncate=True)
    for strategy in (True, "longest_first", "only_first"):
        answer = http.post(f"/hf/{path}", json={"inputs": text, "parameters": {"truncation": strategy}})
        assert answer.status_code == 200, answer.text
        (told,) = answer.json()
        best = told[0] if isinstance(told, list) else told
        assert best[member] == expected[native_member]
    for refusing in (False, "do_not_truncate", None):
        answer = http.post(f"/hf/{path}", json={"inputs": text, "parameters": {"truncation": refusing}})
        assert answer.json()["type"] == "/problems/input-too-long"
        assert answer.json()["error"].endswith(": split the text, or set truncation to true")


@pytest.mark.parametrize(("path", "body", "named"), REFUSED, ids=str)
def test_what_cannot_be_honoured_is_refused_by_name(
    http: httpx.Client, path: str, body: dict[str, Any], named: str
) -> None:
    answer = http.post(f"/hf/{path}", json={"inputs": "a", **body})
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert named in problem["error"] == problem["detail"]
    assert problem["error_type"] == "validation"


def test_clients_tell_what_was_wrong(server: str) -> None:
    with pytest.raises(HfHubHTTPError, match="function_to_apply: is not supported"):
        client(server, "text-classification", "sentiment-en").text_classification(TEXT, function_to_apply="none")
    with pytest.raises(ValidationError, match="watermark: is not supported"):
        client(server, "text-generation", "lm-en").text_generation(PROMPT, watermark=True)
    with pytest.raises(
        HfHubHTTPError, match="there is no sentiment or classification model lm-en; the models are"
    ) as error:
        client(server, "text-classification", "lm-en").text_classification(TEXT)
    assert error.value.response.status_code == 404
    with pytest.raises(HfHubHTTPError, match="is not an image"):
        client(server, "image-to-text", "caption-en").image_to_text(b"no image")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "translation/translate-en-ko", 405), ("POST", "translation/none", 404), ("POST", "translation/a/b", 404)],
)
def test_every_error_is_a_problem(http: httpx.Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, f"/hf/{path}", json={"inputs": "a"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert ("error" in answer.json()) == (path.count("/") == 1)


def test_failure_after_the_start_is_raised_by_the_client(server: str) -> None:
    of = InferenceClient(f"{server}/hf/text-generation/lm-en?timeout_ms=1")
    errors: list[GenerationError] = []

    def failed() -> bool:
        try:
            list(of.text_generation(PROMPT * 20, stream=True, max_new_tokens=500))
        except OverloadedError:  # a busy machine may refuse it as too late
            pass
        except GenerationError as error:
            errors.append(error)
        return bool(errors)

    until(failed)
    assert ["time" in str(error) for error in errors] == [True]


def test_requests_are_counted_by_their_route(server: str, http: httpx.Client) -> None:
    def count(line_begins: str) -> float:
        lines = http.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(line_begins))

    route = 'unroll_http_requests_total{route="/hf/translation/{model}",status="200"}'
    inputs = 'unroll_inputs_total{task="translation"}'
    before = count(route), count(inputs)
    client(server, "translation", "translate-en-ko").translation(SENTENCE)
    assert (count(route), count(inputs)) == (before[0] + 1, before[1] + 1)
    assert "/hf/translation/translate-en-ko" not in http.get("/metrics").text
    assert count("unroll_pending_requests") == 0


@pytest.mark.parametrize(
    "route",
    [
        "text-classification/sentiment-en",
        "translation/translate-en-ko",
        "image-to-text/caption-en",
        "text-generation/lm-en",
    ],
)
def test_options_of_the_hosted_service_are_accepted(http: httpx.Client, route: str) -> None:
    inputs = base64.b64encode(png()).decode() if "image" in route else SENTENCE
    plain = http.post(f"/hf/{route}", json={"inputs": inputs})
    for options in ({"wait_for_model": True, "use_cache": False}, {"use_gpu": True, "dont_load_model": None}, {}, None):
        answer = http.post(f"/hf/{route}", json={"inputs": inputs, "options": options})
        assert (answer.status_code, answer.json()) == (200, plain.json())
    refused: tuple[object, ...] = ({"use_cache": "no"}, {"no_such_option": True}, [])
    for wrong in refused:
        assert http.post(f"/hf/{route}", json={"inputs": inputs, "options": wrong}).status_code == 422
