"""A path prefix, behind proxies that remove it and proxies that keep it."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from unroll_client import Unroll

from app.main import create_app
from app.settings import Settings
from tests.api.operations import ADMIN_KEY
from tests.api.prefixing_proxy import PREFIX, prefixing_proxy
from tests.conftest import running, serving, wait_until_ready


@pytest.fixture(scope="module", params=[True, False], ids=["strips", "keeps"])
def prefixed(request: pytest.FixtureRequest, tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """The address of a service behind a proxy, with the prefix."""
    settings = Settings(store=tiny_store, root_path=PREFIX)
    with serving(create_app(settings, engines=[engine_endpoint])) as service:
        wait_until_ready(service)
        with running(prefixing_proxy(service, strips=request.param)) as proxy:
            yield proxy + PREFIX


def test_each_interface_answers(prefixed: str) -> None:
    for path, body in (
        ("/v1/sentiment", {"inputs": "a"}),
        ("/v1/completions", {"model": "lm-en", "prompt": "a"}),
        ("/hf/text-classification/sentiment-en", {"inputs": "a"}),
        ("/v2/models/lm-en/generate", {"text_input": "a"}),
    ):
        answer = httpx.post(prefixed + path, json=body)
        assert answer.status_code == 200, answer.text
    for path in ("/healthz", "/readyz", "/metrics", "/v1/models", "/v2", "/v2/models/lm-en", "/openapi.json"):
        assert httpx.get(prefixed + path).status_code == 200, path
        assert httpx.head(prefixed + path).status_code == 200, path
    assert 'route="/v1/sentiment"' in httpx.get(f"{prefixed}/metrics").text


def test_the_client_takes_the_prefix(prefixed: str) -> None:
    with Unroll(prefixed) as client:
        assert client.sentiment("a").label in ("negative", "positive")


def links(page: httpx.Response) -> list[str]:
    found = re.findall(r"""(?:href|src)="([^"#]+)"|url: '([^']+)'""", page.text)
    base = re.search('<base href="([^"]+)">', page.text)
    address = urljoin(str(page.url), base[1] if base else "")
    return [urljoin(address, first or second) for first, second in found]


@pytest.mark.parametrize("path", ["", "/", "/docs"])
def test_links_of_pages_stay_within_the_prefix(prefixed: str, path: str) -> None:
    page = httpx.get(prefixed + path)
    assert page.status_code == 200
    assert len(links(page)) > 3
    for link in links(page):
        assert link.startswith(f"{prefixed}/"), link
        assert httpx.get(link).status_code == 200, link


def test_the_document_names_the_prefix(prefixed: str, server: str) -> None:
    assert httpx.get(f"{prefixed}/openapi.json").json()["servers"] == [{"url": PREFIX}]
    assert "servers" not in httpx.get(f"{server}/openapi.json").json()


def test_files_are_files_and_public(tiny_store: Path, engine_endpoint: str) -> None:
    """Keys are asked for what they protect, with and without the prefix."""
    settings = Settings(
        store=tiny_store, root_path=PREFIX, api_keys=SecretStr('{"keys": []}'), admin_key=SecretStr(ADMIN_KEY)
    )
    with serving(create_app(settings, engines=[engine_endpoint])) as service:
        wait_until_ready(service)
        for before in ("", PREFIX):
            page = httpx.get(f"{service}{before}/assets/web/app.js")
            assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")
            assert "default-src 'self'" in page.headers["content-security-policy"]
            for public in ("/", "/docs", "/healthz", "/v2/health/ready"):
                assert httpx.get(f"{service}{before}{public}").status_code == 200
            for path in ("/v1/models", "/metrics"):
                assert httpx.get(f"{service}{before}{path}").status_code == 401
            assert httpx.post(f"{service}{before}/v1/sentiment", json={"inputs": "a"}).status_code == 401
            with_key = {"X-API-Key": ADMIN_KEY}
            answer = httpx.post(f"{service}{before}/v1/sentiment", json={"inputs": "a"}, headers=with_key)
            assert answer.status_code == 200, answer.text
        assert httpx.get(f"{service}{PREFIX}x/v1/models", headers=with_key).status_code == 404
        assert httpx.get(f"{service}{PREFIX}{PREFIX}/v1/models", headers=with_key).status_code == 404


def test_prefixes(tiny_store: Path) -> None:
    for given, kept in (("", ""), ("/", ""), ("/a", "/a"), ("/a/", "/a"), ("/a/b-c_d.e~f", "/a/b-c_d.e~f")):
        assert Settings(root_path=given).root_path == kept
    for wrong in ("a", "a/b", "/a//b", "/a b", "/a?b", "/é", "http://a/b", "/v1", "/v2/"):
        with pytest.raises(ValidationError, match="root_path"):
            Settings(root_path=wrong)
