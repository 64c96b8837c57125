"""Base of the networks that a manifest describes."""

from app.store.part import Part


class NetworkPart(Part):
    """Base of the networks."""

    @property
    def least_steps(self) -> int:
        """The fewest steps of a source that the network can read."""
        return 1

    @property
    def fixed_steps(self) -> int | None:
        """The steps that every source must have; None for any number from `least_steps` on."""
        return None
