"""Recipe of `translate-en-ko`: English to Korean, LSTM encoder-decoder with attention over joint subwords.

python -m training.translate_en_ko --data data

It starts from the newest version in the store, if there is one: everyday text is learnt on top of software.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import click
import torch
from sacrebleu.metrics import CHRF  # type: ignore[attr-defined]
from tokenizers import Tokenizer
from torch import Tensor, nn

from app.engine.protocol import Decode, Hypothesis, Tokens
from app.models.networks import EncoderDecoder
from app.store.attention import Attention
from app.store.decoder import Decoder
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder as Architecture
from app.store.encoders import TextEncoder
from app.store.listing import newest_version
from app.store.manifest import Manifest
from app.store.model_store import open_version
from app.store.recurrence import Recurrence
from app.store.registers import Register, Registers
from app.store.text_input import TokenizerUse
from app.store.training_facts import Training
from training.cards import CardText
from training.confidence import Judged
from training.data import Pair, read_enko
from training.enko import (
    NAMED_TESTS,
    SOFTWARE,
    drawn,
    read_general,
    read_named_test,
    read_phrases,
    read_training_pairs,
)
from training.language import sampled_loss
from training.loop import (
    BOS,
    EOS,
    PAD,
    UNK,
    Schedule,
    batches_by_length,
    best_device,
    chunks,
    device_of,
    fit,
    greedy,
    lines_of,
    pad_rows,
)
from training.recipe import STORE, Calibration, Figure, Recipe, Shipped
from training.registers import REGISTERS, TAGS, register_of
from training.searching import hypotheses
from training.self_critical import self_critical_loss
from training.subwords import FIRST_TAG, train_subwords
from training.warm_start import start_from


@dataclass(frozen=True)
class Config:
    """The options of this recipe."""

    vocabulary: int = 12000
    longest: int = 80  # subwords; longer pairs are left out of training
    tokens_per_batch: int = 3072
    negatives: int = 2048  # wrong tokens that the right one is told from before the late epochs, at each place
    late: float = (
        0.7  # share of the epochs after which the late shares count, and the loss is over the whole vocabulary
    )
    tagged: float = (
        0.5  # share of the sources with their target's register before them, where it is known; all rewritten
    )
    dropout: float = 0.2
    label_smoothing: float = 0.1
    seed: int = 1
    schedule: Schedule = field(default_factory=lambda: Schedule(epochs=14, learning_rate=1.8e-3, patience=14))
    samples: int = 4  # translations of a source that are compared with each other
    drawn: float = 0.35  # share of the pairs of a late epoch whose translations are
    longest_drawn: int = 48  # subwords of these pairs
    drawn_per_batch: int = 1000  # subwords of a batch of them
    wrong_register: float = 0.75  # factor on the score of a translation that is not in the register asked for
    rewarded: Schedule = field(
        default_factory=lambda: Schedule(epochs=3, learning_rate=1e-4, average=0.995, weight_decay=0, patience=3)
    )

    def architecture(self) -> Architecture:
        recurrence = Recurrence(cell="lstm", input_size=256, hidden_size=256, layers=2, directions=2)
        decoder = Decoder(
            vocabulary_size=self.vocabulary,
            embedding_size=256,
            cell="lstm",
            hidden_size=512,
            attention=Attention(kind="general"),
            context="output",
            readout=("hidden", "context"),
            readout_size=256,
            tied_output=True,
            bridge="tanh",
        )
        return Architecture(
            encoder=TextEncoder(vocabulary_size=self.vocabulary, recurrence=recurrence), decoder=decoder
        )


class Row(NamedTuple):
    """A pair as it is trained on: source ids with eos, target ids without bos and eos; its place among the pairs, and
    the register that a tag before the source asks for."""

    source: list[int]
    target: list[int]
    place: int = 0
    register: Register | None = None


class Batch(NamedTuple):
    """Rows, and whether the loss is over the whole vocabulary."""

    rows: list[Row]
    is_whole: bool


MAX_TOKENS = 160  # of a translation while measuring
SPARE_TOKENS = 6  # of a sample beyond the longest reference of its batch
BEAMS = 4
LENGTH_PENALTY = 1.5  # of a search; of 0, 0.5, 1, 1.5 and 2 the best on dev
ACCEPTABLE = 40  # chrF of a translation against its reference
JUDGED_SOFTWARE = 300  # pairs of the dev split, beside all everyday ones
TAG_IDS = tuple(range(FIRST_TAG, FIRST_TAG + len(TAGS)))  # before a source, never in a target
TAG_ID = dict(zip(REGISTERS, TAG_IDS, strict=True))
SUPPRESSED = (PAD, BOS, UNK, *TAG_IDS)
TATOEBA = "laser-tatoeba-6w"  # most of its references are casual, as those of Tatoeba's dev pairs are
NAME = "translate-en-ko"
CONFIG = Config()
CARD = CardText(
    data="""404,959 different sentence pairs, see `training/enko.py`. Everyday: 16,186 written by hand
