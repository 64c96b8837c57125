"""Parts of the page, found as a person finds them."""

from asyncio import sleep
from typing import Any

import httpx
from playwright.sync_api import Locator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


def slowly(app: ASGIApp, piece: int, seconds: float) -> ASGIApp:
    """The app behind a slow link: each `piece` of bytes of an event stream takes this time."""

    async def relayed(scope: Scope, receive: Receive, send: Send) -> None:
        is_stream = False

        async def wait_and_send(message: Message) -> None:
            nonlocal is_stream
            is_stream |= any(value.startswith(b"text/event-stream") for _, value in message.get("headers", []))
            body = message.get("body", b"")
            while is_stream and body:
                await sleep(seconds)
                await send({"type": message["type"], "body": body[:piece], "more_body": True})
                body = body[piece:]
            await send({**message, "body": body} if "body" in message else message)

        await app(scope, receive, wait_and_send)

    return relayed
