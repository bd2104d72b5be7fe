"""Jobs, locks and slots as plain values: every key of the protocol, at each stage of a job's way."""

from __future__ import annotations

import errno
import time
from typing import Any

import msgpack
import pytest
from run_records import spec_of
from scheduling import SchedulerNode

from ctdb_eventd.dispatcher.values import job_value, left_out_value, lock_value, queue_value
from ctdb_eventd.model import EventReport
from ctdb_eventd.runs import Job, Progress, RunResult
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.snapshot import snapshot_jobs, snapshot_locks, snapshot_queue

TAKE, RELEASE = "legacy takeip eth0 2001:DB8::1 64", "legacy releaseip eth0 2001:db8:0::1 64"


Values = list[dict[str, Any]]


def job_values(core: Core[Job], *wanted: str | None) -> tuple[Values, Values]:
    """Jobs and what is left out, as clients get them."""
    jobs, more = snapshot_jobs(core, *wanted)
    values = [job_value(job) for job in jobs], [left_out_value(one) for one in more]
    shown, left_out = msgpack.unpackb(msgpack.packb(values))
    return shown, left_out


class Node(SchedulerNode):
    """A scheduler whose jobs and locks are shown."""

    def submit(self, *texts: str) -> list[Job]:
        jobs = [self.scheduler.submit(spec_of(text), lambda result, details: None) for text in texts]
        return [job for job in jobs if job is not None]

    def script(self, job: Job, *locks: str, pid: int = 0, left: float | None = None) -> bool:
        """Has a job want a script, which runs as `pid` if there is one."""
        leave = self.scheduler.want_script(job, "10.first", locks)
        run = self.run_of(job)
        run.group = pid
        run.progress = Progress(script="10.first", pid=pid, since=time.monotonic() if pid else 0.0, left=left)
        return leave

    @property
    def jobs(self) -> list[dict[str, Any]]:
        values, more = job_values(self.core)
        assert more == []
        assert all(value.keys() == KEYS for value in values)
        return values

    @property
    def locks(self) -> list[dict[str, Any]]:
        values = [lock_value(lock) for lock in snapshot_locks(self.core)]
        msgpack.packb(values)
        return values


KEYS = {
    *("run", "component", "event", "args", "address", "state", "queued", "age", "started", "running", "timeout"),
    *("left", "script", "script_seconds", "pid", "waits_for"),
    *("waits_for_more", "waited", "script_waits"),
}


# ---------------------------------------------------------------------- jobs


def test_an_idle_scheduler_has_nothing() -> None:
    node = Node()
    assert (node.jobs, node.locks) == ([], [])


def test_a_job_whose_script_runs() -> None:
    node = Node()
    before = time.time()
    (job,) = node.submit(TAKE)
    node.script(job, pid=4711, left=12.5)
    (value,) = node.jobs
    assert (value["run"], value["component"], value["event"]) == (job.run, "legacy", "takeip")
    assert (value["args"], value["address"]) == (["eth0", "2001:DB8::1", "64"], "2001:db8::1")
    assert (value["state"], value["script"], value["pid"], value["waits_for"]) == ("running", "10.first", 4711, [])
    assert (value["timeout"], value["left"]) == (30, 12.5)
    assert before <= value["queued"] <= value["started"] <= time.time()
    assert 0 <= value["script_seconds"] <= value["running"] <= value["age"]


def test_a_job_that_is_queued_waits_for_those_before_it() -> None:
    node = Node()
    first, second, third = node.submit("legacy startup", "legacy setup", "legacy recovered")
    _, value, last = node.jobs
    assert (value["state"], value["waits_for"], last["waits_for"]) == ("queued", [first.run], [first.run, second.run])
    assert value["waited"] == value["age"] > 0 == value["script_waits"]
    assert last["run"] == third.run
    nothing = ("started", "running", "left", "script", "script_seconds", "pid", "address")
    assert [value[key] for key in nothing] == [None] * len(nothing)


def test_a_job_that_waits_for_its_address_names_it_and_who_has_it() -> None:
    node = Node()
    holder, _ = node.submit(TAKE, RELEASE)
    value = node.jobs[1]
    assert (value["state"], value["waits_for"]) == ("queued", [holder.run, "address:2001:db8::1"])