for this project (`phrases`) and 8,689 more (`training/data/phrases.tsv`), 27,952 English sentences of
Tatoeba that were translated for this project (`training/data/tatoeba.tsv.gz`), 150,281 pairs that are
these, rewritten in their other registers (`training/endings.py`), 7,339 of Tatoeba (two
collections), 675 of school English (jhe), 695 of African Storybook, 8,490 requests of StyleKQC (English
by kosp2e), 3 of the 10 wordings of each meaning.
Software: 57,428 of the gettext catalogues of 17 Debian packages (GIMP, Inkscape, Evolution, VLC, Krita,
digiKam, Audacity, Git, GnuCash, GNOME, coreutils, LibreOffice and others), 13,768 of LibreOffice help,
36,976 of the Korean translation of the Python documentation, 27,067 of tldr-pages and 508 of Minetest.
The rest: 28,931 of games (Cataclysm DDA 14,708, Shattered Pixel Dungeon 5,251, Tales of Maj'Eyal 2,455,
Warzone 2100 1,919, Wesnoth 1,163, Freeciv 1,149, Dungeon Crawl 1,123, Flare 779, SuperTux 384), 2,698
of Scratch, 4,941 of IoT for Beginners (machine translated), 1,231 of the Open Source Guides, 744 of
Django Girls, 857 of Tux Paint and its stamps, 854 news sentences of the Korean-English news corpus (its
dev part), 68 of the Declaration of Human Rights, and names: 2,982 of CLDR, 3,095 of OpenStreetMap,
2,504 of KGeography. An epoch draws from each source by its share: the written and translated pairs one and a half
times, one in five of the rewritten ones, nine in ten of Tatoeba, two in five of software (one in
thirteen in the first 14 epochs).

Split by normalised source text (lower case, letters only, digits alike), so that sources which differ
only in punctuation or numbers are in the same part: 3 % test, 1.5 % dev by SHA-256, see
`training/data.py`; of `phrases` 3.2 %, of which the first 500 are the test. laser-tatoeba-6w, jhe-eval
and ud-pud are published tests, and what has its English in the data above was left out of them. No pair
is trained on whose English, normalised, is in one of these tests, nor one whose Korean is in the test
of `phrases`; no translated sentence has the Korean of a published test, if that has three words or more.
Pairs of more than 80 subwords on a side are left out of training, not of the test. One subword
tokenizer (byte-pair encoding, 12,000 subwords, bytes for unseen characters) for both languages
is trained on the training part alone. The weights start from version 2 of this model (the same network);
its embeddings of shared subwords were kept, those of new ones start as means. Trained for 14 epochs,
and for 2 more with more of software: that was version 3. Version 4 goes on with self-critical training:
it samples four translations of a source, of at most 48 subwords, and makes those with a higher chrF than
the others more probable, and less those that are not in the register asked for. That was done for a
third of an epoch at a rate of 5e-5 and one at 1.5e-4, by chrF alone, and then for three at 1e-4 and for
another one at 2e-4, by both. The weights are a mean, chosen on dev: 0.18 of each of these four epochs, and
0.28 of version 3, which keeps software. The recipe takes both scores from the first, for three epochs,
and no mean. Version 5 goes on from version 4 with the translated sentences: for three times two thirds of an
epoch by likelihood, at a rate of 5e-4, and then twice 0.28 of an epoch by both scores, at 1.5e-4.
The weights are a mean, chosen on dev: half of those after the likelihood, a quarter of those after the
scores, and a quarter of version 4. Before half of the sources a tag stands that names the register
of the target (polite, formal, plain, casual), read off its last word, and before all rewritten ones;
served without a tag, the model chooses the register by the sentence.""",
    limits="""Short everyday sentences and the language of software: user interfaces and manuals. Rare
