"""The log-probabilities of a choice for OpenAI's clients: four arrays, which become JSON piece by piece."""

from collections.abc import Iterator

from app.json_pieces import JsonInPieces, json_array
from app.tasks.answers.emitted_tokens import EmittedTokens
from app.text.growing_text import GrowingText


class Logprobs(JsonInPieces, frozen=True, eq=False):
    """The members of CompletionLogprobs. `text` has the tokens before, when the JSON is made; `begin` is the length of
    the prompt."""

    tokens: EmittedTokens
    text: GrowingText
    begin: int

    def json(self) -> Iterator[bytes]:
        """See `JsonInPieces.json`."""
        alone = self.tokens.without_alternatives()
        yield b'{"tokens":'
        yield from json_array([token.text for token in part] for part in alone.parts())
        yield b',"token_logprobs":'
        yield from json_array([token.logprob for token in part] for part in alone.parts())
        yield b',"top_logprobs":'
        yield from json_array(
            [{item.text: item.logprob for item in token.alternatives} | {token.text: token.logprob} for token in part]
            for part in self.tokens.parts()
        )
        yield b',"text_offset":'
        yield from json_array(self._offsets())
        yield b"}"

    def _offsets(self) -> Iterator[list[int]]:
        text = self.text.copy()
        for token in self.tokens.ids:
            yield [self.begin + text.place_of(token)]
            text.add(token)
