"""Rules that join the network of a forecast and the description of its series."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.store.image_input import ImageInput
from app.store.manifest import Manifest
from app.store.scaling import MinMax, Standard
from app.store.series_input import Feature, SeriesInput
from tests.tiny_numbers import number_drafts

DRAFTS = {draft.name: draft for draft in number_drafts()}
OTHER = Feature(name="temperature", scaling=MinMax(minimum=0, maximum=1))


def changed(name: str, **members: Any) -> dict[str, Any]:
    """A manifest with other members of `series`."""
    manifest = DRAFTS[name].model_dump()
    manifest["series"] |= members
    return manifest


@pytest.mark.parametrize("name", DRAFTS)
def test_the_drafts_are_valid(name: str) -> None:
    assert Manifest.model_validate(changed(name) if DRAFTS[name].series else DRAFTS[name].model_dump()) == DRAFTS[name]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (
            changed(
                "forecast-state", targets=list(reversed(DRAFTS["forecast-state"].model_dump()["series"]["targets"]))
            ),
            "order",
        ),
        (changed("forecast-window", targets=[OTHER.model_dump()]), "names, scaling and order"),
        (changed("forecast-window", window=None, pad="refuse"), "feedback 'window' needs series.window"),
        (changed("forecast-decoder", targets=[OTHER.model_dump()]), "with the same scaling"),
        (changed("forecast-window", pad="right"), "series.pad 'right' puts padding"),
        (changed("forecast-state", window=6, pad="right"), "series.pad 'right' puts padding"),
        (changed("forecast-decoder", window=6, pad="right"), "series.pad 'right' puts padding"),
        (changed("forecast-tiny", targets=[OTHER.model_dump()]), "2 targets; name as many"),
    ],
)
def test_a_row_that_is_fed_back_is_a_row_of_the_series(manifest: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Manifest.model_validate(manifest)


@pytest.mark.parametrize("pad", ["left", "right"])
def test_other_forecasters_may_be_padded_on_either_side(pad: str) -> None:
    zeros = changed("forecast-decoder", window=6, pad=pad)
    zeros["architecture"]["decoder"]["first_input"] = "zeros"
    Manifest.model_validate(zeros)
    Manifest.model_validate(changed("forecast-tiny", pad=pad))


@pytest.mark.parametrize(
    "unread",
    [
        {"pooling": ["max"]},
        {"pooling": ["last", "mean"]},
        {"encoder": {"branch": [{"kind": "plain", "width": 3, "kernels": [3]}]}},
    ],
)
def test_a_forecaster_with_a_decoder_has_no_part_that_it_does_not_read(unread: dict[str, Any]) -> None:
    manifest = changed("forecast-decoder")
    encoder = manifest["architecture"]["encoder"] | unread.get("encoder", {})
    manifest["architecture"] |= unread | {"encoder": encoder}
    with pytest.raises(ValidationError, match="no pooling, no branch"):
        Manifest.model_validate(manifest)


@pytest.mark.parametrize(
    "scaling",
    [
        MinMax(minimum=-8e307, maximum=8e307).model_dump(),
        MinMax(minimum=1e-40, maximum=2e-40).model_dump(),
        Standard(mean=1e300, std=1e-290).model_dump(),
        Standard(mean=0, std=6.6e-34).model_dump(),
    ],
)
def test_a_scaling_may_be_of_any_magnitude(scaling: dict[str, Any]) -> None:
    Feature.model_validate({"name": "f", "scaling": scaling})


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({"method": "min-max", "minimum": -1.7e308, "maximum": 1.7e308}, "must be finite"),
        ({"method": "min-max", "minimum": 0, "maximum": 1, "low": 1, "high": 1e308}, "less than or equal to 30{38}"),
        ({"method": "min-max", "minimum": 0, "maximum": 1e-300, "low": 0, "high": 3e38}, "must be finite"),
        ({"method": "min-max", "minimum": 0, "maximum": 1e308, "low": 3e37, "high": 3.0000000001e37}, "must be finite"),
        ({"method": "standard", "mean": 0, "std": 5e-324}, "must be finite, the second positive"),
    ],
)
def test_a_scaling_that_overflows_or_vanishes_is_refused(scaling: dict[str, Any], words: str) -> None:
    """No request of the version could be answered."""
    with pytest.raises(ValidationError, match=words):
        Feature.model_validate({"name": "f", "scaling": scaling})


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"pad_value": 1e39}, "less than or equal to 30{38}"),
        ({"window": 10_000, "features": [{"name": str(number)} for number in range(401)]}, "more than 4,000,000"),
    ],
)
def test_a_window_is_numbers_that_a_network_can_read(members: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SeriesInput.model_validate(DRAFTS["forecast-window"].model_dump()["series"] | members)


@pytest.mark.parametrize("members", [{"std": (1e-40, 1, 1)}, {"std": (1e39, 1, 1)}, {"mean": (1e39, 0, 0)}])
def test_colours_are_normalised_in_float32(members: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="than or equal to"):
        ImageInput.model_validate({"mean": (0, 0, 0), "std": (1, 1, 1)} | members)
