"""Calls that take their time: each is answered once, whichever way it ends, and leaves nothing behind."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import cast

import pytest
from run_records import record_of, spec_of

from ctdb_eventd.dispatcher.domain import Domain
from ctdb_eventd.dispatcher.ongoing import LockCall, RunCall, WatchCall
from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.errors import Cancelled, LockTimeout, QueueTimeout, RequestError, TooManySubscriptions, WouldDeadlock
from ctdb_eventd.feed import KINDS, Feed, Filter
from ctdb_eventd.handover import SavedLock
from ctdb_eventd.model import EventReport, EventSpec, RunRecord
from ctdb_eventd.protocol.messages import Failure, Note, Notes, Reply, Result
from ctdb_eventd.runs import Done, LockDone

SPEC = spec_of("legacy startup")
RECORD = record_of("legacy startup", EventReport(summary=0, scripts=()))
WANTED = Filter(kinds=frozenset(KINDS), run="t-1")


class Ongoing:
    """A run or a lock of the domain: notes what is done to it."""

    run = "t-1"
    number = 7

    def __init__(self, on_cancel: Callable[[], None] = lambda: None) -> None:
        self.calls: list[str] = []
        self.on_cancel = on_cancel

    def cancel(self) -> None:
        self.calls.append("cancel")
        self.on_cancel()

    def revoke(self) -> bool:
        self.calls.append("revoke")
        return True

    def saved_state(self) -> SavedLock:
        return SavedLock(number=self.number, names=("routes",), text="x", requested=0.0)


class FakeDomain:
    """Starts what it is asked for; answers it at once if it is told how."""

    def __init__(self) -> None:
        self.feed = Feed(lambda seconds, callback: None)
        self.ongoing = Ongoing()
        self.error: Exception | None = None
        self.at_once: Callable[[], None] | None = None
        self.run_done: Done
        self.lock_done: LockDone

    def run(self, spec: EventSpec, done: Done, peer: Peer, run: str = "", *, detached: bool = False) -> Ongoing | None:
        self.run_done = done
        return self.begin()

    def cancel_run(self, job: Ongoing) -> None:
        job.cancel()

    def revoke_run(self, job: Ongoing, peer: Peer) -> bool:
        return job.revoke()

    def lock(self, names: tuple[str, ...], wait: float | None, done: LockDone, peer: Peer) -> Ongoing:
        self.lock_done = done
        begun = self.begin()
        return self.ongoing if begun is None else begun

    def begin(self) -> Ongoing | None:
        if self.error is not None:
            raise self.error
        if self.at_once is not None:
            self.at_once()
            return None
        return self.ongoing

    def happens(self, kind: str) -> None:
        self.feed.publish(kind, "t-1", "legacy", "startup", (), {})


class Session:
    """One client's connection, as far as calls see it."""

    def __init__(self) -> None:
        self.domain = FakeDomain()
        self.peer = Peer(pid=4711, uid=0)
        self.replies: list[tuple[int, Reply]] = []

    def reply_to(self, call: int) -> Callable[[Reply], None]:
        return lambda reply: self.replies.append((call, reply))

    def run(self, call: int = 1, wanted: Filter | None = None) -> RunCall | None:
        return RunCall(call, self.reply_to(call), self.peer).begin(cast(Domain, self.domain), SPEC, "t-1", wanted)

    def lock(self, call: int = 1) -> LockCall | None:
        return LockCall(call, self.reply_to(call), self.peer).begin(cast(Domain, self.domain), ("routes",), None)

    def watch(self, call: int = 1) -> WatchCall:
        return WatchCall(call, self.reply_to(call), self.peer).begin(self.domain.feed, WANTED)

    def answers(self, call: int = 1) -> list[Reply]:
        return [reply for number, reply in self.replies if number == call and not isinstance(reply, Notes | Note)]

    def story(self, call: int = 1) -> list[str]:
        """Kinds of notes, and `answer`, in order."""
        said: list[str] = []
        for number, reply in self.replies:
            if number == call:
                said += [note.kind for note in reply.notes] if isinstance(reply, Notes) else ["answer"]
        return said

    @property
    def clean(self) -> bool:
        return not self.peer.calls and not self.domain.feed.active


# ---------------------------------------------------------------------- runs


def test_a_run_is_answered_when_it_is_over() -> None:
    session = Session()
    call = session.run()
    assert call is not None
    assert (session.peer.calls, session.replies) == ({1: call}, [])
    session.domain.run_done(0, RECORD)
    (answer,) = session.answers()
    assert isinstance(answer, Result)
    assert answer.value["run"] == "t-1"
    assert session.clean


