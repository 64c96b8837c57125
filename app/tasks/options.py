"""Options that tasks share: members of a request beside its inputs. Answer kinds and tasks add their own."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from app.errors import ContradictoryOptions
from app.store.registers import Register
from app.store.series_input import SeriesInput
from app.tasks.request_form import RequestForm

_UNIT = 6  # steps of a window of a model that reads any number of steps

LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", description="ISO 639 code of a language.")]


class TaskOptions(RequestForm):
    """Base of the options of every task. `too_long` advises about a text that is too long, in options of the route."""

    too_long: ClassVar[str] = "split the text"


class LanguagePair(TaskOptions):
    """Languages, which choose the default model."""

    source: LanguageCode | None = Field(None, description="Language of the inputs; `en` when left out.")
    target: LanguageCode | None = Field(None, description="Language to translate to; `ko` when left out.")


class TextOptions(TaskOptions):
    """Options of tasks that read texts."""

    too_long: ClassVar[str] = "split the text, or set truncate to true"

    truncate: bool = Field(
        False,
        description="Cut a text with too many characters or tokens, or each such sentence that is read on its own, "
        "instead of refusing it: its end is left out; of a text to continue, its beginning.",
    )


class SentenceOptions(TextOptions):
    """Options of tasks whose models may read single sentences."""

    split_sentences: bool | None = Field(
        None,
        description="Read each sentence and line of a text on its own, and join the answers as the text was joined. "
        "The model's own when left out.",
    )


class RegisterOptions(TaskOptions):
    """Options of tasks whose models may write in several registers."""

    register_name: Register | None = Field(  # the metaclass of pydantic's models has a method `register`
        None,
        alias="register",
        description="How polite the answer is, for models that take it. In Korean `polite` is 해요체, `formal` "
        "합쇼체, `plain` 한다체, `casual` 반말. The model's own when left out.",
    )


class WindowOptions(TaskOptions):
    """Options of tasks that answer each window of a series."""

    windows: bool = Field(
        False,
        description="Cut the series into windows as long as the model's (6 steps if it reads any number), and answer "
        "each: a backtest over past data.",
    )
    stride: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="With `windows`: steps between the first rows of two windows; the window when left out."
    )

    @model_validator(mode="after")
    def _stride_is_of_windows(self) -> Self:
        if self.stride is not None and not self.windows:
            raise ContradictoryOptions(
                "stride needs windows; set windows to true as well", options=["stride", "windows"]
            )
        return self

    @staticmethod
    def unit(series: SeriesInput) -> int:
        """Steps of a window."""
        return series.window or _UNIT

    def step(self, series: SeriesInput) -> int:
        """Steps between two windows."""
        return self.stride or self.unit(series)
