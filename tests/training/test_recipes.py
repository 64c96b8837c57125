"""Every recipe runs on little raw data, up to a version in a store and its measurement."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from app.store.model_store import open_version
from tests.training.raw_data import write_raw_data
from training.curves import CURVE
from training.domains import DOMAINS
from training.evaluate import RECIPES, recipe_of

_SHORT = {"lm-en", "sentiment-en", "translate-en-ko", "forecast-weather", "tag-en"}  # the others take long


@pytest.fixture(scope="module")
def raw_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_raw_data(folder)
    return folder


@pytest.mark.parametrize(
    "name", [name if name in _SHORT else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES]
)
def test_recipe_runs_from_raw_data_to_the_store(name: str, raw_data: Path, tmp_path: Path) -> None:
    recipe = recipe_of(name)
    options = ["--data", str(raw_data), "--runs", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    ran = CliRunner().invoke(recipe.command(), [*options, "--epochs", "1", "--threads", "1"])
    assert ran.exit_code == 0, ran.output
    version = open_version(tmp_path / "store" / name / "1")
    assert version.manifest.architecture == recipe.draft.architecture
    assert CURVE in version.manifest.files
    confidence = recipe.calibrate(raw_data, tmp_path / "store") if recipe.calibration is not None else None
    manifest = recipe.evaluate(raw_data, tmp_path / "store")
    shipped = recipe.newest(Path("model_store")).manifest.quality
    assert manifest.quality
    assert {item.measure for item in manifest.quality} <= {item.measure for item in shipped}  # few rows lack a source
    card = version.folder.joinpath("MODEL_CARD.md").read_text(encoding="utf8")
    assert all(item.measure in card for item in manifest.quality)
    assert CURVE in card
    assert manifest.confidence == confidence
    assert (confidence is not None) == ("## Confidence" in card)
    assert manifest.domain == DOMAINS[name]
    assert all(text in card for text in DOMAINS[name].values())
    assert recipe.publish(tmp_path / "runs" / name, tmp_path / "store").name == "2"
