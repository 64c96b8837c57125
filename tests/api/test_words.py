"""Models whose vocabularies are whole words, over HTTP: two vocabularies, refused words, streams, padded sources."""

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.store.manifest import Manifest
from app.store.publishing import file_entry, write_manifest
from app.store.text_input import FixedLength, TokenizerUse
from app.text.word_tokenizers import build
from tests.api.sse import events_of
from tests.conftest import serving_store
from tests.tiny_store import VOCABULARY, drafts, publish_tiny
from training.loop import BOS, EOS

MARKS = ["<pad>", "<start>", "<end>", "<unk>"]
FRENCH = [*MARKS, "je", "suis", "vieux", "ca", "va", "!"]
ENGLISH = [*MARKS, *(f"word{number}" for number in range(4, VOCABULARY))]
TEXT = "Je suis vieux!"


def _words_store(folder: Path) -> Path:
    """A translator as the PyTorch tutorial makes them, and a classifier as Udacity's course does."""
    translator, classifier = (
        next(draft for draft in drafts() if draft.task == task) for task in ("translation", "sentiment")
    )
    reads = TokenizerUse(append=(EOS,), unknown="refuse")
    writes = TokenizerUse(file="target.json", hidden=(BOS, 9), lower=True)
    source, target = folder / "source.json", folder / "target.json"
    build("pytorch_tutorial", FRENCH, unk=None).save(str(source))
    build("spaces", ENGLISH, unk="<unk>").save(str(target))
    draft = translator.model_copy(update={"tokenizer": reads, "target_tokenizer": writes})
    version = publish_tiny(draft, folder / "store", source)
    version.joinpath("target.json").write_bytes(target.read_bytes())
    manifest = Manifest.model_validate_json(version.joinpath("manifest.json").read_text())
    files = {**manifest.files, "target.json": file_entry(version / "target.json")}
    write_manifest(version, manifest.model_copy(update={"files": files}))

    padded = TokenizerUse(length=FixedLength(to=12, pad=0), unknown=0)
    build("udacity", ["<pad>", "good", "film", *string.ascii_lowercase], unk=None).save(str(source))
    publish_tiny(classifier.model_copy(update={"tokenizer": padded}), folder / "store", source)
    return folder / "store"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("words")
    with (
        serving_store(_words_store(folder), folder) as address,
        httpx.Client(base_url=address) as client,
    ):
        yield client


def translated(words: httpx.Client, **options: Any) -> dict[str, Any]:
    answer = words.post("/v1/translate", json={"inputs": TEXT, "max_tokens": 30, **options})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["results"][0]
    return result


def test_source_and_target_have_vocabularies_of_their_own(words: httpx.Client) -> None:
    result = translated(words, logprobs=0, attention=True)
    spelt = [token["text"] for token in result["tokens"]]
    assert set(spelt) <= set(ENGLISH)
    hidden = ("<start>", "<end>", "word9")
    assert result["text"] == " ".join(word for word in spelt if word not in hidden)
    source = result["attention"]["source"]
    assert [piece["text"] for piece in source] == ["je", "suis", "vieux", "!", "<end>"]
    assert [TEXT[piece["start"] : piece["end"]] for piece in source] == ["Je", "suis", "vieux", "!", ""]


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 2, "seed": 5, "logprobs": 0}, {"stop": "word7", "temperature": 1.5, "seed": 1}]
)
def test_words_of_a_stream_are_those_of_the_plain_answer(words: httpx.Client, options: dict[str, Any]) -> None:
    body = {"inputs": TEXT, "max_tokens": 30, "stream": True, **options}
    events = events_of(words.post("/v1/translate", json=body).text)
    told = [event.data["text"] for event in events if event.name == "token"]
    assert "".join(told) == translated(words, **options)["text"]
    assert all(text.strip().count(" ") == 0 for text in told), "a word is sent as soon as it is complete"


def test_a_prefix_is_of_the_target(words: httpx.Client) -> None:
    assert translated(words, prefix="WORD8 word10")["text"].startswith("word8 word10")


def test_a_word_outside_the_vocabulary_is_refused_by_name(words: httpx.Client) -> None:
    answer = words.post("/v1/translate", json={"inputs": [TEXT, "Je suis Étonné!"]})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/unknown-word")
    assert (problem["input"], problem["word"]) == (1, "Étonné")
    assert problem["detail"] == "inputs[1]: the word 'Étonné' is not in the vocabulary of translate-en-ko"


def test_a_padded_source_is_read_with_its_padding(words: httpx.Client) -> None:
    answer = words.post("/v1/sentiment", json={"inputs": ["Good, film!", "a.b " * 40], "explain": True})
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["source_tokens"] == 24
    first = answer.json()["results"][0]["explanation"]["tokens"]
    assert [token["text"] for token in first] == ["<pad>"] * 10 + ["good", "film"]
