"""What the broker adds to a request on its way to the scheduler: whose child asks for it, and a bound."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import cast

import attrs
import pytest
from run_records import spec_of
from scheduling import SchedulerNode

from ctdb_eventd.access_control import AccessControl
from ctdb_eventd.broker import Broker
from ctdb_eventd.config import Config
from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.errors import InvalidName, RequestError, TooMuchDetached, WouldDeadlock
from ctdb_eventd.model import RunRecord
from ctdb_eventd.notify.notifier import Notifier
from ctdb_eventd.paths import Paths
from ctdb_eventd.runner.process import SpawnContext
from ctdb_eventd.runs import Job
from ctdb_eventd.traffic import MOST_DETACHED, Traffic

NOTHING_IS_STARTED = cast(SpawnContext, None)
"""Without a program to start, a notifier needs nothing of the kind."""

Answer = tuple[int, RunRecord | RequestError | None]


class Node(SchedulerNode):
    """A broker, and the scheduler that it asks."""

    def __init__(self, base: Path) -> None:
        super().__init__()
        paths = Paths({"CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(base)})
        self.broker = Broker(
            paths=paths,
            config=Config(),
            control=AccessControl(paths.config_file),
            feed=self.feed,
            traffic=Traffic(),
            history=None,
            notifier=Notifier(config=Config(), spawn=NOTHING_IS_STARTED, node="node"),
            reload=lambda: [],
            upgrade=lambda done, cancel: None,
        )
        self.broker.connect(self.scheduler)
        self.answers: list[Answer] = []
        self.locked: list[float | RequestError] = []

    def run(self, text: str, peer: Peer | None = None) -> Job:
        """Has an event run for a peer, or, without one, for this process, which doesn't wait for it."""
        job = self.broker.run(spec_of(text), self.answer, peer or client(), detached=peer is None)
        assert job is not None
        return job

    def answer(self, result: int, details: RunRecord | RequestError | None) -> None:
        self.answers.append((result, details))

    def script(self, job: Job, pid: int, *locks: str) -> None:
        """Has a job's script run as this process."""
        assert self.scheduler.want_script(job, "10.x", locks)
        self.scheduler.script_started(job, "10.x", pid)
        self.run_of(job).group = pid

    def lock(self, name: str, peer: Peer) -> None:
        self.broker.lock((name,), None, self.locked.append, peer)

    @property
    def has_locks(self) -> bool:
        return [type(outcome) for outcome in self.locked] == [float]


def client() -> Peer:
    """This process, on a new connection."""
    return Peer(pid=os.getpid(), uid=0)


def test_what_a_script_asks_for_must_not_wait_for_it(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.script(node.run("legacy startup"), os.getpid(), "routes")
    with pytest.raises(WouldDeadlock, match=r"^legacy setup would wait for legacy startup, whose script requests"):
        node.run("legacy setup", client())
    with pytest.raises(WouldDeadlock, match="would wait for legacy startup, whose script requests it"):
        node.lock("routes", client())
    node.lock("other", client())
    assert node.has_locks


def test_nobody_waits_for_what_is_asked_for_and_left(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.script(node.run("legacy startup"), os.getpid())
    assert node.core.waits(node.run("legacy setup", None))


def test_a_client_is_looked_up_once_as_it_can_not_become_a_script(tmp_path: Path) -> None:
    node = Node(tmp_path)
    peer = client()
    node.lock("other", peer)
    node.script(node.run("legacy startup"), os.getpid(), "routes")
    node.lock("routes", peer)
    assert node.has_locks, "the second one waits"


def test_what_the_command_of_a_lock_asks_for_must_not_wait_for_the_lock(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.lock("routes", client())
    with subprocess.Popen(["sleep", "1000"]) as command:
        try:
            child = Peer(pid=command.pid, uid=0)
            with pytest.raises(WouldDeadlock, match="whose command requests it and waits"):
                node.lock("routes", child)
            job = node.run("legacy startup", child)
            with pytest.raises(WouldDeadlock, match="whose command requests it and waits"):
                node.scheduler.want_script(job, "10.x", ("routes",))
        finally:
            command.kill()


def test_a_process_may_ask_for_a_lock_that_it_has_for_another_of_its_tasks(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.lock("routes", client())
    node.lock("routes", client())
    assert node.has_locks, "the second one waits"


def test_locks_have_names(tmp_path: Path) -> None:
    with pytest.raises(InvalidName, match="letters, digits"):
        Node(tmp_path).lock("a b", client())


def test_a_run_is_cancelled_without_an_answer_and_revoked_with_one(tmp_path: Path) -> None:
    node = Node(tmp_path)
    first, second, third = (node.run(f"legacy {event}") for event in ("startup", "setup", "recovered"))
    node.broker.cancel_run(second)
    assert node.answers == []
    assert node.broker.revoke_run(third, client()) is False
    assert [result for result, _ in node.answers] == [errno.ECANCELED]
    assert node.broker.revoke_run(first, client()) is True
    assert node.run_of(first).calls == ["cancel"]


def test_detached_runs_wait_with_a_bound_in_bytes(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.run("legacy startup")
    spec = attrs.evolve(spec_of("legacy setup"), args=("y" * (1 << 20),))
    most = MOST_DETACHED // (1 << 20) - 1
    jobs = [node.broker.run(spec, node.answer, client(), detached=True) for _ in range(most)]
    with pytest.raises(TooMuchDetached, match="detached runs with 64 MiB of arguments wait or run already"):
        node.broker.run(spec, node.answer, client(), detached=True)
    assert jobs[0] is not None
    node.broker.revoke_run(jobs[0], client())
    assert node.broker.run(spec, node.answer, client(), detached=True) is not None, "as one is over"
    assert [result for result, _ in node.answers] == [errno.ECANCELED]
