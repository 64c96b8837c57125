"""The store of a benchmark: that of its user, or a copy of it with a model that it lacks."""

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.store.listing import newest_version
from benchmarks.inputs import workload
from benchmarks.series import publish_classifier


def newest_folder(store: Path, name: str) -> Path:
    """The folder of a model's newest version."""
    return store / name / str(newest_version(store, name))


@contextmanager
def with_models_for(jobs: Collection[str], store: Path) -> Iterator[tuple[Path, list[str]]]:
    """The store and no remark. If it has no default model that labels series, and `classify` is among the jobs: a copy
    that has one, and a remark."""
    if "classify" not in jobs or workload("classify", store) is not None:
        yield store, []
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(store, Path(folder) / "store")
        model = publish_classifier(copy).architecture.describe()
        yield (
            copy,
            [f"classify: no default model of {store} labels series. Measured is one that is not trained: {model}."],
        )
