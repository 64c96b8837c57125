"""How many engines a cluster needs: a policy for Ray Serve's autoscaling. The controller of Ray Serve runs it, so it
imports nothing."""

from typing import Any

PENDING_STEPS = "pending_steps"  # figure that each engine reports


class PendingSteps:
    """As many engines as have `target` pending cell steps each. Delays and limits are those of the autoscaling
    configuration."""

    def __init__(self, target: float) -> None:
        self._target = target

    def __call__(self, context: Any) -> tuple[float, dict[str, Any]]:
        """The number of engines for `context`, a `ray.serve.config.AutoscalingContext`, and no state."""
        pending = sum((context.aggregated_metrics or {}).get(PENDING_STEPS, {}).values())
        return max(1.0, pending / self._target), {}
