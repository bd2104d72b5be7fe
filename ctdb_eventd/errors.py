"""Every error of this project, in one tree.

    EventdError
    ├── ConfigError            a line of ctdb.conf that can't be used
    ├── StartupError           the daemon can't start here
    │   └── AlreadyRunning     another instance holds the pid file
    ├── StateUnreadable        the state that a former program has left can't be read
    ├── ProtocolError
    │   ├── LocalProtocolError     we would have sent something that can't be encoded
    │   └── RemoteProtocolError    the peer sent something that can't be decoded
    │       ├── PacketTooLarge     … a length over the limit
    │       └── VersionNotSupported    … a version of the native dialect that isn't supported
    └── RequestError           a request that is answered with an errno
        ├── InvalidName            EINVAL: a name that could leave its directory
        ├── NoSuchComponent        ENOENT: no such directory of scripts
        ├── UnreadableComponent    EIO: its directory is there and can't be read
        ├── NoSuchScript           ENOENT
        ├── NotAFile               EINVAL: a directory or device where a script should be
        ├── NeverRan               EINVAL: no result of that event is known
        ├── NotAllowed             EACCES: the client lacks the right
        ├── WouldDeadlock          EDEADLK: a script's request would wait for the script's own event
        ├── QueueTimeout           EBUSY: it waited longer than it may, and was not run
        ├── AddressHeld            EBUSY: its address is held by a script that can't be ended
        ├── LockTimeout            ETIMEDOUT: a client waited for a lock as long as it wanted to
        ├── Cancelled              ECANCELED: the run was cancelled
        ├── InvalidParameter       EINVAL
        ├── NoSuchMethod           ENOSYS
        ├── HistoryUnreadable      EIO
        ├── TooManySubscriptions   EMFILE
        ├── TooMuchDetached        ENOBUFS
        ├── UpgradeFailed          EAGAIN: the daemon continues with its program
        └── NotThere               ENOENT: what the call names has ended, or never existed
            ├── NoSuchPastRun
            ├── NoSuchRun
            ├── NoSuchCall
            └── NoSuchLock

The CTDB dialect sends only the errno of each, the native one the text that `__str__` makes and the attributes as well.
This module imports nothing heavy: the command line loads it.
"""

from __future__ import annotations

import errno as _errno

from ctdb_eventd.text import shown

__all__ = [
    "AddressHeld",
    "AlreadyRunning",
    "Cancelled",
    "ConfigError",
    "EventdError",
    "HistoryUnreadable",
    "InvalidName",
    "InvalidParameter",
    "LocalProtocolError",
    "LockTimeout",
    "NeverRan",
    "NoSuchCall",
    "NoSuchComponent",
    "NoSuchLock",
    "NoSuchMethod",
    "NoSuchPastRun",
    "NoSuchRun",
    "NoSuchScript",
    "NotAFile",
    "NotAllowed",
    "NotThere",
    "PacketTooLarge",
    "ProtocolError",
    "QueueTimeout",
    "RemoteProtocolError",
    "RequestError",
    "StartupError",
    "StateUnreadable",
    "TooManySubscriptions",
    "TooMuchDetached",
    "UnreadableComponent",
    "UpgradeFailed",
    "VersionNotSupported",
    "WouldDeadlock",
]


class EventdError(Exception):
    """Root of all errors that this project raises on purpose.

    Initialisers of subclasses only store their arguments: `BaseException.__new__` has set `args` already.
    """


class ConfigError(EventdError):
    """A line of the configuration can't be used: names its place, its value and what was expected.

    Attributes:
        others: The texts of further lines that can't be used.
    """

    def __init__(
        self,
        file: str,
        line: int,
        expected: str,
        *,
        section: str = "",
        key: str = "",
        value: str | None = None,
        others: tuple[str, ...] = (),
    ) -> None:
        self.file = file
        self.line = line
        self.expected = expected
        self.section = section
        self.key = key
        self.value = value
        self.others = others

    def __str__(self) -> str:
        return "; ".join(self.texts)

    @property
    def texts(self) -> tuple[str, ...]:
        """A text for each line that can't be used."""
        where = f"{self.file}:{self.line}: "
        if self.section:
            where += f"[{self.section}] "
        if self.key and self.value is not None:
            where += f'{self.key} = "{self.value}": '
        elif self.key:
            where += f'"{self.key}": '
        elif self.value is not None:
            where += f'"{self.value}": '
        return (where + self.expected, *self.others)


class StartupError(EventdError):
    """The daemon can't start here; the text says why and what to do."""


