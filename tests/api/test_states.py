"""States that clients carry: the same answers in pieces cut anywhere, on any service, as often as is wanted."""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from pydantic import SecretStr
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from app.store.encoders import TextEncoder
from app.store.recurrence import Recurrence
from app.store.tagger import Tagger
from app.store.text_input import TokenizerUse
from app.tasks.answers.decoding_options import MOST_TOKENS
from app.tasks.states.keys import StateKeys
from tests.api.conftest import with_more_time
from tests.conftest import PATIENCE, serving_store
from tests.tiny_numbers import number_drafts
from tests.tiny_store import VOCABULARY, drafts, publish_tiny, tiny_tokenizer
from training.loop import BOS, EOS

TEXT = (
    "A warm, funny film  that I'd gladly see again: e\u0301clairs. 정말 재미\u110b\u1175\u11bb게 봤어요 강력 추천!? ok"
)
_TEXTS, _NUMBERS = (
    {"sentiment-en", "sentiment-en-uni", "lm-en"},
    {"forecast-state", "forecast-decoder", "forecast-tiny"},
)
_UNI = "sentiment-en-uni"
_MODELS = _TEXTS | _NUMBERS | {"tag-tiny"}
ROWS = [[0.1 * day, 10.0 + day % 5, 2.0 + day % 3] for day in range(17)]


def publish_states(folder: Path, *, seed: int = 0) -> Path:
    store, tokenizer = folder / "store", tiny_tokenizer(folder)
    for draft in [*drafts(), *number_drafts()]:
        if draft.name in _MODELS:
            publish_tiny(draft, store, tokenizer, seed=seed, spread=1.5 if draft.series else 4)
        if draft.name == "tag-tiny":
            recurrence = Recurrence(cell="gru", input_size=12, hidden_size=9)
            encoder = TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence)
            forward = Tagger(encoder=encoder, labels=len(draft.labels))
            marks = TokenizerUse(prepend=(BOS,), append=(EOS,))
            for name, use in (("tag-forward", draft.tokenizer), ("tag-marks", marks)):
                members = {"name": name, "architecture": forward, "tokenizer": use}
                publish_tiny(draft.model_copy(update=members), store, tokenizer)
    return store


def _served(store: Path, folder: Path, secret: str = "first") -> AbstractContextManager[str]:
    folder.mkdir()
    return serving_store(store, folder, precision="float32", state_secret=SecretStr(secret))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_states(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def here(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        _served(store, tmp_path_factory.mktemp("here") / "service") as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as client,
    ):
        yield client


def _one(http: httpx.Client, path: str, inputs: object, **members: object) -> dict[str, Any]:
    answer = http.post(path, json={"inputs": inputs, **members})
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    return dict(result)


def _problem(http: httpx.Client, path: str, inputs: object, **members: object) -> tuple[int, str, str]:
    answer = http.post(path, json={"inputs": inputs, **members})
    problem = answer.json()
    return answer.status_code, problem["type"].removeprefix("/problems/"), problem["detail"]


def _in_pieces(http: httpx.Client, path: str, pieces: Sequence[object], **members: object) -> list[dict[str, Any]]:
    """The answers to pieces, each read on from the state of the one before."""
    results: list[dict[str, Any]] = []
    state: dict[str, object] = {}
    for piece in pieces:
        results.append(_one(http, path, piece, return_state=True, **members, **state))
        state = {"state": results[-1].pop("state")}
    return results


def near(word: dict[str, Any]) -> dict[str, Any]:
    """A tagged word, to compare with: its score comes from one product with all tokens, whose last bit depends on their
    number in networks of odd sizes."""
    return {**word, "score": pytest.approx(word["score"], abs=1e-6)}


def _cut(whole: Any, seed: int, *, first: int = 1) -> list[Any]:
    draw = random.Random(seed)
    cuts = sorted(draw.sample(range(first, len(whole)), draw.randrange(1, 6)))
    return [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/v1/sentiment", {"model": "sentiment-en-uni"}),
        ("/v1/classify", {"model": "sentiment-en-uni"}),
        ("/v1/embed", {"model": "sentiment-en-uni", "pooling": "mean"}),
        ("/v1/embed", {"model": "lm-en", "pooling": "max"}),
        ("/v1/embed", {"model": "tag-forward"}),
        ("/v1/embed", {"model": "tag-marks", "pooling": "mean"}),
    ],
)
def test_a_text_cut_anywhere_has_the_answer_of_the_whole(
    here: httpx.Client, path: str, members: dict[str, object]
) -> None:
    whole = _one(here, path, TEXT, **members)
    for seed in range(4):
        assert _in_pieces(here, path, _cut(TEXT, seed), **members)[-1] == whole


