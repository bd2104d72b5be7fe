"""What happens when a daemon is killed, badly installed or attacked: `python -m benchmarks.harm` (Debian, root).

Does the same to CTDB's own event daemon and to ours, and prints the outcome; nothing here has a limit. What only
ours can do is done to ours alone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.client import Replies, call, run_packet, takeip_packets
from benchmarks.daemons import Daemon, DaemonError, Node, node, running, start, stop
from benchmarks.setting import NO_OP, Programs, default_ours, default_theirs
from ctdb_event.commands.connection import DaemonConnection
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.packet import run_request

_OTHER_USER = 65534
_SLEEPS = "#!/bin/sh\nexec sleep 1000\n"
_SLEEPS_A_SECOND = "#!/bin/sh\nexec sleep 1\n"
_LEAVES = "#!/bin/sh\nsetsid sleep 1000 &\nsleep 1000\n"
_IGNORES_TERM = """#!/bin/sh
trap '' TERM
setsid sh -c "trap '' TERM; sleep 1000 & sleep 1000 & wait" </dev/null >/dev/null 2>&1 &
sleep 1000 & wait; wait
"""
_AT_ONCE = 1000
_QUEUED = 100_000
_IN_FLIGHT = 1000
_KILL_GRACE = 2
_TIME_TO_START = 60
"""Seconds in which that many scripts should have been started."""
_GRACE = 8.0
"""Seconds after a timeout by which a daemon should have ended a script."""
_LOCKS = """
import fcntl, sys, time
file = open(sys.argv[1])
fcntl.lockf(file, fcntl.LOCK_SH)
print("locked", flush=True)
time.sleep(1000)
"""


def _scripts(on: Node) -> list[tuple[int, str]]:
    """Returns pid and command of each process of a node's scripts."""
    variable = f"CTDB_BASE={on.base}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and variable in (entry / "environ").read_bytes().split(b"\0"):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if "eventd -P" not in command:
                    found.append((int(entry.name), command))
    return found


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def _end_scripts(on: Node) -> None:
    for pid, _ in _scripts(on):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _kill(daemon: Daemon) -> None:
    daemon.process.kill()
    daemon.process.wait()
    os.close(daemon.startup_fd)


@contextlib.contextmanager
def _one_script(text: str, configuration: str = "") -> Iterator[Node]:
    with node({"legacy": {"10.test": text}}, configuration) as on:
        try:
            yield on
        finally:
            _end_scripts(on)


def _killed_while_it_starts_scripts(programs: Programs, rounds: int) -> str:
    beside = 0
    with _one_script(_SLEEPS) as on:
        for _ in range(rounds):
            daemon = start(programs, on)
            with daemon.connect() as client:
                client.sendall(b"".join(takeip_packets([f"10.0.0.{number}" for number in range(1, 61)], "eth0", 24)))
                while not _scripts(on):
                    time.sleep(0.001)
                _kill(daemon)
            with running(programs, on) as following:
                # its own child, the guardian, is none of them
                beside += any(_parent(pid) != following.process.pid for pid, _ in _scripts(on))
            _end_scripts(on)
    return f"scripts of the former one beside the next one: {beside} of {rounds} times"


def _script_that_everybody_can_write(programs: Programs, _rounds: int) -> str:
    with _one_script(NO_OP) as on:
        (on.base / "events/legacy/10.test.script").chmod(0o777)
        with running(programs, on) as daemon, daemon.connect() as client:
            result, _ = call(client, run_packet("legacy", "monitor"))
    return f"result {result}" + (", it ran as root" if result == 0 else "")


def _umask_of_zero(programs: Programs, _rounds: int) -> str:
    with _one_script(NO_OP) as on:
        with running(programs, on, ["sh", "-c", 'umask 0; exec "$@"', "sh"]):
            mode = stat.S_IMODE(os.lstat(on.socket_path).st_mode)
            writable = [
                str(path.relative_to(on.base))
                for path in on.base.rglob("*")
                if not path.is_symlink() and path.stat().st_mode & 0o022
            ]
    return f"mode of the socket {mode:04o}; writable by others: {' '.join(sorted(writable)) or 'nothing'}"


