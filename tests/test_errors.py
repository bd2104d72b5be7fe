"""What errors say, what they answer on the wire, and how they are related."""

from __future__ import annotations

import errno

import pytest

from ctdb_eventd import errors
from ctdb_eventd.errors import (
    AlreadyRunning,
    ConfigError,
    EventdError,
    InvalidName,
    LocalProtocolError,
    NeverRan,
    NoSuchComponent,
    NoSuchScript,
    NotAFile,
    NotAllowed,
    PacketTooLarge,
    RemoteProtocolError,
    RequestError,
    StartupError,
    UnreadableComponent,
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
        WouldDeadlock("legacy monitor", "ctdb-event lock x", "whose command asks for it and waits"),
        "legacy monitor would wait for ctdb-event lock x, whose command asks for it and waits",
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
    (VersionNotSupported(3, (1, 2)), "version 3 of the native dialect is not spoken here, only 1, 2"),
    (
        WouldDeadlock("legacy ipreallocated", "legacy takeip eth0 10.0.0.1 24"),
        "legacy ipreallocated would wait for legacy takeip eth0 10.0.0.1 24, whose script asks for it and waits",
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


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_text(error: EventdError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: type(value).__name__)
def test_errno_of_the_reply(error: RequestError, code: int) -> None:
    assert error.errno == code


def test_every_error_that_has_a_text_of_its_own_is_in_the_table() -> None:
    classes = {getattr(errors, name) for name in errors.__all__}
    speaking = {cls for cls in classes if "__str__" in vars(cls)}
    assert speaking <= {type(error) for error, _ in TEXTS}


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
