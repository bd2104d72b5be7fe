"""Every error of the client library, in one tree.

BrokerError                    code, message, data, advice
├── BrokerUnavailable          no daemon listens, or the connection ended: see `fate_unknown`
├── NotSupported               the dialect, or this broker, doesn't have it
├── MalformedAnswer            the broker's answer doesn't conform to the protocol; a RemoteProtocolError too
├── EventError                 the event ran, and did not succeed: see `run`
│   ├── EventFailed                a script failed
│   ├── EventTimedOut              it did not end within its timeout
│   └── EventCancelled             it was ended, or removed from the queue, before its end
├── InvalidRequest             a parameter or name is invalid; nothing was done
│   └── ConfigRejected             the configuration can't be used; the former one stays in effect
├── NeverRan                   no result of that event is known
├── NoSuchComponent
├── NoSuchScript
├── NoSuchRun                  no run of that id, or it is over
├── QueueTimeout               it waited longer than the broker lets it; nothing of it ran
├── AddressHeld                its address is held by a script that can't be ended; nothing of it ran
├── LockTimeout                the locks did not become free in time: see `holder`
├── NotAllowed                 this user may not do that, or nothing at all; nothing was done
└── WouldDeadlock              a script asks for what would have to wait for the script itself
"""

from __future__ import annotations

from ctdb_eventd.errors import RemoteProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ctdb_event.inventory import Owner
    from ctdb_event.results import Run

__all__ = [
    "AddressHeld",
    "BrokerError",
    "BrokerUnavailable",
    "ConfigRejected",
    "EventCancelled",
    "EventError",
    "EventFailed",
    "EventTimedOut",
    "InvalidRequest",
    "LockTimeout",
    "MalformedAnswer",
    "NeverRan",
    "NoSuchComponent",
    "NoSuchRun",
    "NoSuchScript",
    "NotAllowed",
    "NotSupported",
    "QueueTimeout",
    "WouldDeadlock",
]


class BrokerError(Exception):
    """Root of all errors of the client library; raised itself for errors that have no class of their own.

    Attributes:
        code: Name of an errno.
        message: What is wrong, in a sentence.
        data: For programs: `kind` is the broker's name of the error, if it sent one; the rest is in the message too.
        advice: What to do next.
    """

    advice = "the broker's log says more"

    def __init__(self, code: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(code, message, data or {})
        self.code = code
        self.message = message
        self.data: Mapping[str, Any] = data or {}

    def __str__(self) -> str:
        return f"{self.message}; {self.advice}"


class BrokerUnavailable(BrokerError):
    """No daemon listens, or the connection ended. There is no automatic reconnection: make a new client."""

    advice = "start CTDB (or ctdb-eventd), or name the broker's socket, and connect again"

    @property
    def fate_unknown(self) -> bool:
        """True if the request was sent before: it is unknown whether it was, or will be, carried out."""
        return bool(self.data.get("fate_unknown"))


class NotSupported(BrokerError):
    """The dialect has no such request, or the broker is too old for it. Nothing was done."""

    advice = "use a ctdb-eventd that knows it; hello() lists what a broker can do"


class MalformedAnswer(BrokerError, RemoteProtocolError):
    """The broker's answer doesn't conform to the protocol."""

    advice = "one of the two is broken, or their versions are incompatible"

    def __init__(self, message: str) -> None:
        super().__init__("EPROTO", message)

    def __reduce__(self) -> tuple[type[MalformedAnswer], tuple[str]]:
        return type(self), (self.message,)


class EventError(BrokerError):
    """The event ran, or waited, and did not succeed.

    Attributes:
        run: Its result, with that of each script.
    """

    advice = "see the scripts' results and output in `run`"

    def __init__(self, code: str, message: str, run: Run) -> None:
        super().__init__(code, message, {"run": run.run})
        self.run = run

    def __reduce__(self) -> tuple[type[EventError], tuple[str, str, Run]]:
        return type(self), (self.code, self.message, self.run)


class EventFailed(EventError):
    """A script failed."""

    advice = "what it printed is in `run.scripts`; correct that, and run the event again"


class EventTimedOut(EventError):
    """The event did not end within its timeout."""

    advice = "the script with state timed-out hung or needs longer: see its output, or give a longer timeout"


class EventCancelled(EventError):
    """The event was ended early: by its client, by `cancel`, or as a monitor event that had to give way."""

    advice = "a monitor is cancelled when another event arrives, so run it again later"


class InvalidRequest(BrokerError):
    """A parameter or a name is invalid. Nothing was done."""

    advice = "correct the call"


class ConfigRejected(InvalidRequest):
    """The configuration can't be used: the former one stays in effect."""

    advice = "correct that line and reload again"


class NeverRan(BrokerError):
    """The event has no result since the broker started."""

    advice = "run it first, or ask again when it has run"


class NoSuchComponent(BrokerError):
    """There is no such directory of event scripts."""

    advice = "components() lists them"


class NoSuchScript(BrokerError):
    """The component has no script of that name, neither provided nor local."""

    advice = "scripts(component) lists them"


class NoSuchRun(BrokerError):
    """No run has that id, or it is over."""

    advice = "status() lists what is queued and running under jobs"


class QueueTimeout(BrokerError):
    """It waited longer than `[eventd] queue timeout` allows. Nothing of it ran."""

    advice = "status() lists what is before it under jobs; run it again when that is over"


class AddressHeld(BrokerError):
    """An address event was not run: a script that the kernel doesn't let die has the address. Nothing of it ran."""

    advice = "the daemon's log names the process; repair the file system or server for which it waits"


class LockTimeout(BrokerError):
    """The locks did not become free in time. None of them was taken.

    Attributes:
        holder: Who holds the first of them that was not free; None if the broker doesn't say.
    """

    advice = "locks() lists who holds them and who waits"

    holder: Owner | None = None


class NotAllowed(BrokerError):
    """The user that the client runs as may not do that, or nothing at all. Nothing was done."""

    advice = "a change of `[access]` takes effect after a reload"


class WouldDeadlock(BrokerError):
    """A script asks for an event or lock that would have to wait for that script itself."""

    advice = (
        "do the work in the script itself, or request it from a process that is not a child of the script (setsid -f)"
    )