class AlreadyRunning(StartupError):
    """Another instance holds the lock on the pid file."""

    def __init__(self, pid_file: str, pid: int | None) -> None:
        self.pid_file = pid_file
        self.pid = pid

    def __str__(self) -> str:
        who = f"process {self.pid}" if self.pid else "another process"
        return f"{who} already runs as event daemon here: it holds the lock on {self.pid_file}"


class StateUnreadable(EventdError):
    """The state of the daemon that this program is to replace can't be read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return f"can't read the state that the running daemon has left: {self.reason}"


class ProtocolError(EventdError):
    """The protocol was violated, by us or by the peer."""


class LocalProtocolError(ProtocolError):
    """A message can't be encoded: a bug or a bad argument on our side."""


class RemoteProtocolError(ProtocolError):
    """The peer sent bytes that can't be decoded; nothing more can be read from its connection."""


class PacketTooLarge(RemoteProtocolError):
    """A packet announces a length over the limit; it was refused before memory was allocated for it."""

    def __init__(self, length: int, limit: int) -> None:
        self.length = length
        self.limit = limit

    def __str__(self) -> str:
        return f"packet of {self.length} bytes announced, at most {self.limit} are accepted"


class VersionNotSupported(RemoteProtocolError):
    """The peer uses a version of the native dialect that isn't supported here."""

    def __init__(self, version: int, versions: tuple[int, ...]) -> None:
        self.version = version
        self.versions = versions

    def __str__(self) -> str:
        known = ", ".join(map(str, self.versions))
        return f"version {self.version} of the native dialect is not supported here, only {known}"


class RequestError(EventdError):
    """A request that is answered with an errno instead of being carried out.

    Attributes:
        errno: The positive errno that goes into the reply.
    """

    errno: int = _errno.EIO


class InvalidName(RequestError):
    """A name that could lead to a path outside of its directory, or that has another form than expected."""

    errno = _errno.EINVAL

    def __init__(self, kind: str, name: str, reason: str) -> None:
        self.kind = kind
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.kind} name {shown(self.name)} is invalid: {self.reason}"


class NoSuchComponent(RequestError):
    """The component has no directory of event scripts."""

    errno = _errno.ENOENT

    def __init__(self, component: str, directory: str) -> None:
        self.component = component
        self.directory = directory

    def __str__(self) -> str:
        return f"component {self.component} does not exist: {self.directory} is not a directory"


class UnreadableComponent(RequestError):
    """The component's directory exists and can't be read."""

    def __init__(self, directory: str, error: OSError) -> None:
        self.directory = directory
        self.error = error

    def __str__(self) -> str:
        return f"{self.directory} can't be read: {self.error.strerror}"


class NoSuchScript(RequestError):
    """The component has no script of that name, neither provided nor local."""

    errno = _errno.ENOENT

    def __init__(self, component: str, script: str) -> None:
        self.component = component
        self.script = script

    def __str__(self) -> str:
        return f"script {self.script} does not exist in {self.component}"


class NotAFile(RequestError):
    """What has the script's name can't be enabled or disabled: it is neither a file nor a link."""

    errno = _errno.EINVAL

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} is neither a file nor a link"


class NeverRan(RequestError):
    """No result of that event is known: it has not run in this component since the daemon started."""

    errno = _errno.EINVAL

    def __init__(self, component: str, event: str) -> None:
        self.component = component
        self.event = event

    def __str__(self) -> str:
        return f"event {self.event} has never run in {self.component}"


class NotAllowed(RequestError):
    """The client lacks the right: it is neither root nor the daemon's own user, and `[access]` doesn't allow it."""

    errno = _errno.EACCES

    def __init__(self, uid: int, user: str | None, asked: str, right: str, config: str) -> None:
        self.uid = uid
        self.user = user
        self.asked = asked
        self.right = right
        self.config = config

    def __str__(self) -> str:
        who = f"uid {self.uid}, {self.user}" if self.user else f"uid {self.uid}"
        advice = f"ask its administrator for `{self.right} = {self.user or self.uid}` in [access] of {self.config}"
        return f"you ({who}) may not {self.asked} on this daemon; {advice}"


class WouldDeadlock(RequestError):
    """A script requests an event or a lock that it could get only after the script's own event has ended."""

    errno = _errno.EDEADLK

    def __init__(self, asked: str, asker: str, why: str = "whose script requests it and waits") -> None:
        self.asked = asked
        self.asker = asker
        self.why = why

    def __str__(self) -> str:
        return f"{self.asked} would wait for {self.asker}, {self.why}"


