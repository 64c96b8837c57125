"""Inputs of the included models for `benchmarks.models`."""

from pathlib import Path

import pytest

from app.tasks.registry import BY_NAME
from benchmarks.model_inputs import COUNT, inputs_of
from tests.training.raw_data import write_raw_data
from training.evaluate import RECIPES, recipe_of


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_raw_data(folder)
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_each_model_has_inputs_for_the_route_of_its_task(name: str, data: Path) -> None:
    draft = recipe_of(name).draft
    path, inputs = inputs_of(draft, data)
    assert path == BY_NAME[draft.task].face.path
    assert 1 <= len(inputs) <= COUNT
    assert len({shown for shown, _ in inputs}) == len(inputs)
    assert all(body["model"] == name for _, body in inputs)
