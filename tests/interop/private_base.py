"""A private CTDB_BASE with the event scripts behind the captured packets, and an event daemon that runs on it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from .programs import CTDB_HELPERS

START_SECONDS = 10
STOP_SECONDS = 10

_OK = "#!/bin/sh\nexit 0\n"

# The file `flipped` makes the second run of `flip` fail; `hang.pid` lets a test find, or end, what hangs.
_ECHO = """#!/bin/sh
base=${0%/events/legacy/*}
case "$1" in
monitor) echo "hello $1"; echo err >&2 ;;
fail) echo bad; exit 7 ;;
hang) echo $$ >"$base/hang.pid"; echo waiting; exec sleep 1000 ;;
sig) kill -KILL $$ ;;
x64) exit 77 ;;
bare64) exit 64 ;;
lines) printf 'one\\n\\nthree\\n\\n'; exit 1 ;;
words) shift; echo "$#: $*"; exit 3 ;;
flip) if [ -e "$base/flipped" ]; then echo flipped; exit 9; fi; : >"$base/flipped" ;;
esac
"""

_CONFIGURATION = """[logging]
  location = file:{log}
  log level = INFO
"""


@attrs.frozen
class Outcome:
    """What a command did."""

    stdout: str
    stderr: str
    exit: int


@attrs.frozen
class Base:
    """A directory laid out as CTDB_BASE."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> Base:
        """Fills a directory; its path must be short enough for a socket's name."""
        for name in ("events/legacy", "events/empty", "share/events/legacy", "run", "var"):
            (directory / name).mkdir(parents=True)
        (directory / "ctdb.conf").write_text(_CONFIGURATION.format(log=directory / "log"))
        base = cls(directory)
        base._install("events/legacy/00.ok.script", _OK)
        base._install("events/legacy/10.echo.script", _ECHO)
        base._install("events/legacy/20.off.script", _OK, mode=0o644)
        base._install("events/legacy/30.after.script", _OK)
        return base

    def _install(self, name: str, text: str, mode: int = 0o755) -> None:
        path = self.directory / name
        path.write_text(text)
        path.chmod(mode)

    def provide(self, script: str) -> None:
        """Puts a script where a package would: not enabled until somebody links to it."""
        self._install(f"share/events/legacy/{script}.script", _OK)

    @property
    def environment(self) -> dict[str, str]:
        """What daemon and command line get, and nothing else: no locale, no leftovers of the test's own."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "CTDB_TEST_MODE": "1",
            "CTDB_BASE": str(self.directory),
            # without it, the ctdb tool of 4.25 ends at once
            "CTDB_TEST_HELPER_BINDIR": CTDB_HELPERS,
        }

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.directory / "run" / "eventd.socket"

    @property
    def log(self) -> str:
        """What the daemon has logged so far."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def command(self, *argv: str, extra: Mapping[str, str] | None = None) -> Outcome:
        """Runs a command line to its end."""
        environment = {**self.environment, **(extra or {})}
        done = subprocess.run(argv, env=environment, capture_output=True, timeout=30, check=False)
        stdout, stderr = (stream.decode(errors="surrogateescape") for stream in (done.stdout, done.stderr))
        return Outcome(stdout, stderr, done.returncode)

    def end_hung_script(self) -> None:
        """Ends what the event `hang` left running: CTDB's own daemon never does."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = int((self.directory / "hang.pid").read_text())
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep\0"):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def running_daemon(program: str, base: Base) -> Iterator[subprocess.Popen[bytes]]:
    """An event daemon from the moment it reports that it listens until it was told to end, which it must do cleanly."""
    reader, writer = os.pipe()
    try:
        daemon = subprocess.Popen(
            [program, "-S", str(writer)], env=base.environment, pass_fds=[writer], stdin=subprocess.DEVNULL
        )
    finally:
        os.close(writer)
    try:
        _wait_for_start(reader, program, base)
        yield daemon
        _stop(daemon, base)
    finally:
        os.close(reader)
        base.end_hung_script()
        daemon.kill()
        daemon.wait()


def _wait_for_start(reader: int, program: str, base: Base) -> None:
    readable, _, _ = select.select([reader], [], [], START_SECONDS)
    message = os.read(reader, 4) if readable else b""
    assert message == bytes(4), f"{program} did not report its start, but {message!r}; its log:\n{base.log}"


def _stop(daemon: subprocess.Popen[bytes], base: Base) -> None:
    daemon.terminate()
    assert daemon.wait(STOP_SECONDS) == 0, base.log
    assert not base.socket.exists(), "the socket outlived its daemon"
    assert not (base.directory / "run" / "eventd.pid").exists(), "the pid file outlived its daemon"
