"""Running events on a real daemon: sequence, failure, time, output, what scripts see."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from nodes import Node, alive, children_of, running_daemon, until

from ctdb_eventd.model import CANNOT_EXECUTE, DISABLED, SIGNALLED, TIMED_OUT, EventReport


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def results(report: EventReport) -> dict[str, int]:
    return {script.name: script.result for script in report.scripts}


def output(report: EventReport, name: str) -> bytes:
    return next(script.output for script in report.scripts if script.name == name)


async def test_scripts_run_in_byte_order_with_the_shown_name_the_event_and_its_arguments(node: Node) -> None:
    trace = 'echo "$(basename "$0"):$*" >> $CTDB_BASE/var/trace'
    for name in ("50.b.script", "10.z.script", "50.a.script", "70.c.script"):
        node.script(name, trace)
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("takeip", "eth0", "10.0.0.1", "24") == 0
    expected = [
        f"{name}:takeip eth0 10.0.0.1 24" for name in ("10.z.script", "50.a.script", "50.b.script", "70.c.script")
    ]
    assert node.read("trace").splitlines() == expected


async def test_a_program_gets_the_shown_name_as_its_own(node: Node, tmp_path: Path) -> None:
    (tmp_path / "events/legacy/10.sh.script").symlink_to("/bin/sh")
    node.file("monitor", "echo $0 > var/name\n")
    async with running_daemon(node) as daemon, daemon.client() as client:
        # the shell reads its first argument, the event's name, as a script in the working directory
        (tmp_path / "monitor").write_text("tr '\\0' ' ' < /proc/$$/cmdline > $CTDB_BASE/var/argv\n")
        assert await client.run("monitor") == 0
    assert node.read("argv") == "10.sh monitor "


async def test_the_first_failure_ends_the_event_and_its_status_is_the_summary(node: Node) -> None:
    node.script("10.good.script", "exit 0")
    node.script("20.bad.script", "echo broken; exit 7")
    node.script("30.after.script", "touch $CTDB_BASE/var/reached")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        report = await client.status("monitor")
    assert report.summary == 7
    assert results(report) == {"10.good": 0, "20.bad": 7}
    assert output(report, "20.bad") == b"broken\n"
    assert not (node.var / "reached").exists()
    assert "20.bad: broken" in node.log
    failed = r"legacy monitor: 20\.bad failed with exit status 7 after \d+\.\d{3} s \(ctdb-event show \S+\)\n"
    assert re.search(failed, node.log)


async def test_a_script_that_was_not_reached_is_left_out_whatever_an_earlier_run_found(node: Node) -> None:
    node.script("10.maybe.script", "[ ! -e $CTDB_BASE/var/fail ]")
    node.script("20.after.script", "echo fine")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        assert results(await client.status("monitor")) == {"10.maybe": 0, "20.after": 0}
        (node.var / "fail").touch()
        assert await client.run("monitor") == errno.ENOEXEC
        after = await client.status("monitor")
    assert after.summary == 1
    assert results(after) == {"10.maybe": 1}


async def test_run_all_goes_on_and_the_last_failure_is_the_summary(node: Node) -> None:
    for number, status in (("10", 3), ("20", 0), ("30", 5), ("40", 0)):
        node.script(f"{number}.s.script", f"exit {status}")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor", run_all=True) == errno.ENOEXEC
        report = await client.status("monitor")
    assert report.summary == 5
    assert results(report) == {"10.s": 3, "20.s": 0, "30.s": 5, "40.s": 0}


@pytest.mark.parametrize("status", [1, 63, 64, 66, 77, 126, 127, 174, 254, 255])
async def test_any_exit_status_but_zero_is_a_failure_with_that_very_status(node: Node, status: int) -> None:
    node.script("10.s.script", f"exit {status}")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        assert results(await client.status("monitor")) == {"10.s": status}


async def test_death_by_signal_is_a_failure_and_the_log_names_the_signal(node: Node) -> None:
    node.script("10.s.script", "kill -SEGV $$")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        report = await client.status("monitor")
    assert report.summary == SIGNALLED
    assert "10.s was killed by signal 11 (SIGSEGV)" in node.log


async def test_disabled_dangling_and_foreign_files_are_skipped(node: Node, tmp_path: Path) -> None:
    node.script("10.off.script", "exit 1", mode=0o644)
    (tmp_path / "events/legacy/20.dangling.script").symlink_to("/nonexistent")
    (tmp_path / "events/legacy/30.directory.script").mkdir()
    for foreign in ("40.s.script~", "40.s~", "40.s.rpmnew", "README", "4.s.script", "50.a.b", ".50.s.script"):
        node.script(foreign, "exit 1")
    node.script("60.on.script", "exit 0")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        report = await client.status("monitor")
    assert results(report) == {"10.off": DISABLED, "20.dangling": DISABLED, "30.directory": DISABLED, "60.on": 0}


async def test_a_dangling_link_is_warned_of_once_and_again_when_it_comes_back(node: Node, tmp_path: Path) -> None:
    link = tmp_path / "events/legacy/20.dangling.script"
    target = tmp_path / "target"
    node.script("10.on.script", "exit 0")
    async with running_daemon(node) as daemon, daemon.client() as client:
        for number in (1, 2):
            link.symlink_to(target)
            for _ in range(2):
                assert await client.run("monitor") == 0
            warning = f"{link} is ignored: it is a dangling link to {os.path.realpath(target)}; remove the link"
            assert node.log.count(warning) == number
            link.unlink()
            assert await client.run("monitor") == 0


@pytest.mark.parametrize(
    ("target", "number"),
    [("20.odd.script", errno.ELOOP), ("10.on.script/x", errno.ENOTDIR), ("x" * 300, errno.ENAMETOOLONG)],
)
async def test_a_link_that_can_not_be_followed_fails_its_event(
    node: Node, tmp_path: Path, target: str, number: int
) -> None:
    node.script("10.on.script", "exit 0")
    (tmp_path / "events/legacy/20.odd.script").symlink_to(target)
    node.script("30.after.script", "exit 0")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        report = await client.status("monitor")
    assert report.summary == -number
    assert results(report) == {"10.on": 0, "20.odd": -number}
    assert f"legacy monitor: 20.odd: cannot run {tmp_path}/events/legacy/20.odd.script: " in node.log


async def test_a_monitor_that_runs_no_script_succeeds_with_a_warning(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        for number in (1, 2):
            for event in ("startup", "monitor", "monitor"):
                assert await client.run(event) == 0
            assert node.log.count("legacy monitor: no script ran: none is enabled in ") == number
            script = node.script("10.s.script", "exit 0")
            assert await client.run("monitor") == 0
            script.chmod(0o644)
        assert node.log.count("no script ran") == 2


async def test_a_script_that_vanishes_during_the_event_counts_as_disabled(node: Node) -> None:
    victim = node.script("20.victim.script", "exit 1")
    node.script("10.killer.script", f"rm {victim}")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        assert results(await client.status("monitor")) == {"10.killer": 0, "20.victim": DISABLED}


async def test_a_component_that_disappears_during_a_run_ends_the_event_without_failure(node: Node) -> None:
    node.script("10.killer.script", "rm -r $CTDB_BASE/events/gone", component="gone")
    node.script("20.after.script", "exit 1", component="gone")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor", component="gone") == 0
        assert results(await client.status("monitor", "gone")) == {"10.killer": 0, "20.after": DISABLED}
        assert await client.run("monitor", component="gone") == errno.ENOENT


async def test_the_list_of_scripts_is_read_afresh_for_every_event(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        for number in range(10, 40):
            assert await client.run("monitor") == 0
            assert len((await client.status("monitor")).scripts) == number - 10
            node.script(f"{number}.s.script", "exit 0")


async def test_a_copy_beside_the_script_does_not_run(node: Node) -> None:
    node.script("10.net.script", "exit 0")
    copy = node.script("10.net-orig", "exit 1")
    async with running_daemon(node) as daemon, daemon.client() as client:
        for _ in range(3):
            assert await client.run("monitor") == 0
        assert results(await client.status("monitor")) == {"10.net": 0}
        assert node.log.count(f"{copy} does not run: if any script is named NN.name.script") == 1
        # where there is no other name they run
        (copy.parent / "10.net.script").unlink()
        assert await client.run("monitor") == errno.ENOEXEC
        assert results(await client.status("monitor")) == {"10.net-orig": 1}


async def test_where_bare_and_suffixed_names_meet_the_suffixed_one_wins_with_a_warning(node: Node) -> None:
    node.configure("[eventd]\n script names = both\n")
    node.script("10.same", "exit 1")
    node.script("10.same.script", "exit 0")
    node.script("20.bare", "exit 0")
    async with running_daemon(node) as daemon, daemon.client() as client:
        for _ in range(3):
            assert await client.run("monitor") == 0
        report = await client.status("monitor")
    assert results(report) == {"10.same": 0, "20.bare": 0}
    assert node.log.count("10.same is ignored") == 1
    assert node.log.count("20.bare runs here, but not under CTDB's own event daemon") == 1


@pytest.mark.parametrize(
    ("rule", "names"), [("auto", ["10.a"]), ("both", ["10.a", "20.b"]), ("suffix", ["10.a"]), ("bare", ["20.b"])]
)
async def test_the_rule_for_names_is_configurable(node: Node, rule: str, names: list[str]) -> None:
    node.configure(f"[eventd]\n script names = {rule}\n")
    node.script("10.a.script", "exit 0")
    node.script("20.b", "exit 0")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        assert list(results(await client.status("monitor"))) == names


async def test_a_script_is_done_when_it_exits_whoever_holds_its_output(node: Node) -> None:
    node.script("10.s.script", "echo before; sleep 1000 & echo $! > $CTDB_BASE/var/pid; echo after")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup") == 0
        assert output(await client.status("startup"), "10.s") == b"before\nafter\n"
        pid = int(node.read("pid"))
        assert alive(pid)
        assert daemon.children() == []
    # what a script leaves behind after success is its own business, at the daemon's end too
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_a_process_left_behind_that_prints_on_can_not_hold_its_event(node: Node) -> None:
    node.script("10.s.script", "yes & echo $! > $CTDB_BASE/var/pid")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup") == 0
        # nobody reads its pipe any more, so it ends by itself
        await until(lambda: not alive(int(node.read("pid"))), "the end of the process left behind")


async def test_scripts_get_clean_descriptors_signals_and_a_group_of_their_own(node: Node) -> None:
    node.script(
        "10.s.script",
        'ls -l /proc/self/fd | sed "s/.*[0-9] //;/^total/d"; readlink /proc/$$/fd/0;'
        'grep -E "^Sig(Blk|Ign)" /proc/self/status; cut -d " " -f 5 /proc/$$/stat; echo $$; umask; pwd',
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        lines = output(await client.status("monitor"), "10.s").decode().splitlines()
    numbers = {line.split(" -> ")[0] for line in lines if " -> " in line}
    assert numbers <= {"0", "1", "2", "3"}, "only the standard ones, and the directory that ls itself reads"
    assert "/dev/null" in lines
    assert "SigBlk:\t0000000000000000" in lines
    ignored = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))
    # the C library's posix_spawn leaves its own two, 32 and 33, ignored; no program can tell
    assert ignored & ~(3 << 31) == 0
    at = lines.index(f"{node.base}") if f"{node.base}" in lines else -1
    assert lines[at - 3] == lines[at - 2], "the script leads its process group"


async def test_the_environment_is_the_daemons_less_what_would_change_every_shell(node: Node) -> None:
    node.script("10.s.script", "env")
    extra = {"CTDB_DEBUGLEVEL": "NOTICE", "LD_PRELOAD": "", "ENV": "/nonexistent", "NOTIFY_SOCKET": "@x"}
    async with running_daemon(node, environ=extra) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        lines = output(await client.status("monitor"), "10.s").decode().splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert {"CTDB_BASE", "CTDB_DEBUGLEVEL", "PATH"} <= names
    assert not {"LD_PRELOAD", "ENV", "NOTIFY_SOCKET"} & names


async def test_output_that_is_binary_passes_through_unharmed(node: Node) -> None:
    binary = bytes(range(1, 256))
    (node.var / "binary").write_bytes(binary)
    node.script("10.s.script", "cat $CTDB_BASE/var/binary")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        assert output(await client.status("monitor"), "10.s") == binary
    assert "\x1b" not in node.log


async def test_of_100_megabytes_of_output_head_and_tail_are_kept(node: Node) -> None:
    node.configure("[eventd]\n max output = 64 K\n")
    node.script("10.s.script", "echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last; exit 3")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        text = output(await client.status("monitor"), "10.s")
    assert text.startswith(b"first\nxxx")
    assert text.endswith(b"xxx\nlast\n")
    kept = 64 * 1024
    assert b"[ctdb-eventd: %d bytes of output left out here]" % (100_000_000 + 12 - kept) in text
    assert len(text) < kept + 100


async def test_a_script_without_interpreter_line_can_not_run(node: Node) -> None:
    node.file("10.s.script", "exit 0\n")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        report = await client.status("monitor")
    assert report.summary == CANNOT_EXECUTE
    assert b"does not name an interpreter" in output(report, "10.s")


async def test_a_script_whose_interpreter_is_missing_can_not_run(node: Node) -> None:
    node.file("10.s.script", "#!/nonexistent/sh\n")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        report = await client.status("monitor")
    assert report.summary == -errno.ENOENT
    assert b"the interpreter that its first line names" in output(report, "10.s")


async def test_a_script_that_is_open_for_writing_starts_when_that_is_over(node: Node) -> None:
    """CTDB's own tool opens a script for writing so to enable it; an event of that very moment must not fail."""
    script = node.script("10.s.script", "echo done")
    async with running_daemon(node) as daemon, daemon.client() as client:
        with script.open("r+b"):
            run = asyncio.create_task(client.run("monitor"))
            await until(lambda: "10.s is open for writing" in node.log, "it to be tried again")
        assert await run == 0
        assert output(await client.status("monitor"), "10.s") == b"done\n"


