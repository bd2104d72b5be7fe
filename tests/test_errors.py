"""What errors say, what they answer on the wire, and how they are related."""

from __future__ import annotations

import errno

import pytest

from ctdb_eventd import errors
from ctdb_eventd.errors import (
    AddressHeld,
    AlreadyRunning,
    Cancelled,
    ConfigError,
    EventdError,
    HistoryUnreadable,
    InvalidName,
    InvalidParameter,
    LocalProtocolError,
    LockTimeout,
    NeverRan,
    NoSuchCall,
    NoSuchComponent,
    NoSuchLock,
    NoSuchMethod,
    NoSuchPastRun,
    NoSuchRun,
    NoSuchScript,
    NotAFile,
    NotAllowed,
    PacketTooLarge,
    QueueTimeout,
    RemoteProtocolError,
    RequestError,
    StartupError,
    StateUnreadable,
    TooManySubscriptions,
    TooMuchDetached,
    UnreadableComponent,
    UpgradeFailed,
    VersionNotSupported,
    WouldDeadlock,
)

TEXTS: list[tuple[EventdError, str]] = [
    (ConfigError("ctdb.conf", 0, "can't be read: Is a directory"), "ctdb.conf:0: can't be read: Is a directory"),
    (
        ConfigError("ctdb.conf", 3, "expected seconds", section="eventd", key="kill grace", value="soon"),
        'ctdb.conf:3: [eventd] kill grace = "soon": expected seconds',
    ),
    (
        ConfigError("ctdb.conf", 3, "expected seconds", section="eventd", key="kill grace", value=""),
        'ctdb.conf:3: [eventd] kill grace = "": expected seconds',
    ),
    (ConfigError("ctdb.conf", 3, "unknown", section="eventd", key="kil"), 'ctdb.conf:3: [eventd] "kil": unknown'),
    (ConfigError("ctdb.conf", 1, "expected a [section]", value="x"), 'ctdb.conf:1: "x": expected a [section]'),
    (StartupError("no room"), "no room"),
    (
        StateUnreadable("its check sum is wrong"),
        "can't read the state that the running daemon has left: its check sum is wrong",
    ),
    (
        AlreadyRunning("/run/ctdb/eventd.pid", 42),
        "process 42 already runs as event daemon here: it holds the lock on /run/ctdb/eventd.pid",
    ),
    (
        AlreadyRunning("/run/ctdb/eventd.pid", None),
        "another process already runs as event daemon here: it holds the lock on /run/ctdb/eventd.pid",
    ),
    (LocalProtocolError("too big"), "too big"),
    (RemoteProtocolError("too short"), "too short"),
    (PacketTooLarge(5000, 4096), "packet of 5000 bytes announced, at most 4096 are accepted"),
    (InvalidName("script", "../x", "it contains a slash"), "script name '../x' is invalid: it contains a slash"),
    (NoSuchComponent("legacy", "/e/legacy"), "component legacy does not exist: /e/legacy is not a directory"),
    (UnreadableComponent("/e/legacy", OSError(errno.EACCES, "denied")), "/e/legacy can't be read: denied"),
    (NoSuchScript("legacy", "00.ctdb"), "script 00.ctdb does not exist in legacy"),
    (NotAFile("/e/legacy/00.d"), "/e/legacy/00.d is neither a file nor a link"),
    (InvalidName("event", "x" * 300, "it is too long"), f"event name '{'x' * 300}' is invalid: it is too long"),
    (InvalidName("event", "x" * 301, "it is too long"), f"event name '{'x' * 300}'... is invalid: it is too long"),
    (NeverRan("legacy", "monitor"), "event monitor has never run in legacy"),
    (
        WouldDeadlock("legacy monitor", "ctdb-event lock x", "whose command requests it and waits"),
        "legacy monitor would wait for ctdb-event lock x, whose command requests it and waits",
    ),
    (
        NotAllowed(1000, "alice", "run legacy/monitor", "operate legacy/monitor", "/etc/ctdb/ctdb.conf"),
        "you (uid 1000, alice) may not run legacy/monitor on this daemon; ask its administrator for "
        "`operate legacy/monitor = alice` in [access] of /etc/ctdb/ctdb.conf",
    ),
    (
        NotAllowed(1000, None, "use status", "read", "/etc/ctdb/ctdb.conf"),
        "you (uid 1000) may not use status on this daemon; ask its administrator for `read = 1000` in [access] of "
        "/etc/ctdb/ctdb.conf",
    ),
    (VersionNotSupported(3, (1, 2)), "version 3 of the native dialect is not supported here, only 1, 2"),
    (
        WouldDeadlock("legacy ipreallocated", "legacy takeip eth0 10.0.0.1 24"),
        "legacy ipreallocated would wait for legacy takeip eth0 10.0.0.1 24, whose script requests it and waits",
    ),
]

