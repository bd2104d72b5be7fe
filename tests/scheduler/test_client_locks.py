"""Named locks of clients: granted, waited for, given up, taken back, given back; and what is told of it."""

from __future__ import annotations

import re
import time
from collections.abc import Hashable

import attrs
import pytest
from nodes import until
from run_records import spec_of
from scheduling import SchedulerNode, parents_of

from ctdb_eventd.errors import Cancelled, LockTimeout, RequestError, WouldDeadlock
from ctdb_eventd.logs import NOTICE
from ctdb_eventd.runs import Job
from ctdb_eventd.scheduler.client_locks import ClientLock


@attrs.define
class Asked:
    """A client lock, and what it was answered."""

    lock: ClientLock | None = None
    answers: list[float | RequestError] = attrs.field(factory=list)

    @property
    def its(self) -> ClientLock:
        assert self.lock is not None
        return self.lock

    @property
    def granted(self) -> bool:
        return [type(answer) for answer in self.answers] == [float]


class Node(SchedulerNode):
    """A scheduler and the clients' requests for its locks."""

    def __init__(self, *, watched: bool = True) -> None:
        super().__init__(watched=watched)
        self.locks = self.scheduler.client_locks

    def ask(self, names: str, wait: float | None = None, *, text: str = "a client", asker: Job | None = None) -> Asked:
        """Asks for the locks that `names` says."""
        asked = Asked()
        asked.lock = self.locks.request(tuple(names.split()), wait, 4711, text, asked.answers.append, parents_of(asker))
        return asked

    def job(self, text: str, asker: Job | None = None) -> Job:
        made = self.scheduler.submit(spec_of(text), lambda result, details: None, parents_of(asker))
        assert made is not None
        return made

    @property
    def held(self) -> dict[str, str]:
        return {lock.name: str(lock.holder) for lock in self.core.state.scripts}

    def told(self) -> list[tuple[str, object]]:
        return [(kind, data["lock"]) for kind, data in self.feed.published if kind.startswith("lock-")]


# ---------------------------------------------------------------------- had, waited for, given back


