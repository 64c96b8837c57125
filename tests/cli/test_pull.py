"""`unroll pull` out of folders, git repositories and stores at URLs."""

import json
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from app.cli.main import main
from app.store.model_store import WEIGHTS, read_store

ROOT = Path(__file__).parents[2]
NAMES = ("caption-en", "sentiment-en")


@pytest.fixture
def checkout(tiny_store: Path, tmp_path: Path) -> Path:
    """A folder with a model store, as a checkout of Unroll has it."""
    for name in NAMES:
        shutil.copytree(tiny_store / name, tmp_path / "checkout" / "model_store" / name)
    tmp_path.joinpath("checkout/model_store/caption-en/1/MODEL_CARD.md").write_text("# A card\n")
    tmp_path.joinpath("checkout/model_store/caption-en/default.json").write_text('{"version": 1}')
    return tmp_path / "checkout"


def pull(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["pull", *arguments, "--store", str(store)])


def test_a_checkout_gives_its_models(checkout: Path, tmp_path: Path) -> None:
    store = tmp_path / "new" / "store"
    ran = pull(store, "--from", str(checkout))
    assert ran.exit_code == 0, ran.output
    assert ran.output.splitlines()[:2] == ["caption-en/1\tcopied", "sentiment-en/1\tcopied"]
    contents = read_store(store)  # compares hashes
    assert [version.manifest.key for version in contents.versions] == ["caption-en/1", "sentiment-en/1"]
    assert contents.broken == ()
    assert (store / "caption-en/1/MODEL_CARD.md").read_text() == "# A card\n"
    assert json.loads((store / "caption-en/default.json").read_text()) == {"version": 1}
    again = pull(store, "--from", str(checkout / "model_store"), "caption-en/1")
    assert (again.exit_code, again.output.splitlines()[0]) == (0, "caption-en/1\talready there")


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_git_repository_gives_those_of_a_tag(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "init", "--initial-branch", "trunk")
    git(checkout, "add", ".")
    git(checkout, "commit", "-m", "models")
    git(checkout, "tag", "first")
    shutil.rmtree(checkout / "model_store/caption-en")
    git(checkout, "commit", "-a", "-m", "one less")
    ran = pull(tmp_path / "now", "--from", f"git+file://{checkout}")
    assert (ran.exit_code, ran.output.splitlines()[0]) == (0, "sentiment-en/1\tcopied")
    ran = pull(tmp_path / "then", "--from", f"git+file://{checkout}@first", "caption-en")
    assert (ran.exit_code, ran.output.splitlines()[0]) == (0, "caption-en/1\tcopied")
    ran = pull(tmp_path / "never", "--from", f"git+file://{checkout}@second")
    assert ran.exit_code == 1
    assert "second" in ran.output
    assert not (tmp_path / "never").exists()


def test_a_store_at_a_url_gives_chosen_models(checkout: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    ran = pull(store, "--from", f"file://{checkout}/model_store", "sentiment-en")
    assert ran.exit_code == 0, ran.output
    assert [path.name for path in store.iterdir()] == ["sentiment-en"]
    assert read_store(store).broken == ()


def test_a_simple_http_server_gives_all(checkout: Path, tmp_path: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(checkout))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        ran = pull(tmp_path / "store", "--from", f"http://127.0.0.1:{server.server_port}/model_store")
        server.shutdown()
    assert ran.exit_code == 0, ran.output
    assert ran.output.splitlines()[:2] == ["caption-en/1\tcopied", "sentiment-en/1\tcopied"]
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == list(NAMES)
    assert read_store(tmp_path / "store").broken == ()


def test_an_extra_that_is_missing_is_named(tmp_path: Path) -> None:
    without = "import sys; sys.modules['aiohttp'] = None; from app.cli.main import main; main()"
    arguments = ["pull", "--from", "http://127.0.0.1:9", "--store", str(tmp_path)]
    ran = subprocess.run([sys.executable, "-c", without, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "pip install 'unroll-serve[remote]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_damaged_file_is_not_copied_and_the_others_are(checkout: Path, tmp_path: Path) -> None:
    weights = checkout / "model_store/caption-en/1" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    ran = pull(tmp_path / "store", "--from", str(checkout))
    assert ran.exit_code == 1
    assert f"caption-en/1\tfailed: {WEIGHTS} does not have the SHA-256" in ran.output
    assert "sentiment-en/1\tcopied" in ran.output
    assert [version.manifest.key for version in read_store(tmp_path / "store").versions] == ["sentiment-en/1"]


def test_a_version_is_never_replaced(checkout: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(checkout / "model_store/sentiment-en", store / "sentiment-en")
    manifest = store / "sentiment-en/1/manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    before = manifest.read_bytes()
    ran = pull(store, "--from", str(checkout), "sentiment-en")
    assert ran.exit_code == 1
    assert "unroll remove sentiment-en 1" in ran.output
    assert manifest.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "names", "says"),
    [
        ("checkout", ["lm-en"], "the source has no lm-en; it has caption-en/1, sentiment-en/1"),
        ("missing", [], "is not a folder"),
        ("empty", [], "has no model"),
        ("file:///no/such/folder", [], "cannot be read: it does not exist"),
    ],
)
def test_mistakes_are_explained(checkout: Path, tmp_path: Path, source: str, names: list[str], says: str) -> None:
    (tmp_path / "empty").mkdir()
    place = source if "://" in source else str(tmp_path / source)
    ran = pull(tmp_path / "store", "--from", place, *names)
    assert ran.exit_code in (1, 2)
    assert says in " ".join(ran.output.split())


def test_models_come_from_the_folder_of_the_installation(checkout: Path, tmp_path: Path) -> None:
    """The metadata of an installed distribution, as pip and uv write it after `pip install FOLDER`."""
    info = tmp_path / "site" / "unroll_serve-9.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: unroll-serve\nVersion: 9\n")
    info.joinpath("direct_url.json").write_text(json.dumps({"url": checkout.as_uri(), "dir_info": {}}))
    code = f"import sys; sys.path[:0] = {[str(info.parent), str(ROOT), str(ROOT / 'clients/python')]!r}\n"
    code += "from app.cli.main import main; main()"
    command = [sys.executable, "-c", code, "pull", "--store", str(tmp_path / "store")]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[:2] == ["caption-en/1\tcopied", "sentiment-en/1\tcopied"]
    gone = tmp_path / "gone"
    info.joinpath("direct_url.json").write_text(json.dumps({"url": gone.as_uri(), "dir_info": {}}))
    ran = subprocess.run([*command[:-1], str(tmp_path / "other")], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 2
    assert f"{gone}, from which Unroll was installed, is no checkout any more" in " ".join(ran.stderr.split())
    info.joinpath("direct_url.json").unlink()
    ran = subprocess.run([*command[:-1], str(tmp_path / "other")], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 2
    assert "unroll pull --from FOLDER" in ran.stderr
