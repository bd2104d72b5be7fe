"""What refusals of the native dialect say, their codes, and how they are related."""

from __future__ import annotations

import errno

import pytest

from ctdb_eventd import refusals
from ctdb_eventd.errors import RequestError
from ctdb_eventd.refusals import (
    AddressHeld,
    Cancelled,
    InvalidParameter,
    LockTimeout,
    NoSuchCall,
    NoSuchLock,
    NoSuchMethod,
    NoSuchRun,
    QueueTimeout,
    TooManySubscriptions,
)

TEXTS: list[tuple[RequestError, int, str]] = [
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
    (NoSuchRun("x-1"), errno.ENOENT, "no run 'x-1' waits or runs; it is over, or never was"),
    (NoSuchCall(7), errno.ENOENT, "no run, lock or subscribe of id 7 is under way on this connection"),
    (
        TooManySubscriptions(100),
        errno.EMFILE,
        "this connection has 100 subscriptions, as many as it may; "
        "cancel one, or leave out `event` and `run` to be told of all of them by one",
    ),
    (NoSuchLock(7), errno.ENOENT, "this connection holds no lock 7"),
]


@pytest.mark.parametrize(("error", "code", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_text_and_code(error: RequestError, code: int, text: str) -> None:
    assert (str(error), error.errno) == (text, code)


def test_every_refusal_that_has_a_text_of_its_own_is_in_the_table() -> None:
    classes = {getattr(refusals, name) for name in refusals.__all__}
    speaking = {cls for cls in classes if "__str__" in vars(cls)}
    assert speaking == {type(error) for error, _, _ in TEXTS}


def test_the_tree_is_the_one_that_the_module_draws() -> None:
    drawn = [line for line in (refusals.__doc__ or "").splitlines() if line.startswith("    ")]
    names = [line.lstrip(" │├└─").split()[0] for line in drawn]
    depths = [(len(line) - len(line.lstrip(" │├└─"))) // 4 for line in drawn]
    assert sorted(names) == sorted((*refusals.__all__, "RequestError"))
    above: list[str] = []
    for name, depth in zip(names, depths, strict=True):
        above[depth - 1 :] = [name]
        if depth > 1:
            parent = RequestError if depth == 2 else getattr(refusals, above[-2])
            assert getattr(refusals, name).__bases__ == (parent,)
