"""The register of a translation over HTTP: its id stands before each sentence that is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.engine.protocol import Decode, Tokens
from app.store.registers import Register, Registers
from tests.conftest import serving_store
from tests.engine.references import Reference, open_shipped
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer
from training.recipe import Shipped

TOKENS: dict[Register, int] = {"polite": 300, "formal": 301, "plain": 302}
TEXT = "do you want to save the changes"
NAME, DEFAULTED, NONE = "translate-en-ko", "by-default-formal", "without-registers"
_SOURCE_TOKENS = 30


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Translators that take a register, with a default or without, and one that takes none."""
    folder: Path = tmp_path_factory.mktemp("registers")
    tokenizer = tiny_tokenizer(folder)
    (draft,) = [draft for draft in drafts() if draft.task == "translation"]
    limits = draft.limits.model_copy(update={"source_tokens": _SOURCE_TOKENS})
    draft = draft.model_copy(update={"limits": limits, "one_sentence": True})
    for name, registers in (
        (NAME, Registers(tokens=TOKENS)),
        (DEFAULTED, Registers(tokens=TOKENS, default="formal")),
        (NONE, None),
    ):
        named = {"name": name, "registers": registers, "default": name == NAME}
        publish_tiny(draft.model_copy(update=named), folder / "store", tokenizer)
    return folder / "store"


@pytest.fixture(scope="module")
def http(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving_store(store, tmp_path_factory.mktemp("engine")) as address,
        httpx.Client(base_url=address) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def shipped(store: Path) -> Shipped:
    return open_shipped(store, f"{NAME}/1")


def expected(shipped: Shipped, text: str, *before: int) -> str:
    """The translation by the plainest code, of the ids `before` and those of the text."""
    ids = [*before, *shipped.tokenizer.encode(text)]
    return shipped.tokenizer.decode(Reference(shipped, Tokens(ids), Decode(max_tokens=24)).greedy().tokens)


def translated(http: httpx.Client, inputs: str, **options: Any) -> Any:
    answer = http.post("/v1/translate", json={"inputs": inputs, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][0]


@pytest.mark.parametrize("register", TOKENS)
def test_the_id_of_the_register_stands_before_the_source(
    register: Register, http: httpx.Client, shipped: Shipped
) -> None:
    assert translated(http, TEXT, register=register)["text"] == expected(shipped, TEXT, TOKENS[register])


def test_registers_give_different_answers(http: httpx.Client) -> None:
    assert len({translated(http, TEXT, register=register)["text"] for register in TOKENS}) > 1


def test_without_a_register_the_model_has_its_default_or_none(http: httpx.Client, shipped: Shipped) -> None:
    assert translated(http, TEXT)["text"] == expected(shipped, TEXT)
    assert translated(http, TEXT, model=DEFAULTED)["text"] == expected(shipped, TEXT, TOKENS["formal"])
    other = translated(http, TEXT, model=DEFAULTED, register="plain")["text"]
    assert other == expected(shipped, TEXT, TOKENS["plain"])
    assert translated(http, TEXT, register=None)["text"] == expected(shipped, TEXT)


def test_each_sentence_gets_the_register(http: httpx.Client, shipped: Shipped) -> None:
    found = translated(http, "Save the file. Close it.", register="plain")["text"]
    first, second = (expected(shipped, text, TOKENS["plain"]) for text in ("Save the file.", "Close it."))
    assert found == f"{first} {second}"


def test_the_attention_has_a_column_for_the_register(http: httpx.Client, shipped: Shipped) -> None:
    attention = translated(http, TEXT, register="formal", attention=True)["attention"]
    mark = attention["source"][0]
    assert (mark["text"], mark["start"], mark["end"]) == (shipped.tokenizer.piece(TOKENS["formal"]), 0, 0)
    assert len(attention["source"]) == 1 + len(shipped.tokenizer.encode(TEXT)) == len(attention["weights"][0])


def test_a_text_is_cut_to_the_limit_with_its_register(http: httpx.Client, shipped: Shipped) -> None:
    text = "the plot makes no sense and the acting is worse " * 3
    refused = http.post("/v1/translate", json={"inputs": text, "register": "plain"})
    assert refused.json()["type"].endswith("/input-too-long")
    found = translated(http, text, register="plain", truncate=True)["text"]
    ids = [TOKENS["plain"], *shipped.tokenizer.encode(text, most=_SOURCE_TOKENS - 1)]
    assert len(ids) == _SOURCE_TOKENS
    decoded = Reference(shipped, Tokens(ids), Decode(max_tokens=24)).greedy().tokens
    assert found == shipped.tokenizer.decode(decoded)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"register": "casual"}, "translate-en-ko has no register casual; its registers are polite, formal, plain"),
        ({"register": "plain", "model": NONE}, "without-registers takes no register: leave out register"),
    ],
)
def test_a_register_that_the_model_lacks_is_refused(http: httpx.Client, options: dict[str, Any], words: str) -> None:
    answer = http.post("/v1/translate", json={"inputs": TEXT, **options})
    assert answer.status_code == 422
    problem = answer.json()
    assert words in problem["detail"]
    assert problem["options"] == ["register"]


@pytest.mark.parametrize("register", ["rude", "", 3, "register_name"])
def test_other_values_are_no_register(http: httpx.Client, register: object) -> None:
    answer = http.post("/v1/translate", json={"inputs": TEXT, "register": register})
    assert answer.status_code == 422
    assert "register" in str(answer.json()["errors"])


def test_the_name_of_the_member_is_register(http: httpx.Client) -> None:
    answer = http.post("/v1/translate", json={"inputs": TEXT, "register_name": "plain"})
    assert answer.status_code == 422
    assert " register," in str(answer.json())


def test_models_say_their_registers(http: httpx.Client) -> None:
    models = {model["name"]: model for model in http.get("/v1/models").json()["models"]}
    assert models[NAME]["registers"] == {"names": ["polite", "formal", "plain"]}
    assert models[DEFAULTED]["registers"] == {"names": ["polite", "formal", "plain"], "default": "formal"}
    assert "registers" not in models[NONE]


def test_a_parameter_of_the_open_inference_protocol_is_the_register(http: httpx.Client, shipped: Shipped) -> None:
    tensor = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": [TEXT]}
    body = {"inputs": [tensor], "parameters": {"register": "plain"}, "outputs": [{"name": "text"}]}
    answer = http.post(f"/v2/models/{NAME}/infer", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == [expected(shipped, TEXT, TOKENS["plain"])]
