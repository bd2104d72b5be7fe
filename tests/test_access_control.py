"""Who is let do what, and what is logged of that."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from ctdb_eventd import access_control
from ctdb_eventd.access import Access, Members, unknown_id
from ctdb_eventd.access_control import AccessControl
from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.errors import NotAllowed
from ctdb_eventd.model import EventSpec

MONITOR = EventSpec(component="legacy", event="monitor", args=(), timeout=0, run_all=False)
EVERYBODY = Members(users=frozenset(range(61000, 61100)), groups=frozenset({7}))
UNKNOWN = unknown_id("uid")


@pytest.fixture
def control(caplog: pytest.LogCaptureFixture) -> AccessControl:
    caplog.set_level(logging.DEBUG, access_control.__name__)
    return AccessControl("/etc/ctdb/ctdb.conf", ctdbd=4711)


def is_allowed(control: AccessControl, peer: Peer, spec: EventSpec | None = None) -> bool:
    try:
        control.check_operate(peer, "run", spec)
    except NotAllowed:
        return False
    return True


def test_root_and_the_daemon_s_user_may_do_everything(control: AccessControl) -> None:
    for uid in (0, os.geteuid()):
        assert is_allowed(control, Peer(1, uid))
        assert is_allowed(control, Peer(1, uid), MONITOR)
        control.check_read(Peer(1, uid), "status")


def test_others_may_what_is_configured(control: AccessControl) -> None:
    assert not control.may_read(Peer(1, 61000))
    control.access = Access(operate={"monitor": EVERYBODY})
    for peer in (Peer(1, 61000), Peer(1, 62000, frozenset({7}))):
        assert control.may_read(peer)
        assert is_allowed(control, peer, MONITOR)
        assert not is_allowed(control, peer)


def test_who_is_unknown_here_may_do_nothing_in_whatever_group(control: AccessControl) -> None:
    members = Members(users=frozenset({UNKNOWN}), groups=frozenset({7}))
    control.access = Access(read=members, operate={"": members})
    peer = Peer(1, UNKNOWN, frozenset({7}))
    assert not control.may_read(peer)
    assert not is_allowed(control, peer)
    with pytest.raises(NotAllowed):
        control.check_read(peer, "status")


def test_a_daemon_that_runs_as_nobody_trusts_its_own_user_as_long_as_no_other_can_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: UNKNOWN)
    control = AccessControl("/etc/ctdb/ctdb.conf")
    assert control.may_all(UNKNOWN)
    control.access = Access(read=EVERYBODY)
    assert not control.may_all(UNKNOWN)


def test_a_refusal_says_what_is_missing(control: AccessControl) -> None:
    with pytest.raises(NotAllowed) as raised:
        control.check_operate(Peer(1, 61234), "run", MONITOR)
    assert (raised.value.right, raised.value.asked) == ("operate legacy/monitor", "run legacy/monitor")
    with pytest.raises(NotAllowed) as raised:
        control.check_operate(Peer(1, 61234), "reload")
    assert (raised.value.right, raised.value.asked) == ("operate", "use reload")
    with pytest.raises(NotAllowed) as raised:
        control.check_read(Peer(1, 61234), "status")
    assert (raised.value.right, raised.value.asked) == ("read", "use status")


def test_refusals_are_marked_for_the_log_to_show_a_user_s_seldom(
    control: AccessControl, caplog: pytest.LogCaptureFixture
) -> None:
    control.log_refusal(Peer(1, 61000), "why")
    (record,) = caplog.records
    assert record.getMessage() == "client 1 (uid 61000): refused, why"
    assert record.__dict__["seldom"] == 61000


def test_what_ctdbd_asks_for_is_no_news(control: AccessControl, caplog: pytest.LogCaptureFixture) -> None:
    control.audit(Peer(4711, 0), "run", "legacy/monitor", "t-1")
    assert caplog.messages == []
    assert not AccessControl("").is_ctdbd(Peer(4711, 0))


def test_who_asks_is_named_by_the_system(control: AccessControl, caplog: pytest.LogCaptureFixture) -> None:
    program = Path("/proc/self/comm").read_text().strip()
    control.audit(Peer(os.getpid(), 0), "run", "legacy/monitor", "t-1", ("a b", "c"))
    control.audit(Peer(0x3FFFFFFF, 61234), "reload")
    assert caplog.messages == [
        f"uid=0 (root) pid={os.getpid()} ({program}) requested: run legacy/monitor, run id t-1: a b c",
        f"uid=61234 (?) pid={0x3FFFFFFF} (?) requested: reload",
    ]


def test_names_can_not_pretend_to_be_the_words_around_them(
    control: AccessControl, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_control, "program_of", lambda pid: "x) requested:\n")
    control.audit(Peer(1, 0), "cancel", "legacy/x, run id t-2\n\u00e9\udcff", "t-1")
    [line] = caplog.messages
    odd = "legacy/x,\\x20run\\x20id\\x20t-2\\x0a\\xe9\\xdcff"
    assert line == f"uid=0 (root) pid=1 (x\\x29\\x20requested:\\x0a) requested: cancel {odd}, run id t-1"


def test_lines_are_bounded(control: AccessControl, caplog: pytest.LogCaptureFixture) -> None:
    control.audit(Peer(1, 0), "lock", "x" * 100_000, "t-1", ("y" * 100_000,))
    with pytest.raises(NotAllowed):
        control.check_operate(Peer(1, 61000), "x" * 100_000)
    assert max(map(len, caplog.messages)) < 1500
