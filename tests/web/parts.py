"""Parts of the page, found as a person finds them."""

from typing import Any

import httpx
from playwright.sync_api import Locator

from tests.web.conftest import Visit


def job(visit: Visit, name: str) -> Locator:
    """The section under a heading."""
    return visit.page.get_by_role("region", name=name, exact=True)


def button(place: Locator, name: str) -> Locator:
    """The button with a name."""
    return place.get_by_role("button", name=name, exact=True)


def cells(place: Locator, summary: str = "Numbers as a table") -> list[list[str]]:
    """The rows of a table that opens by its summary, without heads."""
    place.get_by_text(summary).first.click()
    table = place.get_by_role("table").first
    table.wait_for()
    rows: list[list[str]] = table.evaluate(
        "table => [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return rows


def asked(visit: Visit, path: str, **members: Any) -> list[dict[str, Any]]:
    """The response of the API."""
    answer = httpx.post(visit.server + path, json=members)
    results: list[dict[str, Any]] = answer.raise_for_status().json()["results"]
    return results


def percent(share: float, digits: int = 1) -> str:
    """A share in the format of the page."""
    return f"{share * 100:.{digits}f}%"
