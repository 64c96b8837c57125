# Generated from unroll_client/_async by `make client`; change that.
"""`Unroll`, the client for threads."""

from collections.abc import Generator
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack, overload
from urllib.parse import quote

import httpx

from unroll_client._sync.http import Http
from unroll_client._sync.pieces import Pieces
from unroll_client._sync.stream import ForecastStream, Stream
from unroll_client.address import DEFAULT_URL
from unroll_client.calls import Call, make_call
from unroll_client.concurrency import run_threads
from unroll_client.errors import ProblemError
from unroll_client.events import Event, EventDecoder
from unroll_client.forecasts import ForecastResult, ForecastT
from unroll_client.options import (
    CaptionOptions,
    ClassifyOptions,
    CompleteOptions,
    EmbedOptions,
    ForecastOptions,
    SentimentOptions,
    StatesOptions,
    TagOptions,
    TranslateOptions,
)
from unroll_client.policy import DEFAULT_RETRIES, DEFAULT_TIMEOUT, Retries, Timeout, as_retries, as_timeout
from unroll_client.responses import (
    check_events,
    check_status,
    join_answers,
    json_of,
    read_answers,
    read_value,
    request_error,
    smaller_part,
)
from unroll_client.results import (
    Answers,
    LabelResult,
    PrimedResult,
    ResultT,
    SentenceResult,
    SentimentResult,
    StateResult,
    TagResult,
)
from unroll_client.series import ManySeries, Series
from unroll_client.service_info import Forgotten, ModelList, Readiness, SessionInfo, SessionList
from unroll_client.sources import Clip, Clips, Image, Images, Many, One, Texts, TextsOrWords
from unroll_client.streamed import StreamedAnswer
from unroll_client.tasks import (
    CAPTION,
    CLASSIFY,
    COMPLETE,
    EMBED,
    FORECAST,
    SENTIMENT,
    STATES,
    TAG,
    TRANSLATE,
    Task,
)

_MAX_INPUTS = 256  # the service's default
_CONCURRENCY = 4