async def test_a_script_that_stays_open_for_writing_can_not_run(node: Node) -> None:
    script = node.script("10.s.script", "exit 0")
    async with running_daemon(node) as daemon, daemon.client() as client:
        with script.open("r+b"):
            assert await client.run("monitor") == errno.ENOEXEC
        report = await client.status("monitor")
    assert report.summary == -errno.ETXTBSY
    assert b"it is open for writing (fuser -v shows by whom)" in output(report, "10.s")


async def test_a_script_that_closes_its_output_is_waited_for(node: Node) -> None:
    node.script("10.s.script", "echo said; exec >&- 2>&-; sleep 0.1; touch $CTDB_BASE/var/done; exit 4")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        assert (node.var / "done").exists()
        report = await client.status("monitor")
    assert (report.summary, output(report, "10.s")) == (4, b"said\n")


async def test_a_script_that_left_its_process_group_is_ended_too(node: Node) -> None:
    """Nobody may be told that the kernel holds it, and its address must be free again."""
    node.configure("[eventd]\n kill grace = 0.2\n")
    move = "import os, time; os.setpgid(0, os.getpgid(os.getppid())); print(os.getpid(), flush=True); time.sleep(1000)"
    node.script("10.s.script", f"[ $1 != takeip ] || exec {sys.executable} -c '{move}'")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("takeip", "eth0", "10.0.0.1", "24", limit=1) == errno.ETIMEDOUT
        assert await client.run("releaseip", "eth0", "10.0.0.1", "24") == 0
        assert not alive(int(output(await client.status("takeip"), "10.s")))
    assert "survived" not in node.log