@pytest.mark.parametrize(
    ("details", "code"), [(QueueTimeout("a", 1, "b"), "EBUSY"), (Cancelled("a"), "ECANCELED"), (None, "EIO")]
)
def test_a_run_that_was_none_is_answered_with_the_reason(details: RequestError | None, code: str) -> None:
    session = Session()
    session.run(wanted=WANTED)
    session.domain.run_done(errno.EIO, details)
    (answer,) = session.answers()
    assert isinstance(answer, Failure)
    assert answer.code == code
    assert session.clean


def test_notes_of_a_run_come_before_its_answer_and_none_after() -> None:
    session = Session()
    session.run(wanted=WANTED)
    session.domain.happens("started")
    session.domain.happens("finished")
    session.domain.run_done(0, RECORD)
    session.domain.happens("queued")
    session.domain.feed.flush()
    assert session.story() == ["started", "finished", "answer"]
    assert session.clean


@pytest.mark.parametrize("details", [RECORD, QueueTimeout("a", 1, "b")])
def test_a_run_that_is_over_at_once_is_answered_and_nothing_goes_on(details: RunRecord | RequestError) -> None:
    session = Session()

    def over() -> None:
        session.domain.happens("started")
        session.domain.run_done(0, details)

    session.domain.at_once = over
    assert session.run(wanted=WANTED) is None
    assert session.story() == ["started", "answer"]
    assert session.clean


@pytest.mark.parametrize("wanted", [None, WANTED])
@pytest.mark.parametrize("error", [WouldDeadlock("a", "b"), RuntimeError("a bug")])
def test_a_run_that_can_not_be_asked_for_leaves_nothing(wanted: Filter | None, error: Exception) -> None:
    session = Session()
    session.domain.error = error
    with pytest.raises(type(error)):
        session.run(wanted=wanted)
    assert session.replies == []
    assert session.clean


@pytest.mark.parametrize("wanted", [None, WANTED])
def test_a_run_whose_client_has_gone_is_cancelled(wanted: Filter | None) -> None:
    session = Session()
    call = session.run(wanted=wanted)
    assert call is not None
    call.cancel()
    assert session.domain.ongoing.calls == ["cancel"]
    assert session.answers() == []
    assert session.clean


def test_a_run_that_is_over_when_it_is_cancelled_has_ended_its_notes() -> None:
    session = Session()
    call = session.run(wanted=WANTED)
    assert call is not None
    session.domain.ongoing.on_cancel = lambda: session.domain.happens("finished")
    call.cancel()
    session.domain.feed.flush()
    assert session.story() == []


def test_a_revoked_run_goes_on_until_it_is_answered() -> None:
    session = Session()
    call = session.run(wanted=WANTED)
    assert call is not None
    assert call.revoke() is True
    assert session.domain.ongoing.calls == ["revoke"]
    assert session.peer.calls == {1: call}
    session.domain.happens("finished")
    session.domain.run_done(errno.ECANCELED, RECORD)
    assert session.story() == ["finished", "answer"]
    assert session.clean


# ---------------------------------------------------------------------- locks


def test_a_lock_that_is_free_is_had_at_once() -> None:
    session = Session()
    session.domain.at_once = lambda: session.domain.lock_done(0.0)
    assert session.lock() is None
    assert session.answers() == [Result({"lock": 7, "waited": 0.0})]
    assert (session.peer.calls, session.peer.locks) == ({}, {7: session.domain.ongoing})


def test_a_lock_that_is_refused_at_once_is_not_held() -> None:
    session = Session()
    session.domain.at_once = lambda: session.domain.lock_done(LockTimeout(("routes",), 0, "x"))
    assert session.lock() is None
    (answer,) = session.answers()
    assert isinstance(answer, Failure)
    assert answer.code == "ETIMEDOUT"
    assert (session.peer.calls, session.peer.locks) == ({}, {})


def test_a_lock_is_waited_for() -> None:
    session = Session()
    call = session.lock()
    assert (session.peer.calls, session.peer.locks) == ({1: call}, {})
    session.domain.lock_done(1.5)
    assert session.answers() == [Result({"lock": 7, "waited": 1.5})]
    assert (session.peer.calls, session.peer.locks) == ({}, {7: session.domain.ongoing})


