"""Several machines: front ends and engines as deployments of Ray Serve. `serve run app.cluster:build`."""

from typing import TYPE_CHECKING

from app.cluster.options import ClusterOptions

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["ClusterOptions", "build"]


def build(options: ClusterOptions) -> "Application":
    """The application, for `serve run` and the `import_path` of `serve.yaml`. Raises ValueError."""
    from app.cluster.deployments import application  # needs Ray, and the rest does not

    return application(options)
