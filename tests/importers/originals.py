"""Networks of well-known repositories with their parameter names and their decoding, written anew from the facts of
their layouts: step by step and one input at a time. Imported networks are compared with them."""

import random
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

WORDS = ["film", "great", "bad", "plot", "actor", "scene", "very", "not", "boring", "fine", "a", "the", "was", "is"]


class Answer(NamedTuple):
    """Emitted words with the end, if it came, and their log-probabilities."""

    words: list[str]
    log_probs: list[float]


def enlarge(module: nn.Module) -> nn.Module:
    """Larger weights, so that answers differ between inputs."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(2.5)
    return module.eval()


class LegacySeq2Seq(nn.Module):
    """bentrevett's notebook 1 of 2018, whose output layer is `out`: sources are read from last word to first."""

    def __init__(self, source: Sequence[str], target: Sequence[str]) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.encoder: Any = nn.Module()
        self.encoder.embedding, self.encoder.rnn = nn.Embedding(len(source), 6), nn.LSTM(6, 8, 2)
        self.decoder: Any = nn.Module()
        self.decoder.embedding, self.decoder.rnn = nn.Embedding(len(target), 6), nn.LSTM(6, 8, 2)
        self.decoder.out = nn.Linear(8, len(target))
        enlarge(self)

    @torch.no_grad()
    def answer(self, text: str) -> Answer:
        words = ["<sos>", *reversed(text.lower().split()), "<eos>"]
        ids = torch.tensor([self.source.index(word) for word in words]).unsqueeze(1)
        _, state = self.encoder.rnn(self.encoder.embedding(ids))
        token, emitted, log_probs = torch.tensor([[self.target.index("<sos>")]]), [], []
        for _ in range(50):
            output, state = self.decoder.rnn(self.decoder.embedding(token), state)
            value, token = torch.log_softmax(self.decoder.out(output), 2).max(2)
            emitted.append(self.target[int(token)])
            log_probs.append(float(value))
            if emitted[-1] == "<eos>":
                break
        return Answer(emitted, log_probs)


