"""Words as NLTK cuts them: the optional package `nltk`, of which no data are used."""

from nltk.tokenize.destructive import NLTKWordTokenizer

from app.text.words import Word

_tokenizer = NLTKWordTokenizer()


def nltk_words(text: str) -> list[Word]:
    """`word_tokenize(text, preserve_line=True)`: the text as one sentence, so that a full stop that ends a sentence
    before the last stays with its word."""
    words, place = [], 0
    for word in _tokenizer.tokenize(text):
        while text[place : place + 1].isspace():
            place += 1
        start, place = place, _end(text, place, word)
        words.append(Word(word, start, place))
    return words


def _end(text: str, place: int, word: str) -> int:
    """Where a word ends that begins at `place`. NLTK only puts spaces in, and writes a double quote as two signs."""
    signs = 0
    while signs < len(word):
        signs += 2 if word[signs : signs + 2] in ("``", "''") and text[place : place + 1] == '"' else 1
        place += 1
    return place
