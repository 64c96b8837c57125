"""Trains the models that docs/importing.md and the README import: `python -m tests.docs.importing_files`.

It stands for a user's training scripts, and uses nothing of Unroll. It needs torch, Keras on torch, scikit-learn,
joblib and Pillow, and writes docs/importing/. The answers on the pages are those of the files that are there: after a
new training `python -m tests.docs.importing_page` writes them.
"""

import json
import math
import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

FOLDER = Path(__file__).parents[2] / "docs" / "importing"
GOOD = ["good", "great", "warm", "funny", "lovely", "bright", "fine", "clever"]
BAD = ["bad", "dull", "slow", "cold", "weak", "awful", "boring", "flat"]
REST = ["a", "the", "film", "story", "plot", "was", "is", "and", "very", "so", "this", "it"]


class Classifier(nn.Module):
    """Reads the mean of the outputs."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 12, padding_idx=0)
        self.lstm = nn.LSTM(12, 16, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(32, 2)

    def forward(self, ids: Tensor) -> Tensor:
        answer: Tensor = self.fc(self.lstm(self.embedding(ids))[0].mean(1))
        return answer


class Forecaster(nn.Module):
    """Reads the last output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 24, batch_first=True)
        self.linear = nn.Linear(24, 1)

    def forward(self, window: Tensor) -> Tensor:
        answer: Tensor = self.linear(self.lstm(window)[0][:, -1])
        return answer


class Characters(nn.Module):
    """The state goes on from character to character."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 16)
        self.gru = nn.GRU(16, 48, batch_first=True)
        self.decoder = nn.Linear(48, characters)

    def forward(self, ids: Tensor) -> Tensor:
        answer: Tensor = self.decoder(self.gru(self.embedding(ids))[0])
        return answer


class Tagger(nn.Module):
    def __init__(self, words: int, tags: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(words, 12)
        self.lstm = nn.LSTM(12, 12, bidirectional=True, batch_first=True)
        self.hidden2tag = nn.Linear(24, tags)

    def forward(self, ids: Tensor) -> Tensor:
        answer: Tensor = self.hidden2tag(self.lstm(self.word_embeddings(ids))[0])
        return answer


class Translator(nn.Module):
    """Attention by dot products with the state after a step; tanh before the output layer."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.src_embedding = nn.Embedding(source, 12)
        self.encoder = nn.GRU(12, 16, batch_first=True)
        self.tgt_embedding = nn.Embedding(target, 12)
        self.decoder = nn.GRU(12, 16, batch_first=True)
        self.concat = nn.Linear(32, 16)
        self.out = nn.Linear(16, target)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, state = self.encoder(self.src_embedding(source))
        outputs = self.decoder(self.tgt_embedding(target), state)[0]
        weights = (outputs @ memory.transpose(1, 2)).softmax(2)
        answer: Tensor = self.out(torch.tanh(self.concat(torch.cat((outputs, weights @ memory), 2))))
        return answer


class TwoHeads(nn.Module):
    """The second head, of the film's language, was used in training only."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(words, 6)
        self.net = nn.ModuleDict({"gru": nn.GRU(6, 8, batch_first=True)})
        self.head = nn.Linear(8, 2)
        self.domain = nn.Linear(8, 4)

    def forward(self, ids: Tensor) -> Tensor:
        answer: Tensor = self.head(self.net["gru"](self.emb(ids))[0][:, -1])
        return answer


class Block(nn.Module):
    """The basic block of a ResNet, with torchvision's names."""

    def __init__(self, width: int, to: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, to, 3, stride, 1, bias=False), nn.BatchNorm2d(to)
        self.conv2, self.bn2 = nn.Conv2d(to, to, 3, 1, 1, bias=False), nn.BatchNorm2d(to)
        if stride > 1 or width != to:
            self.downsample = nn.Sequential(nn.Conv2d(width, to, 1, stride, bias=False), nn.BatchNorm2d(to))

    def forward(self, image: Tensor) -> Tensor:
        kept = self.downsample(image) if hasattr(self, "downsample") else image
        answer: Tensor = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(image))))) + kept)
        return answer