@pytest.mark.parametrize("model", ["forecast-state", "forecast-decoder"])
def test_a_series_cut_anywhere_has_the_forecast_of_the_whole(here: httpx.Client, model: str) -> None:
    features = here.get(f"/v1/models/{model}").json()["models"][0]["series"]["features"]
    rows = [row[: len(features)] for row in ROWS]
    whole = _one(here, "/v1/forecast", rows, model=model)
    for seed in range(3):
        assert _in_pieces(here, "/v1/forecast", _cut(rows, seed), model=model)[-1] == whole


@pytest.mark.parametrize("model", ["tag-forward", "tag-marks"])
def test_words_have_the_tags_and_places_of_the_whole_text(here: httpx.Client, model: str) -> None:
    whole = _one(here, "/v1/tag", TEXT, model=model)["tags"]
    for seed in range(3):
        words: dict[int, object] = {}
        for result in _in_pieces(here, "/v1/tag", _cut(TEXT, seed), model=model):
            begin = result["tags"][0]["start"]  # the last word of the piece before comes again
            words = {start: word for start, word in words.items() if start < begin}
            words |= {word["start"]: word for word in result["tags"]}
        assert [*words.values()] == [near(word) for word in whole]


@pytest.mark.parametrize(
    "drawn",
    [
        {},
        {"temperature": 1.2, "seed": 6},
        {"no_repeat_ngram_size": 1},
        {"temperature": 1.5, "seed": 2, "repetition_penalty": 1.7, "min_tokens": 2},
    ],
)
def test_a_completion_goes_on_as_if_it_had_not_stopped(here: httpx.Client, drawn: dict[str, object]) -> None:
    members = {"model": "lm-en", "logprobs": 1, **drawn}
    whole = _one(here, "/v1/complete", TEXT, max_tokens=12, return_state=True, **members)
    for seed in range(2):
        *pieces, last = _cut(TEXT, seed)
        state: dict[str, object] = {}
        for piece in pieces:
            state = {"state": _one(here, "/v1/states", piece, model="lm-en", **state)["state"]}
        part = _one(here, "/v1/complete", last, max_tokens=3, return_state=True, **members, **state)
        tokens, text = part["tokens"], part["text"]
        left_out = ("min_tokens", "seed") if seed else ("min_tokens",)  # the same seed goes on as well
        members = {name: value for name, value in members.items() if name not in left_out}
        while part["finish_reason"] == "length" and len(tokens) < 12:
            most = min(4, 12 - len(tokens))
            part = _one(here, "/v1/complete", "", max_tokens=most, return_state=True, state=part["state"], **members)
            tokens, text = tokens + part["tokens"], text + part["text"]
        assert (tokens, text) == (whole["tokens"], whole["text"])
        members |= drawn


def test_a_completion_that_was_cut_goes_on_after_its_text(here: httpx.Client) -> None:
    whole = _one(here, "/v1/complete", TEXT, model="lm-en", max_tokens=6)
    found = _one(here, "/v1/complete", TEXT, model="lm-en", beams=2, max_tokens=6, return_state=True)
    for options in ({"stop": [whole["text"][1:3]]}, {"beams": 2}):
        cut = _one(here, "/v1/complete", TEXT, model="lm-en", max_tokens=6, return_state=True, **options)
        assert _one(here, "/v1/complete", " and then", state=cut["state"], max_tokens=3)["text"] is not None
    assert found["state"]


