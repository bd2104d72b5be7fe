"""The live screen of `ctdb-event watch`: waits for keys, messages and timers, and draws at most four times a second.

The terminal is restored at the end in any case.
"""

from __future__ import annotations

import contextlib
import copy
import os
import select
import signal
import sys
import termios
import time
import tty
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from ctdb_event.commands.watch_keys import View
from ctdb_event.commands.watch_model import WatchState
from ctdb_event.commands.watch_source import RETRY, Source
from ctdb_event.commands.watch_view import draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctdb_event.commands.session import Session

__all__ = ["run"]

_MIN_DRAW_INTERVAL = 0.25
_BUSY_INTERVAL = 1.0
"""Seconds between two snapshots while jobs run or wait, since their times are on the screen."""
_IDLE_INTERVAL = 5.0
_TICK = 1.0
"""Seconds between drawings without a change, for the clock on the screen."""
_ANSWER_TIMEOUT = 3.0
"""Seconds without a reply after which the screen shows a message."""
_END_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_DISABLED = b"\0"


def run(session: Session) -> int:
    """Shows the screen until `q`, and returns 0.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        SystemExit: A signal that ends the process.
    """
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    with _keyboard() as keyboard, _signals(writer), Live(console=console, screen=True, auto_refresh=False) as live:
        return _Loop(session, live, keyboard, (reader, writer)).run()


@contextlib.contextmanager
def _keyboard() -> Iterator[list[int]]:
    """Sets the terminal to unbuffered input without echo; yields the descriptor to read keys from, if there is one."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield []
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        changed = termios.tcgetattr(descriptor)
        changed[6][termios.VSUSP] = _DISABLED  # no Ctrl-Z: the shell would get the terminal in this mode
        termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
        yield [descriptor]
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _signals(wake: int) -> Iterator[None]:
    """Turns signals that end a process into exceptions; SIGWINCH only wakes the loop."""
    former = {number: signal.signal(number, _end) for number in _END_SIGNALS}
    former[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    former_wake = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(former_wake)
        for number, handler in former.items():
            signal.signal(number, handler)


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


class _Loop:
    """The event loop of the screen. Times are of the monotonic clock."""

    def __init__(self, session: Session, live: Live, keyboard: list[int], pipe: tuple[int, int]) -> None:
        self._session = session
        self._live = live
        self._keyboard = keyboard
        self._wakeup, self._wake = pipe
        self._model = WatchState()
        self._view = View()
        self._paused: tuple[WatchState, float] | None = None
        self._source: Source | None = None
        self._retry = 0.0
        self._asked_at = 0.0
        self._drawn_at = 0.0
        self._stale = True
        self._changed = True

    def run(self) -> int:
        while True:
            now = time.monotonic()
            self._connect(now)
            self._receive()
            self._refresh(now)
            self._draw(now)
            if self._wait():
                return 0

    def _connect(self, now: float) -> None:
        if self._source is None and now >= self._retry:
            self._source = Source(self._session.connect, self._wake)
            self._stale = True

    def _receive(self) -> None:
        for what, value, data in self._source.messages() if self._source is not None else ():
            self._apply(what, value, data)

    def _apply(self, what: str, value: Any, data: Any) -> None:
        if what == "note":
            self._model.apply_note(value, data)
        elif what == "snapshot":
            self._model.apply_snapshot(value)
        elif what == "server":
            self._model.server = value
        elif self._source is not None:
            self._source.close()
            self._source = None
            self._retry = time.monotonic() + RETRY
            self._model.trouble = f"Trying again: {value}"
        # after a note the snapshot may be out of date; a new snapshot is not
        self._stale = self._stale or what == "note"

    def _refresh(self, now: float) -> None:
        """Requests a snapshot when it is due, and shows a message if the last request was not answered."""
        if self._source is None:
            return
        waited = now - self._asked_at
        if self._source.asked:
            if waited > _ANSWER_TIMEOUT:
                self._model.trouble = f"The daemon does not answer, for {waited:.0f} s"
            return
        interval = _BUSY_INTERVAL if self._model.busy else _IDLE_INTERVAL
        if waited >= (_MIN_DRAW_INTERVAL if self._stale else interval):
            self._source.ask()
            self._asked_at = now
            self._stale = False

    def _draw(self, now: float) -> None:
        if now - self._drawn_at >= _MIN_DRAW_INTERVAL:
            console = self._live.console
            only_ascii = self._session.screen.only_ascii
            model, at = self._paused or (self._model, time.time())
            self._live.update(draw(model, self._view, console.size.height, at, only_ascii), refresh=True)
            self._drawn_at = now
            self._changed = False

    def _wait(self) -> bool:
        """Waits for a key, a message, or the time to draw again; returns whether to leave."""
        due = self._drawn_at + _MIN_DRAW_INTERVAL - time.monotonic()
        timeout = max(0.0, due) if self._changed else _TICK
        ready = select.select([self._wakeup, *self._keyboard], [], [], timeout)[0]
        self._changed = self._wakeup in ready
        if self._changed:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wakeup, 1 << 16)
        return any(self._leave(descriptor) for descriptor in self._keyboard if descriptor in ready)

    def _leave(self, keyboard: int) -> bool:
        keys = os.read(keyboard, 64)
        if not keys:
            self._keyboard = []  # the terminal was closed
        leave = self._view.press(keys.decode(errors="replace"))
        if self._view.paused != (self._paused is not None):
            self._paused = (copy.deepcopy(self._model), time.time()) if self._view.paused else None
        self._changed = True
        return leave
