"""fastai's rules for English texts (its versions 1 and 2), with spaCy's tokenizer: the extra `spacy`."""

from collections.abc import Sequence

from app.importers.tokenizer import Vocabulary


def fastai(vocabulary: Sequence[str], *, language: str = "en") -> Vocabulary:
    """`vocabulary` is `dls.vocab` (of texts): `xxunk` 0, `xxpad` 1, `xxbos` 2. `xxfake`, which fills it up, has no
    word. A text begins with `xxbos`; an empty one is read."""
    raise NotImplementedError
