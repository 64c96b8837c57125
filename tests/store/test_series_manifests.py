"""Rules that join the network of a forecast and the description of its series."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.store.manifest import Feature, Manifest, MinMax
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
