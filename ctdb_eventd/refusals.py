"""Why a call of the native dialect is refused, where the CTDB dialect has no words for it; the rest is in `errors.py`.

    RequestError
    ├── QueueTimeout        EBUSY: it waited longer than it may, and was not run
    ├── AddressHeld         EBUSY: its address is held by a script that can't be ended
    ├── LockTimeout         ETIMEDOUT: a client's wait for a lock is over
    ├── Cancelled           ECANCELED: whoever asked took it back
    ├── InvalidParameter    EINVAL
    ├── NoSuchMethod        ENOSYS
    ├── TooManySubscriptions  EMFILE
    └── NotThere            ENOENT: what is named is over, or never was
        ├── NoSuchRun
        ├── NoSuchCall
        └── NoSuchLock

Exceptions carry data; `__str__` makes the sentence.
"""

from __future__ import annotations

import errno

from ctdb_eventd.errors import RequestError
from ctdb_eventd.text import shown

__all__ = [
    "AddressHeld",
    "Cancelled",
    "InvalidParameter",
    "LockTimeout",
    "NoSuchCall",
    "NoSuchLock",
    "NoSuchMethod",
    "NoSuchRun",
    "NotThere",
    "QueueTimeout",
    "TooManySubscriptions",
]


class QueueTimeout(RequestError):
    """A request waited in the queue longer than it may; nothing of it ran."""

    errno = errno.EBUSY

    def __init__(self, asked: str, seconds: float, blocker: str) -> None:
        super().__init__(asked, seconds, blocker)
        self.asked = asked
        self.seconds = seconds
        self.blocker = blocker

    def __str__(self) -> str:
        return f"{self.asked} was not run: it waited {self.seconds:g} s behind {self.blocker}"


class AddressHeld(RequestError):
    """An address event can't run: a script that the kernel doesn't let die has the address."""

    errno = errno.EBUSY

    def __init__(self, asked: str) -> None:
        super().__init__(asked)
        self.asked = asked

    def __str__(self) -> str:
        return f"{self.asked} was not run: its address is held by a script that can't be ended; the log names it"


class LockTimeout(RequestError):
    """A client didn't get its locks in the time that it would wait."""

    errno = errno.ETIMEDOUT

    def __init__(self, names: tuple[str, ...], seconds: float, holder: object) -> None:
        super().__init__(names, seconds, holder)
        self.names = names
        self.seconds = seconds
        self.holder = holder

    def __str__(self) -> str:
        return f"no lock {' '.join(self.names)} within {self.seconds:g} s: held by {self.holder}"


class Cancelled(RequestError):
    """Whoever asked for it took it back."""

    errno = errno.ECANCELED

    def __init__(self, asked: str) -> None:
        super().__init__(asked)
        self.asked = asked

    def __str__(self) -> str:
        return f"{self.asked} was cancelled"


class InvalidParameter(RequestError):
    """A call lacks a parameter, or has one that can't be used; then `value` is how that is `shown`."""

    errno = errno.EINVAL

    def __init__(self, parameter: str, expected: str, value: str = "") -> None:
        super().__init__(parameter, expected, value)
        self.parameter = parameter
        self.expected = expected
        self.value = value

    def __str__(self) -> str:
        return f"parameter {self.parameter}: {self.expected} is expected" + (
            f", not {self.value}" if self.value else ""
        )


class NoSuchMethod(RequestError):
    """A call names a method that this broker doesn't have."""

    errno = errno.ENOSYS

    def __init__(self, method: str, methods: tuple[str, ...]) -> None:
        super().__init__(method, methods)
        self.method = method
        self.methods = methods

    def __str__(self) -> str:
        return f"there is no method {shown(self.method)} here; there are {', '.join(self.methods)}"


class TooManySubscriptions(RequestError):
    """A client has subscribed to as much as it may."""

    errno = errno.EMFILE

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"this connection has {self.limit} subscriptions, as many as it may; "
            f"cancel one, or leave out `event` and `run` to be told of all of them by one"
        )


class NotThere(RequestError):
    """Something that a call names is over, or never was."""

    errno = errno.ENOENT


class NoSuchRun(NotThere):
    """No run of that id waits or runs."""

    def __init__(self, run: str) -> None:
        super().__init__(run)
        self.run = run

    def __str__(self) -> str:
        return f"no run {shown(self.run)} waits or runs; it is over, or never was"


class NoSuchCall(NotThere):
    """No call of that id, of those that can be cancelled, is under way on this connection."""

    def __init__(self, call: int) -> None:
        super().__init__(call)
        self.call = call

    def __str__(self) -> str:
        return f"no run, lock or subscribe of id {self.call} is under way on this connection"


class NoSuchLock(NotThere):
    """This connection holds no lock of that number."""

    def __init__(self, lock: int) -> None:
        super().__init__(lock)
        self.lock = lock

    def __str__(self) -> str:
        return f"this connection holds no lock {self.lock}"
