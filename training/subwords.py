"""Subword tokenizers (byte-pair encoding, Sennrich et al. 2016) by the `tokenizers` library."""

from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
FIRST_TAG = 4 + 256


def train_subwords(texts: Iterable[str], *, size: int, lowercase: bool = False, tags: Sequence[str] = ()) -> Tokenizer:
    """A tokenizer of `size` subwords. Ids: pad 0, bos 1, eos 2, unk 3, then 256 bytes for unseen characters, then
    `tags`, which are never part of a text."""
    lower = [normalizers.Lowercase()] if lowercase else []
    pieces = [pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Digits(individual_digits=True)]
    return _trained(texts, size, lower, pieces, tags)


def train_subwords_of_words(texts: Iterable[str], *, size: int, pattern: str) -> Tokenizer:
    """The same, with the pieces of its pre-tokenizer as words: what matches `pattern`, and what is left between matches
    and spaces. A space is `\u2581`, at the start of a piece. Every digit is read as 0."""
    zeros = normalizers.Replace(Regex(r"\d"), "0")
    return _trained(texts, size, [zeros], [pre_tokenizers.Split(Regex(pattern), "isolated")])


def _trained(
    texts: Iterable[str],
    size: int,
    rules: Sequence[normalizers.Normalizer],
    pieces: Sequence[pre_tokenizers.PreTokenizer],
    tags: Sequence[str] = (),
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=UNK, byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace("\u2581", "_"), *rules])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), *pieces])
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        limit_alphabet=2000,
        special_tokens=[PAD, BOS, EOS, UNK, *(f"<0x{byte:02X}>" for byte in range(256)), *tags],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