def test_a_wait_for_a_lock_may_be_in_vain() -> None:
    session = Session()
    session.lock()
    session.domain.lock_done(Cancelled("the wait"))
    (answer,) = session.answers()
    assert isinstance(answer, Failure)
    assert answer.data["kind"] == "Cancelled"
    assert (session.peer.calls, session.peer.locks) == ({}, {})


def test_a_lock_that_can_not_be_asked_for_leaves_nothing() -> None:
    session = Session()
    session.domain.error = WouldDeadlock("a", "b")
    with pytest.raises(WouldDeadlock):
        session.lock()
    assert (session.peer.calls, session.peer.locks, session.replies) == ({}, {}, [])


def test_a_wait_whose_client_has_gone_is_taken_back() -> None:
    session = Session()
    call = session.lock()
    assert call is not None
    call.cancel()
    assert (session.domain.ongoing.calls, session.peer.calls, session.replies) == (["cancel"], {}, [])


def test_a_wait_that_is_revoked_is_answered_by_the_lock() -> None:
    session = Session()
    call = session.lock()
    assert call is not None
    assert call.revoke() is True
    assert session.domain.ongoing.calls == ["revoke"]
    assert session.replies == []


def test_a_peer_that_has_gone_gives_back_everything_once() -> None:
    session = Session()
    session.domain.at_once = lambda: session.domain.lock_done(0.0)
    session.lock()
    session.domain.ongoing.on_cancel = session.peer.release_locks
    session.peer.release_locks()
    session.peer.release_locks()
    assert (session.domain.ongoing.calls, session.peer.locks) == (["cancel"], {})


@pytest.mark.parametrize("kind", [RunCall, LockCall])
def test_a_call_that_has_not_begun_has_nothing_to_take_back(kind: type[RunCall] | type[LockCall]) -> None:
    session = Session()
    kind(1, session.reply_to(1), session.peer).cancel()
    assert (session.domain.ongoing.calls, session.replies, session.clean) == ([], [], True)


# ---------------------------------------------------------------------- subscriptions


def test_a_subscription_is_answered_with_how_many_notes_there_were() -> None:
    session = Session()
    call = session.watch()
    for kind in ("queued", "started", "finished"):
        session.domain.happens(kind)
    assert call.revoke() is True
    session.domain.happens("queued")
    session.domain.feed.flush()
    assert session.story() == ["queued", "started", "finished", "answer"]
    assert session.answers() == [Result({"notes": 3})]
    assert session.clean


def test_a_subscription_whose_client_has_gone_is_told_nothing() -> None:
    session = Session()
    call = session.watch()
    session.domain.happens("queued")
    call.cancel()
    session.domain.feed.flush()
    assert (session.replies, session.clean) == ([], True)


# ---------------------------------------------------------------------- ids


def test_an_id_that_is_used_again_too_early_means_the_later_call() -> None:
    session = Session()
    first, first_done = session.run(1), session.domain.run_done
    second = session.watch(1)
    assert session.peer.calls == {1: second}
    first_done(0, RECORD)
    assert session.peer.calls == {1: second}, "the former call's end is not the later one's"
    assert len(session.answers()) == 1
    second.revoke()
    assert session.peer.calls == {}
    assert first is not None


def test_a_former_call_of_an_id_can_still_be_taken_back_when_the_client_goes() -> None:
    session = Session()
    first = session.run(1)
    assert first is not None
    session.watch(1)
    first.cancel()
    assert session.domain.ongoing.calls == ["cancel"]
    assert list(session.peer.calls) == [1]


def test_an_id_may_be_used_again_from_within_its_answer() -> None:
    session = Session()
    again: list[WatchCall] = []

    def reply(reply: Reply) -> None:
        again.append(session.watch(1))

    RunCall(1, reply, session.peer).begin(cast(Domain, session.domain), SPEC, "t-1", None)
    session.domain.run_done(0, RECORD)
    assert session.peer.calls == {1: again[0]}


def test_a_client_has_only_so_many_subscriptions() -> None:
    feed, peer, replies = Feed(lambda seconds, callback: None), Peer(1, 0), list[Reply]()
    calls = [WatchCall(number, replies.append, peer).begin(feed, WANTED) for number in range(100)]
    with pytest.raises(TooManySubscriptions):
        WatchCall(100, replies.append, peer).begin(feed, WANTED)
    calls[0].revoke()
    calls[1].cancel()
    for number in (100, 101):
        WatchCall(number, replies.append, peer).begin(feed, WANTED)
    with pytest.raises(TooManySubscriptions):
        WatchCall(102, replies.append, peer).begin(feed, WANTED)
    assert feed.subscribers == 100
