"""`AsyncUnroll`: sends, waits and reads, for asyncio. What and when is decided in `exchange`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar, Unpack, overload

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from unroll_client import answers, calls, exchange
from unroll_client.address import CONCURRENCY, DEFAULT_URL, MOST_INPUTS, http_arguments, terms_of
from unroll_client.answers import Outcome
from unroll_client.bounded import AsyncBounded
from unroll_client.calls import Call, Image, Images, Texts
from unroll_client.errors import UnexpectedAnswer, UnrollClientError
from unroll_client.exchange import Conversation, Send, Wait
from unroll_client.options import CompleteOptions, SentenceOptions, SentimentOptions, TranslateOptions
from unroll_client.policy import DEFAULT_RETRIES, DEFAULT_TIMEOUT, Retries, Timeout
from unroll_client.results import Answers, ModelList, Readiness, ResultT, SentenceResult, SentimentResult
from unroll_client.streams import AsyncStream, Told

T = TypeVar("T")


class AsyncUnroll:
    """The service at `url`. One input is answered by a result, a list by a list of results in order.

    A list longer than `most_inputs`, or than the service takes, is sent in parts, `concurrency` of them at a time; the
    timeout is of each. Cancelling a call hangs up, too.
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
        self._http = httpx.AsyncClient(**http_arguments(url, api_key))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @overload
    async def sentiment(self, inputs: str, /, **options: Unpack[SentimentOptions]) -> SentimentResult: ...
    @overload
    async def sentiment(self, inputs: Texts, /, **options: Unpack[SentimentOptions]) -> Answers[SentimentResult]: ...
    async def sentiment(
        self, inputs: str | Texts, /, **options: Unpack[SentimentOptions]
    ) -> SentimentResult | Answers[SentimentResult]:
        """Label texts."""
        return await self._ask(calls.sentiment_call(inputs, options))

    @overload
    async def caption(self, images: Image, /, **options: Unpack[SentenceOptions]) -> SentenceResult: ...
    @overload
    async def caption(self, images: Images, /, **options: Unpack[SentenceOptions]) -> Answers[SentenceResult]: ...
    async def caption(
        self, images: Image | Images, /, **options: Unpack[SentenceOptions]
    ) -> SentenceResult | Answers[SentenceResult]:
        """Describe images: paths, bytes of image files, or files opened for reading bytes. Raises OSError as well."""
        return await self._ask(await asyncio.to_thread(calls.caption_call, images, options))

    @overload
    async def translate(self, inputs: str, /, **options: Unpack[TranslateOptions]) -> SentenceResult: ...
    @overload
    async def translate(self, inputs: Texts, /, **options: Unpack[TranslateOptions]) -> Answers[SentenceResult]: ...
    async def translate(
        self, inputs: str | Texts, /, **options: Unpack[TranslateOptions]
    ) -> SentenceResult | Answers[SentenceResult]:
        """Translate sentences."""
        return await self._ask(calls.translate_call(inputs, options))

    @overload
    async def complete(self, inputs: str, /, **options: Unpack[CompleteOptions]) -> SentenceResult: ...
    @overload
    async def complete(self, inputs: Texts, /, **options: Unpack[CompleteOptions]) -> Answers[SentenceResult]: ...
    async def complete(
        self, inputs: str | Texts, /, **options: Unpack[CompleteOptions]
    ) -> SentenceResult | Answers[SentenceResult]:
        """Go on with texts."""
        return await self._ask(calls.complete_call(inputs, options))

    @overload
    def stream_caption(self, images: Image, /, **options: Unpack[SentenceOptions]) -> AsyncStream[SentenceResult]: ...
    @overload
    def stream_caption(
        self, images: Images, /, **options: Unpack[SentenceOptions]
    ) -> AsyncStream[Answers[SentenceResult]]: ...
    def stream_caption(
        self, images: Image | Images, /, **options: Unpack[SentenceOptions]
    ) -> AsyncStream[SentenceResult] | AsyncStream[Answers[SentenceResult]]:
        """`caption`, token by token. Files are read at once, and the request is sent when the first token is asked
        for. Raises OSError as well."""
        return self._stream(calls.caption_call(images, options))

    @overload
    def stream_translate(self, inputs: str, /, **options: Unpack[TranslateOptions]) -> AsyncStream[SentenceResult]: ...
    @overload
    def stream_translate(
        self, inputs: Texts, /, **options: Unpack[TranslateOptions]
    ) -> AsyncStream[Answers[SentenceResult]]: ...
    def stream_translate(
        self, inputs: str | Texts, /, **options: Unpack[TranslateOptions]
    ) -> AsyncStream[SentenceResult] | AsyncStream[Answers[SentenceResult]]:
        """`translate`, token by token. The request is sent when the first token is asked for."""
        return self._stream(calls.translate_call(inputs, options))

    @overload
    def stream_complete(self, inputs: str, /, **options: Unpack[CompleteOptions]) -> AsyncStream[SentenceResult]: ...
    @overload
    def stream_complete(
        self, inputs: Texts, /, **options: Unpack[CompleteOptions]
    ) -> AsyncStream[Answers[SentenceResult]]: ...
    def stream_complete(
        self, inputs: str | Texts, /, **options: Unpack[CompleteOptions]
    ) -> AsyncStream[SentenceResult] | AsyncStream[Answers[SentenceResult]]:
        """`complete`, token by token. The request is sent when the first token is asked for."""
        return self._stream(calls.complete_call(inputs, options))

    async def models(self) -> ModelList:
        """What is served, and what is broken."""
        return await self._drive(exchange.models(self._terms))

    async def ready(self) -> Readiness:
        """Whether requests are answered: true in a condition if they are."""
        return await self._drive(exchange.readiness(self._terms))

    async def _ask(self, call: Call[ResultT]) -> ResultT | Answers[ResultT]:
        parts = list(call.parts(self._terms.most_inputs))
        if len(parts) == 1:
            told = await self._drive(exchange.answers(call, self._terms))
            return told[0] if call.is_one else told
        turns = asyncio.Semaphore(self._concurrency)

        async def in_turn(part: Call[ResultT]) -> Answers[ResultT]:
            async with turns:
                return await self._drive(exchange.answers(part, self._terms))

        try:
            async with asyncio.TaskGroup() as group:
                pending = [group.create_task(in_turn(part)) for part in parts]
        except* UnrollClientError as failed:
            raise failed.exceptions[0] from None
        return answers.joined([task.result() for task in pending])

    def _stream(self, call: Call[SentenceResult]) -> AsyncStream[SentenceResult] | AsyncStream[Answers[SentenceResult]]:
        return AsyncStream(self._events(call), Told(call))

    async def _events(self, call: Call[SentenceResult]) -> AsyncGenerator[ServerSentEvent, None]:
        response = await self._drive(exchange.stream(call, self._terms))
        try:
            async with aclosing(EventSource(response).aiter_sse()) as events:
                async for event in events:
                    yield event
        except SSEError as error:
            raise UnexpectedAnswer(str(error)) from error
        except httpx.RequestError as error:
            raise answers.request_error(error) from error
        finally:
            await response.aclose()

    async def _drive(self, conversation: Conversation[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = conversation.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = await self._perform(step)

    async def _perform(self, step: Send | Wait) -> Outcome:
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            return None
        request = self._http.build_request(**exchange.request_arguments(step))
        try:
            response = await self._http.send(request, stream=True)
            response.stream = AsyncBounded(response, step.deadline)
            if not (step.streams and response.status_code == 200):
                try:
                    await response.aread()
                finally:
                    await response.aclose()
            return response
        except httpx.RequestError as error:
            return error
