"""Captions in training and measurement: lower-case words without punctuation."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from pycocoevalcap.cider.cider import Cider
from sacrebleu.metrics import BLEU  # type: ignore[attr-defined]
from torch import Tensor

from app.engine.protocol import Decode, Hypothesis, Pixels
from app.models.networks import EncoderDecoder
from training.data import Photo
from training.loop import device_of, greedy
from training.recipe import Shipped
from training.searching import hypotheses

LONGEST = 24
_SENTENCE_BLEU = BLEU(tokenize="none", effective_order=True)


def plain_caption(text: str) -> str:
    """Lower case, with letters, digits, apostrophes and hyphens only, as captions are usually scored."""
    return " ".join(re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", text.lower()))


def bleu(captions: Sequence[str], photos: Sequence[Photo]) -> float:
    """Corpus BLEU-4 from 0 to 1 against all references of each photo, without smoothing (Papineni et al. 2002)."""
    references = [[plain_caption(text) for text in photo.captions] for photo in photos]
    columns = [[row[index] if index < len(row) else row[0] for row in references] for index in range(5)]
    scorer = BLEU(tokenize="none", smooth_method="none", force=True)
    return float(scorer.corpus_score([plain_caption(text) for text in captions], columns).score) / 100


def sentence_bleu(caption: str, photo: Photo) -> float:
    """BLEU of one caption from 0 to 1, with the smoothing of sacrebleu, against the references of a photo: of up to
    four words in a row, or of as many as the caption has."""
    references = [plain_caption(text) for text in photo.captions]
    return float(_SENTENCE_BLEU.sentence_score(caption, references).score) / 100


def cider(captions: Sequence[str], photos: Sequence[Photo]) -> float:
    """CIDEr-D (Vedantam et al. 2015) against all references of each photo, by pycocoevalcap; 1 is 100 % in papers."""
    return float(_cider(captions, photos)[0])


def _cider(captions: Sequence[str], photos: Sequence[Photo]) -> tuple[float, Sequence[float]]:
    references = {number: [plain_caption(text) for text in photo.captions] for number, photo in enumerate(photos)}
    answers = {number: [plain_caption(text)] for number, text in enumerate(captions)}
    mean, each = Cider().compute_score(references, answers)
    return mean, each


def each_cider(captions: Sequence[str], photos: Sequence[Photo]) -> list[float]:
    """CIDEr-D of each caption, with the document frequencies of all references."""
    return [float(score) for score in _cider(captions, photos)[1]]


def served(shipped: Shipped, pixels: Tensor, *, beams: int) -> list[Hypothesis]:
    """Captions as they are served, for photos as uint8 (photos, 224, 224, 3)."""
    sources = [Pixels(image.shape[0], image.numpy().tobytes()) for image in pixels]
    return list(hypotheses(shipped, sources, Decode(max_tokens=LONGEST, beams=beams)))


def caption_rows(network: EncoderDecoder, pixels: Tensor) -> list[list[int]]:
    """Token ids of greedy captions for photos as uint8 (photos, 224, 224, 3)."""
    rows: list[list[int]] = []
    for start in range(0, len(pixels), 50):
        images = pixels[start : start + 50].to(device_of(network))
        one_each = torch.ones(len(images), dtype=torch.long, device=images.device)
        rows += greedy(network, images, one_each, longest=LONGEST)
    return rows


class _Vectors(NamedTuple):
    """The weights of the n-grams of one caption, for n from 1 to 4, their norms, and its number of bigrams."""

    weights: list[dict[tuple[str, ...], float]]
    norms: list[float]
    length: int


class CiderReward:
    """CIDEr-D (Vedantam et al. 2015) of one caption at a time, as a reward: document frequencies are those of the
    references, of which `references` has some for each photo. The end counts as a word, or else captions that stop in
    the middle are rewarded."""

    _END = "."
    _SIGMA = 6.0  # of the penalty for another length
    _SCALE = 10.0

    def __init__(self, references: Sequence[Sequence[str]]) -> None:
        grams = [[_grams([*plain_caption(text).split(), self._END]) for text in texts] for texts in references]
        found = Counter(gram for texts in grams for gram in {gram for counts in texts for gram in counts})
        self._documents = math.log(len(references))
        self._frequency = {gram: math.log(count) for gram, count in found.items()}
        self._references = [[self._vectors(counts) for counts in texts] for texts in grams]

    def __call__(self, photo: int, caption: str, *, ended: bool) -> float:
        """The score of a caption of one photo; `ended` says whether it has its end."""
        mine = self._vectors(_grams([*caption.split(), *([self._END] if ended else [])]))
        references = self._references[photo]
        return self._SCALE * sum(self._similarity(mine, reference) for reference in references) / len(references)

    def _vectors(self, counts: Counter[tuple[str, ...]]) -> _Vectors:
        weights: list[dict[tuple[str, ...], float]] = [{} for _ in range(4)]
        for gram, count in counts.items():
            weights[len(gram) - 1][gram] = count * (self._documents - self._frequency.get(gram, 0.0))
        norms = [math.sqrt(sum(weight * weight for weight in part.values())) for part in weights]
        return _Vectors(weights, norms, sum(count for gram, count in counts.items() if len(gram) == 2))

    def _similarity(self, mine: _Vectors, other: _Vectors) -> float:
        total = 0.0
        for weights, norm, others, other_norm in zip(mine.weights, mine.norms, other.weights, other.norms, strict=True):
            if norm and other_norm:
                shared = (
                    min(weight, others[gram]) * others[gram] for gram, weight in weights.items() if gram in others
                )
                total += sum(shared) / (norm * other_norm)
        return total / 4 * math.exp(-((mine.length - other.length) ** 2) / (2 * self._SIGMA**2))


def _grams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    sizes: Iterable[int] = range(1, 5)
    return Counter(tuple(words[start : start + size]) for size in sizes for start in range(len(words) - size + 1))