words, names, numbers in words and idioms are often wrong or left out, and a fluent answer may say
something else than its source: of the first 20 sentences of the test of `phrases` 9 are right or nearly
with 4 beams (version 4: 11; "We ended up at the sea" becomes "we got up at the sea"); greedy answers are
worse. See the numbers for news and encyclopedias (ud-pud). Long sentences lose parts. On software it is
one to three points below version 1, which knew nothing else. A register
that is asked for comes out in 95 of 100 sentences. Without a choice, 98 % of the everyday answers are
polite and 98 % of those to formal strings of software formal; most references of Tatoeba are casual, which
costs a fifth of its chrF there, and sentences of the same collection, though not these, are in the training part.
`phrases` was written by one team, and its
test resembles its training part; jhe-eval and ud-pud do not. Software strings that differ in words (one
menu entry beside another) do cross the split, which flatters them.""",
    terms="""`phrases`: CC0. Tatoeba, laser-tatoeba-6w: CC-BY 2.0 FR; StyleKQC, kosp2e, Django Girls,
jhe, news corpus, ud-pud, Cataclysm DDA, Flare: CC-BY-SA 3.0 or 4.0; African Storybook, tldr-pages, Open
Source Guides: CC-BY 4.0; IoT for Beginners: MIT; OpenStreetMap names: ISC; CLDR: Unicode-3.0; Scratch:
AGPL-3.0; other games, Tux Paint and KGeography: GPL-2.0 or later or GPL-3.0; Minetest: LGPL-2.1 or
later. Catalogues: the licences of their packages (mostly GPL, LGPL and MPL); LibreOffice help: MPL-2.0;
Python documentation: PSF licence. Weights: Apache-2.0, as the rest of this repository.""",
)


def encode(tokenizer: Tokenizer, pairs: Sequence[Pair]) -> list[Row]:
    sources = tokenizer.encode_batch([pair.source for pair in pairs])
    targets = tokenizer.encode_batch([pair.target for pair in pairs])
    return [Row([*source.ids, EOS], target.ids) for source, target in zip(sources, targets, strict=True)]


def tokenizer_of(folder: Path, pairs: Sequence[Pair], *, size: int) -> Tokenizer:
    """That of the run in `folder`, trained on what one late epoch reads if there is none yet."""
    file = folder / "tokenizer.json"
    if not file.exists():
        read = [pairs[place] for place in drawn(pairs, late=True, seed=0)]
        texts = lines_of((pair.source for pair in read), (pair.target for pair in read))
        train_subwords(texts, size=size, tags=list(TAGS.values())).save(str(file))
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True
    return tokenizer


def train(data: Path, folder: Path, epochs: int | None) -> None:
    config = CONFIG
    schedule = config.schedule.for_trial(epochs)
    torch.manual_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = read_training_pairs(data)
    dev = [*read_phrases(data, "dev")[:250], *read_general(data, "dev")[:200], *read_enko(data, "dev")[:250]]
    tokenizer = tokenizer_of(folder, pairs, size=config.vocabulary)
    rows, dev_rows = encode(tokenizer, pairs), encode(tokenizer, dev)
    registers = [register_of(pair.target) for pair in pairs]
    lengths = [max(len(row.source), len(row.target)) for row in rows]
    device = best_device()
    network = EncoderDecoder(config.architecture(), dropout=config.dropout).to(device)
    newest = newest_version(STORE, NAME)
    if newest and not (folder / "last.pt").exists():
        is_taken = start_from(network, tokenizer, open_version(STORE / NAME / str(newest)))
        click.echo(f"from version {newest} in the store" if is_taken else "from the start: another architecture")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    subword_count = sum(len(row.target) for row in rows)
    click.echo(f"{len(pairs)} pairs, {subword_count} target subwords, {parameters} parameters")
    counts = torch.full((config.vocabulary,), 20.0)  # nothing is so rare that it is never told to be wrong
    for row in rows:
        counts += torch.bincount(torch.tensor(row.target), minlength=config.vocabulary)
    noise = (counts.pow(0.75) / counts.pow(0.75).sum()).to(device)

    def batches_of(epoch: int, *, longest: int, budget: int, late: bool) -> list[list[Row]]:
        """Those of an epoch, of pairs of at most `longest` subwords on a side."""
        generator = torch.Generator().manual_seed(config.seed + epoch)
        read = []
        for place in drawn(pairs, late=late, seed=config.seed + epoch):
            register, row = registers[place], rows[place]
            share = 1 if pairs[place].origin == "rewritten" else config.tagged
            if register is None or float(torch.rand((), generator=generator)) > share:
                read.append(Row(row.source, row.target, place))
            else:
                read.append(Row([TAG_ID[register], *row.source], row.target, place, register))
        return batches_by_length(
            [row for row in read if lengths[row.place] <= longest],
            lambda row: len(row.source) + len(row.target),
            budget=budget,
            generator=generator,
        )

    def batches(epoch: int) -> list[Batch]:
        is_late = epoch >= round(config.late * schedule.epochs)
        parts = batches_of(epoch, longest=config.longest, budget=config.tokens_per_batch, late=is_late)
        return [Batch(part, is_late) for part in parts]

    def drawn_batches(epoch: int) -> list[list[Row]]:
        """A share of the batches of a late epoch, of short pairs."""
        later = schedule.epochs + epoch
        parts = batches_of(later, longest=config.longest_drawn, budget=config.drawn_per_batch, late=True)
        return parts[: round(config.drawn * len(parts))]

    def loss(batch: Batch) -> Tensor:
        sources, lengths = pad_rows([row.source for row in batch.rows], device)
        targets, _ = pad_rows([[BOS, *row.target, EOS] for row in batch.rows], device)
        counted = targets[:, 1:] != PAD
        features = network.decoder.features(targets[:, :-1], network.encode(sources, lengths))[counted]
        output, right = network.decoder.output, targets[:, 1:][counted]
        if not batch.is_whole:
            return sampled_loss(output, features, right, noise, config.negatives)
        return nn.functional.cross_entropy(output(features).float(), right, label_smoothing=config.label_smoothing)

    chrf_of = CHRF().sentence_score

    def rewarded_loss(batch: list[Row]) -> Tensor:
        network.eval()  # samples are those of the network as it is served

        def rewards(place: int, answers: list[list[int]]) -> list[float]:
            row = batch[place]
            texts = tokenizer.decode_batch(answers)
            scores = []
            for text, answer in zip(texts, answers, strict=True):
                is_wrong = row.register is not None and register_of(text) != row.register
                factor = (config.wrong_register if is_wrong else 1) * (1 if answer[-1] == EOS else 0.5)
                scores.append(factor * chrf_of(text, [pairs[row.place].target]).score / 100)
            return scores

        sources, lengths = pad_rows([row.source for row in batch], device)
        return self_critical_loss(
            network.decoder,
            network.encode(sources, lengths),
            rewards,
            samples=config.samples,
            forbidden=SUPPRESSED,
            longest=max(len(row.target) for row in batch) + SPARE_TOKENS,
        )

    def score(averaged: nn.Module) -> float:
        """Mean of the chrF of everyday and of software sentences."""
        assert isinstance(averaged, EncoderDecoder)
        texts = tokenizer.decode_batch(translations(averaged, [row.source for row in dev_rows]))
        scores = []
        for is_software in (False, True):
            mine = [place for place, pair in enumerate(dev) if (pair.origin in SOFTWARE) == is_software]
            scores.append(chrf([texts[place] for place in mine], [dev[place].target for place in mine]))
        click.echo(f"chrF of dev: everyday {scores[0]:.2f}, software {scores[1]:.2f}")
        return sum(scores) / len(scores)

    fit(network, schedule, batches=batches, loss=loss, score=score, folder=folder / "likely")
    fit(
        network,
        config.rewarded.for_trial(epochs),
        batches=drawn_batches,
        loss=rewarded_loss,
        score=score,
        folder=folder,
    )


def translations(network: EncoderDecoder, sources: Sequence[list[int]]) -> list[list[int]]:
    """Greedy translations in the order of the sources. Batches have sources of similar length."""
    order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
    answers: dict[int, list[int]] = {}
    for part in chunks(order, 50):
        tokens, lengths = pad_rows([sources[index] for index in part], device_of(network))
        longest = min(MAX_TOKENS, 20 + 2 * int(lengths.max()))
        answers.update(zip(part, greedy(network, tokens, lengths, longest=longest), strict=True))
    return [answers[index] for index in range(len(sources))]


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF from 0 to 100 (Popović 2015), by sacrebleu."""
    return float(CHRF().corpus_score(hypotheses, [references]).score)


