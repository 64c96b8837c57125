# TEMPORARY
import shutil

from safetensors.torch import save_file


def new_version(store, manifest, tensors, files):
    from training.publish import entry_of, write_manifest

    folder = store / manifest.name / str(manifest.version)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors")
    for n, c in files.items():
        (folder / n).write_bytes(c)
    entries = {p.name: entry_of(p) for p in sorted(folder.iterdir())}
    write_manifest(folder, manifest.model_copy(update={"files": entries}))
    return folder