async def test_a_script_that_left_its_process_group_does_not_disturb_the_end(node: Node) -> None:
    move = "import os, time; os.setpgid(0, os.getpgid(os.getppid())); print(os.getpid(), flush=True); time.sleep(1000)"
    node.script("10.s.script", f"exec {sys.executable} -c '{move}' > $CTDB_BASE/var/pid")
    async with running_daemon(node) as daemon, daemon.client() as client:
        client.start("startup")
        await until(lambda: node.read("pid").strip(), "the script to run")
    assert not alive(int(node.read("pid")))


async def test_a_timeout_is_answered_at_once_and_then_the_group_is_ended(node: Node) -> None:
    node.configure("[eventd]\n kill grace = 0.2\n")
    node.script("10.fast.script", "exit 0")
    node.script(
        "20.hang.script",
        "trap 'touch $CTDB_BASE/var/got-term' TERM; echo waiting; echo $$ > $CTDB_BASE/var/pid; "
        "while :; do sleep 0.05; done",
    )
    node.script("30.after.script", "exit 0")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup", limit=1) == errno.ETIMEDOUT
        report = await client.status("startup")
        pid = int(node.read("pid"))
        await until(lambda: not alive(pid), "the end of the hung script")
        await until(lambda: daemon.children() == [], "the hung script to be reaped")
    assert report.summary == TIMED_OUT
    assert results(report) == {"10.fast": 0, "20.hang": TIMED_OUT}
    assert output(report, "20.hang") == b"waiting\n"
    assert (node.var / "got-term").exists()
    assert "timed out: its 1 s were over while 20.hang ran" in node.log