def _pid_file_locked_by_another_user(programs: Programs, _rounds: int) -> str:
    with _one_script(NO_OP) as on:
        on.base.chmod(0o755)
        _kill(start(programs, on))
        other_user = ["setpriv", f"--reuid={_OTHER_USER}", "--clear-groups", "/usr/bin/python3", "-c", _LOCKS]
        with subprocess.Popen(
            [*other_user, str(on.base / "run/eventd.pid")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            locked = process.stdout.readline() == b"locked\n"
            try:
                stop(start(programs, on))
                outcome = "the next daemon starts"
            except DaemonError:
                outcome = "no event daemon starts, and so no ctdbd"
            process.kill()
    return f"{'locked' if locked else 'refused'}; {outcome}"


def _timeout(programs: Programs, _rounds: int) -> str:
    with _one_script(_LEAVES) as on:
        with running(programs, on) as daemon, daemon.connect() as client:
            result, _ = call(client, run_request(1, b"legacy", b"startup", None, 1, False))
            time.sleep(_GRACE)
            left = [command for _, command in _scripts(on)]
            _end_scripts(on)
    return f"result {result}; {_GRACE:g} s later there are: {', '.join(left) or 'none'}"


def _stopped(programs: Programs, _rounds: int) -> str:
    """As a suspended virtual machine, or one without processor time; the script ends meanwhile."""
    with _one_script(_SLEEPS_A_SECOND) as on, running(programs, on) as daemon, daemon.connect() as client:
        client.sendall(run_request(1, b"legacy", b"startup", None, 2, False))
        while not _scripts(on):
            time.sleep(0.01)
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        daemon.process.send_signal(signal.SIGCONT)
        replies = Replies()
        while not replies.results:
            replies.receive(client)
    return f"result {replies.results[1]}"


def _many_timeouts(programs: Programs, _rounds: int) -> str:
    """Five processes for each event, all of which ignore TERM; two of them have left their session."""
    settings = f"[eventd]\n    kill grace = {_KILL_GRACE}\n    max scripts = {_AT_ONCE}\n"
    with _one_script(_IGNORES_TERM, settings) as on:
        with running(programs, on) as daemon, daemon.connect() as client:
            for reqid in range(_AT_ONCE):
                args = b"eth0 10.0.%d.%d 24" % divmod(reqid, 250)
                client.sendall(run_request(reqid, b"legacy", b"takeip", args, _TIME_TO_START, False))
            replies = Replies()
            while len(replies.results) < _AT_ONCE:
                replies.receive(client)
            began, most, left = time.monotonic(), len(_scripts(on)), _AT_ONCE
            while left and time.monotonic() < began + _TIME_TO_START:
                time.sleep(0.1)
                left = len(_scripts(on))
            took = time.monotonic() - began
            survived = on.log.read_text().count("survived SIGKILL")
        results = " ".join(f"{count} times {result}" for result, count in Counter(replies.results.values()).items())
    return (
        f"result {results}; {most} processes at the last one, {left} of them {took:.1f} s later "
        f"(grace {_KILL_GRACE:g} s); {survived} survived SIGKILL"
    )


def _many_queued(programs: Programs, _rounds: int) -> str:
    """One client asks for the status, and another one sends a ping right behind it."""
    with _one_script(_SLEEPS) as on:
        daemon = start(programs, on)
        with DaemonConnection(str(on.socket_path)) as client, DaemonConnection(str(on.socket_path)) as other:
            for _ in range(_QUEUED // _IN_FLIGHT):
                for _ in range(_IN_FLIGHT - 1):
                    client.start("run", {"component": "legacy", "event": "startup", "detach": True})
                client.call("run", component="legacy", event="startup", detach=True)
            queued = other.call("stats")["queued"]
            began = time.perf_counter()
            asked = client.start("status", {})
            other.call("ping")
            ping = time.perf_counter() - began
            client.wait(lambda: asked.answered)
            status = time.perf_counter() - began
            answer = len(frames.packed(client.call("status")))
        pages = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1])
        _kill(daemon)
    return (
        f"{queued} queued: status has {answer / 1024:.0f} KiB after {status * 1000:.0f} ms, the ping of another client "
        f"takes {ping * 1000:.0f} ms; {pages * os.sysconf('SC_PAGE_SIZE') >> 20} MiB of memory"
    )


CASES: dict[str, Callable[[Programs, int], str]] = {
    "killed while it starts scripts": _killed_while_it_starts_scripts,
    "a script of mode 0777": _script_that_everybody_can_write,
    "started with umask 0": _umask_of_zero,
    "another user locks the pid file for reading": _pid_file_locked_by_another_user,
    "an event times out": _timeout,
    "stopped for 4 s while a script works for 1 s of its 2": _stopped,
}
ONLY_OURS: dict[str, Callable[[Programs, int], str]] = {
    f"{_AT_ONCE} events time out at once": _many_timeouts,
    f"{_QUEUED} events are queued": _many_queued,
}


def main() -> int:
    """Runs every case with both daemons and prints a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=120, help="how often each is killed (%(default)s)")
    options = parser.parse_args()
    for name, case in {**CASES, **ONLY_OURS}.items():
        print(name)
        for programs in (default_ours(),) if name in ONLY_OURS else (default_theirs(), default_ours()):
            print(f"    {programs.label:8}{case(programs, options.rounds)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
