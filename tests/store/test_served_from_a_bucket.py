"""`unroll serve --store s3://...`: a real service over a real S3 server, there and gone."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from tests.service.serving import Served, serving, until
from tests.service.versions import KEY, Admin, put_version
from tests.store.clouds import free_port, upload

NAME = "sentiment-en"


@pytest.fixture
def bucket(s3: str, tiny_store: Path) -> str:
    """A store of one version."""
    url = f"{s3}/{uuid.uuid4().hex}"
    upload(tiny_store / NAME / "1", url)
    return url


def version_of(served: Served) -> int:
    answer = httpx.post(f"{served.address}/v1/sentiment", json={"inputs": "a film"})
    assert answer.status_code == 200, answer.text
    version: int = answer.json()["results"][0]["version"]
    return version


@pytest.mark.slow
def test_a_bucket_is_served_followed_and_outlived(bucket: str, tiny_store: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.joinpath(NAME).mkdir(parents=True)
    made.joinpath(NAME, "1").symlink_to(tiny_store / NAME / "1")
    options = ("--store-cache", str(tmp_path / "cache"), "--engines", "1", "--admin-key", KEY)

    with serving(bucket, *options, "--watch-seconds", "1") as served, Admin(served.address) as admin:
        assert version_of(served) == 1
        upload(put_version(made, NAME, 2), bucket)
        assert admin.load(NAME).json() == {"name": NAME, "version": 2, "default_version": 2}
        assert version_of(served) == 2
        upload(put_version(made, NAME, 3), bucket)
        until(lambda: version_of(served) == 3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        with serving(bucket, *options) as served, Admin(served.address) as admin:
            warning = next(line for line in served.log if "warning" in line)
            assert f"{bucket} cannot be read: EndpointConnectionError" in warning
            assert f"{NAME}/1, {NAME}/2, {NAME}/3" in warning
            assert version_of(served) == 3
            answer = admin.load(NAME)
            assert (answer.status_code, answer.json()["type"]) == (502, "/problems/store-unreachable")
            assert version_of(served) == 3


@pytest.mark.parametrize(
    ("url", "names", "said"),
    [
        ("s3://bucket/models", {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}, "AWS_ENDPOINT_URL"),
        ("s3://bucket/models", {"AWS_CONFIG_FILE": "/nowhere"}, "NoCredentialsError"),
        ("hf://me/store/models", {}, "HF_ENDPOINT"),
        ("az://container/models", {}, "Install adlfs"),
    ],
    ids=["s3", "s3-no-credentials", "hf", "az-no-package"],
)
def test_what_cannot_be_read_ends_with_one_line(url: str, names: dict[str, str], said: str, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HF_"))}
    elsewhere = {"AWS_ENDPOINT_URL": nobody, "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true"}
    elsewhere |= {"HF_ENDPOINT": nobody}
    command = [sys.executable, "-m", "app", "serve", "--store", url, "--store-cache", str(tmp_path), "--port", "0"]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, env=inherited | elsewhere | names
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if "Error" in line]
    assert url in line
    assert said in line
