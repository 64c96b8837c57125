"""Swagger UI at /docs: every example of the tasks runs as it stands, without another host."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.web.conftest import Visit

pytestmark = pytest.mark.browser
TASKS = {"/v1/sentiment", "/v1/caption", "/v1/translate", "/v1/complete"}


COMPATIBLE = {
    "/v1/completions",
    "/hf/text-classification/{model}",
    "/hf/translation/{model}",
    "/hf/image-to-text/{model}",
    "/hf/text-generation/{model}",
}


def operations(visit: Visit, tag: str = "Tasks") -> dict[str, Locator]:
    """The operations under a heading by their path, expanded."""
    section = visit.page.locator(".opblock-tag-section", has=visit.page.locator(f"#operations-tag-{tag}"))
    section.locator(".opblock").first.wait_for()
    found = {}
    for operation in section.locator(".opblock").all():
        operation.locator(".opblock-summary-control").click()
        operation.locator("button.execute").wait_for()
        found[operation.locator(".opblock-summary-path").get_attribute("data-path") or ""] = operation
    return found


def examples(operation: Locator) -> Iterator[str]:
    """Chooses each example of the operation in turn."""
    choice = operation.locator(".opblock-section-request-body .examples-select select")
    if not choice.count():
        yield "the only one"
        return
    for option in choice.locator("option").all():
        value = option.get_attribute("value") or ""
        choice.select_option(value)
        yield value


def execute(visit: Visit, operation: Locator, *, url: str = "**/v1/*", shown: str = '"usage"') -> None:
    """Press Execute; the answer is 200 and is shown."""
    with visit.page.expect_response(url) as response:
        operation.locator("button.execute").click()
    assert response.value.status == 200, response.value.text()
    live = operation.locator(".live-responses-table")
    expect(live.locator("td.response-col_status:not(.col_header)")).to_have_text("200")
    expect(live).to_contain_text(shown)


def test_every_example_of_the_tasks_runs(visit: Visit) -> None:
    visit.go("/docs")
    found = operations(visit)
    assert set(found) == TASKS
    ran = []
    for path, operation in found.items():
        for example in examples(operation):
            execute(visit, operation)
            ran.append((path, example))
    assert {path for path, _ in ran} == TASKS
    assert len(ran) >= 7
    visit.check()


def test_every_example_of_the_compatible_interfaces_runs(visit: Visit) -> None:
    visit.go("/docs")
    found = operations(visit, "Compatible")
    assert set(found) == COMPATIBLE
    for path, operation in found.items():
        url = "**" + path.replace("{model}", "*")
        shown = {"/v1/completions": '"text"', "/hf/text-classification/{model}": '"label"'}.get(path, "_text")
        for _ in examples(operation):
            execute(visit, operation, url=url, shown=shown)
    visit.check()


def test_a_picture_is_uploaded(visit: Visit, picture: Path) -> None:
    visit.go("/docs")
    operation = operations(visit)["/v1/caption"]
    body = operation.locator(".opblock-section-request-body")
    for content_type in ("multipart/form-data", "image/png"):
        body.locator("select.content-type").select_option(content_type)
        body.locator("input[type=file]").set_input_files(picture)
        execute(visit, operation)
    visit.check()
