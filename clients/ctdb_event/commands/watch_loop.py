"""The live screen of `ctdb-event watch`: waits for keys, news and the clock, and draws at most four times a second.

Whatever ends it, the terminal is as it was before.
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
from ctdb_event.commands.watch_model import Model
from ctdb_event.commands.watch_source import RETRY, Source
from ctdb_event.commands.watch_view import draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctdb_event.commands.session import Session

__all__ = ["run"]

_BETWEEN_DRAWINGS = 0.25
_WHILE_BUSY = 1.0
"""Seconds between looks at a daemon at which something runs: its times are on the screen."""
_WHILE_IDLE = 5.0
_TICK = 1.0
"""Seconds between drawings when nothing happens: the clock goes on."""
_PATIENCE = 3.0
"""Seconds without an answer after which the screen says so."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)
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
    """Makes keys come one by one, without an echo; yields the descriptor to read them from, if there is one."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield []
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        changed = termios.tcgetattr(descriptor)
        changed[6][termios.VSUSP] = _DISABLED  # stopped, it would leave the shell with the screen's own state
        termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
        yield [descriptor]
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _signals(wake: int) -> Iterator[None]:
    """Turns signals that end a process into exceptions, and a new size of the screen into a wake-up."""
    former = {number: signal.signal(number, _end) for number in _ENDING}
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
    """What is known, what is asked for, and when to draw. Times are of the monotonic clock."""

    def __init__(self, session: Session, live: Live, keyboard: list[int], pipe: tuple[int, int]) -> None:
        self._session = session
        self._live = live
        self._keyboard = keyboard
        self._news, self._wake = pipe
        self._model = Model()
        self._view = View()
        self._paused: tuple[Model, float] | None = None
        self._source: Source | None = None
        self._retry = 0.0
        self._asked = 0.0
        self._drawn = 0.0
        self._stale = True
        self._news_came = True

    def run(self) -> int:
        while True:
            now = time.monotonic()
            self._connect(now)
            self._hear()
            self._look(now)
            self._draw(now)
            if self._wait():
                return 0

    def _connect(self, now: float) -> None:
        if self._source is None and now >= self._retry:
            self._source = Source(self._session.connect, self._wake)
            self._stale = True

    def _hear(self) -> None:
        for what, value, data in self._source.told() if self._source is not None else ():
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
        # what happened may have changed everything; a snapshot tells, and needs no other one after it
        self._stale = self._stale or what == "note"

    def _look(self, now: float) -> None:
        """Asks for a snapshot when it is time, and says so if the last one is not answered."""
        if self._source is None:
            return
        waited = now - self._asked
        if self._source.asked:
            if waited > _PATIENCE:
                self._model.trouble = f"The daemon does not answer, for {waited:.0f} s"
            return
        interval = _WHILE_BUSY if self._model.busy else _WHILE_IDLE
        if waited >= (_BETWEEN_DRAWINGS if self._stale else interval):
            self._source.ask()
            self._asked = now
            self._stale = False

    def _draw(self, now: float) -> None:
        if now - self._drawn >= _BETWEEN_DRAWINGS:
            console = self._live.console
            only_ascii = self._session.screen.only_ascii
            model, at = self._paused or (self._model, time.time())
            self._live.update(draw(model, self._view, console.size.height, at, only_ascii), refresh=True)
            self._drawn = now
            self._news_came = False

    def _wait(self) -> bool:
        """Waits for a key, news, or the time to draw again; tells whether to leave."""
        due = self._drawn + _BETWEEN_DRAWINGS - time.monotonic()
        timeout = max(0.0, due) if self._news_came else _TICK
        ready = select.select([self._news, *self._keyboard], [], [], timeout)[0]
        self._news_came = self._news in ready
        if self._news_came:
            with contextlib.suppress(BlockingIOError):
                os.read(self._news, 1 << 16)
        return any(self._leave(descriptor) for descriptor in self._keyboard if descriptor in ready)

    def _leave(self, keyboard: int) -> bool:
        keys = os.read(keyboard, 64)
        if not keys:
            self._keyboard = []  # the terminal has gone
        leave = self._view.press(keys.decode(errors="replace"))
        if self._view.paused != (self._paused is not None):
            self._paused = (copy.deepcopy(self._model), time.time()) if self._view.paused else None
        self._news_came = True
        return leave
