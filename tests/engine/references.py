"""Answers one request at a time, by the plainest code: what the engine's batches are compared with."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from app.engine.protocol import Decode, Pixels, Source, Tokens
from app.models.networks import Classifier, TokenNetwork
from app.models.state import State
from app.store.model_store import open_version
from training.recipe import Shipped, load_shipped


def open_shipped(store: Path, key: str) -> Shipped:
    return load_shipped(open_version(store / key))


@torch.inference_mode()
def label_alone(shipped: Shipped, source: Tokens) -> list[float]:
    assert isinstance(shipped.network, Classifier)
    logits = shipped.network(torch.tensor([source.ids]), torch.tensor([len(source.ids)]))
    scores: list[float] = logits[0].softmax(0).tolist()
    return scores


@dataclass
class Sentence:
    """A hypothesis of the reference; `score` is before the length penalty."""

    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    score: float = 0.0
    reason: str = "length"
    attention: list[list[float]] = field(default_factory=list)
    alternatives: list[list[tuple[int, float]]] = field(default_factory=list)


class Reference:
    """One source and its decoding, without batches, rows or tensors of options."""

    def __init__(self, shipped: Shipped, source: Source, decode: Decode) -> None:
        assert isinstance(shipped.network, TokenNetwork)
        assert shipped.manifest.decoding is not None
        self.network = shipped.network
        self.decoding = shipped.manifest.decoding
        self.decode = decode
        self.first = self.decoding.bos if decode.first is None else decode.first
        with torch.inference_mode():
            assert isinstance(source, Pixels | Tokens)
            if isinstance(source, Pixels):
                image = torch.frombuffer(bytearray(source.data), dtype=torch.uint8)
                image = image.view(1, source.size, source.size, 3)
                self.start = self.network.encode(image, torch.tensor([1]))
            else:
                self.start = self.network.encode(torch.tensor([source.ids]), torch.tensor([len(source.ids)]))

    def step(self, state: State, token: int) -> tuple[list[float], State, Tensor | None]:
        """The model's own log-probabilities after a token."""
        with torch.inference_mode():
            logits, state, weights = self.network.step(torch.tensor([token]), state)
            logits[0, list(self.decoding.suppress)] = float("-inf")
            log_probs: list[float] = logits[0].log_softmax(0).tolist()
        return log_probs, state, weights

    def allowed(self, log_probs: list[float], tokens: list[int]) -> list[float]:
        """After all that may not be decoded now."""
        decode, scores = self.decode, list(log_probs)
        if decode.repetition_penalty != 1.0:
            # log-probabilities are logits up to a constant, which the penalty depends on: so it is not tested here
            raise NotImplementedError
        size = decode.no_repeat_ngram
        if size:
            for start in range(len(tokens) - size + 1):
                if tokens[start : start + size - 1] == tokens[len(tokens) - size + 1 :]:
                    scores[tokens[start + size - 1]] = -math.inf
        for token in decode.forbidden:
            scores[token] = -math.inf
        if len(tokens) < decode.min_tokens:
            scores[self.decoding.eos] = -math.inf
        if len(tokens) < len(decode.prefix):
            forced = decode.prefix[len(tokens)]
            scores = [max(score, -100.0) if token == forced else -math.inf for token, score in enumerate(scores)]
        return scores

    def greedy(self) -> Sentence:
        """The most probable token at each step."""
        sentence, state, token = Sentence(), self.start, self.first
        while len(sentence.tokens) < self.decode.max_tokens:
            log_probs, state, weights = self.step(state, token)
            scores = self.allowed(log_probs, sentence.tokens)
            token = max(range(len(scores)), key=scores.__getitem__)
            sentence.log_probs.append(max(log_probs[token], -100.0))
            if weights is not None:
                sentence.attention.append(weights[0].tolist())
            best = sorted(range(len(log_probs)), key=lambda other: -log_probs[other])[: self.decode.alternatives]
            sentence.alternatives.append([(other, log_probs[other]) for other in best])
            if token == self.decoding.eos:
                sentence.reason = "stop"
                break
            sentence.tokens.append(token)
        return sentence

    def search(self) -> list[Sentence]:
        """Beam search over plain lists, in the way that the manifest names."""
        width, eos, how = self.decode.beams, self.decoding.eos, self.decoding.search
        alive: list[tuple[Sentence, State, int]] = [(Sentence(), self.start, self.first)]
        ended: list[Sentence] = []
        closed: set[int] = set()
        for step in range(1, self.decode.max_tokens + 1):
            candidates = self._candidates(alive)
            looked_at = len(alive) if how == "shrinking" and step > 1 else width
            alive = []
            for rank, (score, token, log_prob, sentence, state) in enumerate(candidates[: 2 * width]):
                log_probs = [*sentence.log_probs, max(log_prob, -100.0)]
                is_end, was_ended = token == eos, eos in sentence.tokens
                if is_end and rank < looked_at:
                    closed.add(rank)
                    if not was_ended:
                        ended.append(Sentence(sentence.tokens, log_probs, score, "stop"))
                goes_on = how == "past_end" or not is_end
                if goes_on and (len(alive) < width if how == "full" else rank < looked_at):
                    alive.append((Sentence([*sentence.tokens, token], log_probs, score), state, token))
            is_over = self._is_over(len(ended), closed)
            is_last = step == self.decode.max_tokens
            unfinished = [sentence for sentence, _, _ in alive if eos not in sentence.tokens]
            if is_last and not (how == "shrinking" and ended) and (not is_over or how in ("gaps", "past_end")):
                ended += unfinished
            if is_over:
                break
        return sorted(ended, key=self.normalised, reverse=True)[: self.decode.n_best]

    def _candidates(self, alive: list[tuple[Sentence, State, int]]) -> list[tuple[float, int, float, Sentence, State]]:
        """Continuations, best first: score, token, its log-probability, the sentence before it, and the state after."""
        candidates = []
        for sentence, state, token in alive:
            log_probs, after, _ = self.step(state, token)
            candidates += [
                (sentence.score + score, token, log_probs[token], sentence, after)
                for token, score in enumerate(self.allowed(log_probs, sentence.tokens))
                if score > -math.inf
            ]
        return sorted(candidates, key=lambda candidate: -candidate[0])

    def _is_over(self, ended: int, closed: set[int]) -> bool:
        width, until = self.decode.beams, self.decoding.until
        enough = {"beams": width, "best": self.decode.n_best, "places": 0}[until]
        places = {"beams": 0, "best": 1, "places": width}[until]
        return ended >= enough and closed >= set(range(places))

    def normalised(self, sentence: Sentence) -> float:
        penalty: float = ((5 + len(sentence.log_probs)) / 6) ** self.decode.length_penalty
        return sentence.score / penalty
