"""From request to reply: every request is answered once, and no exception gets past."""

from __future__ import annotations

import errno
import logging
from typing import cast

import pytest
from rights import Rights
from run_records import record_of

from ctdb_eventd.dispatcher.domain import Domain
from ctdb_eventd.dispatcher.peer import Cancellable, Peer
from ctdb_eventd.dispatcher.requests import Dispatcher
from ctdb_eventd.errors import NeverRan, NoSuchScript, NotAllowed, WouldDeadlock
from ctdb_eventd.events import plan
from ctdb_eventd.model import EventReport, EventSpec, RunRecord
from ctdb_eventd.protocol.messages import (
    Reply,
    Request,
    RunReply,
    RunRequest,
    ScriptReply,
    ScriptRequest,
    StatusReply,
    StatusRequest,
)
from ctdb_eventd.runs import Done, Job

REPORT = EventReport(summary=0, scripts=())


SPEC = EventSpec(component="legacy", event="takeip", args=(), timeout=30, run_all=False)
JOB = Job(run="t-1", spec=SPEC, plan=plan("takeip", ()), done=None)
PEER = Peer(pid=4711, uid=0)


class FakeDomain(Rights):
    """Notes what it is asked for; fails with `error` if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.asked: list[object] = []
        self.done: Done | None = None
        self.cancelled: list[Job] = []
        self.error = error

    def ask(self, *what: object) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error

    def run(self, spec: EventSpec, done: Done, peer: Peer, run: str = "", *, detached: bool = False) -> Job | None:
        self.ask(spec, peer)
        self.done = done
        return JOB

    def cancel_run(self, job: Job) -> None:
        self.cancelled.append(job)

    def status(self, component: str, event: str) -> RunRecord:
        self.ask(component, event)
        return record_of("legacy monitor", REPORT)

    def set_script(self, component: str, script: str, enable: bool) -> None:
        self.ask(component, script, enable)

    def handle(self, request: Request) -> tuple[list[Reply], Cancellable | None]:
        replies: list[Reply] = []
        return replies, Dispatcher(cast(Domain, self)).handle(request, replies.append, PEER)


def run(component: str = "legacy", event: str = "takeip", args: tuple[str, ...] = ()) -> RunRequest:
    return RunRequest(EventSpec(component=component, event=event, args=args, timeout=30, run_all=False))


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "ctdb_eventd")


# ---------------------------------------------------------------------- what is carried out


def test_a_run_is_answered_when_it_is_over() -> None:
    domain = FakeDomain()
    request = run(args=("eth0", "10.0.0.1", "24"))
    replies, job = domain.handle(request)
    assert (domain.asked, replies) == ([(request.spec, PEER)], [])
    assert job is not None
    job.cancel()
    assert domain.cancelled == [JOB]
    assert domain.done is not None
    domain.done(errno.ETIMEDOUT, None)
    assert replies == [RunReply(errno.ETIMEDOUT)]


@pytest.mark.parametrize("job", [JOB, None])
def test_a_run_that_is_over_at_once_is_answered_at_once(job: Job | None) -> None:
    class AtOnce(FakeDomain):
        def run(self, spec: EventSpec, done: Done, peer: Peer, run: str = "", *, detached: bool = False) -> Job | None:
            done(0, None)
            return job

    replies, under_way = AtOnce().handle(run())
    assert (replies, under_way is None) == ([RunReply(0)], job is None)


def test_a_script_that_asks_for_what_would_wait_for_it_is_answered_edeadlk_and_the_log_names_both(
    caplog: pytest.LogCaptureFixture,
) -> None:
    domain = FakeDomain(WouldDeadlock("legacy ipreallocated", "legacy takeip eth0 10.0.0.1 24"))
    assert domain.handle(run(event="ipreallocated")) == ([RunReply(errno.EDEADLK)], None)
    assert caplog.record_tuples == [
        (
            "ctdb_eventd.dispatcher.requests",
            logging.WARNING,
            "RunRequest refused: legacy ipreallocated would wait for legacy takeip eth0 10.0.0.1 24, "
            "whose script requests it and waits",
        )
    ]


def test_a_status_is_answered_with_the_report() -> None:
    domain = FakeDomain()
    assert domain.handle(StatusRequest("legacy", "monitor")) == ([StatusReply(0, REPORT)], None)
    assert domain.asked == [("legacy", "monitor")]


@pytest.mark.parametrize(("enable", "word"), [(True, "enabled"), (False, "disabled")])
def test_a_script_is_enabled_or_disabled_and_the_log_says_so(
    enable: bool, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    domain = FakeDomain()
    assert domain.handle(ScriptRequest("legacy", "00.ctdb", enable)) == ([ScriptReply(0)], None)
    assert domain.asked == [("legacy", "00.ctdb", enable)]
    assert caplog.messages == [f"legacy: script 00.ctdb {word}"]


# ---------------------------------------------------------------------- who may what


def test_what_a_peer_may_not_is_answered_eacces_and_reaches_nobody() -> None:
    domain = FakeDomain()
    domain.refusal = NotAllowed(1000, "alice", "run it", "operate", "/etc/ctdb/ctdb.conf")
    assert domain.handle(run()) == ([RunReply(errno.EACCES)], None)
    assert domain.handle(ScriptRequest("legacy", "00.ctdb", True)) == ([ScriptReply(errno.EACCES)], None)
    assert (domain.asked, domain.audited) == ([], [])


def test_to_look_needs_less_than_to_change() -> None:
    domain = FakeDomain()
    for request in (StatusRequest("legacy", "monitor"), ScriptRequest("legacy", "00.ctdb", False)):
        domain.handle(request)
    assert domain.checked == [("read", "status"), ("operate", "disable", None)]
    assert domain.audited == ["disable legacy/00.ctdb"]


# ---------------------------------------------------------------------- names

BAD_NAMES = ["", ".", "..", "../events/legacy", "a/b", "/", "a\0b", "x" * 256, "\u00e9" * 128, "\udcff" * 256]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_answered_einval_and_reach_nobody(name: str) -> None:
    domain = FakeDomain()
    requests: list[Request] = [
        run(component=name),
        run(event=name),
        StatusRequest(name, "monitor"),
        StatusRequest("legacy", name),
        ScriptRequest(name, "00.ctdb", True),
        ScriptRequest("legacy", name, True),
    ]
    replies = [domain.handle(request) for request in requests]
    failures: list[Reply] = [RunReply(22), RunReply(22), StatusReply(22, None), StatusReply(22, None)]
    failures += [ScriptReply(22), ScriptReply(22)]
    assert replies == [([failure], None) for failure in failures]
    assert domain.asked == []


@pytest.mark.parametrize("name", ["x" * 255, "...", "a b", "\udcff", "~", "NN\n"])
def test_odd_names_that_are_file_names_pass(name: str) -> None:
    domain = FakeDomain()
    domain.handle(StatusRequest(name, name))
    assert domain.asked == [(name, name)]


def test_a_nul_in_an_argument_is_answered_einval(caplog: pytest.LogCaptureFixture) -> None:
    domain = FakeDomain()
    assert domain.handle(run(args=("eth0", "10.0\0.0.1"))) == ([RunReply(errno.EINVAL)], None)
    assert domain.asked == []
    assert caplog.messages == [r"RunRequest refused: argument name '10.0\x00.0.1' is invalid: it contains a NUL"]


def test_a_bad_name_is_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    FakeDomain().handle(run(component="../x"))
    assert caplog.record_tuples == [
        (
            "ctdb_eventd.dispatcher.requests",
            logging.WARNING,
            "RunRequest refused: component name '../x' is invalid: it contains a slash",
        )
    ]


def test_what_is_no_request_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        FakeDomain().handle(cast(Request, "hello"))


# ---------------------------------------------------------------------- failures

REQUESTS = [run(), StatusRequest("legacy", "monitor"), ScriptRequest("legacy", "00.ctdb", True)]


def result_of(request: Request, error: Exception) -> int:
    replies, job = FakeDomain(error).handle(request)
    assert job is None
    assert len(replies) == 1
    reply = replies[0]
    assert isinstance(reply, RunReply | StatusReply | ScriptReply)
    assert not isinstance(reply, StatusReply) or reply.report is None
    return reply.result


@pytest.mark.parametrize("request_", REQUESTS, ids=["run", "status", "script"])
@pytest.mark.parametrize(
    ("error", "result", "level"),
    [
        (NeverRan("legacy", "monitor"), errno.EINVAL, logging.DEBUG),
        (NoSuchScript("legacy", "00.ctdb"), errno.ENOENT, logging.DEBUG),
        (PermissionError(errno.EPERM, "not permitted"), errno.EPERM, logging.ERROR),
        (OSError("no number"), errno.EIO, logging.ERROR),
        (KeyError("a bug"), errno.EIO, logging.ERROR),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_exception_becomes_a_reply(
    request_: Request, error: Exception, result: int, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert result_of(request_, error) == result
    assert [record.levelno for record in caplog.records] == [level]


def test_a_bug_is_logged_with_its_request_and_traceback(caplog: pytest.LogCaptureFixture) -> None:
    result_of(StatusRequest("legacy", "monitor"), KeyError("a bug"))
    record = caplog.records[0]
    assert record.getMessage() == (
        "StatusRequest(component='legacy', event='monitor') failed: this is a bug in ctdb-eventd, please report it"
    )
    assert record.exc_info
    assert record.exc_info[0] is KeyError


def test_what_the_file_system_refuses_is_logged_in_its_words(caplog: pytest.LogCaptureFixture) -> None:
    result_of(ScriptRequest("legacy", "00.ctdb", True), PermissionError(errno.EPERM, "not permitted", "/e/legacy"))
    assert caplog.messages == ["ScriptRequest failed: [Errno 1] not permitted: '/e/legacy'"]
