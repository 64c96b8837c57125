"""Words with their labels on the page: those of the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import serving_store
from tests.web.conftest import Visit, visiting
from tests.web.parts import asked, button, cells, job, percent

pytestmark = pytest.mark.browser
TEXT = "Don't save the file, 서울 👍🏽 café."
WORDS = {"NOUN": "noun", "VERB": "verb", "DET": "determiner", "PUNCT": "punctuation"}  # of labels of the small model
ENTITIES = {"LOC": "place", "PER": "person"}  # and of another


@pytest.fixture(scope="module")
def spans_server(number_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of taggers whose labels mark spans."""
    with serving_store(number_store, tmp_path_factory.mktemp("engine")) as address:
        yield address


@pytest.fixture
def spans_visit(page: Page, spans_server: str) -> Iterator[Visit]:
    with visiting(page, spans_server) as visit:
        yield visit


def tagged(visit: Visit, text: str = TEXT) -> Locator:
    visit.go("/")
    section = job(visit, "Tags")
    section.get_by_label("Text, one per line").fill(text)
    button(section, "Tag").click()
    expect(section.locator(".model").first).to_be_visible()
    return section


def test_each_word_has_the_label_of_the_api(visit: Visit) -> None:
    section = tagged(visit)
    [result] = asked(visit, "/v1/tag", inputs=TEXT, scores=True)
    words = section.get_by_role("toolbar").get_by_role("button")
    expect(words).to_have_text([f"{tag['text']}{WORDS[tag['label']]}" for tag in result["tags"]])
    named = {label: f"{word} ({label})" for label, word in WORDS.items()}
    assert cells(section) == [[tag["text"], named[tag["label"]], percent(tag["score"])] for tag in result["tags"]]
    words.nth(2).focus()
    third = result["tags"][2]
    told = f"“{third['text']}”: {named[third['label']]}, {percent(third['score'])}"
    expect(section.locator(".readout")).to_have_text(told)
    most = sorted(third["scores"].items(), key=lambda item: -item[1])[:5]
    expect(section.locator(".shares li")).to_have_text([f"{named[label]}{percent(share)}" for label, share in most])
    visit.page.keyboard.press("ArrowRight")
    expect(words.nth(3)).to_be_focused()
    expect(section.locator(".readout")).to_contain_text(result["tags"][3]["text"])
    visit.check()


def test_a_mark_stays_with_its_word(visit: Visit) -> None:
    section = tagged(visit, "the file, closed")
    words = section.get_by_role("toolbar").locator(".whole")
    [result] = asked(visit, "/v1/tag", inputs="the file, closed")
    parts = [tag["text"] for tag in result["tags"]]
    assert parts[-2:] == [",", "closed"]
    expect(words.last).to_contain_text("closed")
    expect(words.nth(words.count() - 2)).to_contain_text(",")
    visit.check()


def test_lines_are_texts(visit: Visit) -> None:
    section = tagged(visit, "save the file\n\nthe acting is worse")
    expect(section.locator(".result")).to_have_count(2)
    visit.check()


def test_spans_are_joined(spans_visit: Visit) -> None:
    visit = spans_visit
    section = tagged(visit, "a warm and funny film that i would gladly see again")
    [result] = asked(visit, "/v1/tag", inputs="a warm and funny film that i would gladly see again")
    assert result["spans"], "the text must have spans"
    spans = section.get_by_role("group", name="Spans").get_by_role("button")
    expect(spans).to_have_text(
        [f"{span['text']}{ENTITIES[span['label']]} {percent(span['score'], 0)}" for span in result["spans"]]
    )
    spans.last.click()
    first = result["tags"][result["spans"][-1]["first"]]
    expect(section.locator(".readout")).to_contain_text(f"({first['label']})")
    visit.check()


def test_a_model_is_chosen(spans_visit: Visit) -> None:
    visit = spans_visit
    section = tagged(visit, "save the file")
    section.get_by_label("Model").select_option("tag-crf")
    expect(section.locator(".model")).to_have_text("tag-crf/1")
    visit.check()


def test_views_without_a_model_are_hidden(spans_visit: Visit) -> None:
    visit = spans_visit
    visit.go("/")
    for shown in ("Tags", "Forecast", "Clips"):
        expect(job(visit, shown)).to_be_visible()
        expect(visit.page.get_by_role("link", name=shown, exact=True)).to_be_visible()
    for hidden in ("Sentiment", "Compare", "Caption", "Translate", "Language model"):
        expect(visit.page.get_by_role("link", name=hidden, exact=True)).to_be_hidden()
    for name in ("sentiment", "compare", "caption", "translate", "complete"):
        expect(visit.page.locator(f"#{name}")).to_be_hidden()
    visit.check()