async def test_a_timeout_ends_children_of_the_script_too(node: Node) -> None:
    node.script("10.s.script", "sleep 1000 & echo $! > $CTDB_BASE/var/pid; wait")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup", limit=1) == errno.ETIMEDOUT
        await until(lambda: not alive(int(node.read("pid"))), "the end of the script's child")


async def test_a_script_that_stopped_itself_is_ended_like_any_other(node: Node) -> None:
    node.script(
        "10.s.script", "echo $$ > $CTDB_BASE/var/pid; trap 'touch $CTDB_BASE/var/woken; exit' TERM; kill -STOP $$"
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup", limit=1) == errno.ETIMEDOUT
        await until(lambda: not alive(int(node.read("pid"))), "the end of the stopped script")
    assert (node.var / "woken").exists()


async def test_a_timeout_of_zero_is_no_limit(node: Node) -> None:
    node.script("10.s.script", "sleep 0.2")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor", limit=0) == 0


async def test_the_deadline_is_the_events_and_no_script_starts_after_it(node: Node) -> None:
    for number in range(10, 20):
        node.script(f"{number}.s.script", "echo >> $CTDB_BASE/var/started; sleep 0.3")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup", limit=1) == errno.ETIMEDOUT
        report = await client.status("startup")
    assert 1 <= len(node.read("started").splitlines()) <= 4
    assert [script.result for script in report.scripts].count(TIMED_OUT) == 1


async def test_the_next_event_runs_while_the_remains_of_a_timed_out_one_are_ended(node: Node) -> None:
    node.script("10.s.script", "[ $1 != hang ] || { trap '' TERM; while :; do sleep 0.05; done; }")
    async with running_daemon(node) as daemon, daemon.client() as client:
        hang, after = client.start("hang", limit=1), client.start("after")
        assert await client.result(hang) == errno.ETIMEDOUT
        assert await client.result(after) == 0
        assert daemon.children(), "the hung script has its grace period still"
    assert children_of(daemon.process.pid) == []


async def test_the_debug_script_runs_before_the_end_and_sees_the_timeout_in_the_status(node: Node) -> None:
    debug = node.base / "debug.sh"
    debug.write_text(
        "#!/bin/sh\necho looking at $2\nkill -0 $1 && echo it lives\n"
        f"{os.path.dirname(sys.executable)}/ctdb-event status legacy $2 > $CTDB_BASE/var/status\n"
    )
    debug.chmod(0o755)
    node.configure("[event]\n debug script = debug.sh\n")
    node.script("10.hang.script", "echo $$ > $CTDB_BASE/var/pid; sleep 1000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup", limit=1) == errno.ETIMEDOUT
        await until(lambda: not alive(int(node.read("pid"))), "the end of the hung script")
        await until(lambda: "is gone, ended by" in node.log, "the log to say so")
    assert "event_debug: looking at startup" in node.log
    assert "event_debug: it lives" in node.log
    assert node.read("status").startswith("10.hang              TIMEDOUT")


async def test_a_debug_script_that_hangs_is_ended_and_then_the_script(node: Node) -> None:
    debug = node.base / "debug.sh"
    debug.write_text("#!/bin/sh\necho $$ > $CTDB_BASE/var/debugger\nexec sleep 1000\n")
    debug.chmod(0o755)
    node.configure("[event]\n debug script = debug.sh\n[eventd]\n debug timeout = 0.3\n")
    node.script("10.hang.script", "echo $$ > $CTDB_BASE/var/pid; sleep 1000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup", limit=1) == errno.ETIMEDOUT
        await until(lambda: not alive(int(node.read("pid"))), "the end of the hung script")
        assert not alive(int(node.read("debugger")))
    assert "debug.sh is ended: it took longer than 0.3 s" in node.log


async def test_of_several_hung_scripts_each_is_ended_though_the_debug_script_is_slow(node: Node) -> None:
    debug = node.base / "debug.sh"
    debug.write_text("#!/bin/sh\necho looked $1 >> $CTDB_BASE/var/looked\nsleep 0.3\n")
    debug.chmod(0o755)
    node.configure("[event]\n debug script = debug.sh\n")
    node.script("10.hang.script", "echo $$ >> $CTDB_BASE/var/pids; exec sleep 1000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        ids = [client.start("takeip", "eth0", f"10.0.0.{number}", "24", limit=1) for number in range(1, 5)]
        assert [await client.result(reqid) for reqid in ids] == [errno.ETIMEDOUT] * 4
        pids = [int(pid) for pid in node.read("pids").split()]
        await until(lambda: not any(alive(pid) for pid in pids), "the end of all hung scripts")
    assert len(node.read("looked").split("\n")) == 5


async def test_very_much_output_is_logged_in_part(node: Node) -> None:
    node.script("10.s.script", "seq 1 100000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        assert output(await client.status("monitor"), "10.s").endswith(b"99999\n100000\n")
    # those that came a while before have the time behind them
    logged = re.findall(r"\]: 10\.s: (.*?)(?: \(at [0-9:.]+\))?$", node.log, re.MULTILINE)
    left_out = "[98000 lines left out here; the event's status has what was kept]"
    assert logged == [*map(str, range(1, 1001)), left_out, *map(str, range(99001, 100001))]


async def test_a_line_of_a_script_says_for_which_address_and_when_it_came(node: Node) -> None:
    node.script("10.slow.script", "echo early; sleep 0.3; echo late; exit 1")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("takeip", "eth0", "10.0.0.1", "24") == errno.ENOEXEC
        assert await client.run("startup") == errno.ENOEXEC
    clock = r"at \d\d:\d\d:\d\d\.\d{3}"
    early = re.findall(rf"\]: 10\.slow: early \((?:10\.0\.0\.1, )?{clock}\)$", node.log, re.MULTILINE)
    assert ["10.0.0.1" in line for line in early] == [True, False]
    assert re.search(r"\]: 10\.slow: late \(10\.0\.0\.1(, at [^)]*)?\)$", node.log, re.MULTILINE)


async def test_a_log_for_programs(node: Node) -> None:
    node.configure("  format = json\n")
    node.script("10.slow.script", "echo early; sleep 0.3; exit 1")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("takeip", "eth0", "10.0.0.1", "24") == errno.ENOEXEC
        node.configure("  format = text\n")
        os.kill(daemon.process.pid, signal.SIGUSR1)
        await until(lambda: node.log.endswith("]: configuration reloaded\n"), "the reload")
    lines = node.log.splitlines()
    values = [json.loads(line) for line in lines if line.startswith("{")]
    about = [value for value in values if value.get("script") == "10.slow"]
    assert {(value["run"], value["event"], value["address"]) for value in about} == {
        (about[0]["run"], "takeip", "10.0.0.1")
    }
    output, failed = [value for value in about if value["level"] == "ERROR"]
    assert output["message"] == "10.slow: early"
    assert output["came"] < output["time"]
    assert (failed["outcome"], failed["status"], failed["arguments"]) == ("failed", 1, ["eth0", "10.0.0.1", "24"])
    assert {f"daemon started, pid={daemon.process.pid}", "SIGUSR1 requested: reload"} <= {
        value["message"] for value in values
    }
    assert not lines[-1].startswith("{")
