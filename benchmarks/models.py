"""Compares the included models: `python -m benchmarks.models` writes docs/models.md.

Quality comes from the manifests, limits from the recipes' cards, speed and answers from a service that is started here.
The inputs below were chosen before the answers were seen, and stay as they are whatever is answered.
"""

import base64
import io
import json
import tarfile
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import click
from PIL import Image

from app.engine.protocol import Label
from app.store.manifest import Manifest
from app.store.model_store import read_store
from benchmarks.inputs import Workload
from benchmarks.load import LoadGenerator
from benchmarks.options import STORE
from benchmarks.report import heading
from benchmarks.service import Service, running_service
from training.data import read_flickr8k
from training.evaluate import recipe_of

CLIENTS = 32
ENGLISH = (
    "A warm, funny film that I would gladly see again.",
    "The plot makes no sense and the acting is worse.",
    "Not bad at all.",
    "I expected much more from this director.",
    "It begins well, but the end is a disappointment.",
    "You will laugh, you will cry, you will want your money back.",
    "The battery died after two days and nobody answered my mail.",
    "An hour too long, and still I did not want it to end.",
    "The film was released in 1994 and runs for two hours.",
    "If this is the best comedy of the year, it was a sad year.",
)
KOREAN = (
    "정말 재미있게 봤어요. 강력 추천합니다!",
    "돈이 아깝다. 최악의 영화",
    "나쁘지 않네요",
    "기대했던 것보다는 별로였다",
    "처음에는 좋았는데 끝이 실망스럽다",
    "배우들 연기는 좋은데 내용이 없다",
    "두 번 봤는데 두 번 다 울었다",
    "이런 영화에 10점 주는 알바들 반성해라",
    "1994년에 개봉한 두 시간짜리 영화다",
    "잠이 안 올 때 보면 딱 좋은 영화ㅋㅋ",
)
SENTENCES = (
    "Open file",
    "Do you want to save the changes before closing?",
    "The file could not be found.",
    "Returns a new list with the elements of the first one in reverse order.",
    "Click the button to add a row to the table.",
    "Unable to connect to the server: permission denied",
    "If the argument is omitted, the current directory is used.",
    "Good morning, how are you?",
    "My brother bought a new car yesterday.",
    "It has been raining since last night, so we stayed at home.",
)
BEGUN = (
    "This film is one of the",
    "I was really looking forward to",
    "The acting is",
    "If you like horror movies,",
    "The director of this",
    "My wife and I watched",
    "The special effects",
    "Nobody in this movie",
    "At the end of the film",
    "",
)
BEGUN_KOREAN = (
    "이 영화는",
    "정말",
    "배우들의 연기가",
    "감독은",
    "처음부터 끝까지",
    "돈이",
    "친구랑 같이",
    "솔직히",
    "스토리가",
    "마지막 장면",
)
PHOTOS = 10


class Row(NamedTuple):
    """A model with its answers, its latency alone in ms, and its answers per second with `CLIENTS` clients."""

    manifest: Manifest
    alone: float
    rate: float
    answers: list[tuple[str, str]]


def _inputs(manifest: Manifest, data: Path) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """The route, and pairs of a shown input and its request body."""
    named = {"model": manifest.name}
    if manifest.task == "captioning":
        return "/v1/caption", [(shown, {"inputs": image, **named}) for shown, image in _photos(data)]
    if manifest.task == "translation":
        return "/v1/translate", [(text, {"inputs": text, **named}) for text in SENTENCES]
    is_korean = manifest.source_language == "ko"
    if manifest.task == "sentiment":
        return "/v1/sentiment", [(text, {"inputs": text, **named}) for text in (KOREAN if is_korean else ENGLISH)]
    texts = BEGUN_KOREAN if is_korean else BEGUN
    drawn = {"temperature": 0.7, "top_p": 0.9, "seed": 1, "max_tokens": 24}
    return "/v1/complete", [(text or "(nothing)", {"inputs": text, **drawn, **named}) for text in texts]


