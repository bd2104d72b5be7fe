"""To whom the scheduler tells what happens; all that it knows of those who want to know."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Teller"]


class Teller(Protocol):
    """Tells whoever subscribed what happens."""

    @property
    def active(self) -> bool:
        """Somebody wants to know something; else nothing needs to be told."""

    def wants_output(self, run: str, component: str, event: str) -> bool:
        """Tells whether somebody wants to see what this run's scripts print."""

    def tell(
        self,
        kind: str,
        run: str | None,
        component: str | None,
        event: str | None,
        args: tuple[str, ...],
        data: dict[str, Any],
    ) -> None:
        """Takes what happened; `data` is given away."""
