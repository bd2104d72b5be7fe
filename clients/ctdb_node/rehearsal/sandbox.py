"""Runs one pass of a rehearsal in namespaces of its own, and ends them in any case."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from ctdb_node.errors import NodeError
from ctdb_node.rehearsal.inside import command_of
from ctdb_node.rehearsal.observed import Observations, Request, from_json, to_json

__all__ = ["missing", "observe"]

_PROGRAMS = {
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "util-linux",
    "ip": "iproute2",
}
_NAMESPACES = ("unshare", "--mount", "--propagation", "private", "--net", "--pid", "--ipc", "--uts", "--fork")
_MAX_ERROR_TEXT = 4000
_END_TIMEOUT = 30.0
"""Seconds for the kernel to end everything in the namespace."""


def missing() -> str:
    """Returns what this machine lacks, with advice; empty if nothing is missing."""
    if os.geteuid() != 0:
        return "a rehearsal creates namespaces and mounts, so it needs root: run it with sudo"
    absent = {name: package for name, package in _PROGRAMS.items() if shutil.which(name) is None}
    if absent:
        return f"a rehearsal needs {', '.join(absent)}: apt-get install {' '.join(sorted(set(absent.values())))}"
    done = subprocess.run([*_NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"a rehearsal needs permission to create namespaces (CAP_SYS_ADMIN): {done.stderr.strip()}"
    return ""


def observe(request: Request, progress: Callable[[str], None]) -> Observations:
    """Runs a pass.

    Args:
        request: What to rehearse.
        progress: Called with each step that begins.

    Raises:
        NodeError: The rehearsal is not possible.
        KeyboardInterrupt: Ctrl-C; the namespaces have ended.
    """
    with tempfile.TemporaryFile() as errors:
        seen = _receive(request, progress, errors)
        if seen is None:
            errors.seek(0)
            said = errors.read()[-_MAX_ERROR_TEXT:].decode(errors="replace").strip()
            raise NodeError(f"the rehearsal ended unexpectedly: {said or 'was it killed?'}")
    return seen


def _receive(request: Request, progress: Callable[[str], None], errors: IO[bytes]) -> Observations | None:
    seen: Observations | None = None
    with _running(request, errors) as lines:
        for line in lines:
            message = json.loads(line)
            if "problem" in message:
                raise NodeError(message["problem"])
            if "progress" in message:
                progress(message["progress"])
            else:
                seen = from_json(Observations, message["observations"])
    return seen


@contextlib.contextmanager
def _running(request: Request, errors: IO[bytes]) -> Iterator[Iterator[str]]:
    reading, writing = os.pipe()
    stage = command_of("ctdb_node.rehearsal.sandbox_init", str(writing))
    with open(reading, encoding="utf-8") as channel:
        try:
            process = subprocess.Popen(
                # if this process dies for any reason, the kernel kills it, and with it the namespaces
                ["setpriv", "--pdeathsig", "KILL", *_NAMESPACES, "--kill-child=KILL", *stage],
                stdin=subprocess.PIPE,
                stderr=errors,
                pass_fds=[writing],
                start_new_session=True,  # Ctrl-C must only reach this process
            )
        finally:
            os.close(writing)
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(json.dumps(to_json(request)).encode())
            yield channel
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends all processes of the sandbox; returns when its namespaces are empty.

    The kernel ends all processes of a PID namespace when its first process is killed, and reports the end of that one
    to its parent, `unshare`, only after all others.
    """
    if process.poll() is None:
        first = _children(process.pid)
        for pid in first or [process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []
