"""Classification: a text, a series or a clip to a label."""

import base64
from importlib.resources import files

from app.tasks.answers.label_kind import LabelKind, LabelOptions
from app.tasks.options import TextOptions
from app.tasks.sources.frames import FramesSource
from app.tasks.sources.one_of import OneOf
from app.tasks.sources.series import SeriesSource
from app.tasks.sources.text import TextSource
from app.tasks.states.options import CarryOptions
from app.tasks.task import Face, Task

EXAMPLE_CLIP = base64.b64encode(files("app.web").joinpath("static/example-clip.webp").read_bytes()).decode()


class ClassificationOptions(LabelOptions, TextOptions, CarryOptions):
    """How labels are explained, and how texts are read."""


CLASSIFICATION = Task(
    name="classification",
    source=OneOf(TextSource(whole=True), FramesSource(), SeriesSource()),
    answer=LabelKind(),
    options=ClassificationOptions,
    any_model=True,
    face=Face(
        path="/v1/classify",
        summary="Classify a text, a series or a clip",
        description="""Reads each input with a recurrent network and answers with the most probable label and the
probability of each. Every model with labels can be named, also those of `/v1/sentiment`.

Inputs are texts; series, as in `/v1/forecast`; or clips: images in base64 in a list, or one animated GIF or WebP, each
best in an object with the member `frames`. A clip is sampled to the number of frames of the model: the image that is
shown in the middle of each of as many equal spans of time. The named model says what the inputs are; without `model`
their form does: strings are texts, objects with `frames` are clips, anything else is a series.

A multipart form sends the images of one clip in the field `frames`, or one animated file; an image file or a `text/csv`
body is one input.
""",
        inputs="Texts, series or clips to label. The named model says which; without it their form does.",
        results="A result for each input, in the same order",
        examples={
            "text": {
                "summary": "A text",
                "value": {"inputs": "A warm, funny film that I would gladly see again.", "model": "sentiment-en"},
            },
            "texts": {
                "summary": "Texts in two languages",
                "value": {"inputs": ["The acting is awful.", "정말 재미있게 봤어요. 강력 추천합니다!"]},
            },
            "clip": {
                "summary": "A clip of six frames, an animated WebP in base64, with the label after each frame",
                "value": {"inputs": {"frames": EXAMPLE_CLIP}, "explain": True},
            },
            "explained": {
                "summary": "The label after each token",
                "value": {
                    "inputs": "It begins well, but the end is a disappointment.",
                    "model": "sentiment-en",
                    "explain": True,
                },
            },
        },
    ),
)
