"""Errors and their kinds: each has a status and an explanation."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from app import errors
from app.api.problems import ALL_KINDS, KINDS, Kind, problem_response

DOCUMENT = Path(__file__).parents[2] / "docs" / "api" / "errors.md"


_NOT_OF_REQUESTS = (
    errors.StoreError,
    errors.ImportFailed,
    errors.ExportFailed,
    errors.VersionExists,
    errors.InvalidAccess,
    errors.NoTemporaryFolder,
)


def subclasses(error: type[errors.UnrollError]) -> Iterator[type[errors.UnrollError]]:
    """All errors, except those of the store (/readyz reports them), of `unroll import` and `unroll export`, and of
    the start: no request raises them."""
    for below in error.__subclasses__():
        if below not in _NOT_OF_REQUESTS:
            yield below
            yield from subclasses(below)


@pytest.mark.parametrize("error", list(subclasses(errors.UnrollError)))
def test_every_error_has_a_kind(error: type[errors.UnrollError]) -> None:
    assert error in KINDS


def test_there_are_errors_to_walk() -> None:
    assert {errors.InputError, errors.EmptyInput, errors.EngineFailed} <= set(subclasses(errors.UnrollError))


def test_slugs_and_titles_are_unique() -> None:
    for names in ([kind.slug for kind in ALL_KINDS], [kind.title for kind in ALL_KINDS]):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.slug)
def test_kind_is_an_error_of_http(kind: Kind) -> None:
    assert HTTPStatus(kind.status) >= HTTPStatus.BAD_REQUEST
    retried = kind.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    assert kind.retry_after is None or retried


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.slug)
def test_kind_is_documented(kind: Kind) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if f"`{kind.slug}`" in line or f"/problems/{kind.slug}`" in line]
    assert any(str(kind.status) in line for line in lines), f"{DOCUMENT.name} explains no {kind.status} `{kind.slug}`"


def test_response_carries_kind_detail_and_facts() -> None:
    response = problem_response(Kind(429, "overloaded", "Too many", retry_after=3), "wait", limit=5)
    assert response.status_code == 429
    assert response.media_type == "application/problem+json"
    assert response.headers["Retry-After"] == "3"
    assert response.headers["Content-Type"] == "application/problem+json"
