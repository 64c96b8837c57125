"""Swagger UI at /docs: operations run unchanged, without another host. `tests/api/test_openapi.py` runs all of them
and all examples, not only those that are clicked here."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, expect

from tests.api.conftest import administered
from tests.api.operations import ADMIN_KEY, DOCUMENT, OPERATIONS, Operation
from tests.web.conftest import Visit

__all__ = ["administered"]  # a fixture
pytestmark = pytest.mark.browser
ADMINISTRATION = "Administration"
TAGS = [tag["name"] for tag in DOCUMENT["tags"]]


def form(operation: Operation) -> tuple[object, ...]:
    """What its block of the page is made of: parameters, bodies, a choice of examples, kinds of answers."""
    places = frozenset(parameter["in"] for parameter in operation.parameters)
    answer = operation.described["responses"]["200"].get("content", {})
    return places, frozenset(operation.bodies), len(operation.examples) > 1, frozenset(answer)


# One operation of each form: a click costs seconds. `make fuzz` clicks all of them.
CLICKED = OPERATIONS if "UNROLL_FUZZ_SECONDS" in os.environ else list({form(one): one for one in OPERATIONS}.values())


def authorize(visit: Visit, scheme: str, key: str) -> None:
    """Enter a key in the form that Authorize opens."""
    visit.page.locator(".auth-wrapper .btn.authorize").click()
    form = visit.page.locator(".auth-container", has=visit.page.locator("h4", has_text=scheme))
    form.locator("input").fill(key)
    form.locator("button.authorize").click()
    expect(form.get_by_role("button", name="Remove authorization")).to_be_visible()
    visit.page.locator("button.close-modal").click()


def open_docs(visit: Visit) -> None:
    """Go to the page, and unfold the section that it folds."""
    visit.go("/docs")
    folded = visit.page.locator(".opblock-tag[data-is-open=false]")
    expect(folded).to_have_attribute("data-tag", "Open Inference Protocol")
    folded.locator("button.expand-operation").click()
    expect(folded).to_have_count(0)


def block(visit: Visit, operation: Operation) -> Locator:
    """Its block, expanded."""
    (tag,) = operation.described["tags"]
    found = visit.page.locator(f"#operations-{tag.replace(' ', '_')}-{operation.name}")
    found.locator(".opblock-summary-control").click()
    found.locator("button.execute").wait_for()
    return found


def examples(block: Locator, operation: Operation) -> Iterator[str]:
    """Chooses the first and the last example of the operation, which often is a stream."""
    choice = block.locator(".opblock-section-request-body .examples-select select")
    if len(operation.examples) < 2:
        yield "the only one"
        return
    choice.wait_for()
    options = choice.locator("option").all()
    for value in dict.fromkeys(option.get_attribute("value") or "" for option in (options[0], options[-1])):
        choice.select_option(value)
        yield value


def execute(visit: Visit, operation: Operation, block: Locator) -> None:
    """Press Execute; the answer is 200 and is shown. A stream of pieces may name a model that cannot continue."""
    with visit.page.expect_response(
        lambda answer: answer.url.split("?")[0] == visit.server + operation.url
    ) as response:
        block.locator("button.execute").click()
    status = response.value.status
    if operation.path.endswith("/stream") and status == 422:  # the small model reads in both directions
        assert response.value.json()["type"] == "/problems/no-state"
    else:
        assert status == 200
    live = block.locator(".live-responses-table")
    expect(live.locator("td.response-col_status:not(.col_header)")).to_have_text(str(status))
    expect(live.locator(".response-col_description pre").first).to_contain_text(re.compile(r"\w"))
    if status == 422:
        visit.complaints[:] = [complaint for complaint in visit.complaints if "422" not in complaint]


@pytest.mark.slow  # test_access.py and test_root_path.py run a few operations
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tag", [tag for tag in TAGS if tag != ADMINISTRATION])
def test_operations_of_every_form_run(visit: Visit, tag: str) -> None:
    open_docs(visit)
    for number, operation in enumerate(operation for operation in CLICKED if operation.described["tags"] == [tag]):
        opened = block(visit, operation)
        chosen = list(examples(opened, operation))  # the last one, which often is a stream
        assert len(chosen) == max(1, min(2, len(operation.examples)))
        execute(visit, operation, opened)
        if number == 0 and len(chosen) == 2:
            next(examples(opened, operation))
            execute(visit, operation, opened)
        opened.locator(".opblock-summary-control").click()  # open operations are redrawn all the time
    visit.check()


@pytest.mark.slow  # test_access.py tests pages with a key
def test_an_administrator_shows_a_key(browser: Browser, administered: str, picture: Path) -> None:
    visit = Visit.apart(browser, administered)
    visit.go("/docs")
    authorize(visit, "Bearer", ADMIN_KEY)
    for operation in CLICKED:
        if operation.described["tags"] == [ADMINISTRATION]:
            opened = block(visit, operation)
            next(examples(opened, operation))
            for file in opened.locator(".opblock-section-request-body input[type=file]").all():
                file.set_input_files(picture)
            execute(visit, operation, opened)
    visit.check()
    visit.close()


@pytest.mark.slow  # test_access.py and test_root_path.py open Swagger UI, which takes three seconds of processor time
def test_operations_stand_in_the_order_of_the_document(visit: Visit) -> None:
    open_docs(visit)
    page = visit.page
    assert [item.get_attribute("data-tag") for item in page.locator("h3.opblock-tag").all()] == TAGS
    shown = [item.get_attribute("data-path") for item in page.locator(".opblock-summary-path").all()]
    assert shown == [item.path for tag in TAGS for item in OPERATIONS if item.described["tags"] == [tag]]
    visit.check()


@pytest.mark.slow
def test_a_picture_is_uploaded(visit: Visit, picture: Path) -> None:
    visit.go("/docs")
    (caption,) = [operation for operation in OPERATIONS if operation.name == "caption"]
    opened = block(visit, caption)
    body = opened.locator(".opblock-section-request-body")
    for content_type in ("multipart/form-data", "image/png"):
        body.locator("select.content-type").select_option(content_type)
        body.locator("input[type=file]").set_input_files(picture)
        execute(visit, caption, opened)
    visit.check()


def assert_accessible(visit: Visit) -> None:
    """Names of controls, levels of headings and contrast, by axe-core."""
    violations = Axe().run(visit.page).response["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in violations] == []


@pytest.mark.slow
def test_axe_finds_nothing(visit: Visit) -> None:
    """In an operation of each form, in answers, and in the form of a key."""
    open_docs(visit)
    operations = {operation.name: operation for operation in OPERATIONS}
    for name in ("caption", "classify_pieces", "load_model", "metrics"):
        opened = block(visit, operations[name])
        opened.locator(".responses-table").first.wait_for()
        assert_accessible(visit)
        opened.locator(".opblock-summary-control").click()
    for name in ("sentiment", "list_models"):
        execute(visit, operations[name], block(visit, operations[name]))
    assert_accessible(visit)
    visit.page.locator(".auth-wrapper .btn.authorize").click()
    expect(visit.page.locator(".auth-container").first).to_be_visible()
    assert_accessible(visit)