class ImageEncoder(nn.Module):
    """yunjey's, with a ResNet that is small."""

    def __init__(self) -> None:
        super().__init__()
        stages = [Block(8, 8, 1), Block(8, 8, 2), Block(8, 16, 2), Block(16, 16, 2)]
        self.resnet = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            *(nn.Sequential(stage) for stage in stages),
            nn.AdaptiveAvgPool2d(1),
        )
        self.linear, self.bn = nn.Linear(16, 16), nn.BatchNorm1d(16)

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            vectors = self.resnet.eval()(images).flatten(1)
        answer: Tensor = self.bn(self.linear(vectors))
        return answer


class ImageDecoder(nn.Module):
    def __init__(self, words: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, 16)
        self.lstm = nn.LSTM(16, 32, batch_first=True)
        self.linear = nn.Linear(32, words)

    def forward(self, vectors: Tensor, words: Tensor) -> Tensor:
        steps = torch.cat((vectors.unsqueeze(1), self.embed(words)), 1)
        answer: Tensor = self.linear(self.lstm(steps)[0])
        return answer


def numbered(words: Iterable[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(words)}


def train(steps: int, loss: Callable[[], Tensor], *modules: nn.Module) -> None:
    optimizer = torch.optim.Adam([weight for module in modules for weight in module.parameters()], 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def review(label: int) -> list[str]:
    words = [random.choice(REST) for _ in range(random.randint(2, 6))]
    for _ in range(2):
        words.insert(random.randrange(len(words) + 1), random.choice(GOOD if label else BAD))
    return words


def classifier() -> None:
    ids = numbered(["<pad>", "<unk>", *REST, *GOOD, *BAD])
    network = Classifier(len(ids))

    def loss() -> Tensor:
        labels = [random.randint(0, 1) for _ in range(8)]
        outputs = [network(torch.tensor([[ids[word] for word in review(label)]])) for label in labels]
        return cross_entropy(torch.cat(outputs), torch.tensor(labels))

    train(80, loss, network)
    torch.save({"epoch": 3, "model_state_dict": network.state_dict(), "word_to_ix": ids}, FOLDER / "sentiment.pt")


def forecasters() -> None:
    import joblib
    from keras import Sequential, layers
    from sklearn.preprocessing import MinMaxScaler

    rows = [[200 + 60 * math.sin(month * math.pi / 6) + 0.3 * month] for month in range(240)]
    scaler = MinMaxScaler().fit(rows)
    joblib.dump(scaler, FOLDER / "scaler.joblib")
    scaled = torch.tensor(scaler.transform(rows), dtype=torch.float32)
    windows = torch.stack([scaled[start : start + 12] for start in range(228)])
    network = Forecaster()
    train(150, lambda: mse_loss(network(windows), scaled[12:]), network)
    torch.save(network.state_dict(), FOLDER / "passengers.pth")

    model = Sequential([layers.Input((12, 1)), layers.LSTM(16), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(windows.numpy(), scaled[12:].numpy(), epochs=60, verbose=0)
    model.save(FOLDER / "lstm_model.h5", include_optimizer=False)


def reviews() -> None:
    """A Keras model with a Tokenizer, and texts that are padded behind."""
    import numpy as np
    from keras import Sequential, layers

    ids = {"<unk>": 1} | {word: number + 2 for number, word in enumerate([*REST, *GOOD, *BAD])}
    labels = [random.randint(0, 1) for _ in range(300)]
    texts = np.zeros((300, 12), "int32")
    for row, label in zip(texts, labels, strict=True):
        words = review(label)
        row[: len(words)] = [ids[word] for word in words]
    recurrence = layers.Bidirectional(layers.LSTM(16))
    model = Sequential(
        [layers.Embedding(len(ids) + 1, 12, mask_zero=True), recurrence, layers.Dense(1, activation="sigmoid")]
    )
    model.compile("adam", "binary_crossentropy")
    model.fit(texts, np.array(labels), epochs=20, verbose=0)
    model.save(FOLDER / "reviews.h5", include_optimizer=False)
    config = {
        "num_words": None,
        "filters": '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n',
        "lower": True,
        "split": " ",
        "char_level": False,
        "oov_token": "<unk>",
        "document_count": 300,
        "word_index": json.dumps(ids),
        "index_word": json.dumps({number: word for word, number in ids.items()}),
    }
    FOLDER.joinpath("tokenizer.json").write_text(json.dumps({"class_name": "Tokenizer", "config": config}))


def characters() -> None:
    text = "the cat sat on the mat. the dog sat on the log. " * 4
    ids = numbered(sorted(set(text)))
    network, numbers = Characters(len(ids)), torch.tensor([[ids[character] for character in text]])
    train(120, lambda: cross_entropy(network(numbers[:, :-1])[0], numbers[0, 1:]), network)
    torch.save({"state_dict": network.state_dict(), "char_to_idx": ids}, FOLDER / "chars.pt")


def tagger() -> None:
    tags = numbered(["O", "B-PER", "B-LOC", "B-ORG"])
    names = {"Ann": "B-PER", "Bob": "B-PER", "Paris": "B-LOC", "London": "B-LOC", "Acme": "B-ORG"}
    words = ["<unk>", *names, "lives", "in", "works", "at", "visits", "with", "."]
    ids, network = numbered(words), Tagger(len(words), len(tags))

    def loss() -> Tensor:
        text = random.choices(words, k=8)
        expected = torch.tensor([tags[names.get(word, "O")] for word in text])
        return cross_entropy(network(torch.tensor([[ids[word] for word in text]]))[0], expected)

    train(150, loss, network)
    torch.save({"state_dict": network.state_dict(), "word_to_ix": ids, "tag_to_ix": tags}, FOLDER / "tagger.pt")


def translator() -> None:
    marks = ["<pad>", "<sos>", "<eos>", "<unk>"]
    source = numbered([*marks, "un", "deux", "trois", "quatre", "cinq", "six"])
    target = numbered([*marks, "one", "two", "three", "four", "five", "six"])
    network = Translator(len(source), len(target))

    def loss() -> Tensor:
        length = random.randint(1, 5)
        numbers = torch.randint(4, 10, (16, length))
        first, last = torch.full((16, 1), 1), torch.full((16, 1), 2)
        read, written = torch.cat((numbers, last), 1), torch.cat((first, numbers), 1)
        return cross_entropy(network(read, written).flatten(0, 1), read.flatten())

    train(600, loss, network)
    torch.save(network.state_dict(), FOLDER / "translator.pt")
    FOLDER.joinpath("fr.json").write_text(json.dumps(source))
    FOLDER.joinpath("en.json").write_text(json.dumps(target))


def captioner() -> None:
    import numpy as np
    from PIL import Image

    words = ["<pad>", "<start>", "<end>", "<unk>", "a", "red", "green", "blue", "square", "."]
    colours = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220)}
    pictures = []
    for name, colour in colours.items():
        picture = Image.new("RGB", (64, 64), (255, 255, 255))
        picture.paste(colour, (16, 16, 48, 48))
        if name == "green":
            picture.save(FOLDER / "green.png")
        pictures.append(torch.tensor(np.array(picture)).permute(2, 0, 1) / 255)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = (torch.stack(pictures) - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    captions = torch.tensor([[1, 4, 5 + number, 8, 9, 2] for number in range(3)])
    encoder, decoder = ImageEncoder(), ImageDecoder(len(words))

    def loss() -> Tensor:
        return cross_entropy(decoder(encoder(images), captions[:, :-1]).flatten(0, 1), captions.flatten())

    train(400, loss, encoder.linear, encoder.bn, decoder)
    torch.save(encoder.state_dict(), FOLDER / "encoder-5-3000.ckpt")
    torch.save(decoder.state_dict(), FOLDER / "decoder-5-3000.ckpt")
    FOLDER.joinpath("vocab.json").write_text(json.dumps(words))


def two_heads() -> None:
    words = ["<pad>", "<unk>", *REST, *GOOD, *BAD]
    ids, network = numbered(words), TwoHeads(len(words))

    def loss() -> Tensor:
        labels = [random.randint(0, 1) for _ in range(8)]
        outputs = [network(torch.tensor([[ids[word] for word in review(label)]])) for label in labels]
        return cross_entropy(torch.cat(outputs), torch.tensor(labels))

    train(200, loss, network)
    torch.save(network.state_dict(), FOLDER / "mine.pt")
    FOLDER.joinpath("words.json").write_text(json.dumps(words))


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    torch.set_num_threads(1)
    keras.utils.set_random_seed(1)
    FOLDER.mkdir(exist_ok=True)
    for made in (classifier, forecasters, reviews, characters, tagger, translator, captioner, two_heads):
        made()
