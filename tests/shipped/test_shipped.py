"""The checkpoints in `model_store/` are valid, small and measured, and give sensible results."""

import asyncio
import random
import re
from pathlib import Path

import httpx
import pytest

from app.engine.client import EngineClient
from app.engine.protocol import Decode, Decoded, Label, Terms, Tokens
from app.store.model_store import read_store
from app.text.tokenizer import TextTokenizer
from tests.conftest import engine_in_thread
from tests.engine.references import Reference, label_alone, open_shipped
from tests.engine.test_engine import until
from tests.shipped.conftest import STORE, results_of
from training.cards import card_of
from training.domains import DOMAINS
from training.evaluate import RECIPES, recipe_of

FLOORS = {
    ("sentiment-en", "accuracy"): 0.90,
    ("sentiment-en", "accuracy on film snippets"): 0.78,
    ("sentiment-en", "correlation of polarity with the human degree on film snippets"): 0.65,
    ("sentiment-en-rnn", "accuracy"): 0.79,
    ("sentiment-en-gru", "accuracy"): 0.88,
    ("sentiment-en-lstm", "accuracy"): 0.85,
    ("sentiment-ko", "accuracy"): 0.86,
    ("caption-en", "BLEU-4, beam 4"): 0.16,
    ("caption-en", "CIDEr-D, beam 4"): 0.40,
    ("caption-en", "distinct captions, greedy"): 100,
    ("translate-en-ko", "chrF"): 45,
    ("translate-en-ko", "chrF, phrases, beam 4"): 35,
}


def test_every_recipe_is_shipped_and_whole() -> None:
    contents = read_store(STORE)
    assert contents.broken == ()
    assert {version.manifest.name for version in contents.versions} == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_card_and_manifest_say_the_same(name: str) -> None:
    recipe = recipe_of(name)
    version = recipe.newest(STORE)
    manifest = version.manifest
    assert manifest.bytes <= 25_000_000
    assert manifest.architecture == recipe.draft.architecture
    assert manifest.quality, "measure it: python -m training.evaluate"
    assert manifest.domain == DOMAINS[name], "write it: python -m training.evaluate --texts"
    assert DOMAINS[name].keys() == {"en", "ko"}
    assert version.folder.joinpath("MODEL_CARD.md").read_text(encoding="utf8") == card_of(manifest, recipe.card)


@pytest.mark.parametrize("name", RECIPES)
def test_models_page_has_the_numbers_of_the_manifest_and_its_answers(name: str) -> None:
    page = STORE.parent.joinpath("docs/models.md").read_text(encoding="utf8")
    (section,) = re.findall(rf"^## `{name}`\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    manifest = recipe_of(name).newest(STORE).manifest
    for item in manifest.quality:
        assert f"| {item.measure} | {item.value:.4g} | {item.data} |" in section
    answers = section.split("| input | test data | answer |\n|---|---|---|\n")[1].strip().splitlines()
    assert len(answers) == 20
    assert manifest.architecture.describe() in page


@pytest.mark.parametrize(("name", "measure"), FLOORS)
def test_measured_quality_is_above_its_floor(name: str, measure: str) -> None:
    quality = recipe_of(name).newest(STORE).manifest.quality
    assert next(item.value for item in quality if item.measure == measure) >= FLOORS[name, measure]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A wonderful film, I loved every minute of it.", "positive"),
        ("Boring, badly acted and far too long. A waste of money.", "negative"),
        ("정말 재미있어요. 최고의 영화입니다", "positive"),
        ("지루하고 돈이 아깝다. 최악", "negative"),
    ],
)
def test_sentiment_makes_sense(http: httpx.Client, text: str, label: str) -> None:
    (result,) = results_of(http.post("/v1/sentiment", json={"inputs": text}))
    assert result["label"] == label
    assert (result["polarity"] > 0) == (label == "positive")


@pytest.mark.parametrize(
    "text", ["It begins well, but the end is a terrible disappointment.", "재미있을 줄 알았는데 최악"]
)
def test_explanations_follow_the_text(http: httpx.Client, text: str) -> None:
    (result,) = results_of(http.post("/v1/sentiment", json={"inputs": text, "explain": True}))
    explanation = result["explanation"]
    assert explanation["method"] == "one pass"
    positive = [row[1] for row in explanation["probabilities"]]
    assert max(positive[:-1]) > positive[-1] + 0.2
    assert result["label"] == "negative"
    assert explanation["tokens"][-1]["end"] == len(text)


@pytest.mark.parametrize(("text", "letters"), [("This film is one of the", "[a-z]{2}"), ("이 영화는", "[가-힣]")])
def test_language_models_go_on_in_their_language(http: httpx.Client, text: str, letters: str) -> None:
    body = {"inputs": text, "next_tokens": 10, "max_tokens": 12}
    (result,) = results_of(http.post("/v1/complete", json=body))
    assert re.search(letters, result["text"])
    probabilities = [item["probability"] for item in result["next"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0.1 < sum(probabilities) <= 1


def test_translations_are_korean(http: httpx.Client) -> None:
    inputs = ["Save the changes", "The file could not be opened.", "Returns a new list."]
    results = results_of(http.post("/v1/translate", json={"inputs": inputs}))
    assert all(re.search("[가-힣]{2}", result["text"]) for result in results)
    assert all(result["finish_reason"] == "stop" for result in results)
    assert len({result["text"] for result in results}) == 3


def test_captions_are_sentences(http: httpx.Client) -> None:
    image = STORE.parent.joinpath("app/web/static/example.webp").read_bytes()
    (result,) = results_of(http.post("/v1/caption", content=image, headers={"Content-Type": "image/webp"}))
    assert len(result["text"].split()) >= 3
    assert result["finish_reason"] == "stop"


def test_batches_answer_as_one_at_a_time(tmp_path: Path) -> None:
    """60 mixed requests on trained weights get the same tokens as alone."""
    rng = random.Random(3)
    words = ["open", "the", "file", "save", "changes", "in", "a", "new", "window", "selected", "items", "before"]
    keys = tuple(recipe_of(name).newest(STORE).manifest.key for name in ("sentiment-en", "translate-en-ko"))
    shipped = {key: open_shipped(STORE, key) for key in keys}
    work = []
    for _ in range(60):
        key = rng.choice(keys)
        tokenizer: TextTokenizer = shipped[key].tokenizer
        text = " ".join(rng.choices(words, k=rng.randint(1, 25)))
        work.append((key, Tokens(tokenizer.encode(text))))

    async def ask_all(endpoint: str) -> list[list[float] | Decoded]:
        async def ask(key: str, source: Tokens) -> list[float] | Decoded:
            await asyncio.sleep(rng.random() * 0.5)
            if key == keys[0]:
                return (await client.answer(key, source, Label(), Terms())).scores
            return await client.answer(key, source, Decode(40), Terms())

        async with EngineClient([endpoint]) as client:
            await until(lambda: bool(client.view.ready))
            return await asyncio.gather(*(ask(*item) for item in work))

    with engine_in_thread(STORE, tmp_path, slots=16, precision="float32") as endpoint:
        answers = asyncio.run(ask_all(endpoint))
    for (key, source), answer in zip(work, answers, strict=True):
        if isinstance(answer, Decoded):
            [sentence] = answer.hypotheses
            expected = Reference(shipped[key], source, Decode(40)).greedy()
            assert (sentence.tokens, sentence.finish_reason) == (expected.tokens, expected.reason)
        else:
            assert answer == pytest.approx(label_alone(shipped[key], source), abs=1e-5)
