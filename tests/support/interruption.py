"""Ctrl-C while a client waits for its connection."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from nodes import TIMEOUT

from ctdb_event.transport import Transport

__all__ = ["interrupted_while_waiting"]


def _waits(thread: int) -> bool:
    """Returns whether the thread waits for a connection's socket."""
    frame = sys._current_frames().get(thread)
    return frame is not None and frame.f_code is Transport._poll.__code__


@contextlib.contextmanager
def interrupted_while_waiting(ready: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Sends this process SIGINT when `ready` has returned and the block waits for a connection's socket.

    Not as soon as the thread sleeps: it sleeps for Python's lock too, before the block has begun.
    """
    main = threading.get_ident()

    def send() -> None:
        deadline = time.monotonic() + TIMEOUT
        ready()
        while not _waits(main) and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        thread.join(TIMEOUT)
        signal.signal(signal.SIGINT, before)
