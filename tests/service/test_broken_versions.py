"""A broken version is reported, and the others are served."""

import json
import shutil
from pathlib import Path

import httpx
import torch
from safetensors.torch import load_file, save_file

from app.store.publishing import file_entry
from tests.service.serving import serving, until


def test_broken_versions_are_reported_beside_the_others(tiny_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(tiny_store, store)
    store.joinpath("translate-en-ko/1/model.safetensors").unlink()
    tokenizer = store / "sentiment-ko/1/tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + " ")
    second = store / "sentiment-en/2"
    shutil.copytree(store / "sentiment-en/1", second)
    tensors = load_file(second / "model.safetensors")
    save_file(tensors | {"output.bias": torch.zeros(9)}, second / "model.safetensors")
    manifest = json.loads(second.joinpath("manifest.json").read_text())
    manifest["version"] = 2
    manifest["files"]["model.safetensors"] = file_entry(second / "model.safetensors").model_dump()
    second.joinpath("manifest.json").write_text(json.dumps(manifest))

    with serving(store, "--engines", "1") as served, httpx.Client(base_url=served.address) as http:
        ready = http.get("/readyz")
        assert ready.status_code == 200
        until(lambda: len(_reasons(http)) == 3)  # a slow machine is ready before it has tried every version
        reasons = _reasons(http)
        assert set(reasons) == {"translate-en-ko/1", "sentiment-ko/1", "sentiment-en/2"}
        assert "model.safetensors cannot be read" in reasons["translate-en-ko/1"]
        assert "tokenizer.json does not have the SHA-256" in reasons["sentiment-ko/1"]
        assert "output.bias of shape (9,)" in reasons["sentiment-en/2"]
        listed = http.get("/v1/models").json()
        assert {item["model"] for item in listed["broken"]} == set(reasons)
        whole = {folder.name for folder in store.iterdir()} - {"translate-en-ko", "sentiment-ko"}
        assert {model["name"] for model in listed["models"]} == whole

        answer = http.post("/v1/sentiment", json={"inputs": "a film"})
        assert answer.json()["results"][0]["version"] == 1
        broken = http.post("/v1/sentiment", json={"inputs": "a film", "model": "sentiment-en", "version": 2})
        assert (broken.status_code, broken.json()["type"]) == (503, "/problems/model-unavailable")
        gone = http.post("/v1/translate", json={"inputs": "a film", "model": "translate-en-ko"})
        assert (gone.status_code, gone.json()["type"]) == (503, "/problems/model-unavailable")
        assert http.post("/v1/sentiment", json={"inputs": "영화"}).status_code == 422


def _reasons(http: httpx.Client) -> dict[str, str]:
    return {item["model"]: item["reason"] for item in http.get("/readyz").json()["broken"]}