@pytest.mark.parametrize("options", [{}, {"stop": ["not there"]}, {"beams": 2}], ids=str)
def test_a_completion_goes_on_after_its_deadline(here: httpx.Client, options: dict[str, object]) -> None:
    body = {"inputs": TEXT, "model": "lm-en", "max_tokens": 4000, "min_tokens": 4000, "return_state": True}
    answer = with_more_time(lambda ms: here.post("/v1/complete", json=body | options | {"timeout_ms": ms}))
    assert answer.status_code == 200, answer.text
    (cut,), count = answer.json()["results"], answer.json()["usage"]["emitted_tokens"]
    assert cut["finish_reason"] == "deadline"
    rest = _one(here, "/v1/complete", "", state=cut["state"], max_tokens=5, min_tokens=5)
    assert rest["text"]
    if not options:
        whole = _one(here, "/v1/complete", TEXT, model="lm-en", max_tokens=count + 5, min_tokens=count + 5)
        assert cut["text"] + rest["text"] == whole["text"]


def test_forks_of_a_completion_draw_each_their_own(here: httpx.Client) -> None:
    members = {"temperature": 1.5, "return_state": True, "max_tokens": 4}
    state = _one(here, "/v1/complete", TEXT, model="lm-en", seed=6, **members)["state"]
    forks = here.post("/v1/complete", json={"inputs": ["", "", ""], "state": state, **members}).json()["results"]
    assert [fork["seed"] for fork in forks] == [6, 7, 8]
    assert forks[0]["text"] == _one(here, "/v1/complete", "", state=state, **members)["text"]


def test_rules_count_as_many_decoded_tokens_as_an_answer_may_have(here: httpx.Client) -> None:
    keys = StateKeys(["first"], most=2**20)
    members = {"no_repeat_ngram_size": 3, "return_state": True, "max_tokens": 4, "min_tokens": 4}
    state = keys.open(_one(here, "/v1/complete", TEXT, model="lm-en", **members)["state"])
    assert state.decoded is not None
    long = msgspec.structs.replace(state, decoded=[*range(5, 10), *state.decoded] * 1200)
    after = keys.open(_one(here, "/v1/complete", "", state=keys.seal(long), **members)["state"])
    assert after.decoded is not None
    assert len(after.decoded) == MOST_TOKENS
    assert after.decoded[-8:-4] == state.decoded


def test_a_stream_ends_with_a_state(here: httpx.Client) -> None:
    members = {"inputs": TEXT, "model": "lm-en", "max_tokens": 4, "return_state": True}
    streamed = here.post("/v1/complete", json=members | {"stream": True}).text
    assert _one(here, "/v1/complete", TEXT, model="lm-en", max_tokens=4, return_state=True)["state"] in streamed


def test_a_state_forks(here: httpx.Client) -> None:
    state = _one(here, "/v1/states", "a warm and", model="sentiment-en-uni")["state"]
    endings = [" funny film", " dull film", "roid"]
    forks = here.post("/v1/sentiment", json={"inputs": endings, "state": state}).json()["results"]
    wholes = [_one(here, "/v1/sentiment", f"a warm and{end}", model="sentiment-en-uni") for end in endings]
    assert [fork["label"] for fork in forks] == [whole["label"] for whole in wholes]
    for fork, whole in zip(forks, wholes, strict=True):  # one batch of three differs from three by rounding
        assert fork["score"] == pytest.approx(whole["score"], abs=1e-6)


def test_another_service_with_the_secret_goes_on(here: httpx.Client, store: Path, tmp_path: Path) -> None:
    state = _one(here, "/v1/states", TEXT[:30], model="sentiment-en-uni")["state"]
    whole = _one(here, "/v1/sentiment", TEXT, model="sentiment-en-uni")
    with (
        _served(store, tmp_path / "service", "second, first") as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as there,
    ):
        assert _one(there, "/v1/sentiment", TEXT[30:], state=state) == whole
        newer = _one(there, "/v1/sentiment", TEXT[30:], state=state, return_state=True)["state"]
    status, kind, detail = _problem(here, "/v1/sentiment", "", state=newer)
    assert (status, kind) == (422, "invalid-state")
    assert "another secret" in detail