def _photos(data: Path) -> list[tuple[str, str]]:
    """The first photos of the test split, each with its file and first reference, as JPEG in base64."""
    photos = read_flickr8k(data, "test")[:PHOTOS]
    found = []
    with tarfile.open(data / "flickr8k.tar") as archive:
        for photo in photos:
            file = archive.extractfile(f"flickr8k/images/{photo.file}")
            assert file is not None
            jpeg = io.BytesIO()
            Image.open(file).convert("RGB").save(jpeg, "JPEG", quality=92)
            found.append((f"`{photo.file}`: {photo.captions[0]}", base64.b64encode(jpeg.getvalue()).decode()))
    return found


def _ask(service: Service, path: str, body: bytes) -> dict[str, Any]:
    address = f"http://127.0.0.1:{service.port}{path}"
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        result: dict[str, Any] = json.load(answer)["results"][0]
    return result


def _shown(result: dict[str, Any]) -> str:
    return f"{result['label']}, {result['polarity']:+.2f}" if "label" in result else str(result["text"])


def measure(service: Service, manifest: Manifest, data: Path, load: LoadGenerator, seconds: float) -> Row:
    """Send a model its ten inputs, then measure it with them."""
    path, inputs = _inputs(manifest, data)
    bodies = [json.dumps(body).encode() for _, body in inputs]
    answers = [(shown, _shown(_ask(service, path, body))) for (shown, _), body in zip(inputs, bodies, strict=True)]
    work = Workload(manifest.task, manifest.name, Path(), Label(), path, "application/json", bodies, [])
    alone, busy = (
        load.measure(service.port, work, clients=clients, warm_up=1, seconds=seconds) for clients in (1, CLIENTS)
    )
    return Row(manifest, 1000 * sorted(alone.latencies)[len(alone.latencies) // 2], busy.rate, answers)


def page(rows: list[Row], about: str) -> str:
    """docs/models.md."""
    columns = ("model", "task", "network", "parameters", "MB", "ms", "answers/s", "first figure")
    table = [columns, ("---",) * len(columns)]
    for row in rows:
        manifest, first = row.manifest, row.manifest.quality[0]
        size, parameters = f"{manifest.bytes / 1e6:.1f}", f"{manifest.parameters / 1e6:.1f} M"
        network, figure = manifest.architecture.describe(), f"{first.measure} {first.value:.4g}"
        speed = (f"{row.alone:.1f}", f"{row.rate:.0f}")
        table.append((f"`{manifest.name}`", manifest.task, network, parameters, size, *speed, figure))
    parts = [
        "# Models",
        "The models in `model_store/`, trained by the recipes in `training/`; the `MODEL_CARD.md` of each has the "
        f"details. `python -m benchmarks.models` wrote this page on {date.today()}. Speed is measured with the ten "
        f"inputs below: the median latency with one client, and answers per second with {CLIENTS}. {about}",
        "\n".join(f"| {' | '.join(cells)} |" for cells in table),
        "Ten inputs for each model, chosen before the answers were seen, and all their answers, good and bad. Answers "
        "of sentiment are label and polarity; completions are sampled with temperature 0.7, top-p 0.9 and seed 1.",
    ]
    for row in rows:
        manifest = row.manifest
        quality = "\n".join(f"| {item.measure} | {item.value:.4g} | {item.data} |" for item in manifest.quality)
        answers = "\n".join(f"| {shown} | {answer} |".replace("\n", " ") for shown, answer in row.answers)
        parts += [
            f"## `{manifest.name}`\n\n{manifest.description}",
            f"| measure | value | on |\n|---|---|---|\n{quality}",
            f"TokenLimits: {recipe_of(manifest.name).card.limits}",
            f"| input | answer |\n|---|---|\n{answers}",
        ]
    return "\n\n".join(parts) + "\n"


@click.command(help=__doc__)
@STORE
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), help="Folder with the raw data.")
@click.option("--seconds", default=3.0, show_default=True, help="Per measurement.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("docs/models.md"), show_default=True)
def main(store: Path, data: Path, seconds: float, output: Path) -> None:
    about = heading("benchmarks.models")
    with running_service(store, 2) as service, LoadGenerator() as load:
        versions = read_store(store).versions
        rows = [measure(service, version.manifest, data, load, seconds) for version in versions]
    output.write_text(page(rows, about), encoding="utf8")


if __name__ == "__main__":
    main()
