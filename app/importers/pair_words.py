"""What surrounds the words of an encoder-decoder: the words that start and end a target, and how far it decodes."""

from collections.abc import Sequence

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.layout import Given, Understanding
from app.importers.options import Option, OptionValues
from app.importers.pairs import Pair
from app.importers.text_options import CHARACTERS, known_words
from app.importers.text_rules.characters import characters
from app.importers.text_rules.marks import padding_word, unknown_word
from app.importers.tokenizer import Vocabulary, check_words, word_vocabulary

_STARTS = (
    "<sos>",
    "<s>",
    "<bos>",
    "<start>",
    "<go>",
    "[sos]",
    "[bos]",
    "[start]",
    "[cls]",
    "sos",
    "bos",
    "start_",
    "startseq",
    "sostok",
    "_sos_",
    "<sos/>",
    "\t",
)
_STOPS = (
    "<eos>",
    "</s>",
    "<end>",
    "<stop>",
    "[eos]",
    "[end]",
    "[sep]",
    "eos",
    "_end",
    "endseq",
    "eostok",
    "_eos_",
    "<eos/>",
    "\n",
)
_SHOWN = {"\t": "\\t", "\n": "\\n", " ": "space"}
_LENGTHS = ("max_target_length", "max_trg_len", "max_decode", "max_length", "max_len", "maxlen")
MOST_TOKENS = 1000


def marks_of(words: Sequence[str]) -> tuple[str | None, str | None]:
    """The words that start and end a text, as they are spelt; None for one that it does not have."""
    spelt = {word.lower(): word for word in reversed(words)}
    start, stop = (next((spelt[mark] for mark in marks if mark in spelt), None) for marks in (_STARTS, _STOPS))
    return start, stop


def target_options(checkpoint: Checkpoint, pair: Pair) -> list[Option]:
    words = known_words(checkpoint, pair.decoder.rows) or next(iter(checkpoint.given[-1:]), ())
    start, stop = marks_of(words)
    most = checkpoint.whole_setting(*_LENGTHS)
    is_long = words and sum(len(word) == 1 for word in words) > 0.8 * len(words)
    usual = most if most is not None and most <= MOST_TOKENS else 200 if is_long else 50
    return [
        Option(
            "target_words",
            "what joins the words of an answer: spaces; characters: nothing",
            CHARACTERS if is_long else "spaces",
            ("spaces", CHARACTERS),
            assumed=True,
        ),
        Option(
            "start",
            "the first input of the decoder, a word of its vocabulary; or an id",
            _SHOWN.get(start or "", start or "<sos>"),
        ),
        Option("stop", "the word at the end of every target; or an id", _SHOWN.get(stop or "", stop or "<eos>")),
        Option(
            "max_tokens", "words or characters after which decoding ends", str(usual), kind="whole", most=MOST_TOKENS
        ),
        Option(
            "replace_unk",
            "whether an unknown word in an answer becomes the source word with the highest attention",
            "no",
            ("yes", "no"),
            assumed=True,
        ),
        Option(
            "marks",
            "the words that start and fill up a target, if a decoder answers with one: hide, or show as original code "
            "mostly does",
            "hide",
            ("hide", "show"),
            assumed=True,
        ),
        Option("beams", "beams of the search; 1: greedy", "1", kind="whole", most=16, assumed=True),
    ]


def start_and_stop(words: Sequence[str], values: OptionValues) -> tuple[int, int]:
    """Raises ImportFailed if the target vocabulary does not have them."""
    start, stop = (_id(name, values.text(name), words) for name in ("start", "stop"))
    return start, stop


def _id(name: str, value: str, words: Sequence[str]) -> int:
    word = next((real for real, shown in _SHOWN.items() if shown == value), value)
    if word in words:
        return list(words).index(word)
    if value.isdecimal() and int(value) < len(words):
        return int(value)
    marks = ", ".join(words[:6])
    raise ImportFailed(f"--set {name}={value}: the target vocabulary has no such word; it begins with {marks}")


def replaced_word(words: Sequence[str], values: OptionValues) -> int | None:
    """The id of the unknown word, if words of the source replace it. Raises ImportFailed if there is none."""
    if not values.is_yes("replace_unk"):
        return None
    word = unknown_word(words)
    if word is None:
        raise ImportFailed("--set replace_unk=yes: the target vocabulary has no word for unknown ones")
    return list(words).index(word)


def target_vocabulary(pair: Pair, given: Given, start: int) -> Vocabulary:
    """Answers leave out what starts and fills up, unless `marks` shows it."""
    words, rows = given.words["target"], pair.decoder.rows
    check_words(words, rows, "target")
    padding = padding_word(words)
    hidden = tuple(dict.fromkeys([start, *([] if padding is None else [list(words).index(padding)])]))
    hidden = () if given.values.text("marks") == "show" else hidden
    if given.values.text("target_words") == CHARACTERS:
        made = characters(list(words))
        return Vocabulary(made.tokenizer, made.use.model_copy(update={"hidden": hidden}))
    return word_vocabulary(words, "spaces", unk=unknown_word(words), hidden=hidden)


def understanding_of(pair: Pair) -> Understanding:
    facts, unsure = [], []
    if pair.encoder is not None:
        facts.append(
            f"encoder {pair.encoder.name}: {pair.encoder.recurrence.describe()} over {pair.encoder.rows:,} words"
        )
    decoder = pair.decoder
    shared = (
        pair.encoder is not None and decoder.table_name is not None and decoder.table_name == pair.encoder.table_name
    )
    facts.append(
        f"decoder {decoder.name}: {decoder.recurrence.describe()} over {decoder.rows:,} words"
        f"{', with the embedding of the encoder' if shared else ''}"
    )
    if pair.attention is not None:
        where = "before" if "context" in pair.gets else "after"
        facts.append(f"{pair.attention.describe()} {where} each step of the decoder")
    if pair.bridge:
        facts.append("the decoder starts from " + ", ".join(group.name for group in pair.bridge))
    output = pair.output.name if pair.output is not None else "the embedding"
    layers = [group.name for group in (pair.combine, pair.readout) if group is not None]
    facts.append(f"output layer: {output}" + (f", other layers: {', '.join(layers)}" if layers else ""))
    if pair.gets[0] != "nothing":
        unsure.append("whether the decoder reads the embedding first (input_order): both orders have the same shape")
    if len(pair.reads) > 1:
        unsure.append("the order of what the output layer reads (readout)")
    if pair.attention is not None and pair.attention.form in ("concat", "energy"):
        unsure.append("whether the attention reads the hidden state first (attention_order)")
    unsure.append("the words that start and end a target are not in the tensors (start, stop)")
    return Understanding(facts, unsure)
