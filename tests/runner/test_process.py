"""One child: what can't be seen from the outside of a daemon. The rest is in the acceptance tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import anyio
import attrs
import pytest
from nodes import until

from ctdb_eventd.runner.cgroups import Cgroups
from ctdb_eventd.runner.guardian import Guardian
from ctdb_eventd.runner.process import Child, SpawnContext


@pytest.fixture
def context() -> Iterator[SpawnContext]:
    stdin = os.open(os.devnull, os.O_RDONLY)
    table = os.memfd_create("table")
    cgroups = Cgroups(None)
    guardian = Guardian(table, 0, cgroups)
    os.close(table)
    yield SpawnContext(environ=os.environb, stdin=stdin, guardian=guardian, cgroups=cgroups)
    os.close(guardian._table)
    os.close(stdin)


def spawn(context: SpawnContext, command: str) -> Child:
    return Child.spawn("/bin/sh", ("sh", "-c", command), context, 4096)


async def test_the_status_of_a_traced_child_is_waited_for(
    context: SpawnContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A tracer that has not reaped its tracee yet lets the pidfd become readable and waitid find nothing.
    looks: list[int] = []

    def traced(kind: int, number: int, options: int, look: Any = os.waitid) -> Any:
        looks.append(number)
        return None if len(looks) < 3 else look(kind, number, options)

    monkeypatch.setattr(os, "waitid", traced)
    child = spawn(context, "exit 3")
    await child.wait()
    assert len(looks) == 3
    assert child.close() == 3


async def test_a_child_that_is_given_up_does_not_count_as_a_success(context: SpawnContext) -> None:
    child = spawn(context, "exec sleep 1000")
    pid = child.pid
    assert child.close() == -signal.SIGKILL
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("step", ["protect", "started"])
async def test_what_can_not_be_watched_does_not_run(
    context: SpawnContext, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    descriptors = os.listdir("/proc/self/fd")

    def full(*_: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Guardian, step, full)
    with pytest.raises(OSError, match="No space left"):
        spawn(context, "exec sleep 1000")
    assert os.listdir("/proc/self/fd") == descriptors
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


async def test_ending_a_child_waits_for_its_status(context: SpawnContext) -> None:
    child = spawn(context, "trap 'exit 5' TERM; echo ready; kill -STOP $$; sleep 1000")
    await until(lambda: child.output, "the trap to be set")
    await child.end(anyio.move_on_after(30))
    assert child.look()
    assert child.close() == 5


async def test_what_the_daemon_has_set_for_itself_is_undone_for_a_child(context: SpawnContext) -> None:
    child = spawn(attrs.evolve(context, oom_score_adj=b"300"), "sleep 0.1; cat /proc/self/oom_score_adj")
    await child.wait()
    output = child.output
    assert (output, child.close()) == (b"300\n", 0)
