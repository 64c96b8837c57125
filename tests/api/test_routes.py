"""The routing table: paths with variables, and the first route that matches."""

import pytest

from app.api.routes import Match, Route, Routes

ROUTES = {
    path: Route(path)
    for path in (
        "/a",
        "/a/{x}",
        "/a/{x}/run",
        "/a/{x}/of/{y}/run",
        "/a/{x}/of/{y}/stop",
        "/b",
        "/b/{x}/c",
        "/b/{rest:path}",
    )
}
TABLE = Routes(ROUTES.values())


@pytest.mark.parametrize(
    ("path", "written", "parameters"),
    [
        ("/a", "/a", {}),
        ("/a/1", "/a/{x}", {"x": "1"}),
        ("/a/1/run", "/a/{x}/run", {"x": "1"}),
        ("/a/1/of/2/run", "/a/{x}/of/{y}/run", {"x": "1", "y": "2"}),
        ("/a/1/of/2/stop", "/a/{x}/of/{y}/stop", {"x": "1", "y": "2"}),
        ("/b/1/c", "/b/{x}/c", {"x": "1"}),
        ("/b/anything/at/all", "/b/{rest:path}", {"rest": "anything/at/all"}),
        ("/b/", "/b/{rest:path}", {"rest": ""}),
    ],
)
def test_a_path_matches_with_its_variables(path: str, written: str, parameters: dict[str, str]) -> None:
    assert TABLE.match(path) == Match(ROUTES[written], parameters)


@pytest.mark.parametrize(
    "path", ["", "/", "a", "/a/", "/a//run", "/a/1/walk", "/a/1/run/2", "/c", "/bb", "/a/1/of//run"]
)
def test_other_paths_do_not(path: str) -> None:
    assert TABLE.match(path) is None
