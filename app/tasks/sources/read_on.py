"""Texts that continue from a state, or whose state is kept: the tokens since, and the text that stays unread."""

import dataclasses

import msgspec

from app.engine.protocol import Carried, Carry, Tokens
from app.errors import ContradictoryOptions, EmptyInput, InputTooLong, UnknownWord
from app.tasks.job import ReadSource
from app.tasks.sources.reading import Reading
from app.tasks.states.carrying import NextState, begun
from app.tasks.states.saved import SavedState
from app.text.placed_words import PlacedWord
from app.text.settled_text import SplitText, split_text
from app.text.tokenizer import TextTokenizer
from app.text.white_space import ends_in_space, is_blank


def read_on(text: str, place: Reading, *, continues: bool) -> ReadSource:
    """A text since a state. With `continues` the last token is the decoder's first input, and the answer has the state
    after what it decodes."""
    _check_whole(place)
    saved = place.carrying.start or begun(place.entry.manifest)
    unread = saved.text + text
    read = place.tokenizer.begun(unread) if place.entry.manifest.continues else unread
    parts = _parts(read, saved, place)
    before = _before(saved, place)
    ids = [*before, *parts.settled, *parts.rest]
    if not continues and not place.entry.manifest.continues:
        ids += place.use.append
    if not ids or (not continues and is_blank(unread) and saved.pending is None):
        raise _nothing_new(place)
    place.check_tokens(ids)
    if continues:
        return _to_continue(ids, unread, saved, place)
    return _kept(ids, len(before) + len(parts.settled), unread, parts.end, saved, place)


def read_words_on(text: str, place: Reading) -> ReadSource:
    """A text since a state, whose words are labelled: those of the text that the state kept unread come again."""
    read = read_on(text, place, continues=False)
    saved = place.carrying.start or begun(place.entry.manifest)
    unread, first = saved.text + text, len(_before(saved, place))
    ids, found = place.tokenizer.encode_words(unread)
    shift = first - len(place.use.prepend)  # a state has read what is prepended
    words = [_moved(word, shift, saved.chars) for word in found if word is not None]
    assert isinstance(read.source, Tokens)
    assert len(ids) + shift == len(read.source.ids)
    return msgspec.structs.replace(read, words=words, text=unread, first_char=saved.chars)


def _moved(word: PlacedWord, tokens: int, chars: int) -> PlacedWord:
    return dataclasses.replace(
        word, first=word.first + tokens, last=word.last + tokens, start=word.start + chars, end=word.end + chars
    )


def _check_whole(place: Reading) -> None:
    if place.splits:
        raise ContradictoryOptions(
            f"{place.entry.manifest.name} reads each sentence on its own: set split_sentences to false to carry a "
            "state",
            options=["split_sentences"],
        )


def _parts(text: str, saved: SavedState, place: Reading) -> SplitText:
    def encode(part: str) -> list[int]:
        if saved.after and text.startswith(part):
            return _following(part, [*saved.after, *saved.unshown], place.tokenizer)
        return place.tokenizer.encode_target(part)

    try:
        return split_text(text, place.use, encode)
    except (UnknownWord, InputTooLong) as error:
        raise place.refused(error) from None


def _following(text: str, after: list[int], tokenizer: TextTokenizer) -> list[int]:
    """The ids of a text that follows decoded ids, which stay as they are: those that it has in their word, if their
    own are unchanged there, or else its own."""
    context = tokenizer.decode(after)
    together, alone = tokenizer.encode_target(context + text), tokenizer.encode_target(context)
    if together[: len(alone)] == alone:
        return together[len(alone) :]
    return tokenizer.encode_target(text)


def _before(saved: SavedState, place: Reading) -> list[int]:
    """The ids before the text: those of the model, or a decoded token that is not read yet."""
    if saved.pending is not None:
        return [saved.pending]
    return list(place.use.prepend) if saved.carried is None else []


def _nothing_new(place: Reading) -> EmptyInput:
    why = "" if place.carrying.start is None else ", and the state has nothing to continue with"
    return EmptyInput(f"inputs[{place.index}] is empty{why}: send what comes next", input=place.index)


def _kept(ids: list[int], settled: int, unread: str, end: int, saved: SavedState, place: Reading) -> ReadSource:
    """A source whose state is kept before its last word. Without a settled token it is the state before."""
    start, keys = saved.carried, place.carrying.keys
    is_moved = end > 0 or saved.pending is not None
    read = ReadSource(Tokens(ids), carry=_carry(start, settled if is_moved and keys is not None else None))
    if keys is None:
        return read
    after = msgspec.structs.replace(saved, text=unread[end:], chars=saved.chars + end)
    if is_moved:
        after = msgspec.structs.replace(after, pending=None, unshown=[], after=[] if end else saved.after)
    return msgspec.structs.replace(read, next=NextState(after, keys))


def _to_continue(ids: list[int], unread: str, saved: SavedState, place: Reading) -> ReadSource:
    *prefix, first = ids
    tokenizer = place.tokenizer
    if len(ids) < 2 and saved.carried is None and not tokenizer.reads_empty:
        raise EmptyInput(
            f"inputs[{place.index}] is empty, but {place.entry.manifest.name} needs at least one word to continue",
            input=place.index,
        )
    after: list[int] = []
    unshown: list[int] = []
    if is_blank(unread):
        after, unshown = saved.after, saved.unshown
    elif tokenizer.reads_spaces or not ends_in_space(unread):
        after = tokenizer.end_of(ids)
    keys = place.carrying.keys
    source = Tokens(prefix) if prefix else Tokens([first], unread=True)
    read = ReadSource(
        source,
        first=first,
        after=after,
        unshown=unshown,
        carry=_carry(saved.carried, None, ends=keys is not None),
        saved=place.carrying.start,
    )
    if keys is None:
        return read
    following = msgspec.structs.replace(saved, text="", chars=saved.chars + len(unread), pending=first, after=after)
    return msgspec.structs.replace(read, next=NextState(following, keys))


def _carry(start: Carried | None, keep: int | None, *, ends: bool = False) -> Carry | None:
    return None if start is None and keep is None and not ends else Carry(start, keep, ends)
