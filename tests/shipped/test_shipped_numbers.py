"""The shipped models of numbers, frames and tags are better than their baselines, and give sensible answers."""

import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from app.models.networks import Classifier, Tagger
from app.store.training_facts import Quality
from tests.shipped.conftest import STORE
from training.classify_digits_motion import prefix_logits
from training.evaluate import recipe_of
from training.moving_digits import DIRECTIONS, FRAMES, SIZE
from training.recipe import Shipped, load_shipped
from training.tag_en import tags_of
from training.weather import HORIZON, TARGETS

BASELINES = ("persistence", "climatology", "linear regression")


def figures(name: str) -> dict[str, float]:
    quality: tuple[Quality, ...] = recipe_of(name).newest(STORE).manifest.quality
    return {item.measure: item.value for item in quality}


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("target", TARGETS)
def test_the_weather_is_forecast_better_than_by_a_baseline(target: str, baseline: str) -> None:
    error = figures("forecast-weather")
    measure = f"mean absolute error of {target}"
    assert error[measure] < error[f"{measure} by {baseline}"]
    card = recipe_of("forecast-weather").newest(STORE).folder.joinpath("MODEL_CARD.md").read_text(encoding="utf8")
    assert f"| {measure} by {baseline} |" in card


def test_each_day_ahead_is_harder() -> None:
    error = figures("forecast-weather")
    days = [error[f"mean absolute error of temp_max, day {day}"] for day in range(1, HORIZON + 1)]
    assert days == sorted(days)


def test_motion_needs_the_order_of_the_frames() -> None:
    accuracy = figures("classify-digits-motion")
    assert accuracy["accuracy"] >= 0.98
    assert accuracy["accuracy, frames in random order"] < 2 * accuracy["chance"]
    assert accuracy["accuracy, last frame alone"] < 2 * accuracy["chance"]
    assert accuracy["accuracy after 1 frame"] < 0.5 < accuracy["accuracy after 2 frames"]


def test_tags_are_better_than_the_most_frequent_ones() -> None:
    accuracy = figures("tag-en")
    assert accuracy["accuracy"] >= 0.93 > accuracy["accuracy by the most frequent tag of each word"]


@pytest.fixture(scope="module")
def motion() -> Shipped:
    return load_shipped(recipe_of("classify-digits-motion").newest(STORE))


def letters(direction: str, *, ink: str = "white", ground: str = "black") -> Tensor:
    """A letter, which no clip of training had, on its way: uint8 (6, 32, 32, 3)."""
    down, right = DIRECTIONS[direction]
    frames = []
    for step in range(FRAMES):
        frame = Image.new("RGB", (SIZE, SIZE), ground)
        place = (10 + 3 * right * (step - 2.5), 8 + 3 * down * (step - 2.5))
        ImageDraw.Draw(frame).text(place, "A", ink, ImageFont.load_default(16))
        frames.append(torch.frombuffer(bytearray(frame.tobytes()), dtype=torch.uint8).view(SIZE, SIZE, 3))
    return torch.stack(frames)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_letter_moves_as_it_is_drawn(motion: Shipped, direction: str) -> None:
    network = motion.network
    assert isinstance(network, Classifier)
    clips = torch.stack([letters(direction), letters(direction, ink="navy", ground="ivory")])
    with torch.inference_mode():
        shares = prefix_logits(network, clips).softmax(2)
    label = list(DIRECTIONS).index(direction)
    assert shares[:, -1].argmax(1).tolist() == [label, label]
    assert shares[:, 0].max() < 0.6  # nothing has moved yet: a place near a side is all it knows
    assert shares[:, -1, label].min() > 0.9


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("She saw a saw .", "PRON VERB DET NOUN PUNCT"),
        ("I did n't like that book", "PRON AUX PART VERB DET NOUN"),
        ("They can fish in the river , can n't they ?", "PRON AUX VERB ADP DET NOUN PUNCT AUX PART PRON PUNCT"),
        ("Two brillig toves were gimbling in Zurich !", "NUM ADJ NOUN AUX VERB ADP PROPN PUNCT"),
    ],
)
def test_words_get_their_part_of_speech(text: str, tags: str) -> None:
    shipped = load_shipped(recipe_of("tag-en").newest(STORE))
    assert isinstance(shipped.network, Tagger)
    with torch.inference_mode():
        (labels,) = tags_of(shipped.network, [shipped.tokenizer.encode(text)])
    last = {piece.end: label for piece, label in zip(shipped.tokenizer.pieces(text), labels, strict=True)}
    ends = [place for place, letter in enumerate(text + " ") if letter == " "]
    assert [shipped.manifest.labels[last[end]] for end in ends] == tags.split()