def test_a_job_whose_script_waits_for_locks_names_them() -> None:
    node = Node()
    holder, job = node.submit("legacy startup", "other startup")
    node.script(holder, "routes")
    assert not node.script(job, "iptables", "routes", left=3.0)
    value = node.jobs[1]
    assert (value["state"], value["waits_for"], value["script"]) == ("running", ["iptables", "routes"], "10.first")
    assert (value["pid"], value["script_seconds"], value["left"]) == (None, None, 3.0)
    assert 0 < value["script_waits"] <= value["running"]
    assert node.jobs[0]["script_waits"] == 0


@pytest.mark.parametrize("locks", [(), ("routes",)])
def test_a_job_whose_script_waits_for_a_slot_says_so(locks: tuple[str, ...]) -> None:
    node = Node(limit=1)
    holder, job = node.submit("legacy startup", "other startup")
    node.script(holder, pid=4711)
    assert not node.scheduler.want_script(job, "10.first", locks)
    assert node.jobs[1]["waits_for"] == ["slot"]
    assert node.jobs[0]["waits_for"] == []
    node.scheduler.cancel(job)


def test_a_job_between_two_scripts_waits_for_nothing() -> None:
    node = Node()
    (job,) = node.submit("legacy startup")
    value = node.jobs[0]
    assert (value["state"], value["waits_for"], value["script"], value["pid"]) == ("running", [], "10.first", None)
    job.handle = None
    value = node.jobs[0]
    assert (value["state"], value["waits_for"], value["script"], value["left"]) == ("running", [], None, None)


def test_a_job_that_is_over_is_ending_until_nothing_of_it_is_left() -> None:
    node = Node()
    job, after = node.submit("legacy startup", "legacy recovered")
    node.script(job, pid=4711)
    node.scheduler.reported(job, RunResult(errno.ETIMEDOUT, EventReport(summary=-110, scripts=())))
    node.scheduler.released(job)
    assert [(value["run"], value["state"], value["pid"]) for value in node.jobs] == [
        (job.run, "ending", 4711),
        (after.run, "running", None),
    ]
    node.scheduler.gone(job)
    assert [value["run"] for value in node.jobs] == [after.run]


def test_jobs_are_in_the_order_of_arrival_whatever_their_state() -> None:
    node = Node()
    jobs = node.submit("legacy startup", "legacy recovered", "other startup", "legacy setup")
    assert [value["run"] for value in node.jobs] == [job.run for job in jobs]
    assert [value["state"] for value in node.jobs] == ["running", "queued", "running", "queued"]


def test_only_so_many_are_shown_and_the_others_are_counted() -> None:
    node = Node()
    first = node.submit(*["legacy startup"] * 1000)
    (other,) = node.submit("other startup")
    many = node.submit(*(f"third takeip eth0 10.0.{number // 250}.{number % 250} 24" for number in range(500)))
    shown, more = job_values(node.core)
    assert [value["run"] for value in shown] == [job.run for job in (*first[:101], other, *many[:298])]
    assert more == [
        {"component": "legacy", "running": 0, "queued": 899, "oldest": first[101].queued},
        {"component": "third", "running": 202, "queued": 0, "oldest": many[298].queued},
    ]
    assert shown[100]["waits_for"] == [job.run for job in first[:5]]
    assert [value["waits_for_more"] for value in shown[:8]] == [0, 0, 0, 0, 0, 0, 1, 2]
    shown, more = job_values(node.core, "third", "takeip", many[400].address)
    assert ([value["run"] for value in shown], more) == ([many[400].run], [])
    shown, more = job_values(node.core, "third")
    assert (len(shown), more[0]["running"]) == (300, 200)
    assert job_values(node.core, "third", "startup") == ([], [])


def test_queued_ones_of_many_components_are_no_more_in_all() -> None:
    node = Node()
    for number in range(10):
        node.submit(*[f"c{number} startup"] * 102)
    shown, more = job_values(node.core)
    assert [value["state"] for value in shown].count("queued") == 300
    assert [left["queued"] for left in more] == [1, 1, 1, *[101] * 7]


def test_those_who_wait_for_an_address_are_counted_too() -> None:
    node = Node()
    jobs = node.submit(*[TAKE] * 200)
    shown, (left,) = job_values(node.core)
    assert (len(shown), left["queued"]) == (101, 99)
    assert shown[100]["waits_for"] == [*(job.run for job in jobs[:5]), "address:2001:db8::1"]
    assert shown[100]["waits_for_more"] == 95


