"""Bodies of the pipelines token-classification and feature-extraction, for Hugging Face's clients."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, RootModel

from app.api.compat.hugging_face.long_texts import TextToRead, Truncation
from app.api.compat.hugging_face.schemas import HuggingFaceForm, HuggingFaceRequest
from app.api.compat.unsupported import Only
from app.api.options import Inputs
from app.tasks.answers.state_kind import StateOptions
from app.tasks.answers.tag_kind import TagOptions


class TextToTag(TextToRead, TagOptions):
    """Options of a task that labels words."""


class TextToEmbed(TextToRead, StateOptions):
    """Options of a task that returns states."""

    too_long: ClassVar[str] = "split the text, or set truncate to true"


class TokenClassificationParameters(HuggingFaceForm):
    """How words are joined, and which labels are left out."""

    aggregation_strategy: Literal["none", "simple", "first", "average", "max"] | None = Field(
        None,
        description="`none`: each word. All others, and when left out: words with one label together. They are alike, "
        "since the model labels whole words.",
    )
    ignore_labels: Annotated[list[str], Field(max_length=1000)] | None = Field(
        None, description='Labels to leave out; `["O"]` when left out.'
    )
    stride: Annotated[object, Only(instead="a text is read as a whole")] = None
    truncation: Truncation = False


class TokenClassificationRequest(HuggingFaceRequest):
    """Texts whose words to label."""

    inputs: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="A text, whose answer is one list, or a list of texts, whose answer is a list for each."
    )
    parameters: TokenClassificationParameters = TokenClassificationParameters()


class Entity(BaseModel):
    """A word with its label, or words with one label together."""

    entity: str | None = Field(None, description="The label of a word.", examples=["B-PER"])
    entity_group: str | None = Field(None, description="The label of words together.", examples=["PER"])
    score: float = Field(description="Its probability; of several words the mean.", examples=[0.97])
    word: str = Field(description="The characters from `start` to `end`.", examples=["John Smith"])
    start: int = Field(description="The first character, counted from 0.", examples=[0])
    end: int = Field(description="The character after the last.", examples=[10])


class FeatureExtractionRequest(HuggingFaceRequest):
    """Texts to embed. Options are members beside `inputs`, as the client sends them."""

    inputs: Inputs
    normalize: bool | None = Field(None, description="Divide the numbers by their Euclidean norm.")
    truncate: bool | None = Field(None, description="Cut the end of a text that is too long, instead of refusing it.")
    truncation_direction: Annotated[object, Only("right", "Right", instead="the end of a text is cut")] = None
    prompt_name: Annotated[object, Only()] = None
    dimensions: Annotated[object, Only(instead="leave it out; a model has as many dimensions as units")] = None
    encoding_format: Annotated[object, Only("float", instead="use /v1/embeddings for base64")] = None


class Features(RootModel[list[list[float]]]):
    """The states of texts: a list of numbers for each, one for each unit."""
