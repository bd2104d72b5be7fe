"""Clients of a lab with Samba: each writes continuously to one public address, and measures interruptions."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import subprocess
import threading
import time
from collections.abc import Collection, Iterator

from ctdb_lab.lab import Lab
from ctdb_lab.samba import CLIENT_FILE, SHARE
from ctdb_lab.waiting import wait_until

__all__ = ["Writer", "wait_until_served", "writing"]

_ANSWER_TIMEOUT = 0.6
"""Seconds without a reply after which a client tries again with a new connection."""
_PAUSE = 0.02
"""Seconds between two writes, so that the failover has enough processor time."""
_MIN_WRITES = 20
"""Number of consecutive writes after which a client counts as served."""


class Writer:
    """Repeatedly opens, writes and closes one file with the real smbclient; made by `writing`."""

    def __init__(self, lab: Lab, address: str) -> None:
        """Starts nothing yet.

        Args:
            lab: A lab with Samba.
            address: The public address that it connects to.
        """
        self.address = address
        configuration = lab.directory / CLIENT_FILE
        self._argv = lab.entering(
            *("smbclient", f"--configfile={configuration}", "--port=445", "--no-pass", f"//{address}/{SHARE}")
        )
        self._order = f"put {configuration} {address}\n".encode()
        self._writes = [time.monotonic()]
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name=f"writer to {address}")

    def start(self) -> None:
        """Starts the thread that writes."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread. Idempotent."""
        self._ending.set()
        self._thread.join()

    def is_served(self, since: float) -> bool:
        """Returns whether it has written repeatedly since then (`time.monotonic`)."""
        return len(self._writes) > _MIN_WRITES and self._writes[-_MIN_WRITES] > since

    def longest_gap(self, since: float) -> float:
        """Returns the longest time without a write, in seconds, among those that ended after `since`."""
        pairs = itertools.pairwise(list(self._writes))
        return max(later - earlier for earlier, later in pairs if later > since)

    def _write_all(self) -> None:
        while not self._ending.is_set():
            with self._session() as session:
                while not self._ending.is_set() and self._has_written(session):
                    self._writes.append(time.monotonic())
                    self._ending.wait(_PAUSE)
            self._ending.wait(_PAUSE)

    @contextlib.contextmanager
    def _session(self) -> Iterator[subprocess.Popen[bytes]]:
        pipe = subprocess.PIPE
        with subprocess.Popen(self._argv, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, bufsize=0) as session:
            try:
                yield session
            finally:
                session.kill()

    def _has_written(self, session: subprocess.Popen[bytes]) -> bool:
        assert session.stdin is not None
        assert session.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            session.stdin.write(self._order)
        if not select.select([session.stdout], [], [], _ANSWER_TIMEOUT)[0]:
            return False
        return os.read(session.stdout.fileno(), 4096).startswith(b"putting file")


@contextlib.contextmanager
def writing(lab: Lab, addresses: Collection[str]) -> Iterator[list[Writer]]:
    """Runs clients that write to these addresses; the block is entered when all are served.

    Raises:
        LabError: One is not served.
    """
    begin = time.monotonic()
    writers = [Writer(lab, address) for address in addresses]
    with contextlib.ExitStack() as stack:
        for writer in writers:
            writer.start()
            stack.callback(writer.close)
        wait_until_served(lab, writers, begin)
        yield writers


def wait_until_served(lab: Lab, writers: Collection[Writer], since: float, timeout: float = 120) -> None:
    """Waits until each client has written repeatedly since then.

    Raises:
        LabError: It took more than `timeout` seconds.
    """
    wait_until(
        lambda: all(writer.is_served(since) for writer in writers), timeout, "every client to write", lab.explain
    )
