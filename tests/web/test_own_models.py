"""Models that somebody imported: a classifier of texts with its own labels, and a choice of the model of a task."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.conftest import serving_store
from tests.tiny_kinds import kind_drafts
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer
from tests.web.conftest import Visit
from tests.web.parts import asked, button, job, percent

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of one classifier of texts, two models that translate, and a Korean language model."""
    folder = tmp_path_factory.mktemp("own")
    store, tokenizer = folder / "store", tiny_tokenizer(folder)
    translator = next(draft for draft in drafts() if draft.task == "translation")
    publish_tiny(next(draft for draft in kind_drafts() if draft.name == "classify-keras"), store, tokenizer)
    publish_tiny(translator, store, tokenizer)
    publish_tiny(next(draft for draft in drafts() if draft.name == "lm-ko"), store, tokenizer)
    publish_tiny(translator.model_copy(update={"name": "my-own", "default": False}), store, tokenizer, seed=1)
    with serving_store(store, folder) as address:
        yield address


def test_a_classifier_of_texts_shows_its_labels(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Labels of texts")
    expect(section.get_by_label("Model").locator("option")).to_have_text(["classify-keras"])
    expect(visit.page.get_by_role("navigation", name="Sections").get_by_role("link", name="Labels")).to_be_visible()
    section.get_by_label("Text", exact=True).fill("save the file")  # the manifest names no language
    button(section, "Analyse").click()
    [result] = asked(visit, "/v1/classify", inputs="save the file", model="classify-keras")
    expect(section.locator(".verdict .label")).to_have_text(result["label"])
    expect(section.locator(".facts").first).to_contain_text(percent(result["score"]))
    expect(section.locator(".facts .model")).to_have_text("classify-keras/1")
    visit.check()


def test_a_model_of_a_task_is_chosen(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Translate")
    section.get_by_label("Model").select_option("my-own")
    button(section, "Translate").click()
    expect(section.locator(".facts .model").first).to_have_text("my-own/1")
    expect(job(visit, "Tags")).to_be_hidden()
    visit.check()


def test_texts_are_offered_in_the_languages_that_models_read(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Language model")
    expect(section.get_by_role("textbox").first).to_have_value("오늘은 날씨가 정말")
    expect(section.locator(".example[lang=ko]").first).to_be_visible()
    expect(section.locator(".example[lang=en]").first).to_be_hidden()
    visit.check()
