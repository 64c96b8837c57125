"""Each included model has examples out of its test data."""

from pathlib import Path

import pytest

from app.store.model_store import read_store
from app.tasks.registry import BY_NAME
from benchmarks.examples import COUNT, bodies_of
from tests.training.raw_data import write_raw_data


@pytest.fixture(scope="module")
def raw_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_raw_data(folder)
    return folder


def test_each_model_has_examples_with_what_the_test_data_says(raw_data: Path) -> None:
    for version in read_store(Path("model_store")).versions:
        path, rows = bodies_of(version.manifest, raw_data)
        assert path == BY_NAME[version.manifest.task].face.path
        assert 0 < len(rows) <= COUNT, version.manifest.name
        for example, body in rows:
            assert example.reference
            assert body["model"] == version.manifest.name
            assert body["inputs"] == example.value