class Unroll:
    """A client of the service at `url`. One input gives one result; a list gives a list of results in order.

    A list longer than `max_inputs`, or than the service accepts, is sent in parts, `concurrency` of them at a time;
    each part has the whole timeout. Threads may share a client.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout: Timeout | float | None = DEFAULT_TIMEOUT,
        retries: Retries | int = DEFAULT_RETRIES,
        max_inputs: int = _MAX_INPUTS,
        concurrency: int = _CONCURRENCY,
    ) -> None:
        if max_inputs < 1 or concurrency < 1:
            raise ValueError(f"max_inputs ({max_inputs}) and concurrency ({concurrency}) are at least 1")
        self._http = Http(url, api_key, as_timeout(timeout), as_retries(retries))
        self._max_inputs = max_inputs
        self._concurrency = concurrency

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @overload
    def sentiment(self, inputs: str, /, **options: Unpack[SentimentOptions]) -> SentimentResult: ...
    @overload
    def sentiment(self, inputs: Texts, /, **options: Unpack[SentimentOptions]) -> Answers[SentimentResult]: ...
    def sentiment(self, inputs: Any, /, **options: Any) -> Any:
        """Label texts."""
        return self.ask(SENTIMENT, inputs, **options)

    @overload
    def caption(self, inputs: Image, /, **options: Unpack[CaptionOptions]) -> SentenceResult: ...
    @overload
    def caption(self, inputs: Images, /, **options: Unpack[CaptionOptions]) -> Answers[SentenceResult]: ...
    def caption(self, inputs: Any, /, **options: Any) -> Any:
        """Describe images: paths, the bytes of image files, or files opened in mode 'rb'. Also raises OSError."""
        return self.ask(CAPTION, inputs, **options)

    @overload
    def stream_caption(self, inputs: Image, /, **options: Unpack[CaptionOptions]) -> Stream[SentenceResult]: ...
    @overload
    def stream_caption(
        self, inputs: Images, /, **options: Unpack[CaptionOptions]
    ) -> Stream[Answers[SentenceResult]]: ...
    def stream_caption(self, inputs: Any, /, **options: Any) -> Any:
        """`caption`, token by token. Files are read at once. Also raises OSError."""
        return self.stream(CAPTION, inputs, **options)

    @overload
    def translate(self, inputs: str, /, **options: Unpack[TranslateOptions]) -> SentenceResult: ...
    @overload
    def translate(self, inputs: Texts, /, **options: Unpack[TranslateOptions]) -> Answers[SentenceResult]: ...
    def translate(self, inputs: Any, /, **options: Any) -> Any:
        """Translate sentences."""
        return self.ask(TRANSLATE, inputs, **options)

    @overload
    def stream_translate(self, inputs: str, /, **options: Unpack[TranslateOptions]) -> Stream[SentenceResult]: ...
    @overload
    def stream_translate(
        self, inputs: Texts, /, **options: Unpack[TranslateOptions]
    ) -> Stream[Answers[SentenceResult]]: ...
    def stream_translate(self, inputs: Any, /, **options: Any) -> Any:
        """`translate`, token by token."""
        return self.stream(TRANSLATE, inputs, **options)

    @overload
    def complete(self, inputs: str, /, **options: Unpack[CompleteOptions]) -> SentenceResult: ...
    @overload
    def complete(self, inputs: Texts, /, **options: Unpack[CompleteOptions]) -> Answers[SentenceResult]: ...
    def complete(self, inputs: Any, /, **options: Any) -> Any:
        """Continue texts."""
        return self.ask(COMPLETE, inputs, **options)

    @overload
    def stream_complete(self, inputs: str, /, **options: Unpack[CompleteOptions]) -> Stream[SentenceResult]: ...
    @overload
    def stream_complete(
        self, inputs: Texts, /, **options: Unpack[CompleteOptions]
    ) -> Stream[Answers[SentenceResult]]: ...
    def stream_complete(self, inputs: Any, /, **options: Any) -> Any:
        """`complete`, token by token."""
        return self.stream(COMPLETE, inputs, **options)

    @overload
    def classify(self, inputs: str | Clip | Series, /, **options: Unpack[ClassifyOptions]) -> LabelResult: ...
    @overload
    def classify(
        self, inputs: Texts | Clips | ManySeries, /, **options: Unpack[ClassifyOptions]
    ) -> Answers[LabelResult]: ...
    def classify(self, inputs: Any, /, **options: Any) -> Any:
        """Label texts, series or clips. Also raises OSError."""
        return self.ask(CLASSIFY, inputs, **options)

    @overload
    def tag(self, inputs: str, /, **options: Unpack[TagOptions]) -> TagResult: ...
    @overload
    def tag(self, inputs: TextsOrWords, /, **options: Unpack[TagOptions]) -> Answers[TagResult]: ...
    def tag(self, inputs: Any, /, **options: Any) -> Any:
        """Label the words of texts. A list has texts, and lists of words."""
        return self.ask(TAG, inputs, **options)

    @overload
    def forecast(self, inputs: Series, /, **options: Unpack[ForecastOptions]) -> ForecastResult: ...
    @overload
    def forecast(self, inputs: ManySeries, /, **options: Unpack[ForecastOptions]) -> Answers[ForecastResult]: ...
    def forecast(self, inputs: Any, /, **options: Any) -> Any:
        """Forecast series: rows or columns of numbers, arrays, tables, or CSVs (`Csv`). Also raises OSError."""
        return self.ask(FORECAST, inputs, **options)

    @overload
    def stream_forecast(
        self, inputs: Series, /, **options: Unpack[ForecastOptions]
    ) -> ForecastStream[ForecastResult]: ...
    @overload
    def stream_forecast(
        self, inputs: ManySeries, /, **options: Unpack[ForecastOptions]
    ) -> ForecastStream[Answers[ForecastResult]]: ...
    def stream_forecast(self, inputs: Any, /, **options: Any) -> Any:
        """`forecast`, row by row. Files are read at once, and a stream has a single CSV. Also raises OSError."""
        return self.stream(FORECAST, inputs, **options)

    @overload
    def embed(self, inputs: str | Clip | Series, /, **options: Unpack[EmbedOptions]) -> StateResult: ...
    @overload
    def embed(self, inputs: Texts | Clips | ManySeries, /, **options: Unpack[EmbedOptions]) -> Answers[StateResult]: ...
    def embed(self, inputs: Any, /, **options: Any) -> Any:
        """Turn texts, series or clips into the states that sum them up. Also raises OSError."""
        return self.ask(EMBED, inputs, **options)

    @overload
    def states(self, inputs: str | Series, /, **options: Unpack[StatesOptions]) -> PrimedResult: ...
    @overload
    def states(self, inputs: Texts | ManySeries, /, **options: Unpack[StatesOptions]) -> Answers[PrimedResult]: ...
    def states(self, inputs: Any, /, **options: Any) -> Any:
        """Read texts or series once; the state after each is the option `state` of later calls. Also raises OSError."""
        return self.ask(STATES, inputs, **options)

    @overload
    def ask(self, task: Task[ResultT], inputs: One, /, **options: Any) -> ResultT: ...
    @overload
    def ask(self, task: Task[ResultT], inputs: Many, /, **options: Any) -> Answers[ResultT]: ...
    def ask(self, task: Task[ResultT], inputs: Any, /, **options: Any) -> ResultT | Answers[ResultT]:
        """The answer of any task, also of one that you define."""
        call = make_call(task, inputs, options)
        jobs = [partial(self._answers, part) for part in call.parts(self._max_inputs)]
        if len(jobs) > 1:
            return join_answers(run_threads(jobs, limit=self._concurrency))
        answers = self._answers(call)
        return answers[0] if call.is_one else answers

    @overload
    def stream(self, task: Task[ForecastT], inputs: One, /, **options: Any) -> ForecastStream[ForecastT]: ...
    @overload
    def stream(self, task: Task[ForecastT], inputs: Many, /, **options: Any) -> ForecastStream[Answers[ForecastT]]: ...
    @overload
    def stream(self, task: Task[ResultT], inputs: One, /, **options: Any) -> Stream[ResultT]: ...
    @overload
    def stream(self, task: Task[ResultT], inputs: Many, /, **options: Any) -> Stream[Answers[ResultT]]: ...
    def stream(self, task: Task[Any], inputs: Any, /, **options: Any) -> Any:
        """The tokens or rows of any task that makes them one by one. Iterating sends the request."""
        call = make_call(task, inputs, options)
        kind = ForecastStream if task.answer == "values" else Stream
        return kind(self._events(call), StreamedAnswer(call))

    def pieces(self, task: Task[ResultT], /, **options: Any) -> Pieces[ResultT]:
        """A stream of a task that reads a source piece by piece, such as `SENTIMENT`. The first piece opens it."""
        return Pieces(self._http, task, options)

    def sessions(self) -> list[SessionInfo]:
        """The sessions that the service keeps for the key."""
        request = {"method": "GET", "url": "/v1/sessions"}
        return read_value(SessionList, self._http.request(request)).sessions

    def forget_sessions(self, *names: str) -> list[str]:
        """Forget these sessions, or all of the key without names. The names of those that were there."""
        paths = [f"/{quote(name, safe='')}" for name in names] or [""]
        requests = [{"method": "DELETE", "url": f"/v1/sessions{path}"} for path in paths]
        return [name for one in requests for name in read_value(Forgotten, self._http.request(one)).forgotten]

    def models(self) -> ModelList:
        """The versions that are served, and the broken ones."""
        return read_value(ModelList, self._http.request({"method": "GET", "url": "/v1/models"}))

    def ready(self) -> Readiness:
        """Whether the service answers requests; true in a condition if it does."""
        response = self._http.send_once({"method": "GET", "url": "/readyz"})
        if "engines_ready" not in json_of(response):  # a service that is not ready says so with 503
            check_status(response)
        return read_value(Readiness, response)

    def _answers(self, call: Call[ResultT]) -> Answers[ResultT]:
        """The results of a call, sent in smaller parts where the service finds it too large."""
        if len(call.inputs) > self._max_inputs:
            return self._answers_in_parts(call, self._max_inputs)
        if not call.inputs:
            return join_answers([])
        try:
            response = self._http.request(call.request(), timeout_ms=call.timeout_ms)
        except ProblemError as problem:
            size = smaller_part(call, problem)
            if size is None:
                raise problem.of_part(call.first) from None
            if problem.type.endswith("/too-many-inputs"):
                self._max_inputs = min(self._max_inputs, size)
            return self._answers_in_parts(call, size)
        return read_answers(call, response)

    def _answers_in_parts(self, call: Call[ResultT], size: int) -> Answers[ResultT]:
        return join_answers([self._answers(part) for part in call.parts(size)])

    def _events(self, call: Call[Any]) -> Generator[Event, None, None]:
        response = self._http.request(call.request(stream=True), timeout_ms=call.timeout_ms, stream=True)
        decoder = EventDecoder()
        try:
            check_events(response)
            for chunk in response.iter_bytes():
                for event in decoder.decode(chunk):
                    yield event
        except httpx.RequestError as error:
            raise request_error(error) from error
        finally:
            response.close()
