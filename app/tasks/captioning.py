"""Captioning: an image to a sentence about it."""

import base64
from importlib.resources import files

from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.replayed import ReplayOptions
from app.tasks.answers.token_kind import TokenKind
from app.tasks.sources.image import ImageSource
from app.tasks.task import Face, Task

EXAMPLE_IMAGE = base64.b64encode(files("app.web").joinpath("static/example.webp").read_bytes()).decode()


class CaptioningOptions(DecodingOptions, ReplayOptions):
    """Decoding options, and whether the answer is explained."""


CAPTIONING = Task(
    name="captioning",
    source=ImageSource(),
    answer=TokenKind(),
    options=CaptioningOptions,
    face=Face(
        path="/v1/caption",
        summary="Describe an image",
        description="""Describes each image in an English sentence: greedily, with beam search (`beams`) or drawn at
random (`temperature`). With `stream` the answer comes as server-sent events during decoding.
""",
        inputs="Images to describe.",
        results="A sentence about each image, in the same order",
        examples={
            "photo": {"summary": "An image in base64", "value": {"inputs": EXAMPLE_IMAGE}},
            "beams": {
                "summary": "Beam search, the two best",
                "value": {"inputs": EXAMPLE_IMAGE, "beams": 4, "n_best": 2},
            },
            "drawn": {
                "summary": "Drawn at random; the seed repeats the draw",
                "value": {"inputs": EXAMPLE_IMAGE, "temperature": 0.7, "top_k": 20, "seed": 7},
            },
            "explained": {
                "summary": "The attention of each word over the image",
                "value": {"inputs": EXAMPLE_IMAGE, "logprobs": 1, "attention": True, "max_tokens": 4},
            },
            "streamed": {"summary": "As server-sent events", "value": {"inputs": EXAMPLE_IMAGE, "stream": True}},
        },
    ),
)