class OpenNMT(nn.Module):
    """A bidirectional LSTM encoder, a stack of cells with input feeding, general attention, a generator."""

    def __init__(self) -> None:
        super().__init__()
        hidden = 8
        self.source = ["<unk>", "<blank>", *WORDS]
        self.target = ["<unk>", "<blank>", "<s>", "</s>", *reversed(WORDS)]
        self.source_embedding, self.target_embedding = (
            nn.Embedding(len(self.source), 6),
            nn.Embedding(len(self.target), 6),
        )
        self.encoder = nn.LSTM(6, hidden // 2, 2, bidirectional=True)
        self.layers = nn.ModuleList([nn.LSTMCell(6 + hidden, hidden), nn.LSTMCell(hidden, hidden)])
        self.linear_in = nn.Linear(hidden, hidden, bias=False)
        self.linear_out = nn.Linear(2 * hidden, hidden, bias=False)
        self.generator = nn.Sequential(nn.Linear(hidden, len(self.target)))
        enlarge(self)

    def checkpoint(self) -> dict[str, object]:
        lut = "embeddings.make_embedding.emb_luts.0.weight"
        model = {
            f"encoder.{lut}": self.source_embedding.weight.data,
            **{f"encoder.rnn.{key}": tensor for key, tensor in self.encoder.state_dict().items()},
            f"decoder.{lut}": self.target_embedding.weight.data,
            **{f"decoder.rnn.layers.{key}": tensor for key, tensor in self.layers.state_dict().items()},
            "decoder.attn.linear_in.weight": self.linear_in.weight.data,
            "decoder.attn.linear_out.weight": self.linear_out.weight.data,
        }
        return {
            "model": model,
            "generator": self.generator.state_dict(),
            "vocab": {"src": self.source, "tgt": self.target},
        }

    @torch.no_grad()
    def answer(self, text: str, *, steps: int) -> Answer:
        ids = torch.tensor([self.source.index(w) if w in self.source else 0 for w in text.split(" ")]).unsqueeze(1)
        memory, (hidden, cell) = self.encoder(self.source_embedding(ids))
        memory = memory.squeeze(1)  # source x hidden
        joined = [torch.cat((rows[0::2], rows[1::2]), 2) for rows in (hidden, cell)]
        states = [(joined[0][layer], joined[1][layer]) for layer in range(2)]
        fed, token = torch.zeros(1, 8), 2
        words, log_probs = [], []
        for _ in range(steps):
            inputs = torch.cat((self.target_embedding(torch.tensor([token])), fed), 1)
            for layer, stacked in enumerate(self.layers):
                states[layer] = stacked(inputs, states[layer])
                inputs = states[layer][0]
            weights = torch.softmax(self.linear_in(inputs) @ memory.t(), 1)
            fed = torch.tanh(self.linear_out(torch.cat((weights @ memory, inputs), 1)))
            value, best = torch.log_softmax(self.generator(fed), 1).max(1)
            token = int(best)
            words.append(self.target[token])
            log_probs.append(float(value))
            if token == 3:
                break
        return Answer(words, log_probs)


CVND_WORDS = ["<start>", "<end>", "<unk>", *WORDS]


class Cvnd(nn.Module):
    """A student's decoder: two layers, names of their own, the image as the first input, twenty steps."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.embed: nn.Module = nn.Linear(features, 6)
        self.word_embeddings = nn.Embedding(len(CVND_WORDS), 6)
        self.lstm = nn.LSTM(6, 8, 2, batch_first=True)
        self.hidden2vocab = nn.Linear(8, len(CVND_WORDS))
        enlarge(enlarge(self))

    @torch.no_grad()
    def answer(self, pooled: Tensor) -> Answer:
        inputs, states = self.embed(pooled).unsqueeze(1), None
        words, log_probs = [], []
        for _ in range(20):
            outputs, states = self.lstm(inputs, states)
            value, token = torch.log_softmax(self.hidden2vocab(outputs[:, 0]), 1).max(1)
            words.append(CVND_WORDS[int(token)])
            log_probs.append(float(value))
            if words[-1] == "<end>":
                break
            inputs = self.word_embeddings(token).unsqueeze(1)
        return Answer(words, log_probs)


class Own(nn.Module):
    """A user's own classifier of three labels."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(len(WORDS) + 2, 6)
        self.net = nn.ModuleDict({"gru": nn.GRU(6, 5, bidirectional=True, batch_first=True)})
        self.head = nn.Linear(10, 3)
        enlarge(self)

    @torch.no_grad()
    def answer(self, text: str, words: Sequence[str]) -> list[float]:
        _, hidden = self.net["gru"](self.emb(torch.tensor([[words.index(word) for word in text.split()]])))
        probabilities: list[float] = self.head(torch.cat((hidden[0], hidden[1]), 1)).softmax(1)[0].tolist()
        return probabilities


class OwnPair(nn.Module):
    """A user's own encoder-decoder: LSTM to LSTM, dot attention, an attentional vector."""

    MAPPING: ClassVar[dict[str, Any]] = {
        "parts": {
            "encoder.embedding": "src_emb",
            "encoder.recurrence": "enc",
            "decoder.embedding": "tgt_emb",
            "decoder.recurrence": "dec",
            "decoder.readout": "mix",
            "decoder.output": "proj",
        },
        "decoder": {
            "attention": {"kind": "dot"},
            "readout": ["hidden", "context"],
            "readout_size": 8,
            "bridge": "copy",
        },
        "append": ["</s>"],
        "bos": "<s>",
        "eos": "</s>",
        "max_tokens": 12,
    }

    def __init__(self) -> None:
        super().__init__()
        self.words = {"source": ["<unk>", "</s>", *WORDS], "target": ["<unk>", "<s>", "</s>", *WORDS]}
        self.src_emb, self.tgt_emb = nn.Embedding(len(WORDS) + 2, 6), nn.Embedding(len(WORDS) + 3, 6)
        self.enc, self.dec = nn.LSTM(6, 8, batch_first=True), nn.LSTM(6, 8, batch_first=True)
        self.mix, self.proj = nn.Linear(16, 8), nn.Linear(8, len(WORDS) + 3, bias=False)
        enlarge(self)

    @torch.no_grad()
    def answer(self, text: str) -> Answer:
        ids = [self.words["source"].index(word) for word in [*text.split(), "</s>"]]
        memory, state = self.enc(self.src_emb(torch.tensor([ids])))
        token, words, log_probs = torch.tensor([[1]]), [], []
        for _ in range(12):
            output, state = self.dec(self.tgt_emb(token), state)
            context = torch.softmax(output @ memory.transpose(1, 2), 2) @ memory
            vector = torch.tanh(self.mix(torch.cat((output, context), 2)))
            value, token = torch.log_softmax(self.proj(vector), 2).max(2)
            words.append(self.words["target"][int(token)])
            log_probs.append(float(value))
            if words[-1] == "</s>":
                break
        return Answer(words, log_probs)


def sentences(count: int, *, seed: int, words: Sequence[str] = WORDS, longest: int = 9) -> list[str]:
    """Made-up texts of known words."""
    source = random.Random(seed)
    return [" ".join(source.choices(words, k=source.randint(1, longest))) for _ in range(count)]