def test_a_state_fits_its_weights_and_version_alone(here: httpx.Client, tmp_path: Path) -> None:
    state = _one(here, "/v1/states", TEXT, model="lm-en")["state"]
    assert _problem(here, "/v1/complete", "a", state=state, model="lm-ko")[:2] == (409, "state-mismatch")
    assert _problem(here, "/v1/complete", "a", state=state, model="lm-en", version=2)[:2] == (409, "state-mismatch")
    assert _problem(here, "/v1/sentiment", "a", state=state)[:2] == (409, "state-mismatch")
    other = publish_states(tmp_path, seed=1)
    with (
        _served(other, tmp_path / "service") as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as there,
    ):
        status, kind, detail = _problem(there, "/v1/complete", "a", state=state)
    assert (status, kind) == (409, "state-mismatch")
    assert "other weights" in detail


@pytest.mark.parametrize(
    ("path", "inputs", "members", "reason"),
    [
        ("/v1/sentiment", TEXT, {"model": "sentiment-en"}, "both directions"),
        ("/v1/tag", TEXT, {"model": "tag-tiny"}, "both directions"),
        ("/v1/forecast", ROWS[:6], {"model": "forecast-tiny"}, "as a whole"),
    ],
)
def test_a_model_that_cannot_says_why(
    here: httpx.Client, path: str, inputs: object, members: dict[str, object], reason: str
) -> None:
    status, kind, detail = _problem(here, path, inputs, return_state=True, **members)
    assert (status, kind) == (422, "no-state")
    assert reason in detail


def test_options_that_exclude_states_say_so(here: httpx.Client) -> None:
    state = _one(here, "/v1/states", TEXT, model="sentiment-en-uni")["state"]
    for members in ({"truncate": True}, {"explain": True}):
        assert _problem(here, "/v1/sentiment", "a", state=state, **members)[1] == "contradictory-options"
    after_language = _one(here, "/v1/states", TEXT, model="lm-en")["state"]
    status, kind, detail = _problem(here, "/v1/embed", "a", state=after_language, pooling="mean")
    assert (status, kind) == (422, "contradictory-options")
    assert "without mean pooling" in detail


def test_usage_counts_what_a_state_had_read(here: httpx.Client) -> None:
    def usage(inputs: object, **members: object) -> dict[str, Any]:
        answer = here.post("/v1/sentiment", json={"inputs": inputs, "model": "sentiment-en-uni", **members})
        return dict(answer.json()["usage"])

    cut = TEXT.index("gladly")
    whole, state = usage(TEXT), _one(here, "/v1/states", TEXT[:cut], model="sentiment-en-uni")["state"]
    assert "kept_steps" not in whole
    one, two = usage(TEXT[cut:], state=state), usage([TEXT[cut:], "."], state=state)
    assert one["kept_steps"] > 5
    assert one["kept_steps"] + one["source_tokens"] == whole["source_tokens"]
    assert two["kept_steps"] == 2 * one["kept_steps"]
    rows = here.post("/v1/states", json={"inputs": ROWS, "model": "forecast-decoder"}).json()["results"][0]["state"]
    answer = here.post("/v1/forecast", json={"inputs": ROWS[:2], "state": rows})
    assert answer.json()["usage"]["kept_steps"] == len(ROWS)


def test_the_list_of_models_says_which_carry_a_state(here: httpx.Client) -> None:
    carrying = {model["name"] for model in here.get("/v1/models").json()["models"] if model["carries_state"]}
    assert carrying == {"sentiment-en-uni", "lm-en", "forecast-state", "forecast-decoder", "tag-forward", "tag-marks"}


def _infer(here: httpx.Client, text: str, *, outputs: Sequence[str] = (), **members: Any) -> dict[str, Any]:
    """The outputs of tritonclient's `infer`, with its binary tensors."""
    with InferenceServerClient(f"{here.base_url.host}:{here.base_url.port}", network_timeout=PATIENCE) as client:
        tensors = []
        for name, value in {"text_input": text, **members.pop("tensors", {})}.items():
            tensors.append(InferInput(name, [1], "BYTES"))
            tensors[-1].set_data_from_numpy(np.array([value.encode()], dtype=np.object_))
        answer = client.infer(
            _UNI, tensors, outputs=[InferRequestedOutput(name) for name in outputs] or None, **members
        )
        return {item["name"]: answer.as_numpy(item["name"]) for item in answer.get_response()["outputs"]}


