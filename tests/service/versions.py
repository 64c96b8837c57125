"""More versions of the tiny models, valid and broken, and a client of the administration routes."""

import json
import shutil
from pathlib import Path

import httpx
import torch
from safetensors.torch import load_file, save_file

from app.store.manifest import Manifest
from app.store.publishing import file_entry, publishing, write_manifest

KEY = "a key for tests"


def put_version(store: Path, name: str, version: int, *, scale: float = 1.0, shape: int | None = None) -> Path:
    """A copy of the first version under another number, with the bias of its output set to `scale`; `shape` gives the
    bias a wrong length."""
    first = store / name / "1"
    with publishing(store, name, version) as folder:
        shutil.copytree(first, folder, dirs_exist_ok=True)
        tensors = load_file(folder / "model.safetensors")
        bias = "output.bias" if "output.bias" in tensors else "decoder.output.bias"
        tensors[bias] = tensors[bias] * scale if shape is None else torch.zeros(shape)
        save_file(tensors, folder / "model.safetensors")
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["version"] = version
        manifest["files"]["model.safetensors"] = file_entry(folder / "model.safetensors").model_dump()
        write_manifest(folder, Manifest.model_validate(manifest))
    return store / name / str(version)


class Admin:
    """A client with the administrator key."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(
            base_url=f"{address}/v1/models", headers={"Authorization": f"Bearer {KEY}"}, timeout=60
        )

    def __enter__(self) -> "Admin":
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def load(self, name: str, version: int | None = None) -> httpx.Response:
        return self._http.post(f"/{name}/load", json={} if version is None else {"version": version})

    def unload(self, name: str, version: int | None = None) -> httpx.Response:
        return self._http.post(f"/{name}/unload", json={} if version is None else {"version": version})

    def choose(self, name: str, version: int | None) -> httpx.Response:
        return self._http.put(f"/{name}/default", json={"version": version})
