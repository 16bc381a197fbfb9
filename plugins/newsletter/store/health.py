"""What a store says of itself before anybody is mailed from it."""

from __future__ import annotations

from typing import Protocol

from newsletter.finding import Finding


class Health(Protocol):
    """Each store knows best what it must be able to promise."""

    def health(self) -> list[Finding]:
        """Whether everything holds on which a store's promises stand, a line for each. Raises nothing."""
        ...