def test_a_state_is_a_tensor_of_tritons_client(here: httpx.Client) -> None:
    whole = _infer(here, "A warm, funny film")
    assert "state" not in whole
    (state,) = _infer(here, "A warm, fun", outputs=["state"])["state"].tolist()
    assert set(_infer(here, "A warm, fun", parameters={"return_state": True})) == {*whole, "state"}
    for continued in (
        _infer(here, "ny film", tensors={"state": state.decode()}),
        _infer(here, "ny film", parameters={"state": state.decode()}),
    ):
        assert {name: value.tolist() for name, value in continued.items()} == {
            name: value.tolist() for name, value in whole.items()
        }
    natively = here.post("/v1/sentiment", json={"inputs": "ny film", "state": state.decode()}).json()["results"][0]
    assert natively["score"] == pytest.approx(float(whole["score"][0]))


def test_metadata_has_the_state_of_models_that_carry_it(here: httpx.Client) -> None:
    tensor = {"name": "state", "datatype": "BYTES", "shape": [-1]}
    for model, carries in (("sentiment-en-uni", True), ("lm-en", True), ("sentiment-en", False), ("tag-tiny", False)):
        metadata = here.get(f"/v2/models/{model}").json()
        assert (tensor in metadata["inputs"], tensor in metadata["outputs"]) == (carries, carries), model
        configured = here.get(f"/v2/models/{model}/config").json()
        optional = [item["name"] for item in configured["input"] if item.get("optional")]
        assert optional == (["state"] if carries else []), model


def test_generate_continues_from_a_state(here: httpx.Client) -> None:
    def generate(text: str, count: int, path: str = "generate", **members: Any) -> httpx.Response:
        body = {"text_input": text, "max_tokens": count, **members}
        return here.post(f"/v2/models/lm-en/{path}", json=body)

    whole = generate("a warm", 8).json()
    first = generate("a warm", 4, return_state=True).json()
    rest = generate("", 4, parameters={"state": first["state"]}).json()
    assert first["text_output"] + rest["text_output"] == whole["text_output"]
    assert "state" not in rest
    streamed = generate("a warm", 4, "generate_stream", return_state=True).text.split("\n\n")
    last = json.loads(next(event for event in reversed(streamed) if event).removeprefix("data: "))
    assert generate("", 4, state=last["state"]).json()["text_output"] == rest["text_output"]


@pytest.mark.parametrize(
    ("model", "parameters", "tensors", "problem"),
    [
        ("sentiment-en-uni", {"state": "x"}, {"state": ["x"]}, "invalid-request"),
        ("sentiment-en-uni", {}, {"state": ["x", "y"]}, "invalid-request"),
        ("sentiment-en-uni", {}, {"state": ["x"]}, "invalid-state"),
        ("sentiment-en-uni", {"sequence_id": 4}, {"state": ["x"]}, "invalid-request"),
        ("sentiment-en", {}, {"state": ["x"]}, "invalid-request"),
        ("sentiment-en", {"return_state": True}, {}, "no-state"),
        ("sentiment-en-uni", {"return_state": True, "truncate": True}, {}, "contradictory-options"),
    ],
)
def test_wrong_states_of_tensors_are_refused(
    here: httpx.Client, model: str, parameters: dict[str, Any], tensors: dict[str, list[str]], problem: str
) -> None:
    sent = {"text_input": ["a film"], **tensors}
    inputs = [{"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data} for name, data in sent.items()]
    answer = here.post(f"/v2/models/{model}/infer", json={"inputs": inputs, "parameters": parameters})
    assert answer.json()["type"] == f"/problems/{problem}", answer.text


def test_a_sequence_begins_from_a_state(here: httpx.Client) -> None:
    (state,) = _infer(here, "A warm, fun", outputs=["state"])["state"].tolist()
    begun = _infer(here, "ny fi", tensors={"state": state.decode()}, sequence_id=9, sequence_start=True)
    assert "state" not in begun
    ended = _infer(here, "lm", sequence_id=9, sequence_end=True)
    assert ended["scores"].tolist() == _infer(here, "A warm, funny film")["scores"].tolist()
