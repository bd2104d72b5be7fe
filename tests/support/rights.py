"""The permission checks of a substitute domain, for tests of the dispatcher."""

from __future__ import annotations

from collections.abc import Sequence

from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.errors import NotAllowed
from ctdb_eventd.model import EventSpec

__all__ = ["Rights"]


class Rights:
    """Allows everything unless `refusal` is set, and records each check.

    Attributes:
        refusal: Raised by every check of `operate`; None allows it.
        checked: The arguments of each check.
        audited: What was given for the audit log.
    """

    def __init__(self) -> None:
        self.refusal: NotAllowed | None = None
        self.checked: list[tuple[object, ...]] = []
        self.audited: list[str] = []

    def check_read(self, peer: Peer, method: str) -> None:
        self.checked.append(("read", method))

    def check_operate(self, peer: Peer, method: str, spec: EventSpec | None = None) -> None:
        self.checked.append(("operate", method, spec))
        if self.refusal is not None:
            raise self.refusal

    def audit(self, peer: Peer, action: str, subject: str = "", run: str = "", args: Sequence[str] = ()) -> None:
        self.audited.append(" ".join(filter(None, (action, subject, run))))

    def admit_run(self, peer: Peer, spec: EventSpec, run: str = "") -> str:
        self.check_operate(peer, "run", spec)
        return run
