"""Address events side by side on a real daemon: barriers, addresses, locks, slots, re-entrancy, the queue's time."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import TIMEOUT, Client, Node, alive, running_daemon, until

CLI = os.path.join(os.path.dirname(sys.executable), "ctdb-event")

# Says that it runs, waits until as many as the test wants do, and says that it is over.
MEETING = """
echo "begin $1 $3" >> $CTDB_BASE/var/trace
while [ -e $CTDB_BASE/var/hold ]; do sleep 0.1; done
echo "end $1 $3" >> $CTDB_BASE/var/trace
"""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    (node.var / "hold").touch()
    return node


def go(node: Node) -> None:
    """Lets all scripts that hold go on, and later ones not hold."""
    (node.var / "hold").unlink()


def take(client: Client, address: str, event: str = "takeip", *, limit: int = 30) -> int:
    return client.start(event, "eth0", address, "128" if ":" in address else "24", limit=limit)


def trace(node: Node) -> list[str]:
    return node.read("trace").splitlines()


async def begun(node: Node, count: int) -> None:
    await until(lambda: sum(line.startswith("begin") for line in trace(node)) >= count, f"{count} scripts to begin")


async def settled(client: Client) -> None:
    """Returns when everything sent before on this connection was taken in: an answer comes after it."""
    assert await client.run("monitor", component="nosuch") == errno.ENOENT


async def test_events_of_different_addresses_run_together(node: Node) -> None:
    node.script("10.meet.script", MEETING)
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [take(client, f"10.0.0.{number}") for number in range(1, 11)]
        ids += [take(client, f"fd00::{number}", "releaseip") for number in range(1, 6)]
        await begun(node, 15)
        go(node)
        assert [await client.result(reqid) for reqid in ids] == [0] * 15


async def test_scripts_get_the_descriptors_that_they_need(node: Node) -> None:
    """The soft limit is a default and no wish: it is raised when it is reached."""
    node.script("10.meet.script", MEETING)
    async with running_daemon(node) as daemon, daemon.client() as client:
        limit = daemon.descriptor_count() + 7
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (limit, 4096))
        ids = [take(client, f"10.0.0.{number}") for number in range(1, 16)]
        await begun(node, 15)
        assert resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)[0] > limit
        go(node)
        assert [await client.result(reqid) for reqid in ids] == [0] * 15


async def test_an_exclusive_event_behind_them_sees_all_done_and_holds_up_what_follows(node: Node) -> None:
    node.script("10.meet.script", MEETING)
    async with running_daemon(node) as daemon, daemon.client() as client:
        before = [take(client, f"10.0.0.{number}") for number in range(1, 6)]
        barrier = client.start("ipreallocated")
        after = [take(client, f"10.0.1.{number}") for number in range(1, 6)]
        await begun(node, 5)
        await settled(client)
        go(node)
        for reqid in (*before, barrier, *after):
            assert await client.result(reqid) == 0
    lines = [line.strip() for line in trace(node)]
    first, last = lines.index("begin ipreallocated"), lines.index("end ipreallocated")
    assert last == first + 1
    assert {line.split()[1] for line in lines[:first]} == {"takeip"}
    assert len(lines[:first]) == len(lines[last + 1 :]) == 10


async def test_one_address_never_overlaps_itself_and_keeps_its_order_however_it_is_spelt(node: Node) -> None:
    node.script("10.meet.script", MEETING)
    async with running_daemon(node) as daemon, daemon.client() as client:
        first = take(client, "2001:DB8::1", "releaseip")
        second = take(client, "2001:db8:0:0::1", "takeip")
        third = take(client, "2001:db8::1", "releaseip")
        other = take(client, "2001:db8::2")
        await begun(node, 2)
        await settled(client)
        assert sorted(trace(node)) == ["begin releaseip 2001:DB8::1", "begin takeip 2001:db8::2"]
        go(node)
        for reqid in (first, second, third, other):
            assert await client.result(reqid) == 0
    mine = [line for line in trace(node) if not line.endswith("::2")]
    assert [line.split()[:2] for line in mine] == [
        ["begin", "releaseip"],
        ["end", "releaseip"],
        ["begin", "takeip"],
        ["end", "takeip"],
        ["begin", "releaseip"],
        ["end", "releaseip"],
    ]


async def test_an_address_stays_locked_until_a_timed_out_script_is_gone(node: Node) -> None:
    node.configure("[eventd]\n kill grace = 0.5\n")
    node.script(
        "10.hang.script",
        'echo "begin $1 $3" >> $CTDB_BASE/var/trace; [ $1 = releaseip ] && exit 0\n'
        "echo $$ > $CTDB_BASE/var/pid; trap '' TERM; while :; do sleep 0.02; done",
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        hung = take(client, "10.0.0.1", limit=1)
        next_one, other = take(client, "10.0.0.1", "releaseip"), take(client, "10.0.0.2", "releaseip")
        assert await client.result(other) == 0
        assert await client.result(hung) == errno.ETIMEDOUT
        assert "begin releaseip 10.0.0.1" not in trace(node)
        assert await client.result(next_one) == 0
        assert not alive(int(node.read("pid")))
    lines = trace(node)
    assert lines.index("begin takeip 10.0.0.1") < lines.index("begin releaseip 10.0.0.1")


async def test_an_address_event_with_unfit_arguments_runs_alone_with_a_warning(node: Node) -> None:
    node.script("10.meet.script", MEETING)
    async with running_daemon(node) as daemon, daemon.client() as client:
        first = take(client, "10.0.0.1")
        odd = client.start("takeip", "eth0", "not-an-address", "24")
        await begun(node, 1)
        await settled(client)
        assert trace(node) == ["begin takeip 10.0.0.1"]
        go(node)
        assert [await client.result(first), await client.result(odd)] == [0, 0]
    assert 'legacy takeip eth0 not-an-address 24: "not-an-address" is not an IP address; expected: takeip' in node.log


async def test_the_status_of_a_batch_is_its_worst_run_until_the_next_batch(node: Node) -> None:
    node.script("10.s.script", '[ "$3" != 10.0.0.2 ] || [ -e $CTDB_BASE/var/mended ] || { echo no $3; exit 9; }')
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [take(client, f"10.0.0.{number}") for number in (2, 1, 3, 4)]
        assert [await client.result(reqid) for reqid in ids] == [errno.ENOEXEC, 0, 0, 0]
        report = await client.status("takeip")
        assert (report.summary, report.scripts[0].output) == (9, b"no 10.0.0.2\n")
        assert await client.run("ipreallocated") == 0
        assert (await client.status("takeip")).summary == 9
        (node.var / "mended").touch()
        assert await client.result(take(client, "10.0.0.2")) == 0
        assert (await client.status("takeip")).summary == 0


# ---------------------------------------------------------------------- script locks

LOCKED = """
mkdir $CTDB_BASE/var/alone 2>/dev/null || { echo overlap; exit 1; }
sleep 0.02
rmdir $CTDB_BASE/var/alone
"""


@pytest.mark.parametrize("declared", [True, False])
async def test_scripts_that_share_a_lock_run_one_at_a_time(node: Node, declared: bool) -> None:
    head = "# ctdb-eventd-locks: table other\n" if declared else ""
    node.script("10.first.script", f"{head}{LOCKED}")
    node.script("20.second.script", f"{head}{LOCKED}")
    if not declared:
        node.configure("[locks]\n table = 10.first 20.second\n")
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [take(client, f"10.0.0.{number}") for number in range(1, 21)]
        assert [await client.result(reqid) for reqid in ids] == [0] * 20


async def test_waiting_for_a_lock_does_not_use_the_events_time(node: Node) -> None:
    node.script("10.s.script", "# ctdb-eventd-locks: one\nsleep 0.4")
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [take(client, f"10.0.0.{number}", limit=1) for number in range(1, 7)]
        assert [await client.result(reqid) for reqid in ids] == [0] * 6
    assert "10.s waited" in node.log
    assert " s for one, held by legacy takeip eth0 10.0.0.1 24 (ctdb-event show " in node.log


async def test_a_lock_is_held_until_a_timed_out_script_is_gone(node: Node) -> None:
    node.configure("[eventd]\n kill grace = 0.3\n")
    node.script(
        "10.s.script",
        "# ctdb-eventd-locks: one\nmkdir $CTDB_BASE/var/alone || exit 1\n"
        "trap 'sleep 0.1; rmdir $CTDB_BASE/var/alone; exit' TERM\n"
        '[ "$3" != 10.0.0.1 ] || while :; do sleep 0.02; done\nrmdir $CTDB_BASE/var/alone',
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        hung = take(client, "10.0.0.1", limit=1)
        ids = [take(client, f"10.0.0.{number}") for number in range(2, 6)]
        assert await client.result(hung) == errno.ETIMEDOUT
        assert [await client.result(reqid) for reqid in ids] == [0] * 4


async def test_the_state_names_who_holds_and_who_waits(node: Node) -> None:
    node.script("10.meet.script", "# ctdb-eventd-locks: one\n" + MEETING)
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [take(client, f"10.0.0.{number}") for number in (1, 2, 1)]
        ids.append(client.start("ipreallocated"))
        await begun(node, 1)
        await settled(client)
        daemon.process.send_signal(signal.SIGUSR2)
        await until(lambda: "state: lock one:" in node.log, "the state in the log")
        go(node)
        assert [await client.result(reqid) for reqid in ids] == [0] * 4
    assert "state: 4 events; 1 scripts run" in node.log
    assert "state: lock one: held by legacy takeip eth0 10.0.0.1 24; 1 wait" in node.log
    assert "state: lock address:10.0.0.1: held by legacy takeip eth0 10.0.0.1 24; 1 wait" in node.log
    assert "state: legacy ipreallocated: waits for legacy takeip eth0 10.0.0.1 24 and 2 more" in node.log


async def test_no_more_scripts_run_at_once_than_the_configuration_allows(node: Node) -> None:
    node.configure("[eventd]\n max scripts = 3\n")
    node.script(
        "10.s.script",
        ": > $CTDB_BASE/var/run.$$; ls $CTDB_BASE/var/run.* | wc -l >> $CTDB_BASE/var/counts; sleep 0.02;"
        "rm $CTDB_BASE/var/run.$$",
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [take(client, f"10.0.0.{number}", limit=5) for number in range(1, 31)]
        assert [await client.result(reqid) for reqid in ids] == [0] * 30
    counts = [int(line) for line in node.read("counts").split()]
    assert len(counts) == 30
    assert 2 <= max(counts) <= 3


async def test_beyond_the_free_slots_scripts_that_wait_all_run(node: Node) -> None:
    node.script("10.meet.script", MEETING)
    async with running_daemon(node) as daemon, daemon.client() as client:
        count = 2 * len(os.sched_getaffinity(0)) + 16 + 10
        ids = [take(client, f"10.0.0.{number}") for number in range(1, count + 1)]
        await begun(node, count)
        go(node)
        assert [await client.result(reqid) for reqid in ids] == [0] * count


# ---------------------------------------------------------------------- re-entrancy and the queue's time


async def test_a_script_that_asks_for_what_would_wait_for_it_is_told_at_once(node: Node) -> None:
    node.script(
        "10.s.script",
        f'[ "$1" = startup ] || exit 0\n{CLI} run 30 legacy ipreallocated > $CTDB_BASE/var/out 2> $CTDB_BASE/var/err\n'
        "echo $? > $CTDB_BASE/var/status",
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup") == 0
        assert await client.run("ipreallocated") == 0
    assert node.read("status") == f"{errno.EDEADLK}\n"
    assert node.read("out") == f"Failed to run event ipreallocated in legacy, result={errno.EDEADLK}\n"
    assert "it would have to wait for the event whose script requests it" in node.read("err")
    assert "legacy ipreallocated would wait for legacy startup, whose script requests it" in node.log


async def test_a_detour_through_another_component_is_seen_through(node: Node) -> None:
    ask = f"{CLI} run 30 $component $event > /dev/null 2>&1; echo $? >> $CTDB_BASE/var/$2"
    for component, event, other, wanted in (
        ("legacy", "startup", "site", "hook"),
        ("site", "hook", "legacy", "ipreallocated"),
    ):
        body = ask.replace("$component", other).replace("$event", wanted).replace("$2", f"{component}-{event}")
        node.script("10.s.script", f'[ "$1" = {event} ] || exit 0\n{body}', component=component)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup") == 0
    assert node.read("site-hook") == f"{errno.EDEADLK}\n"
    assert node.read("legacy-startup") == "0\n"


async def test_a_script_may_ask_for_what_does_not_wait_for_it(node: Node) -> None:
    node.script("10.s.script", f'[ "$3" = 10.0.0.2 ] || {CLI} run 30 legacy takeip eth0 10.0.0.2 24')
    node.script("10.s.script", "exit 3", component="site")
    node.script("20.s.script", f"{CLI} run 30 site hook; [ $? = 8 ]")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.result(take(client, "10.0.0.1")) == 0


async def test_a_request_that_waited_too_long_is_not_run_and_the_log_says_behind_whom(node: Node) -> None:
    node.configure("[eventd]\n queue timeout = 0.3\n")
    node.script("10.meet.script", MEETING)
    async with running_daemon(node) as daemon, daemon.client() as client:
        first = client.start("startup")
        await begun(node, 1)
        assert await client.run("recovered") == errno.EBUSY
        go(node)
        assert await client.result(first) == 0
        assert await client.run("recovered") == 0
    assert "legacy recovered: not run: waited 0.3 s in the queue behind legacy startup, which arrived" in node.log
    assert trace(node).count("begin recovered ") == 1


async def test_the_command_line_explains_a_queue_timeout(node: Node) -> None:
    node.configure("[eventd]\n queue timeout = 0.2\n")
    node.script("10.meet.script", MEETING)
    async with running_daemon(node) as daemon, daemon.client() as client:
        first = client.start("startup")
        await begun(node, 1)
        done = subprocess.run(
            [CLI, "run", "30", "legacy", "recovered"],
            env=node.environ,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        go(node)
        assert await client.result(first) == 0
    assert (done.returncode, done.stdout) == (errno.EBUSY, "Failed to run event recovered in legacy, result=16\n")
    assert "it waited in the queue longer than [eventd] queue timeout allows" in done.stderr


async def test_waiting_in_the_queue_does_not_use_the_events_time(node: Node) -> None:
    node.script("10.s.script", "sleep 0.4")
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [client.start(f"event{number}", limit=1) for number in range(6)]
        assert [await client.result(reqid) for reqid in ids] == [0] * 6


async def test_a_client_that_goes_takes_all_its_address_events_with_it(node: Node) -> None:
    node.script("10.meet.script", "echo $$ >> $CTDB_BASE/var/pids\n" + MEETING)
    async with running_daemon(node) as daemon:
        async with daemon.client() as client:
            for number in range(1, 9):
                take(client, f"10.0.0.{number % 4}")
            await begun(node, 4)
        pids = [int(pid) for pid in node.read("pids").split()]
        await until(lambda: not any(alive(pid) for pid in pids), "the end of all scripts")
        async with daemon.client() as other:
            go(node)
            assert await other.result(take(other, "10.0.0.1")) == 0
    assert sum(line.startswith("begin") for line in trace(node)) == 5


async def test_scripts_whose_events_need_each_others_lock_come_to_an_end(node: Node) -> None:
    """Without any time limit: what would wait for ever is refused, once, and everything else is done."""
    both = "touch $CTDB_BASE/var/$ME\nuntil [ -e $CTDB_BASE/var/$OTHER ]; do sleep 0.02; done\n"
    for me, other, lock, asked, needs in (("a", "b", "one", "c", "two"), ("b", "a", "two", "d", "one")):
        ask = f"{CLI} run 0 {asked} startup; echo $? >> $CTDB_BASE/var/answers"
        head = f"# ctdb-eventd-locks: {lock}\nME={me} OTHER={other}\n"
        node.script("10.asks.script", f"{head}{both}{ask}", component=me)
        node.script("10.asked.script", f"# ctdb-eventd-locks: {needs}\nexit 0", component=asked)
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [client.start("startup", component=component, limit=0) for component in ("a", "b")]
        assert [await client.result(reqid) for reqid in ids] == [0, 0]
    assert sorted(node.read("answers").split()) == ["0", str(errno.ENOEXEC)]
    assert "which waits for it in its turn" in node.log
