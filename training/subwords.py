"""Subword tokenizers (byte-pair encoding, Sennrich et al. 2016) by the `tokenizers` library."""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
FIRST_TAG = 4 + 256


def train_subwords(texts: Iterable[str], *, size: int, lowercase: bool = False, tags: Sequence[str] = ()) -> Tokenizer:
    """A tokenizer of `size` subwords. Ids: pad 0, bos 1, eos 2, unk 3, then 256 bytes for characters never seen, then
    `tags`, which no text is read as."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNK, byte_fallback=True, fuse_unk=True))
    steps: list[normalizers.Normalizer] = [normalizers.NFC(), normalizers.Replace("\u2581", "_")]
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Lowercase()] if lowercase else steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
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
