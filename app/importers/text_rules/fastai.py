"""fastai's rules for texts, with spaCy's tokenizer: the extra `spacy`. They are those of its version 2; version 1 marks
capitals after splitting."""

from collections.abc import Sequence

from app.errors import ImportFailed
from app.importers.tokenizer import Vocabulary, check_rules
from app.store.text_input import TokenizerUse
from app.text.word_tokenizers import no_word, word_file

_UNKNOWN, _PADDING, _START, _NO_WORD = "xxunk", "xxpad", "xxbos", "xxfake"


def fastai(vocabulary: Sequence[str], *, language: str = "en") -> Vocabulary:
    """`vocabulary` is `dls.vocab` (of texts): `xxunk`, `xxpad`, `xxbos` and others. `xxfake`, which fills it up, has no
    word. A text begins with `xxbos`; an empty one is read."""
    check_rules(f"spacy:{language}")
    words = [no_word(token) if word == _NO_WORD else word for token, word in enumerate(vocabulary)]
    missing = [word for word in (_UNKNOWN, _START) if word not in words]
    if missing:
        raise ImportFailed(f"the vocabulary has no {' and no '.join(missing)}: it is not that of fastai's texts")
    start = words.index(_START)
    hidden = tuple(words.index(mark) for mark in (_PADDING, _START) if mark in words)
    use = TokenizerUse(
        split="fastai" if language == "en" else f"fastai:{language}", prepend=(start,), empty="read", hidden=hidden
    )
    return Vocabulary(word_file(words, unk=_UNKNOWN), use)