Asked = Callable[[Pair], Register | None]  # the register of the request for the translation of a pair


def served(
    shipped: Shipped, pairs: Sequence[Pair], *, beams: int, asked: Asked = lambda pair: None
) -> list[tuple[str, Hypothesis]]:
    """Translations as they are served, in order, with what the engine decodes."""
    sources = [Tokens(shipped.encode(pair.source, asked(pair))) for pair in pairs]
    order = sorted(range(len(pairs)), key=lambda place: len(sources[place].ids))
    penalty = shipped.manifest.decoding.length_penalty if shipped.manifest.decoding and beams > 1 else 0.0
    search = Decode(max_tokens=MAX_TOKENS, beams=beams, length_penalty=penalty)
    answers = hypotheses(shipped, [sources[place] for place in order], search)
    found = dict(zip(order, answers, strict=True))
    return [(shipped.tokenizer.decode(found[place].tokens), found[place]) for place in range(len(pairs))]


def always(register: Register) -> Asked:
    return lambda pair: register


def register_of_target(pair: Pair) -> Register | None:
    return register_of(pair.target)


def searched_figure(
    shipped: Shipped, name: str, pairs: Sequence[Pair], more: str = "", asked: Asked = lambda pair: None
) -> Figure:
    """chrF of translations by beam search as they are served."""
    texts = [text for text, _ in served(shipped, pairs, beams=BEAMS, asked=asked)]
    score = chrf(texts, [pair.target for pair in pairs])
    return Figure(f"chrF, {name}, beam {BEAMS}{more}", score, f"test sources of {name}, {len(pairs)}")


