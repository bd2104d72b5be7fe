"""Event daemons on private test nodes, started, found listening and stopped without a trace."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from benchmarks.setting import Programs, Setting

__all__ = ["Daemon", "DaemonError", "Node", "both_running", "node", "running", "start", "stop"]

# ctdbd itself gives its event daemon ten seconds to start
_START_LIMIT = 10.0
# longer than any grace that a daemon gives its scripts before it kills them
_STOP_LIMIT = 15.0
_SETTLED = 1.2


class DaemonError(RuntimeError):
    """A daemon did not do what the benchmark needs; the text names it and ends with its last log lines."""


@attrs.frozen(kw_only=True)
class Node:
    """A directory laid out as CTDB's test mode wants it."""

    base: Path

    @property
    def socket_path(self) -> str:
        """Where the daemon listens."""
        return str(self.base / "run" / "eventd.socket")

    @property
    def log(self) -> Path:
        """The daemon's log."""
        return self.base / "log"

    def environment(self) -> dict[str, str]:
        """The environment for a daemon or command line of this node; nothing else of CTDB's leaks in."""
        # and nothing that keeps Python from storing what it compiled: an installed program has that done
        dropped = ("CTDB", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        return kept | {"CTDB_TEST_MODE": "1", "CTDB_BASE": str(self.base)}

    def settle(self, component: str) -> None:
        """Waits until the directory of scripts is as old as it would be on any node that has been up for seconds.

        A daemon that remembers a directory's listing can trust its time of change only from some age on.
        """
        status = (self.base / "events" / component).stat()
        time.sleep(max(0.0, max(status.st_mtime, status.st_ctime) + _SETTLED - time.time()))

    def add_script(self, component: str, name: str, text: str) -> Path:
        """Writes an enabled script and returns its path."""
        directory = self.base / "events" / component
        directory.mkdir(exist_ok=True)
        path = directory / f"{name}.script"
        path.write_text(text)
        path.chmod(0o755)
        return path


@attrs.frozen(kw_only=True)
class Daemon:
    """A running daemon that listens."""

    label: str
    node: Node
    process: subprocess.Popen[bytes]
    startup_fd: int
    """Our end of the start-up pipe; the daemon holds the other as long as it lives."""
    start_time: float
    """Seconds from before the spawn until the daemon said that it listens."""

    def connect(self) -> socket.socket:
        """Opens a blocking connection; the caller closes it."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.node.socket_path)
        return connection

    def loop_time(self) -> float:
        """Reads how long its event loop's thread, the main one, has been on a processor, in seconds."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def resident(self) -> float:
        """Reads the resident memory, in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise DaemonError(f"{self.label}: no VmRSS in its status; is it still running?")


@contextlib.contextmanager
def node(components: Mapping[str, Mapping[str, str]], configuration: str = "") -> Iterator[Node]:
    """Lays out a test node with these scripts (component → script name → text); removes it afterwards."""
    # a short path: the socket's has to fit into 108 bytes
    base = Path(tempfile.mkdtemp(prefix="ctdb-bench-", dir="/tmp"))
    made = Node(base=base)
    try:
        for directory in ("events", "share/events", "run", "var"):
            (base / directory).mkdir(parents=True)
        (base / "ctdb.conf").write_text(f"[logging]\n    location = file:{made.log}\n{configuration}")
        for component, scripts in components.items():
            (base / "events" / component).mkdir()
            for name, text in scripts.items():
                made.add_script(component, name, text)
        yield made
    finally:
        shutil.rmtree(base, ignore_errors=True)


def start(programs: Programs, on: Node, wrapper: Sequence[str] = ()) -> Daemon:
    """Starts a daemon and waits until it listens; whoever calls this must call `stop`.

    Args:
        programs: Whose daemon.
        on: Its node.
        wrapper: A command that ends by executing its arguments, to prepare the daemon's surroundings.

    Raises:
        DaemonError: It ended, or was silent for ten seconds.
    """
    ours, theirs = os.pipe()
    # as ctdbd, which we are to it: requests of others are logged
    command = [*wrapper, programs.daemon, "-P", str(os.getpid()), "-S", str(theirs)]
    begin = time.perf_counter()
    with open(on.base / "stderr", "ab") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            pass_fds=(theirs,),
            env=on.environment(),
            # its scripts stay in its session, so whatever a daemon leaves behind can be found by it
            start_new_session=True,
        )
    os.close(theirs)
    ready = select.select([ours], [], [], _START_LIMIT)[0]
    said = os.read(ours, 4) if ready else b""
    end = time.perf_counter()
    daemon = Daemon(label=programs.label, node=on, process=process, startup_fd=ours, start_time=end - begin)
    if said != b"\0\0\0\0":
        stop(daemon)
        raise DaemonError(f"{programs.daemon} did not start listening{_last_words(on)}")
    return daemon


def stop(daemon: Daemon) -> None:
    """Ends a daemon and everything that it left running."""
    daemon.process.terminate()
    try:
        daemon.process.wait(_STOP_LIMIT)
    except subprocess.TimeoutExpired:
        daemon.process.kill()
        daemon.process.wait()
    os.close(daemon.startup_fd)
    # CTDB's daemon leaves scripts that ran out of time
    for pid in _session_members(daemon.process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def running(programs: Programs, on: Node, wrapper: Sequence[str] = ()) -> Iterator[Daemon]:
    """Runs a daemon as long as the block lasts."""
    daemon = start(programs, on, wrapper)
    try:
        yield daemon
    except (OSError, EOFError) as error:
        # with two daemons running, the inner block can't know whose connection it was: both get their say
        died = "" if daemon.process.poll() is None else f" (ended with status {daemon.process.returncode})"
        what = str(error) or "connection closed"
        raise type(error)(f"{what}\n  {daemon.label}{died}:{_last_words(on)}") from error
    finally:
        stop(daemon)


@contextlib.contextmanager
def both_running(setting: Setting, components: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[Daemon, Daemon]]:
    """Runs CTDB's daemon and ours, each on a node of its own with the same scripts."""
    with contextlib.ExitStack() as stack:
        theirs = stack.enter_context(running(setting.theirs, stack.enter_context(node(components))))
        ours = stack.enter_context(running(setting.ours, stack.enter_context(node(components))))
        yield theirs, ours


def _session_members(session: int) -> Iterator[int]:
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or int(entry) == session:
            continue
        with contextlib.suppress(OSError):
            if os.getsid(int(entry)) == session:
                yield int(entry)


def _last_words(on: Node) -> str:
    lines = [
        line
        for path in (on.base / "stderr", on.log)
        if path.exists()
        for line in path.read_text(errors="replace").splitlines()[-4:]
    ]
    return "".join(f"\n    {line}" for line in lines)