def test_long_arguments_are_shown_as_far_as_there_is_room() -> None:
    node = Node()
    node.submit(f"legacy startup one {'x' * 5000} two")
    (value,) = node.jobs
    assert value["args"] == ["one", "x" * 181 + "..."]


# ---------------------------------------------------------------------- locks


def test_an_address_has_a_holder_and_those_who_wait() -> None:
    node = Node()
    before = time.time()
    holder, waiting = node.submit(TAKE, RELEASE)
    node.script(holder, pid=4711)
    (lock,) = node.locks
    assert (lock["name"], lock["kind"]) == ("address:2001:db8::1", "address")
    owner, (other,) = lock["holder"], lock["waiting"]
    assert owner.keys() == other.keys() == {"run", "lock", "pid", "text", "since", "seconds"}
    assert (owner["run"], owner["lock"], owner["pid"], owner["text"]) == (holder.run, None, 4711, TAKE)
    assert (other["run"], other["lock"], other["pid"], other["text"]) == (waiting.run, None, None, RELEASE)
    assert owner["seconds"] >= other["seconds"] >= 0
    assert before - 0.1 <= owner["since"] <= other["since"] <= time.time()


def test_a_named_lock_may_be_a_clients() -> None:
    node = Node()
    (job,) = node.submit("legacy startup")
    first, second = (
        node.scheduler.client_locks.request(("routes",), None, pid, text, lambda what: None)
        for pid, text in ((1, "one"), (2, "two"))
    )
    node.scheduler.want_script(job, "10.first", ("routes",))
    (lock,) = node.locks
    assert (lock["name"], lock["kind"]) == ("routes", "named")
    owners = [lock["holder"], *lock["waiting"]]
    assert [(owner["run"], owner["lock"], owner["pid"], owner["text"]) for owner in owners] == [
        (None, first.number, 1, "one"),
        (None, second.number, 2, "two"),
        (job.run, None, None, "legacy startup"),
    ]


def test_a_lock_that_is_free_but_wanted_has_no_holder() -> None:
    node = Node()
    for names in (("b",), ("a", "b")):
        node.scheduler.client_locks.request(names, None, 1, "x", lambda what: None)
    assert [(lock["name"], lock["holder"] is None, len(lock["waiting"])) for lock in node.locks] == [
        ("a", True, 1),
        ("b", False, 1),
    ]


def test_locks_are_by_name_those_of_addresses_first() -> None:
    node = Node()
    node.submit("legacy takeip eth0 10.0.0.2 24", "legacy takeip eth0 10.0.0.1 24")
    node.scheduler.client_locks.request(("z", "A", "b"), None, 1, "x", lambda what: None)
    names = [lock["name"] for lock in node.locks]
    assert names == ["address:10.0.0.1", "address:10.0.0.2", "A", "b", "z"]


def test_only_some_locks_are_shown_those_first_for_which_somebody_waits() -> None:
    node = Node()
    node.submit(*(f"legacy takeip eth0 10.0.{number // 250}.{number % 250} 24" for number in range(400)))
    waiting = node.submit(*["legacy releaseip eth0 10.0.1.149 24"] * 13)
    locks = {lock["name"]: lock for lock in node.locks}
    assert len(locks) == 300
    lock = locks["address:10.0.1.149"]
    assert [owner["run"] for owner in lock["waiting"]] == [job.run for job in waiting[:10]]
    assert lock["waiting_more"] == 3
    assert locks["address:10.0.0.0"]["waiting_more"] == 0


# ---------------------------------------------------------------------- numbers


def test_runs_and_slots_are_counted() -> None:
    node = Node(limit=3)
    jobs = node.submit(TAKE, RELEASE, "other startup", "other recovered", "third startup", "fourth startup")
    for job in (jobs[0], jobs[2], jobs[4], jobs[5]):
        node.scheduler.want_script(job, "10.first", ())
    node.scheduler.released(jobs[4])
    assert queue_value(snapshot_queue(node.core)) == {
        "queued": 2,
        "running": 3,
        "slots": {"running": 3, "waiting": 1, "free_limit": 3, "limit": 3},
    }
    node.scheduler.cancel(jobs[5])