def judged(shipped: Shipped, data: Path, beams: int) -> list[Judged]:
    """Translations of everyday and software sentences, judged by the chrF of each against its reference."""
    everyday = [*read_phrases(data, "test"), *read_phrases(data, "dev")]
    pairs = [*everyday, *read_enko(data, "dev")[:JUDGED_SOFTWARE]]
    chrf_of = CHRF().sentence_score
    return [
        Judged(_mean(hypothesis.log_probs), chrf_of(text, [pair.target]).score >= ACCEPTABLE)
        for pair, (text, hypothesis) in zip(pairs, served(shipped, pairs, beams=beams), strict=True)
    ]


def register_figures(shipped: Shipped, data: Path) -> list[Figure]:
    """How often the asked register comes out, of everyday sentences whose reference has one."""
    pairs = [pair for pair in read_phrases(data, "test") if register_of(pair.target)]
    if not pairs:
        return []
    figures = []
    for register in REGISTERS:
        answers = served(shipped, pairs, beams=1, asked=always(register))
        given = [register_of(text) for text, _ in answers]
        share = given.count(register) / len(given)
        figures.append(Figure(f"register {register}", share, f"test sources of phrases, {len(pairs)}, greedy"))
    software = [pair for pair in read_enko(data, "test") if register_of(pair.target) == "formal"]
    for name, register, sources in (
        ("phrases", "polite", pairs),
        ("software whose reference is formal", "formal", software),
    ):
        given = [found for text, _ in served(shipped, sources, beams=1) if (found := register_of(text))]
        share = given.count(register) / max(1, len(given))
        figures.append(
            Figure(
                f"register {register} without a choice", share, f"answers with a register, {name}, {len(given)}, greedy"
            )
        )
    return figures


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, EncoderDecoder)
    test = read_enko(data, "test")
    ids = translations(shipped.network, [shipped.encode(pair.source) for pair in test])
    texts = [shipped.tokenizer.decode(row) for row in ids]
    figures = [Figure("chrF", chrf(texts, [pair.target for pair in test]), f"test sources, all {len(test)}")]
    for origin in sorted({pair.origin for pair in test}):
        mine = [(text, pair.target) for text, pair in zip(texts, test, strict=True) if pair.origin == origin]
        hypotheses, references = zip(*mine, strict=True)
        figures.append(
            Figure(f"chrF, {origin}", chrf(hypotheses, references), f"test sources of {origin}, {len(mine)}")
        )
    for name, pairs in (
        ("all of the above", test),
        ("phrases", read_phrases(data, "test")),
        *((name, read_named_test(data, name)) for name in NAMED_TESTS),
    ):
        if pairs:
            figures.append(searched_figure(shipped, name, pairs))
        if pairs and name == TATOEBA:
            casual = searched_figure(shipped, name, pairs, ", register casual", always("casual"))
            figures += [
                casual,
                searched_figure(shipped, name, pairs, ", register of the reference", register_of_target),
            ]
    return [*figures, *register_figures(shipped, data)]