class QueueTimeout(RequestError):
    """A request waited in the queue longer than it may; nothing of it ran."""

    errno = _errno.EBUSY

    def __init__(self, asked: str, seconds: float, blocker: str) -> None:
        self.asked = asked
        self.seconds = seconds
        self.blocker = blocker

    def __str__(self) -> str:
        return f"{self.asked} was not run: it waited {self.seconds:g} s behind {self.blocker}"


class AddressHeld(RequestError):
    """An address event can't run: a script that the kernel can't kill still uses the address."""

    errno = _errno.EBUSY

    def __init__(self, asked: str) -> None:
        self.asked = asked

    def __str__(self) -> str:
        return f"{self.asked} was not run: its address is held by a script that can't be ended; the log names it"


class LockTimeout(RequestError):
    """A client's locks were not granted within its timeout."""

    errno = _errno.ETIMEDOUT

    def __init__(self, names: tuple[str, ...], seconds: float, holder: object) -> None:
        self.names = names
        self.seconds = seconds
        self.holder = holder

    def __str__(self) -> str:
        return f"no lock {' '.join(self.names)} within {self.seconds:g} s: held by {self.holder}"


class Cancelled(RequestError):
    """The client cancelled its request, or somebody cancelled the run."""

    errno = _errno.ECANCELED

    def __init__(self, asked: str) -> None:
        self.asked = asked

    def __str__(self) -> str:
        return f"{self.asked} was cancelled"


class InvalidParameter(RequestError):
    """A call lacks a parameter, or has one that can't be used, whose text is `value` (see `shown`)."""

    errno = _errno.EINVAL

    def __init__(self, parameter: str, expected: str, value: str = "") -> None:
        self.parameter = parameter
        self.expected = expected
        self.value = value

    def __str__(self) -> str:
        return f"parameter {self.parameter}: {self.expected} is expected" + (
            f", not {self.value}" if self.value else ""
        )


class NoSuchMethod(RequestError):
    """A call names a method that this broker doesn't have."""

    errno = _errno.ENOSYS

    def __init__(self, method: str, methods: tuple[str, ...]) -> None:
        self.method = method
        self.methods = methods

    def __str__(self) -> str:
        return f"there is no method {shown(self.method)} here; there are {', '.join(self.methods)}"


class HistoryUnreadable(RequestError):
    """The history can't be read, or none is kept."""

    errno = _errno.EIO

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return f"can't read the history {self.reason}"


class UpgradeFailed(RequestError):
    """The upgrade failed or was cancelled; the daemon continues with its former program."""

    errno = _errno.EAGAIN

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return f"not upgraded, the running daemon continues as before: {self.reason}"


class TooMuchDetached(RequestError):
    """The arguments of queued and running detached runs take as much memory as allowed."""

    errno = _errno.ENOBUFS

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"detached runs with {self.limit >> 20} MiB of arguments wait or run already; "
            "wait until some are over (ctdb-event ps), or cancel some"
        )


class TooManySubscriptions(RequestError):
    """A connection has as many subscriptions as allowed."""

    errno = _errno.EMFILE

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"this connection has {self.limit} subscriptions, as many as it may; "
            f"cancel one, or subscribe without `event` and `run`, to get all notes by one"
        )


class NotThere(RequestError):
    """Something that a call names has ended, or never existed."""

    errno = _errno.ENOENT


class NoSuchRun(NotThere):
    """No run of that id waits or runs."""

    def __init__(self, run: str) -> None:
        self.run = run

    def __str__(self) -> str:
        return f"no run {shown(self.run)} waits or runs; it has ended, or never existed"


class NoSuchPastRun(NotThere):
    """No run of that id is in the history, or it hasn't ended."""

    def __init__(self, run: str) -> None:
        self.run = run

    def __str__(self) -> str:
        return (
            f"no run {shown(self.run)} has ended and is in the history; "
            "it had no scripts, was deleted, or never existed"
        )


class NoSuchCall(NotThere):
    """No call of that id, of those that can be cancelled, is in progress on this connection."""

    def __init__(self, call: int) -> None:
        self.call = call

    def __str__(self) -> str:
        return f"no run, lock or subscribe of id {self.call} is in progress on this connection"


class NoSuchLock(NotThere):
    """This connection holds no lock of that number."""

    def __init__(self, lock: int) -> None:
        self.lock = lock

    def __str__(self) -> str:
        return f"this connection holds no lock {self.lock}"
