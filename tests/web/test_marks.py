"""What the page says of a model beforehand, and of an answer that it is unsure of; the choice of a register."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.store.confidence import Confidence, Curve
from app.store.registers import Registers
from tests.conftest import serving_store
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer
from tests.web.conftest import visiting
from tests.web.parts import asked, button, job, percent

pytestmark = pytest.mark.browser

DOMAIN = {"en": "For short sentences alone.", "ko": "짧은 문장만을 위한 모델입니다."}
OTHER = {"en": "For long texts alone."}
TEXT = "save the file"
INCLUDED = "Korean sentiment: negative or positive, trained on film reviews."
IN_KOREAN = "한국어 감성 분석: 부정 또는 긍정. 영화평으로 학습했습니다."


def _confidence(unsure_below: float) -> Confidence:
    curve = Curve(points=((-9, 0.2), (0, 0.7)), answers=10, held_out=10, error=0.1)
    return Confidence(acceptable="x", unsure_below=unsure_below, greedy=curve, command="y", measured=date(2026, 1, 1))


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a translator that is never sure and takes registers, and one that always is and takes none."""
    folder: Path = tmp_path_factory.mktemp("marks")
    tokenizer = tiny_tokenizer(folder)
    (draft,) = [draft for draft in drafts() if draft.task == "translation"]
    registers = Registers(tokens={"polite": 300, "plain": 301})
    unsure = {"domain": DOMAIN, "confidence": _confidence(0.99), "registers": registers}
    sure = {"name": "surer", "default": False, "domain": OTHER, "confidence": _confidence(0.01), "registers": None}
    sure["description"] = INCLUDED
    for members in (unsure, sure):
        publish_tiny(draft.model_copy(update=members), folder / "store", tokenizer)
    with serving_store(folder / "store", folder) as address:
        yield address


def test_the_domain_stands_beside_the_input_in_the_language_of_the_page(page: Page, marked: str) -> None:
    with visiting(page, marked) as visit:
        visit.go("/")
        note = job(visit, "Translate").locator("form .domain")
        expect(note).to_have_text(DOMAIN["en"])
        visit.page.get_by_role("button", name="한국어").click()
        note = job(visit, "번역").locator("form .domain")
        expect(note).to_have_text(DOMAIN["ko"])
        job(visit, "번역").get_by_label("모델").select_option("surer")
        expect(note).to_have_text(OTHER["en"])  # it has no Korean one
        visit.check()


def test_the_description_of_an_included_model_is_in_the_language_of_the_page(page: Page, marked: str) -> None:
    with visiting(page, marked) as visit:
        visit.go("/")
        expect(visit.page.locator("#models").get_by_text(INCLUDED)).to_have_attribute("lang", "en")
        visit.page.get_by_role("button", name="한국어").click()
        expect(visit.page.locator("#models").get_by_text(IN_KOREAN)).to_be_visible()
        visit.check()


def test_an_answer_that_the_model_is_unsure_of_is_marked(page: Page, marked: str) -> None:
    with visiting(page, marked) as visit:
        visit.go("/")
        section = job(visit, "Translate")
        section.get_by_role("textbox").fill(TEXT)
        for model, count in (("", 1), ("surer", 0)):
            section.get_by_label("Model").select_option(model)
            button(section, "Translate").click()
            expect(section.locator(".model")).to_have_text(f"{model or 'translate-en-ko'}/1")
            [result] = asked(visit, "/v1/translate", inputs=TEXT, **({"model": model} if model else {}))
            expect(section.locator(".facts")).to_contain_text(f"confidence {percent(result['confidence'], 0)}")
            expect(section.locator(".facts .unsure")).to_have_count(count)
        visit.check()


def test_a_register_is_chosen_where_the_model_takes_it(page: Page, marked: str) -> None:
    with visiting(page, marked) as visit:
        visit.go("/")
        section = job(visit, "Translate")
        section.get_by_role("textbox").fill(TEXT)
        register = section.get_by_label("Register")
        expect(register.locator("option")).to_have_text(["the model's choice", "polite (해요체)", "plain (한다체)"])
        register.select_option("plain")
        button(section, "Translate").click()
        expect(section.locator(".clock")).to_contain_text("answered in")
        [result] = asked(visit, "/v1/translate", inputs=TEXT, register="plain")
        expect(section.locator(".sentence")).to_have_text(result["text"].strip() or "(empty output)")
        expect(section.locator("code").first).to_contain_text('"register": "plain"')
        section.get_by_label("Model").select_option("surer")
        expect(register).to_have_count(0)
        expect(section.locator("code").first).not_to_contain_text("register")
        visit.check()
