"""The daemon's life: start, who may run where, signals, log, the process it watches, its end, and its violent end."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import (
    TIMEOUT,
    Node,
    alive,
    can_make_cgroups,
    children_of,
    connect,
    running_daemon,
    socket_mode,
    start_daemon,
    until,
)

from ctdb_eventd.protocol import packet


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def run_daemon(node: Node, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs a daemon that is expected not to start."""
    return subprocess.run(
        [sys.executable, "-m", "ctdb_eventd", *options],
        env=node.environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.mark.parametrize("stream", [">&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"])
@pytest.mark.parametrize("option", ["--bogus", "--startup-fd=999"])
def test_its_exit_status_is_the_same_if_nobody_can_be_told(node: Node, option: str, stream: str) -> None:
    shell = f"exec {sys.executable} -m ctdb_eventd {option} {stream}"
    done = subprocess.run(["sh", "-c", shell], env=node.environ, timeout=TIMEOUT, check=False)
    assert done.returncode == 1


async def test_its_process_has_its_name(node: Node) -> None:
    """`pgrep -x ctdb-eventd` finds it, as it finds CTDB's own."""
    async with running_daemon(node) as daemon:
        assert Path(f"/proc/{daemon.process.pid}/comm").read_text() == "ctdb-eventd\n"


def may_spare_itself() -> bool:
    """Whether this process, and so its children, have CAP_SYS_RESOURCE; root in a container often has not."""
    (effective,) = re.findall(r"^CapEff:\t(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(int(effective, 16) & 1 << 24)


async def test_out_of_memory_the_kernel_spares_it_but_not_its_scripts(node: Node) -> None:
    def adjustment(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    own = adjustment(os.getpid())
    node.script("10.s.script", "sleep 0.1; cat /proc/self/oom_score_adj > $CTDB_BASE/var/adjustment")
    async with running_daemon(node) as daemon, daemon.client() as client:
        await until(lambda: children_of(daemon.process.pid), "the guardian")
        (guardian,) = children_of(daemon.process.pid)
        spared = min(own, -900) if may_spare_itself() else own
        assert (adjustment(daemon.process.pid), adjustment(guardian)) == (spared, spared)
        assert await client.run("startup") == 0
    assert int(node.read("adjustment")) == own


async def test_it_starts_with_signals_ignored(node: Node) -> None:
    """Whoever starts it may ignore SIGCHLD; the kernel would then keep no exit status of any script."""
    node.script("10.s.script", "exit 3")
    ignored = (signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1)
    former = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    async with contextlib.AsyncExitStack() as stack:
        try:
            daemon = await stack.enter_async_context(running_daemon(node))
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
        client = await stack.enter_async_context(daemon.client())
        assert await client.run("startup") == errno.ENOEXEC
        assert (await client.status("startup")).summary == 3


def test_a_signal_that_asks_for_something_does_not_end_one_that_starts(node: Node) -> None:
    code = (
        "import os, signal, ctdb_eventd.cli as cli\n"
        "from ctdb_eventd import environment\n"
        "calm = environment.calm_signals\n"
        "def asked():\n"
        "    calm()\n"
        "    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2): os.kill(os.getpid(), number)\n"
        "environment.calm_signals = asked\n"
        "raise SystemExit(cli.main(['-S', '99']))"
    )
    result = subprocess.run([sys.executable, "-c", code], env=node.environ, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("descriptor 99")) == (1, 1)


async def test_started_with_umask_0_nothing_of_it_is_writable_by_others(node: Node) -> None:
    node.script("10.s.script", "umask 077; touch $CTDB_BASE/var/ran")
    async with (
        running_daemon(node, prefix=["sh", "-c", 'umask 0; exec "$@"', "sh"]) as daemon,
        daemon.client() as client,
    ):
        assert await client.run("startup") == 0
        await until((node.base / "var/eventd/history/history.db-wal").exists, "the history's last file")
        modes = {
            os.fspath(path.relative_to(node.base)): stat.S_IMODE(path.lstat().st_mode)
            for path in node.base.rglob("*")
            if not path.is_symlink()
        }
    assert [path for path, mode in modes.items() if mode & 0o022] == []
    for private in ("run/eventd.pid", "run/eventd.scripts", "run/eventd.locks/iptables"):
        assert modes[private] == 0o600
    assert modes["run/eventd.locks"] == 0o700


async def test_a_start_is_logged_and_told(node: Node) -> None:
    async with running_daemon(node) as daemon:
        pid = daemon.process.pid
        assert (node.base / "run/eventd.pid").read_text() == f"{pid}\n"
        assert socket_mode(node.socket) == 0o700
    lines = [line.partition("]: ")[2] for line in node.log.splitlines()]
    # as an ordinary user, say
    lines = [line for line in lines if can_make_cgroups() or not line.startswith("no cgroups: ")]
    assert lines[:3] == [
        f"daemon started, pid={pid}",
        "startup completed successfully",
        f"listening on {node.socket}",
    ]
    assert f" {node.base.name} ctdb-eventd[{pid}]: " in node.log


async def test_a_second_instance_refuses_and_the_first_goes_on(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        second = run_daemon(node)
        assert second.returncode == 1
        assert second.stderr == (
            f"ctdb-eventd: process {daemon.process.pid} already runs as event daemon here: "
            f"it holds the lock on {node.base}/run/eventd.pid\n"
        )
        assert await client.run("monitor") == 0


async def test_what_a_killed_daemon_left_is_taken_over(node: Node) -> None:
    first = start_daemon(node)
    first.process.kill()
    first.process.wait()
    assert first.process.stderr is not None
    first.process.stderr.close()
    assert Path(node.socket).exists()
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_end_it_cleanly(node: Node, number: signal.Signals) -> None:
    node.script("10.s.script", "echo $$ > $CTDB_BASE/var/pid; sleep 1000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        client.start("startup")
        await until(lambda: node.read("pid"), "the script to begin")
        assert daemon.stop(number) == 0
    assert not alive(int(node.read("pid")))
    assert not Path(node.socket).exists()
    assert not (node.base / "run/eventd.pid").exists()
    assert f"received {number.name}, shutting down" in node.log


async def test_at_its_end_scripts_that_ignore_term_are_killed(node: Node) -> None:
    node.configure("[eventd]\n kill grace = 0.2\n")
    node.script("10.s.script", "trap '' TERM; echo $$ > $CTDB_BASE/var/pid; while :; do sleep 0.02; done")
    async with running_daemon(node) as daemon, daemon.client() as client:
        client.start("startup")
        await until(lambda: node.read("pid"), "the script to begin")
        assert daemon.stop() == 0
        assert not alive(int(node.read("pid")))


async def test_at_its_end_a_debug_script_is_ended_too(node: Node) -> None:
    debug = node.base / "debug.sh"
    debug.write_text("#!/bin/sh\necho $$ > $CTDB_BASE/var/debugger\nexec sleep 1000\n")
    debug.chmod(0o755)
    node.configure("[event]\n debug script = debug.sh\n[eventd]\n kill grace = 0.2\n")
    node.script(
        "10.s.script", "trap 'touch $CTDB_BASE/var/cleaned; exit' TERM; echo $$ > $CTDB_BASE/var/pid; sleep 1000"
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup", limit=1) == errno.ETIMEDOUT
        await until(lambda: node.read("debugger"), "the debug script to begin")
        assert daemon.stop() == 0
        assert not alive(int(node.read("debugger")))
        assert not alive(int(node.read("pid")))
    # the hung script had its chance to clean up all the same
    assert (node.var / "cleaned").exists()


async def test_it_ends_with_the_process_it_watches(node: Node) -> None:
    with subprocess.Popen(["sleep", "1000"]) as watched:
        daemon = start_daemon(node, "-P", str(watched.pid))
        watched.kill()
        watched.wait()
        assert daemon.process.wait(TIMEOUT) == 0
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()
    assert f"process {watched.pid} has ended, shutting down" in node.log
    assert not Path(node.socket).exists()


def test_it_does_not_start_for_a_process_that_is_gone(node: Node) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    result = run_daemon(node, "-P", str(gone.pid))
    assert result.returncode == 1
    assert f"can't watch process {gone.pid} (option --pid): No such process" in result.stderr
    assert not (node.base / "run/eventd.pid").exists()


async def test_the_next_daemon_waits_for_the_scripts_of_one_that_was_killed(node: Node) -> None:
    """Two events of one address never overlap, whatever happens to the daemon."""
    node.configure("[eventd]\n kill grace = 60\n")
    node.script(
        "10.s.script",
        "exec > /dev/null 2>&1\n"  # nobody reads it any more
        # until the next daemon has noticed, however long that takes
        'trap \'until grep -q "still run" $CTDB_BASE/log; do sleep 0.02; done; '
        "echo end $1 >> $CTDB_BASE/var/trace; exit' TERM\n"
        "echo begin $1 >> $CTDB_BASE/var/trace\n"
        "[ $1 != takeip ] || while :; do sleep 0.02; done\n"
        "echo end $1 >> $CTDB_BASE/var/trace",
    )
    async with running_daemon(node) as daemon:
        async with daemon.client() as client:
            client.start("takeip", "eth0", "10.0.0.1", "24")
            await until(lambda: "begin takeip" in node.read("trace"), "the script to run")
            # The script may be faster than the daemon, which enters it in its guardian's table right after the start;
            # what answers has done that.
            await client.run("monitor", component="other")
            daemon.process.kill()
        async with running_daemon(node) as second, second.client() as client:
            assert await client.run("releaseip", "eth0", "10.0.0.1", "24") == 0
    assert node.read("trace").splitlines() == ["begin takeip", "end takeip", "begin releaseip", "end releaseip"]
    assert "scripts of the former daemon, which was killed, still run: ending them" in node.log


_ALL_LOADED = """
import pkgutil, sys
import ctdb_eventd.daemon
from ctdb_eventd.config import parse
parse("", "ctdb.conf")
ctdb_eventd.daemon.load_the_rest()
import builtins
def refuse(*args, **kwargs): raise OSError("gone")
builtins.open = refuse
parse("", "ctdb.conf")
names = {module.name for module in pkgutil.walk_packages(ctdb_eventd.__path__, "ctdb_eventd.")}
print(*sorted(names - set(sys.modules)))
"""


def test_a_daemon_that_runs_needs_nothing_of_its_files_any_more() -> None:
    """An upgrade may replace them, or take them away; what a start needs alone may go."""
    printed = subprocess.run([sys.executable, "-c", _ALL_LOADED], check=True, capture_output=True, text=True).stdout
    assert printed.split() == ["ctdb_eventd.__main__", "ctdb_eventd.cli", "ctdb_eventd.places"]


def test_another_daemons_socket_stays(node: Node) -> None:
    """Somebody removed ours, or its pid file, so another could start in its place."""
    daemon = start_daemon(node)
    os.unlink(node.socket)
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(node.socket)
        daemon.process.terminate()
        assert daemon.process.communicate(timeout=TIMEOUT)[1] == b""
        assert daemon.process.returncode == 0
        assert os.path.exists(node.socket)


def test_it_says_what_is_wrong_with_its_options(node: Node) -> None:
    for options, complaint in (
        (["-P", "abc"], "'abc' is not a whole number"),
        *((["--startup-fd", str(fd)], f"can't write to descriptor {fd} (option --startup-fd)") for fd in range(3, 20)),
        (["--startup-fd", "2147483648"], "'2147483648' is too large a number"),
        (["-P", "9" * 20], "is too large a number"),
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["extra"], "unrecognized arguments: extra"),
    ):
        result = run_daemon(node, *options)
        assert result.returncode == 1
        assert complaint in result.stderr


def test_an_unusable_configuration_keeps_it_from_starting_and_names_the_lines(node: Node) -> None:
    node.configure("[eventd]\n kill grace = soon\n max scripts = 0\n")
    result = run_daemon(node)
    assert result.returncode == 1
    assert result.stderr == (
        f'ctdb-eventd: {node.base}/ctdb.conf:5: [eventd] kill grace = "soon": expected seconds, such as 5 or 0.5\n'
        f'ctdb-eventd: {node.base}/ctdb.conf:6: [eventd] max scripts = "0": expected a whole number from 1 to 999999\n'
    )


def test_a_log_that_can_not_be_opened_keeps_it_from_starting(node: Node) -> None:
    (node.base / "ctdb.conf").write_text("[logging]\nlocation = file:/nonexistent/log\n")
    result = run_daemon(node)
    assert result.returncode == 1
    assert "can't open the log /nonexistent/log: No such file or directory" in result.stderr


def test_a_missing_run_directory_is_named(node: Node) -> None:
    (node.base / "run").rmdir()
    result = run_daemon(node)
    assert result.returncode == 1
    assert f"can't open the pid file {node.base}/run/eventd.pid: No such file or directory" in result.stderr


def test_test_mode_wants_a_base_directory(node: Node) -> None:
    environ = {name: value for name, value in node.environ.items() if name != "CTDB_BASE"}
    result = subprocess.run(
        [sys.executable, "-m", "ctdb_eventd"], env=environ, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "CTDB_TEST_MODE is set, so CTDB_BASE must name the directory" in result.stderr


async def test_sighup_goes_on_in_a_new_log_file(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as client:
        (node.base / "log").rename(node.base / "log.1")
        daemon.process.send_signal(signal.SIGHUP)
        await until(lambda: "log reopened" in node.log, "the new log file")
        node.script("10.s.script", "echo into the new one")
        assert await client.run("monitor") == 0
    assert "into the new one" in node.log
    assert "into the new one" not in (node.base / "log.1").read_text()


async def test_sigusr1_reloads_the_configuration_and_keeps_the_former_one_if_it_is_unusable(node: Node) -> None:
    node.script("10.bare", "exit 0")
    async with running_daemon(node) as daemon, daemon.client() as client:
        node.configure("[eventd]\n script names = none\n")
        daemon.process.send_signal(signal.SIGUSR1)
        await until(lambda: "configuration not reloaded, the former one stays in effect" in node.log, "the complaint")
        assert await client.run("monitor") == 0
        assert len((await client.status("monitor")).scripts) == 1
        node.configure("[eventd]\n script names = suffix\n")
        daemon.process.send_signal(signal.SIGUSR1)
        await until(lambda: "configuration reloaded" in node.log, "the new configuration")
        assert await client.run("monitor") == 0
        assert (await client.status("monitor")).scripts == ()


async def test_variables_that_are_configured_reach_scripts_and_the_debug_script_from_a_reload_on(node: Node) -> None:
    report = 'echo "${VIRTUAL_ENV-none} ${NOTIFY_SOCKET-none}" >'
    node.script("10.report.script", f"{report}$CTDB_BASE/var/script; [ $1 != hang ] || sleep 600")
    debug = node.base / "debug.sh"
    debug.write_text(f"#!/bin/sh\n{report}$CTDB_BASE/var/debug\n")
    debug.chmod(0o755)
    environ = {"VIRTUAL_ENV": "/snap", "NOTIFY_SOCKET": "/notify"}
    async with running_daemon(node, environ=environ) as daemon, daemon.client() as client:
        assert await client.run("monitor") == 0
        assert node.read("script") == "none none\n"
        node.configure("[event]\n debug script = debug.sh\n[eventd]\n keep environment = VIRTUAL_ENV\n")
        daemon.process.send_signal(signal.SIGUSR1)
        await until(lambda: "configuration reloaded" in node.log, "the new configuration")
        assert await client.run("hang", limit=1) == errno.ETIMEDOUT
        assert node.read("script") == "/snap none\n"
        await until(lambda: node.read("debug") == "/snap none\n", "the debug script")


async def test_the_daemon_starts_with_what_ctdbs_starts_with_and_says_what_is_odd(node: Node) -> None:
    path = node.base / "ctdb.conf"
    path.write_text(f"log level = x\n[loging]\n[logging]\nlog level = n\nlocation = file:{node.base}/log\nnonsense\n")
    async with running_daemon(node):
        pass
    for warning in (
        '1: log level = "x": ignored: expected a [section] before the first key',
        '2: "[loging]": the unknown section is ignored; did you mean [logging]?',
        '4: [logging] log level = "n": treated as NOTICE; expected one of ERROR, WARNING, NOTICE, INFO, DEBUG',
        '6: [logging] "nonsense": ignored: expected "key = value"',
    ):
        assert f"{path}:{warning}" in node.log


async def test_unknown_keys_in_shared_sections_are_pointed_out(node: Node) -> None:
    node.configure("[event]\n debug scirpt = x\n[cluster]\n whatever\n")
    async with running_daemon(node):
        pass
    assert f'{node.base}/ctdb.conf:5: [event] debug scirpt = "x": unknown key is ignored' in node.log


async def test_a_full_disk_under_the_log_harms_no_event(node: Node) -> None:
    (node.base / "ctdb.conf").write_text("[logging]\nlocation = file:/dev/full\n")
    node.script("10.s.script", "echo something to log; exit 2")
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("monitor") == errno.ENOEXEC
        assert (await client.status("monitor")).summary == 2


async def test_interactive_logs_to_standard_error(node: Node) -> None:
    daemon = start_daemon(node, environ={"CTDB_INTERACTIVE": "1"})
    assert daemon.stop() == 0
    assert daemon.process.stderr is not None
    with daemon.process.stderr as errors:
        text = errors.read().decode()
    assert f"listening on {node.socket}\n" in text
    assert node.log == ""


async def test_closed_standard_descriptors_do_no_harm(node: Node) -> None:
    node.script("10.s.script", "echo fine")
    shell = f"exec {sys.executable} -m ctdb_eventd <&- >&- 2>&-"
    with subprocess.Popen(["sh", "-c", shell], env=node.environ) as process:
        await until(lambda: "listening on" in node.log, "the daemon to listen")
        with connect(node.socket) as client:
            client.sendall(packet.run_request(1, b"legacy", b"monitor", None, 30, False))
            assert client.recv(20)[-4:] == struct.pack("=i", 0)
            client.sendall(packet.status_request(2, b"legacy", b"monitor"))
            assert client.recv(4096).endswith(b"\x06\0\0\0fine\n\0")
        process.terminate()
        assert process.wait(TIMEOUT) == 0


async def test_inherited_descriptors_do_not_reach_scripts(node: Node) -> None:
    node.script("10.s.script", "ls /proc/$$/fd")
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    shell = f"exec {sys.executable} -m ctdb_eventd 2>/dev/null"
    with subprocess.Popen(["sh", "-c", shell], env=node.environ, pass_fds=[write_end]) as process:
        await until(lambda: "listening on" in node.log, "the daemon to listen")
        with connect(node.socket) as client:
            client.sendall(packet.run_request(1, b"legacy", b"monitor", None, 30, False))
            client.recv(20)
            client.sendall(packet.status_request(2, b"legacy", b"monitor"))
            listed = client.recv(4096)
        process.terminate()
        process.wait(TIMEOUT)
    os.close(read_end)
    os.close(write_end)
    assert f"\n{write_end}\n".encode() not in listed.rpartition(b"10.s")[2]


async def test_a_killed_daemon_takes_its_scripts_with_it(node: Node) -> None:
    node.configure("[eventd]\n kill grace = 0.3\n")
    node.script(
        "10.s.script",
        "trap '' TERM; echo $$ > $CTDB_BASE/var/pid; sleep 1000 & echo $! > $CTDB_BASE/var/child; "
        "while :; do sleep 0.05; done",
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        client.start("startup")
        await until(lambda: node.read("child"), "the script to begin")
        daemon.process.kill()
        await until(lambda: not alive(int(node.read("child"))), "the end of the script's child")
        await until(lambda: not alive(int(node.read("pid"))), "the end of the script")


@pytest.mark.parametrize("fate", ["killed", "stopped"])
async def test_a_daemon_ends_what_the_former_one_and_its_guardian_left(node: Node, fate: str) -> None:
    """Killed together, as by `pkill -9`, nobody was there to end it; nor is a guardian of much use that is stopped."""
    node.script(
        "10.s.script", "exec >/dev/null 2>&1; [ $1 = startup ] || exit 0; echo $$ > $CTDB_BASE/var/pid; sleep 1000"
    )
    async with running_daemon(node) as daemon, daemon.client() as client:
        client.start("startup")
        await until(lambda: node.read("pid"), "the script to begin")
        guardian = await daemon.guardian()
        os.kill(guardian, signal.SIGKILL if fate == "killed" else signal.SIGSTOP)
        daemon.process.kill()
        daemon.process.wait()
        assert alive(int(node.read("pid")))
        async with running_daemon(node) as second, second.client() as next_client:
            assert not alive(int(node.read("pid"))), "ended before anybody is served"
            assert await next_client.run("monitor") == 0
        os.kill(guardian, signal.SIGKILL) if fate == "stopped" else None


async def test_a_late_guardian_leaves_the_next_daemons_scripts_alone(node: Node) -> None:
    node.script("10.s.script", "echo $$ >> $CTDB_BASE/var/pid; until [ -e $CTDB_BASE/var/go ]; do sleep 0.01; done")
    async with running_daemon(node) as daemon, daemon.client() as client:
        client.start("startup")
        await until(lambda: node.read("pid"), "the script to begin")
        guardian = await daemon.guardian()
        os.kill(guardian, signal.SIGSTOP)
        daemon.process.kill()
        daemon.process.wait()
        async with running_daemon(node) as second, second.client() as next_client:
            run = next_client.start("startup")
            await until(lambda: node.read("pid").count("\n") == 2, "the next script to begin")
            os.kill(guardian, signal.SIGCONT)
            await until(lambda: not alive(guardian), "the former guardian to end")
            (node.var / "go").touch()
            assert await next_client.result(run) == 0


def _of(node: Node) -> list[str]:
    """The command lines of all that runs with the node's environment, whatever its numbers."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal() and f"CTDB_BASE={node.base}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
    return found


async def test_killed_while_it_starts_scripts_it_leaves_none(node: Node) -> None:
    """Between the start of a process and the moment in which its number is known."""
    node.script("10.s.script", "echo >> $CTDB_BASE/var/begun; exec sleep 1000")
    for attempt in range(5):
        async with running_daemon(node) as daemon, daemon.client() as client:
            for number in range(60):
                client.start("takeip", "eth0", f"10.0.{attempt}.{number}", "24")
            await until(lambda: node.read("begun"), "the first script")
            daemon.process.kill()
            daemon.process.wait()
            await until(lambda: not _of(node), f"all scripts to end: {_of(node)}")
        (node.var / "begun").unlink()


async def test_the_process_that_guards_it_is_replaced_when_killed(node: Node) -> None:
    node.script("10.s.script", "echo $$ > $CTDB_BASE/var/pid; sleep 1000")
    async with running_daemon(node) as daemon, daemon.client() as client:
        client.start("startup")
        await until(lambda: node.read("pid"), "the script to begin")
        first = await daemon.guardian()
        os.kill(first, signal.SIGKILL)
        await until(lambda: daemon.guardians() not in ([], [first]), "another guardian")
        daemon.process.kill()
        await until(lambda: not alive(int(node.read("pid"))), "the end of the script")


# ---------------------------------------------------------------------- bytes that no client would send


BROKEN = {
    "a length below the header's": struct.pack("=I", 4) + b"abcd" * 5,
    "a length of zero": struct.pack("=I", 0) + b"abcd" * 5,
    "a length over the limit": struct.pack("=I", (1 << 20) + 1),
    "an absurd length": struct.pack("=I", 0xFFFFFFFF),
    "an unknown command": packet.frame(7, struct.pack("=I", 9)),
    "no command at all": packet.frame(7, b""),
    "a string beyond the packet": packet.frame(7, struct.pack("=II", 1, 500) + b"x"),
    "a string without its NUL": packet.frame(7, struct.pack("=II", 2, 2) + b"xx" + packet.string(b"monitor")),
    "an unknown action": packet.frame(7, struct.pack("=I", 3) + packet.string(b"a") * 2 + struct.pack("=I", 2)),
    "a truncated payload": packet.frame(7, struct.pack("=I", 1) + packet.string(b"legacy")),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_packet_ends_its_connection_with_one_line_and_harms_nobody_else(node: Node, name: str) -> None:
    node.script("10.s.script", "sleep 0.2")
    async with running_daemon(node) as daemon, daemon.client() as bystander:
        running = bystander.start("startup")
        with connect(node.socket) as client:
            client.sendall(BROKEN[name])
            assert client.recv(100) == b""
        assert await bystander.result(running) == 0
    assert node.log.count("invalid packet, connection closed") == 1


async def test_a_packet_that_ends_early_is_logged(node: Node) -> None:
    async with running_daemon(node) as daemon, daemon.client() as bystander:
        with connect(node.socket) as client:
            client.sendall(struct.pack("=III", 100, 0, 1))
        await until(lambda: "connection ended inside a packet, after 12 bytes" in node.log, "the log to say so")
        assert await bystander.run("monitor") == 0


async def test_requests_before_a_broken_packet_are_still_served(node: Node) -> None:
    async with running_daemon(node):
        with connect(node.socket) as client:
            client.sendall(packet.status_request(5, b"nosuch", b"monitor") + struct.pack("=I", 3))
            reply = client.recv(100)
            assert struct.unpack("=IIIIi", reply) == (20, 0, 5, 2, errno.ENOENT)
            assert client.recv(100) == b""


async def test_the_version_field_and_trailing_bytes_are_ignored(node: Node) -> None:
    async with running_daemon(node):
        with connect(node.socket) as client:
            body = packet.run_request(0, b"legacy", b"monitor", None, 30, False)[12:] + b"trailing"
            client.sendall(struct.pack("=III", 12 + len(body), 99, 3) + body)
            assert struct.unpack("=IIIIi", client.recv(100)) == (20, 0, 3, 1, 0)


async def test_a_packet_of_the_largest_size_is_served(node: Node) -> None:
    async with running_daemon(node):
        with connect(node.socket) as client:
            args = b"x" * ((1 << 20) - len(packet.run_request(1, b"nosuch", b"monitor", b"", 30, False)))
            request = packet.run_request(1, b"nosuch", b"monitor", args, 30, False)
            assert len(request) == 1 << 20
            client.sendall(request)
            assert struct.unpack("=IIIIi", client.recv(100)) == (20, 0, 1, 1, errno.ENOENT)


async def test_a_client_that_never_reads_is_not_served_for_ever(node: Node) -> None:
    node.script("10.s.script", "head -c 500000 /dev/zero | tr '\\0' x")
    async with running_daemon(node) as daemon, daemon.client() as other:
        assert await other.run("monitor") == 0
        before = daemon.memory()
        with connect(node.socket) as deaf:
            deaf.setblocking(False)
            request = packet.status_request(1, b"legacy", b"monitor")
            with contextlib.suppress(BlockingIOError):
                while deaf.send(request * 100):
                    pass
            assert daemon.memory() - before < 16 << 20
            assert await other.run("monitor") == 0
            # when it reads at last, it gets what it asked for
            deaf.settimeout(TIMEOUT)
            length = struct.unpack("=I", deaf.recv(4, socket.MSG_WAITALL))[0]
            assert length > 500_000


async def test_with_few_descriptors_fewer_scripts_run_at_once_and_all_succeed(node: Node) -> None:
    node.script("10.s.script", "sleep 0.05; echo $3 >> $CTDB_BASE/var/done")
    addresses = [f"10.0.0.{number}" for number in range(60)]
    async with running_daemon(node) as daemon, daemon.client() as client:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        daemon.process.send_signal(signal.SIGUSR1)
        await until(lambda: "configuration reloaded" in node.log, "the limit to be looked at")
        runs = [client.start("takeip", "eth0", address, "24") for address in addresses]
        assert [await client.result(run) for run in runs] == [0] * 60
    assert sorted(node.read("done").split()) == sorted(addresses)
    assert re.search(r"at most \d+ scripts run at once, not 256 \(\[eventd\] max scripts\)", node.log)
    assert "Traceback" not in node.log


async def test_when_descriptors_run_out_new_clients_wait_and_nothing_breaks(node: Node) -> None:
    node.script("10.s.script", "exit 0")
    async with running_daemon(node) as daemon, daemon.client() as client:
        # an answer means that the daemon has taken the client in
        assert await client.run("monitor") == 0
        used = len(daemon.descriptors())
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (2 * used, 2 * used))
        with contextlib.ExitStack() as clients, connect(node.socket) as early:
            others = [clients.enter_context(connect(node.socket)) for _ in range(2 * used)]
            await until(lambda: "no descriptor for another client: the rest of " in node.log, "the complaint")
            assert await client.run("monitor") == 0, "there is room for a script"
            for other in others[:-1]:
                other.close()
            early.close()
            await until(lambda: len(daemon.descriptors()) <= used + 1, "the daemon to see that they have gone")
            # the last one has waited its turn
            others[-1].sendall(packet.run_request(1, b"legacy", b"monitor", None, 30, False))
            assert struct.unpack("=IIIIi", others[-1].recv(100)) == (20, 0, 1, 1, 0)
        assert await client.run("monitor") == 0
