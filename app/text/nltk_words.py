"""Splits texts into words with the optional package `nltk`. Needs none of NLTK's data files."""

from nltk.tokenize.destructive import NLTKWordTokenizer

from app.text.word import Word

_tokenizer = NLTKWordTokenizer()


def nltk_words(text: str) -> list[Word]:
    """`word_tokenize(text, preserve_line=True)`: the whole text counts as one sentence, so only its last full stop
    becomes a word of its own."""
    words, place = [], 0
    for word in _tokenizer.tokenize(text):
        while text[place : place + 1].isspace():
            place += 1
        start, place = place, _end(text, place, word)
        words.append(Word(word, start, place))
    return words


def _end(text: str, place: int, word: str) -> int:
    """The end of the word that begins at `place`. NLTK changes no characters, except that it writes a double quote as
    two."""
    signs = 0
    while signs < len(word):
        signs += 2 if word[signs : signs + 2] in ("``", "''") and text[place : place + 1] == '"' else 1
        place += 1
    return place