RECIPE = Recipe(
    draft=Manifest(
        name=NAME,
        version=1,
        task="translation",
        description="English to Korean, for short everyday sentences and for software: menus, messages, manuals.",
        default=True,
        source_language="en",
        target_language="ko",
        architecture=CONFIG.architecture(),
        tokenizer=TokenizerUse(append=(EOS,), white_space="plain"),
        one_sentence=True,
        precision="int8",
        registers=Registers(tokens=dict(TAG_ID)),
        decoding=Decoding(bos=BOS, eos=EOS, suppress=SUPPRESSED, max_tokens=128, length_penalty=LENGTH_PENALTY),
        limits=TokenLimits(source_tokens=256, max_tokens=512),
        parameters=1,
        files={},
        licence="Apache-2.0; trained on texts of several licences, see MODEL_CARD.md",
        training=Training(recipe="python -m training.translate_en_ko", minutes=100),
    ),
    card=CARD,
    train=train,
    measure=measure,
    calibration=Calibration(
        acceptable=f"""chrF (Popović 2015) of at least {ACCEPTABLE} against the one reference, of translations of
everyday sentences (test and dev of `phrases`) and of {JUDGED_SOFTWARE} strings of software (dev). That
is a proxy: some
translations above it are wrong in a word, some below it are right in other words.""",
        judged=judged,
        beams=BEAMS,
    ),
)

if __name__ == "__main__":
    RECIPE.command()()
