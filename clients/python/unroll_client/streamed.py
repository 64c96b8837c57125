"""The answer that a stream has delivered so far. Both streams feed it with events."""

import json
from typing import Any, Generic

from unroll_client.calls import Call
from unroll_client.errors import ConnectionFailed, UnexpectedAnswer, problem_error
from unroll_client.events import Event
from unroll_client.forecasts import ForecastRows
from unroll_client.responses import with_usage
from unroll_client.results import Answers, ResultT, Token, Usage


class StreamedAnswer(Generic[ResultT]):
    """Results by the place of their input, and the usage when the stream is complete."""

    def __init__(self, call: Call[ResultT]) -> None:
        self._call = call
        self._results: dict[int, ResultT] = {}
        self._usage: Usage | None = None

    def feed(self, event: Event) -> Token | ForecastRows | None:
        """The token or the rows, if the event has them. Raises ProblemError and UnexpectedAnswer."""
        try:
            data: dict[str, Any] = json.loads(event.data)
            match event.name:
                case "token":
                    return Token.read(data)
                case "values":
                    return ForecastRows.read(data)
                case "result":
                    self._results[data["input"]] = self._call.task.result.read(data["result"])
                case "done":
                    self._usage = Usage.read(data["usage"])
                case "error":
                    raise problem_error(int(data["status"]), data)
        except (ValueError, KeyError, TypeError) as error:
            raise UnexpectedAnswer(f"cannot read event {event.name} of {self._call.task.path}: {error!r}") from error
        return None

    def result(self) -> ResultT | Answers[ResultT]:
        """The whole answer. Raises ConnectionFailed if the stream is not complete, and UnexpectedAnswer."""
        if self._usage is None:
            raise ConnectionFailed(f"the stream of {self._call.task.path} broke off before its end", sent=True)
        places = range(len(self._call.inputs))
        if self._results.keys() != set(places):
            raise UnexpectedAnswer(f"the stream of {self._call.task.path} has no result for some inputs")
        results = [self._results[place] for place in places]
        return with_usage(results[0], self._usage) if self._call.is_one else Answers(results, self._usage)