CODES: list[tuple[RequestError, int]] = [
    (RequestError(), errno.EIO),
    (InvalidName("script", "", "it is empty"), errno.EINVAL),
    (NoSuchComponent("legacy", "/e/legacy"), errno.ENOENT),
    (UnreadableComponent("/e/legacy", OSError(errno.EACCES, "denied")), errno.EIO),
    (NoSuchScript("legacy", "00.ctdb"), errno.ENOENT),
    (NotAFile("/e/legacy/00.d"), errno.EINVAL),
    (NeverRan("legacy", "monitor"), errno.EINVAL),
    (WouldDeadlock("legacy ipreallocated", "legacy takeip"), errno.EDEADLK),
    (NotAllowed(1, None, "", "", ""), errno.EACCES),
]


REFUSALS: list[tuple[RequestError, int, str]] = [
    (
        QueueTimeout("legacy monitor", 2.5, "legacy startup"),
        errno.EBUSY,
        "legacy monitor was not run: it waited 2.5 s behind legacy startup",
    ),
    (
        AddressHeld("legacy takeip eth0 10.0.0.1 24"),
        errno.EBUSY,
        "legacy takeip eth0 10.0.0.1 24 was not run: its address is held by a script that can't be ended; "
        "the log names it",
    ),
    (
        LockTimeout(("a", "b"), 5.0, "legacy takeip eth0 10.0.0.1 24"),
        errno.ETIMEDOUT,
        "no lock a b within 5 s: held by legacy takeip eth0 10.0.0.1 24",
    ),
    (Cancelled("legacy monitor"), errno.ECANCELED, "legacy monitor was cancelled"),
    (InvalidParameter("event", "a text"), errno.EINVAL, "parameter event: a text is expected"),
    (InvalidParameter("event", "a text", "3"), errno.EINVAL, "parameter event: a text is expected, not 3"),
    (NoSuchMethod("fly", ("ping", "run")), errno.ENOSYS, "there is no method 'fly' here; there are ping, run"),
    (
        NoSuchPastRun("x-1"),
        errno.ENOENT,
        "no run 'x-1' has ended and is in the history; it had no scripts, was deleted, or never existed",
    ),
    (NoSuchRun("x-1"), errno.ENOENT, "no run 'x-1' waits or runs; it has ended, or never existed"),
    (NoSuchCall(7), errno.ENOENT, "no run, lock or subscribe of id 7 is in progress on this connection"),
    (
        TooManySubscriptions(100),
        errno.EMFILE,
        "this connection has 100 subscriptions, as many as it may; "
        "cancel one, or subscribe without `event` and `run`, to get all notes by one",
    ),
    (HistoryUnreadable("/h: no"), errno.EIO, "can't read the history /h: no"),
    (
        TooMuchDetached(64 << 20),
        errno.ENOBUFS,
        "detached runs with 64 MiB of arguments wait or run already; "
        "wait until some are over (ctdb-event ps), or cancel some",
    ),
    (NoSuchLock(7), errno.ENOENT, "this connection holds no lock 7"),
    (
        UpgradeFailed("it was cancelled"),
        errno.EAGAIN,
        "not upgraded, the running daemon continues as before: it was cancelled",
    ),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_text(error: EventdError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(("error", "code", "text"), REFUSALS, ids=lambda value: type(value).__name__)
def test_text_and_code(error: RequestError, code: int, text: str) -> None:
    assert (str(error), error.errno) == (text, code)


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: type(value).__name__)
def test_errno_of_the_reply(error: RequestError, code: int) -> None:
    assert error.errno == code


def test_every_error_that_has_a_text_of_its_own_is_in_the_table() -> None:
    classes = {getattr(errors, name) for name in errors.__all__}
    speaking = {cls for cls in classes if "__str__" in vars(cls)}
    assert speaking <= {type(error) for error, *_ in (*TEXTS, *REFUSALS)}


def test_the_tree_is_the_one_that_the_module_draws() -> None:
    drawn = [line for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    names = [line.lstrip(" │├└─").split()[0] for line in drawn]
    depths = [(len(line) - len(line.lstrip(" │├└─"))) // 4 for line in drawn]
    assert sorted(names) == sorted(errors.__all__)
    above: list[str] = []
    for name, depth in zip(names, depths, strict=True):
        above[depth - 1 :] = [name]
        parent = getattr(errors, above[-2]) if depth > 1 else Exception
        assert getattr(errors, name).__bases__ == (parent,)
