"""`Unroll`: sends, waits and reads. What and when is decided in `exchange`."""

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar, Unpack, overload

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from unroll_client import answers, calls, exchange
from unroll_client.address import CONCURRENCY, DEFAULT_URL, MOST_INPUTS, http_arguments, terms_of
from unroll_client.answers import Outcome
from unroll_client.bounded import Bounded
from unroll_client.calls import Call, Image, Images, Texts
from unroll_client.errors import UnexpectedAnswer
from unroll_client.exchange import Conversation, Send, Wait
from unroll_client.options import CompleteOptions, SentenceOptions, SentimentOptions, TranslateOptions
from unroll_client.policy import DEFAULT_RETRIES, DEFAULT_TIMEOUT, Retries, Timeout
from unroll_client.results import Answers, ModelList, Readiness, ResultT, SentenceResult, SentimentResult
from unroll_client.streams import Stream, Told

T = TypeVar("T")


class Unroll:
    """The service at `url`. One input is answered by a result, a list by a list of results in order.

    A list longer than `most_inputs`, or than the service takes, is sent in parts, `concurrency` of them at a time; the
    timeout is of each. Threads may share a client.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout: Timeout | float | None = DEFAULT_TIMEOUT,
        retries: Retries | int = DEFAULT_RETRIES,
        most_inputs: int = MOST_INPUTS,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self._terms = terms_of(timeout, retries, most_inputs)
        self._concurrency = concurrency
        self._http = httpx.Client(**http_arguments(url, api_key))

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
    def sentiment(
        self, inputs: str | Texts, /, **options: Unpack[SentimentOptions]
    ) -> SentimentResult | Answers[SentimentResult]:
        """Label texts."""
        return self._ask(calls.sentiment_call(inputs, options))

    @overload
    def caption(self, images: Image, /, **options: Unpack[SentenceOptions]) -> SentenceResult: ...
    @overload
    def caption(self, images: Images, /, **options: Unpack[SentenceOptions]) -> Answers[SentenceResult]: ...
    def caption(
        self, images: Image | Images, /, **options: Unpack[SentenceOptions]
    ) -> SentenceResult | Answers[SentenceResult]:
        """Describe images: paths, bytes of image files, or files opened for reading bytes. Raises OSError as well."""
        return self._ask(calls.caption_call(images, options))

    @overload
    def translate(self, inputs: str, /, **options: Unpack[TranslateOptions]) -> SentenceResult: ...
    @overload
    def translate(self, inputs: Texts, /, **options: Unpack[TranslateOptions]) -> Answers[SentenceResult]: ...
    def translate(
        self, inputs: str | Texts, /, **options: Unpack[TranslateOptions]
    ) -> SentenceResult | Answers[SentenceResult]:
        """Translate sentences."""
        return self._ask(calls.translate_call(inputs, options))

    @overload
    def complete(self, inputs: str, /, **options: Unpack[CompleteOptions]) -> SentenceResult: ...
    @overload
    def complete(self, inputs: Texts, /, **options: Unpack[CompleteOptions]) -> Answers[SentenceResult]: ...
    def complete(
        self, inputs: str | Texts, /, **options: Unpack[CompleteOptions]
    ) -> SentenceResult | Answers[SentenceResult]:
        """Go on with texts."""
        return self._ask(calls.complete_call(inputs, options))

    @overload
    def stream_caption(self, images: Image, /, **options: Unpack[SentenceOptions]) -> Stream[SentenceResult]: ...
    @overload
    def stream_caption(
        self, images: Images, /, **options: Unpack[SentenceOptions]
    ) -> Stream[Answers[SentenceResult]]: ...
    def stream_caption(
        self, images: Image | Images, /, **options: Unpack[SentenceOptions]
    ) -> Stream[SentenceResult] | Stream[Answers[SentenceResult]]:
        """`caption`, token by token. Files are read at once, and the request is sent when the first token is asked
        for. Raises OSError as well."""
        return self._stream(calls.caption_call(images, options))

    @overload
    def stream_translate(self, inputs: str, /, **options: Unpack[TranslateOptions]) -> Stream[SentenceResult]: ...
    @overload
    def stream_translate(
        self, inputs: Texts, /, **options: Unpack[TranslateOptions]
    ) -> Stream[Answers[SentenceResult]]: ...
    def stream_translate(
        self, inputs: str | Texts, /, **options: Unpack[TranslateOptions]
    ) -> Stream[SentenceResult] | Stream[Answers[SentenceResult]]:
        """`translate`, token by token. The request is sent when the first token is asked for."""
        return self._stream(calls.translate_call(inputs, options))

    @overload
    def stream_complete(self, inputs: str, /, **options: Unpack[CompleteOptions]) -> Stream[SentenceResult]: ...
    @overload
    def stream_complete(
        self, inputs: Texts, /, **options: Unpack[CompleteOptions]
    ) -> Stream[Answers[SentenceResult]]: ...
    def stream_complete(
        self, inputs: str | Texts, /, **options: Unpack[CompleteOptions]
    ) -> Stream[SentenceResult] | Stream[Answers[SentenceResult]]:
        """`complete`, token by token. The request is sent when the first token is asked for."""
        return self._stream(calls.complete_call(inputs, options))

    def models(self) -> ModelList:
        """What is served, and what is broken."""
        return self._drive(exchange.models(self._terms))

    def ready(self) -> Readiness:
        """Whether requests are answered: true in a condition if they are."""
        return self._drive(exchange.readiness(self._terms))

    def _ask(self, call: Call[ResultT]) -> ResultT | Answers[ResultT]:
        parts = list(call.parts(self._terms.most_inputs))
        if len(parts) == 1:
            told = self._drive(exchange.answers(call, self._terms))
            return told[0] if call.is_one else told
        with ThreadPoolExecutor(self._concurrency) as pool:
            pending = [pool.submit(self._drive, exchange.answers(part, self._terms)) for part in parts]
            try:
                return answers.joined([future.result() for future in pending])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _stream(self, call: Call[SentenceResult]) -> Stream[SentenceResult] | Stream[Answers[SentenceResult]]:
        return Stream(self._events(call), Told(call))

    def _events(self, call: Call[SentenceResult]) -> Generator[ServerSentEvent, None, None]:
        response = self._drive(exchange.stream(call, self._terms))
        try:
            yield from EventSource(response).iter_sse()
        except SSEError as error:
            raise UnexpectedAnswer(str(error)) from error
        except httpx.RequestError as error:
            raise answers.request_error(error) from error
        finally:
            response.close()

    def _drive(self, conversation: Conversation[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = conversation.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = self._perform(step)

    def _perform(self, step: Send | Wait) -> Outcome:
        if isinstance(step, Wait):
            time.sleep(step.seconds)
            return None
        request = self._http.build_request(**exchange.request_arguments(step))
        try:
            response = self._http.send(request, stream=True)
            response.stream = Bounded(response, step.deadline)
            if not (step.streams and response.status_code == 200):
                try:
                    response.read()
                finally:
                    response.close()
            return response
        except httpx.RequestError as error:
            return error
