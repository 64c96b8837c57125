"""The rules of well-known training code as that code has them: what tokenizer files are compared with."""

import re
import string
import unicodedata
from collections.abc import Callable

from app.text.word_tokenizers import Rules

# torchtext/data/utils.py
_PATTERNS = [r"\'", r"\"", r"\.", r"<br \/>", r",", r"\(", r"\)", r"\!", r"\?", r"\;", r"\:", r"\s+"]
_REPLACEMENTS = [" '  ", "", " . ", " ", " , ", " ( ", " ) ", " ! ", " ? ", " ", " ", " "]


def basic_english(line: str) -> list[str]:
    line = line.lower()
    for pattern, replacement in zip(_PATTERNS, _REPLACEMENTS, strict=True):
        line = re.sub(pattern, replacement, line)
    return line.split()


def _to_ascii(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")


def pytorch_tutorial(text: str) -> list[str]:
    """seq2seq_translation_tutorial.py since 2023: full stops go, the ends are stripped."""
    text = _to_ascii(text.lower().strip())
    text = re.sub(r"([.!?])", r" \1", text)
    text = re.sub(r"[^a-zA-Z!?]+", r" ", text)
    return text.strip().split(" ") if text.strip() else []


def pytorch_tutorial_2017(text: str) -> list[str]:
    """Until 2022: full stops stay, and so may a space at either end, beside which `split` finds an empty word."""
    text = _to_ascii(text.lower().strip())
    text = re.sub(r"([.!?])", r" \1", text)
    text = re.sub(r"[^a-zA-Z.!?]+", r" ", text)
    return text.split(" ") if text else []


def chatbot(text: str) -> list[str]:
    """chatbot_tutorial.py."""
    text = _to_ascii(text.lower().strip())
    text = re.sub(r"([.!?])", r" \1", text)
    text = re.sub(r"[^a-zA-Z.!?]+", r" ", text)
    text = re.sub(r"\s+", r" ", text).strip()
    return text.split(" ") if text else []


def udacity(text: str) -> list[str]:
    """sentiment-rnn, `tokenize_review`."""
    return "".join(c for c in text.lower() if c not in string.punctuation).split()


REFERENCES: dict[Rules, Callable[[str], list[str]]] = {
    "spaces": str.split,
    "spaces_lower": lambda text: text.lower().split(),
    "basic_english": basic_english,
    "pytorch_tutorial": pytorch_tutorial,
    "pytorch_tutorial_2017": pytorch_tutorial_2017,
    "chatbot": chatbot,
    "udacity": udacity,
    "characters": list,
    "joeynmt_characters": lambda text: list(text.replace(" ", "\u2581")),
}