def test_free_locks_are_had_before_the_call_returns() -> None:
    node = Node()
    asked = node.ask("routes iptables", text="ctdb-event lock")
    (waited,) = asked.answers
    assert isinstance(waited, float)
    assert 0 <= waited < 60
    assert node.held == {"iptables": "ctdb-event lock", "routes": "ctdb-event lock"}
    assert node.told() == [], "who doesn't wait is not told of"


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_long_wait_is_one_line_in_the_log(seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    node = Node()
    caplog.set_level(NOTICE)
    first = node.ask("routes", text="first")
    waiting = node.ask("routes iptables", text="second")
    waiting.its.requested -= seconds
    node.locks.cancel(first.its)
    assert waiting.granted
    assert len(caplog.records) == bool(seconds)
    for record in caplog.records:
        assert record.levelno == NOTICE
        assert re.fullmatch(r"second waited 5\.\d+ s for routes iptables, held by first", record.getMessage())


def test_numbers_are_never_used_twice() -> None:
    node = Node()
    numbers = []
    for _ in range(3):
        asked = node.ask("routes")
        numbers.append(asked.its.number)
        asked.its.cancel()
    assert len(set(numbers)) == 3


@pytest.mark.parametrize("end", ["cancel", "drop"])
def test_what_is_given_back_goes_to_the_next_in_order(end: str) -> None:
    node = Node()
    requests = [node.ask("routes") for _ in range(4)]
    for index, asked in enumerate(requests):
        assert [other.granted for other in requests] == [True] * (index + 1) + [False] * (3 - index)
        if end == "cancel":
            asked.its.cancel()
        else:
            node.locks.drop(asked.its)
    assert node.core.state.scripts == ()


def test_all_locks_or_none_and_nobody_is_overtaken() -> None:
    node = Node()
    first, both, third = node.ask("routes"), node.ask("iptables routes"), node.ask("iptables")
    assert [asked.granted for asked in (first, both, third)] == [True, False, False]
    first.its.cancel()
    assert both.granted
    assert not third.granted
    both.its.cancel()
    assert third.granted


def test_giving_back_can_help_several() -> None:
    node = Node()
    holder = node.ask("a b c")
    others = [node.ask(name) for name in ("a", "b c")]
    holder.its.cancel()
    assert [asked.granted for asked in others] == [True, True]


def test_a_name_that_is_asked_for_twice_counts_once() -> None:
    node = Node()
    asked = node.ask("routes routes")
    assert asked.granted
    asked.its.cancel()
    assert node.core.state.scripts == ()


def test_cancelling_twice_gives_back_once() -> None:
    node = Node()
    first = node.ask("routes")
    first.its.cancel()
    second = node.ask("routes")
    first.its.cancel()
    assert node.held == {"routes": "a client"}
    assert second.granted


def test_a_wish_that_is_taken_back_is_not_answered_and_helps_those_behind_it() -> None:
    node = Node()
    holder, wish, behind = node.ask("a"), node.ask("a b"), node.ask("b")
    wish.its.cancel()
    assert wish.answers == []
    assert behind.granted
    holder.its.cancel()
    assert wish.answers == []
    assert node.held == {"b": "a client"}


def test_giving_back_within_the_answer_to_another_is_in_order() -> None:
    """Each gives its lock back as soon as it has it, from within its answer."""
    node = Node()
    granted: list[int] = []
    holder = node.ask("routes")
    made: dict[int, ClientLock] = {}

    def done(number: int) -> None:
        granted.append(number)
        made[number].cancel()

    for number in range(2000):
        made[number] = node.locks.request(("routes",), None, 1, "x", lambda _, number=number: done(number))  # type: ignore[misc]
    holder.its.cancel()
    assert granted == list(range(2000))
    assert node.core.state.scripts == ()


# ---------------------------------------------------------------------- the wait


def test_who_does_not_want_to_wait_is_refused_at_once_and_leaves_nothing() -> None:
    node = Node()
    node.ask("routes", text="the holder")
    asked = node.ask("routes", 0)
    (error,) = asked.answers
    assert isinstance(error, LockTimeout)
    assert (error.names, error.seconds, str(error.holder)) == (("routes",), 0, "the holder")
    assert [lock.waiting for lock in node.core.state.scripts] == [()]
    assert node.told() == []


async def test_a_wait_ends_when_its_time_is_over() -> None:
    node = Node()
    holder = node.ask("routes", text="the holder")
    asked, patient = node.ask("routes", 0.01), node.ask("routes", 1000)
    assert asked.answers == []
    await until(lambda: asked.answers, "the end of the wait")
    (error,) = asked.answers
    assert isinstance(error, LockTimeout)
    assert (error.seconds, str(error.holder)) == (0.01, "the holder")
    holder.its.cancel()
    assert patient.granted
    assert len(asked.answers) == 1


async def test_a_wait_without_limit_needs_no_timer() -> None:
    node = Node()
    node.ask("routes")
    asked = node.ask("routes")
    assert asked.its.timer is None


async def test_who_has_got_it_does_not_give_up_any_more() -> None:
    node = Node()
    holder = node.ask("routes")
    asked, later = node.ask("routes", 0.01), node.ask("other", 0.01)
    holder.its.cancel()
    assert asked.granted
    assert asked.its.timer is None
    behind = node.ask("routes", 0.02)
    await until(lambda: behind.answers, "the end of a longer wait")
    assert asked.granted
    assert later.granted


async def test_who_has_gone_does_not_give_up_any_more() -> None:
    node = Node()
    node.ask("routes")
    gone = node.ask("routes", 0.01)
    gone.its.cancel()
    behind = node.ask("routes", 0.02)
    await until(lambda: behind.answers, "the end of a longer wait")
    assert gone.answers == []


async def test_a_lock_that_is_given_back_in_the_moment_its_wait_ends_is_had_or_refused_and_not_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Node()
    holder = node.ask("routes")
    asked = [node.ask("routes", 0.01) for _ in range(3)]
    # the first one's refusal gives the lock back, when the timers of all three are due
    first = asked[0].its
    original = node.core.drop_locks

    def drop(lock: Hashable) -> None:
        original(lock)
        if lock is first:
            holder.its.cancel()

    monkeypatch.setattr(node.core, "drop_locks", drop)
    await until(lambda: all(one.answers for one in asked[:2]), "two answers")
    assert [len(one.answers) for one in asked] in ([1, 1, 0], [1, 1, 1])
    assert [one.granted for one in asked] == [False, True, False]
    assert node.held == {"routes": "a client"}


@pytest.mark.parametrize("wait", [None, 60.0])
async def test_a_wait_that_is_revoked_is_answered_so(wait: float | None) -> None:
    node = Node()
    holder = node.ask("routes")
    asked, behind = node.ask("routes iptables", wait), node.ask("iptables")
    assert asked.its.revoke() is False
    (error,) = asked.answers
    assert isinstance(error, Cancelled)
    assert str(error) == "the wait for the lock routes iptables was cancelled"
    assert behind.granted
    asked.its.cancel()
    holder.its.cancel()
    assert len(asked.answers) == 1


def test_a_wait_that_is_revoked_twice_is_answered_once() -> None:
    node = Node()
    node.ask("routes")
    asked = node.ask("routes")
    for _ in range(2):
        assert asked.its.revoke() is False
    assert [type(answer) for answer in asked.answers] == [Cancelled]


def test_to_give_up_what_nobody_has_is_a_bug() -> None:
    node = Node()
    asked = node.ask("routes")
    with pytest.raises(RuntimeError, match="nobody has"):
        node.locks.holder_for(asked.its)


def test_the_holder_that_is_named_is_never_who_asks() -> None:
    node = Node()
    node.ask("held", text="the holder")
    asked = node.ask("free held", wait=0)
    (answer,) = asked.answers
    assert isinstance(answer, LockTimeout)
    assert str(answer.holder) == "the holder"


def test_a_client_lock_that_is_behind_another_is_refused_and_leaves_nothing() -> None:
    node = Node()
    holder = node.ask("routes", text="ctdb-event lock routes")
    behind = node.locks.of({holder.its.pid})
    with pytest.raises(WouldDeadlock, match="ctdb-event lock routes, whose command requests it and waits"):
        node.locks.request(("other", "routes"), None, 4712, "its child", lambda outcome: None, behind)
    assert len(node.locks) == 1
    assert node.locks.of({4712}) == frozenset()
    holder.its.cancel()
    assert len(node.locks) == 0


class Pids(set[int]):
    """Counts how often it is asked for a pid."""

    asked = 0

    def __contains__(self, pid: object) -> bool:
        self.asked += 1
        return super().__contains__(pid)


def test_client_locks_are_found_without_a_look_at_those_of_others() -> None:
    node = Node()
    locks = node.scheduler.client_locks
    kept = [locks.request((f"lock{number}",), None, number, "x", lambda what: None) for number in range(100)]
    pids = Pids({7, 8, 1000})
    assert locks.of(pids) == {kept[7], kept[8]}
    assert pids.asked == 0
    for lock in kept:
        lock.cancel()
        lock.cancel()
    assert (locks.of(pids), locks._of_process) == (frozenset(), {})


def test_a_run_that_is_behind_a_client_lock_can_not_have_its_locks() -> None:
    node = Node()
    holder = node.ask("routes")
    behind = node.locks.of({holder.its.pid})
    job = node.scheduler.submit(spec_of("legacy startup"), lambda result, details: None, behind)
    assert job is not None
    with pytest.raises(WouldDeadlock, match="a script of legacy startup with the locks routes would wait for"):
        node.scheduler.want_script(job, "10.first", ("routes",))
    assert node.scheduler.want_script(job, "20.second", ("other",))


# ---------------------------------------------------------------------- what is told


def test_a_wait_and_its_end_are_told() -> None:
    node = Node()
    holder = node.ask("a b")
    asked = node.ask("b a", text="who waits")
    holder.its.cancel()
    (first, waiting), (second, acquired) = node.feed.published
    assert (first, second) == ("lock-waiting", "lock-acquired")
    assert waiting.pop("holder") == holder.its.text
    assert waiting == {
        **dict.fromkeys(("run", "component", "event")),
        **{"args": (), "locks": ("b", "a"), "lock": asked.its.number, "text": "who waits"},
    }
    assert acquired.pop("seconds") >= 0
    assert acquired == waiting


def test_nothing_is_told_to_nobody() -> None:
    node = Node(watched=False)
    holder = node.ask("routes")
    asked = node.ask("routes")
    holder.its.cancel()
    assert asked.granted
    assert node.feed.published == []


@pytest.mark.parametrize("end", ["cancel", "revoke"])
def test_the_end_of_a_wait_in_vain_is_not_told_as_a_success(end: str) -> None:
    node = Node()
    holder = node.ask("routes")
    asked = node.ask("routes")
    getattr(asked.its, end)()
    holder.its.cancel()
    assert node.told() == [("lock-waiting", asked.its.number)]


# ---------------------------------------------------------------------- beside scripts


def test_a_script_waits_for_a_client_lock_and_goes_when_it_is_given_back() -> None:
    node = Node()
    held = node.ask("routes")
    job = node.job("legacy startup")
    assert not node.scheduler.want_script(job, "10.first", ("routes",))
    held.its.cancel()
    assert node.runs["legacy startup"].calls == ["proceed"]
    behind = node.ask("routes")
    assert behind.answers == []
    node.scheduler.script_over(job)
    assert behind.granted


def test_client_locks_and_scripts_take_turns_in_the_order_of_asking() -> None:
    node = Node()
    jobs = [node.job(f"c{number} startup") for number in range(3)]
    holder = node.ask("routes")
    requests = []
    for job in jobs:
        assert not node.scheduler.want_script(job, "10.first", ("routes",))
        requests.append(node.ask("routes"))
    order: list[str] = []
    holder.its.cancel()
    for number, (job, asked) in enumerate(zip(jobs, requests, strict=True)):
        order += [name for name, run in node.runs.items() if run.calls]
        assert not asked.granted
        assert node.runs[f"c{number} startup"].calls == ["proceed"]
        node.scheduler.script_over(job)
        assert asked.granted
        asked.its.cancel()
    assert node.core.state.scripts == ()


def test_a_holder_is_told_as_an_owner_be_it_a_script_or_a_client() -> None:
    node = Node()
    job = node.job("legacy startup")
    node.scheduler.want_script(job, "10.first", ("routes",))
    client = node.ask("iptables", text="ctdb-event lock iptables")
    first = attrs.asdict(node.locks.holder_for(node.ask("routes").its))
    second = attrs.asdict(node.locks.holder_for(node.ask("free iptables").its))
    for owner in (first, second):
        assert time.time() - 60 < owner.pop("since") <= time.time()
        assert 0 <= owner.pop("seconds") < 60
    assert first == {"run": job.run, "lock": None, "pid": None, "text": "legacy startup"}
    assert second == {"run": None, "lock": client.its.number, "pid": 4711, "text": "ctdb-event lock iptables"}


@pytest.mark.parametrize("wait", [0, 60.0, None])
def test_a_client_of_a_script_can_not_have_the_scripts_lock(wait: float | None) -> None:
    node = Node()
    asker = node.job("legacy startup")
    node.scheduler.want_script(asker, "10.first", ("routes",))
    before = node.core.state
    with pytest.raises(WouldDeadlock, match="locks routes other would wait for legacy startup, whose script requests"):
        node.ask("routes other", wait, asker=asker)
    assert node.core.state == before
    assert node.ask("other", asker=asker).granted


def test_nor_that_of_a_script_that_waits_for_its_event() -> None:
    node = Node()
    outer = node.job("legacy startup")
    node.scheduler.want_script(outer, "10.first", ("routes",))
    inner = node.job("other startup", outer)
    node.scheduler.want_script(inner, "10.first", ("iptables",))
    for name in ("routes", "iptables"):
        with pytest.raises(WouldDeadlock):
            node.ask(name, asker=inner)
    assert node.ask("free", asker=inner).granted


def test_an_asker_that_is_over_holds_nothing() -> None:
    node = Node()
    asker = node.job("legacy startup")
    node.scheduler.want_script(asker, "10.first", ("routes",))
    node.scheduler.released(asker)
    node.scheduler.gone(asker)
    assert node.ask("routes", asker=asker).granted


# ---------------------------------------------------------------------- the daemon's end


async def test_client_locks_do_not_keep_the_daemon_from_ending() -> None:
    node = Node()
    holder, waiting = node.ask("routes"), node.ask("routes", 60)
    idle: list[bool] = []
    node.scheduler.shut_down(lambda: idle.append(True))
    assert idle == [True]
    for asked in (waiting, holder):
        asked.its.cancel()
    assert node.core.state.scripts == ()
    assert waiting.answers == []
