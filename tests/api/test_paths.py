"""Paths with variables, looked up before any routing."""

import pytest

from app.api.paths import Paths

PATHS = Paths(
    {
        path: path
        for path in ("/a", "/a/{x}", "/a/{x}/run", "/a/{x}/of/{y}/run", "/a/{x}/of/{y}/stop", "/b", "/b/**", "/b/{x}/c")
    }
)


@pytest.mark.parametrize(
    ("path", "written", "parameters"),
    [
        ("/a", "/a", {}),
        ("/a/1", "/a/{x}", {"x": "1"}),
        ("/a/1/run", "/a/{x}/run", {"x": "1"}),
        ("/a/1/of/2/run", "/a/{x}/of/{y}/run", {"x": "1", "y": "2"}),
        ("/a/1/of/2/stop", "/a/{x}/of/{y}/stop", {"x": "1", "y": "2"}),
        ("/b/1/c", "/b/{x}/c", {"x": "1"}),
        ("/b/anything/at/all", "/b/**", {}),
        ("/b/", "/b/**", {}),
    ],
)
def test_path_is_found_with_its_variables(path: str, written: str, parameters: dict[str, str]) -> None:
    found = PATHS.find(path)
    assert found == (written, written, parameters)


@pytest.mark.parametrize(
    "path", ["", "/", "a", "/a/", "/a//run", "/a/1/walk", "/a/1/run/2", "/c", "/bb", "/a/1/of//run"]
)
def test_other_paths_are_not(path: str) -> None:
    assert PATHS.find(path) is None
