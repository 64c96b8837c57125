"""Translation: a sentence to a sentence in another language."""

from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.replayed import ReplayOptions
from app.tasks.answers.token_kind import TokenKind
from app.tasks.options import LanguagePair, RegisterOptions, SentenceOptions
from app.tasks.sources.text import TextSource
from app.tasks.task import Face, Task

_SAVE = "Do you want to save the changes before closing?"


class TranslationOptions(DecodingOptions, ReplayOptions, LanguagePair, RegisterOptions, SentenceOptions):
    """Decoding options, whether the answer is explained, the languages, the register, and how texts are read."""


TRANSLATION = Task(
    name="translation",
    source=TextSource(),
    answer=TokenKind(),
    options=TranslationOptions,
    face=Face(
        path="/v1/translate",
        summary="Translate a sentence",
        description="""Translates each sentence, by default from English to Korean: greedily, with beam search (`beams`)
or drawn at random (`temperature`). With `stream` the answer comes as server-sent events during decoding.

A model that was trained on single sentences translates each sentence and line of an input on its own, unless
`split_sentences` is false; the translations are joined as the sentences were. Decoding options, such as `max_tokens`
and `stop`, apply to each of these sentences.
""",
        inputs="Sentences, or texts of several sentences, to translate.",
        results="A translation of each input, in the same order",
        examples={
            "one": {"summary": "One sentence", "value": {"inputs": _SAVE}},
            "several": {
                "summary": "Several, with the languages named",
                "value": {"inputs": ["Open file", "The file could not be found."], "source": "en", "target": "ko"},
            },
            "formal": {
                "summary": "In the formal register of Korean",
                "value": {"inputs": "Where is the bathroom?", "register": "formal"},
            },
            "sentences": {
                "summary": "Several sentences in one input",
                "value": {"inputs": "The file could not be found. Do you want to create it?\n\nOpen file"},
            },
            "short": {"summary": "At most 8 tokens", "value": {"inputs": "Returns a new list.", "max_tokens": 8}},
            "beams": {
                "summary": "Beam search, the three best",
                "value": {"inputs": _SAVE, "beams": 5, "n_best": 3, "length_penalty": 0.6},
            },
            "drawn": {
                "summary": "Drawn at random; the seed repeats the draw",
                "value": {"inputs": _SAVE, "temperature": 0.8, "top_p": 0.95, "seed": 7},
            },
            "constrained": {
                "summary": "Begins with a word, repeats no three tokens, ends before a string",
                "value": {"inputs": _SAVE, "prefix": "닫기", "no_repeat_ngram_size": 3, "stop": ["?", "."]},
            },
            "explained": {
                "summary": "Log-probabilities, alternatives and word alignment",
                "value": {"inputs": "Open file", "logprobs": 2, "attention": True},
            },
            "memory": {
                "summary": "Encoder and decoder: the unit of each that changes most, with its gates",
                "value": {"inputs": "Open file", "explain": True, "units": 1},
            },
            "streamed": {"summary": "As server-sent events", "value": {"inputs": _SAVE, "stream": True}},
            "soon": {
                "summary": "Before others, within a second",
                "value": {"inputs": _SAVE, "priority": 5, "timeout_ms": 1000},
            },
        },
    ),
)
