"""The log: where it is written, and what happens if that fails. Built on `logging`.

Nothing here may raise an exception into code that logs: a full disk must not stop a failover.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import sys
import syslog
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from ctdb_eventd.config import Config
from ctdb_eventd.errors import StartupError
from ctdb_eventd.journal import JournalHandler
from ctdb_eventd.log_lines import (
    NOTICE,
    PROGRAM,
    BareLine,
    JsonLine,
    LossRecord,
    Seldom,
    StampedLine,
    WallClock,
    harmless,
    priority,
)
from ctdb_eventd.paths import Paths, test_mode

__all__ = ["NOTICE", "FileHandler", "Log", "complain", "log_output"]

_SHORT = 1024
"""Bytes of a line that every syslog daemon accepts in one datagram."""
_LEVELS = {
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "NOTICE": NOTICE,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}
_SYSLOG_UDP = ("127.0.0.1", 514)
_SYSLOG_SOCKET = "/dev/log"
_JOURNAL_SOCKET = "/run/systemd/journal/socket"

_MOST_LINES = 1000
"""Lines of a script's output that are logged from its beginning, and from its end: logging a megabyte of short lines
would block the event loop for seconds."""
_MOST_BYTES = 64 << 10
"""The same in bytes: escaping a megabyte would take as long."""
_LATE = 0.1
"""If output is logged more seconds than this after it was read, the line has the time at which it was read."""

_log = logging.getLogger(__name__)
_output_log = logging.getLogger("ctdb_eventd.output")
_came_clock = WallClock()


def log_output(
    name: str, output: bytes, came: Sequence[tuple[int, float]] = (), about: Mapping[str, object] | None = None
) -> None:
    """Logs a script's output, line by line at level ERROR, as CTDB does; skips blank lines.

    Of long output only the first and last lines are logged, and the number of lines between.

    Args:
        name: The script.
        output: Its output.
        came: Pairs of a position in the output and the time at which that part was read, in seconds since the epoch; in
            order.
        about: Metadata; see `log_lines`. An `address` is appended to each line, and the time if that is a while ago.
    """
    if not output:
        return
    short = len(output) <= 2 * _MOST_BYTES
    first = _lines(output if short else output[:_MOST_BYTES], 0)
    last = first if short else _lines(output[-_MOST_BYTES:], len(output) - _MOST_BYTES)
    if short and len(first) <= 2 * _MOST_LINES:
        lines = first
    else:
        lines, last = first[:_MOST_LINES], last[-_MOST_LINES:]
        left_out = max(output.count(b"\n") - len(lines) - len(last), 1)
        lines += [(f"[{left_out} lines left out here; the event's status has what was kept]", -1), *last]
    about = {"script": name, **(about or {})}
    for line, position in lines:
        index = bisect_right(came, position, key=lambda mark: mark[0])
        _log_line(name, line, came[index - 1][1] if index else None, about)


def _log_line(name: str, line: str, came: float | None, about: Mapping[str, object]) -> None:
    tail = [] if about.get("address") is None else [str(about["address"])]
    if came is not None:
        stamp = _came_clock(came)
        about = {**about, "came": stamp}
        if time.time() - came >= _LATE:
            tail.append(f"at {stamp[11:23]}")
    _output_log.error("%s: %s", name, line, extra={"about": about, "tail": f" ({', '.join(tail)})" if tail else ""})


def _lines(output: bytes, position: int) -> list[tuple[str, int]]:
    """Returns the lines that are not blank, and the position of each; the first line's is `position`."""
    lines = []
    for line in output.split(b"\n"):
        text = line.decode("utf-8", "surrogateescape")
        if text.strip():
            lines.append((text, position))
        position += len(line) + 1
    return lines


class FileHandler(logging.Handler):
    """Appends lines to a file, each with one write; survives a full disk.

    Counts the lines that can't be written; the next line that can be is preceded by their number and the reason.
    """

    def __init__(self, path: str) -> None:
        """Opens the file.

        Raises:
            OSError: It can't be opened for appending.
        """
        # first: the base class registers the handler to be closed at exit, even if opening fails
        self._path = path
        self._fd = self._open()
        super().__init__()
        self._lost = 0
        self._why = ""
        self._torn = False

    def _open(self) -> int:
        # don't block on a FIFO without a reader
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)

    def reopen(self) -> None:
        """Opens the file again, for log rotation; keeps the old one if that fails."""
        try:
            fd = self._open()
        except OSError as error:
            _log.error("can't reopen the log: %s; continuing in the old file", error)
            return
        os.close(self._fd)
        self._fd = fd

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        data = (self.format(record) + "\n").encode(errors="backslashreplace")
        if self._lost:
            data = self._notice() + data
        try:
            if self._torn:
                data = b"\n" + data
            written = os.write(self._fd, data)
            self._torn = written < len(data)
            if self._torn:
                os.write(self._fd, b"\n")
                self._torn = False
        except OSError as error:
            self._lost += 1
            self._why = error.strerror or str(error)
        else:
            self._lost = 0

    def _notice(self) -> bytes:
        return (self.format(LossRecord(self._lost, self._why)) + "\n").encode(errors="backslashreplace")

    def close(self) -> None:
        """Closes the file."""
        super().close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _StandardErrorHandler(logging.Handler):
    """Writes plain lines to standard error; ignores errors, such as a closed pipe."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(2, self.format(record).encode() + b"\n")
        except OSError:
            pass


class _SyslogHandler(logging.Handler):
    """Passes lines to syslog(3), which reconnects by itself after a restart of the syslog daemon."""

    def __init__(self) -> None:
        super().__init__()
        syslog.openlog(PROGRAM, syslog.LOG_PID, syslog.LOG_DAEMON)

    def emit(self, record: logging.LogRecord) -> None:
        syslog.syslog(priority(record), self.format(record))


class _SyslogDatagramHandler(logging.Handler):
    """Sends lines as datagrams without blocking: lines that the syslog daemon doesn't accept in time are lost."""

    def __init__(self, family: int, address: str | tuple[str, int], rfc5424: bool) -> None:
        super().__init__()
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address = address
        self._rfc5424 = rfc5424

    def emit(self, record: logging.LogRecord) -> None:
        head = f"<{syslog.LOG_DAEMON | priority(record)}>"
        if self._rfc5424:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
            head += f"1 {stamp} {socket.gethostname()} {PROGRAM} {os.getpid()} - - "
        else:
            head += f"{PROGRAM}[{os.getpid()}]: "
        try:
            self._send(f"{head}{self.format(record)}".encode())
        except OSError:
            pass

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._address)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._socket.sendto(data[:_SHORT] + b" [cut]", self._address)

    def close(self) -> None:
        super().close()
        self._socket.close()


class Log:
    """The process's log; configures the root logger, so that lines of libraries are logged too."""

    def __init__(self, environ: Mapping[str, str], paths: Paths) -> None:
        """Stores the arguments; opens nothing yet."""
        self._environ = environ
        self._paths = paths
        self._target: tuple[str, str] | None = None
        self._handler: logging.Handler | None = None
        self._seldom = Seldom()
        logging.addLevelName(NOTICE, "NOTICE")

    def startup(self, config: Config) -> None:
        """Opens the first log; falls back to standard error if it can't be opened, as CTDB's daemon does.

        The fallback for the journal is `location`.

        Raises:
            StartupError: The directory of the configured log file doesn't exist. CTDB's daemon doesn't start then
                either.
        """
        try:
            self.configure(config)
        except StartupError as error:
            if config.log_format == "journal":
                self.startup(attrs.evolve(config, log_format="text"))
                _log.error("%s; the log goes to [logging] location instead", error)
                return
            path = (config.log_location or "").removeprefix("file:")
            if path and not os.path.isdir(os.path.dirname(path)):
                raise
            self.configure(attrs.evolve(config, log_location="file:"))
            _log.error("%s; the log goes to standard error instead", error)

    def configure(self, config: Config) -> None:
        """Applies the configuration.

        Raises:
            StartupError: The log can't be opened; the previous one, if any, stays in use.
        """
        with self.prepared(config) as use:
            use()

    @contextlib.contextmanager
    def prepared(self, config: Config) -> Iterator[Callable[[], None]]:
        """Opens the configured log.

        Yields:
            A function that switches to it. If it isn't called, the new log is closed at the end of the block, and the
            previous one stays in use.
        Raises:
            StartupError: The log can't be opened.
        """
        target = self._target_of(config)
        handler = self._handler if target == self._target else self._open(*target)
        assert handler is not None

        def use() -> None:
            if handler is not self._handler:
                self._replace(handler)
                self._target = target
            logging.getLogger().setLevel(_LEVELS[config.log_level])

        try:
            yield use
        finally:
            if handler is not self._handler:
                handler.close()

    def _target_of(self, config: Config) -> tuple[str, str]:
        """Returns the log's location and the form of its lines."""
        if "CTDB_INTERACTIVE" in self._environ:
            return "file:", "text" if config.log_format == "journal" else config.log_format
        if config.log_format == "journal":
            return "journal", "text"
        return config.log_location or f"file:{self._paths.log_file}", config.log_format

    def _replace(self, handler: logging.Handler) -> None:
        root = logging.getLogger()
        for old in root.handlers[:]:
            root.removeHandler(old)
            old.close()
        handler.addFilter(self._seldom)
        root.addHandler(handler)
        self._handler = handler

    @property
    def is_open(self) -> bool:
        """Whether log lines are written anywhere."""
        return self._handler is not None

    def reopen(self) -> None:
        """Opens the file again if the log is a file."""
        if isinstance(self._handler, FileHandler):
            self._handler.reopen()

    def drain(self) -> None:
        """Waits for a limited time until the journal has all queued entries; other logs have no queue."""
        if isinstance(self._handler, JournalHandler):
            self._handler.drain()

    def _open(self, location: str, form: str) -> logging.Handler:
        kind, _, rest = location.partition(":")
        line: logging.Formatter = JsonLine(self.host) if form == "json" else BareLine()
        handler: logging.Handler
        if kind == "journal":
            handler = self._open_journal()
        elif kind == "syslog":
            handler = _open_syslog(rest)
        elif not rest:
            handler = _StandardErrorHandler()
        else:
            handler = self._open_file(rest)
            line = line if form == "json" else StampedLine(self.host)
        handler.setFormatter(line)
        return handler

    def _open_file(self, path: str) -> logging.Handler:
        try:
            return FileHandler(path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            where = f"[logging] location in {self._paths.config_file} sets where it is"
            raise StartupError(f"can't open the log {path}: {why} ({where})") from error

    def _open_journal(self) -> logging.Handler:
        try:
            return JournalHandler(_JOURNAL_SOCKET)
        except OSError as error:
            where = f"[logging] format in {self._paths.config_file} is journal"
            text = f"can't log to the journal at {_JOURNAL_SOCKET}: {error.strerror} ({where})"
            raise StartupError(text) from error

    @property
    def host(self) -> str:
        """This node's name."""
        # several test nodes share one host: each is named after its directory
        if test_mode(self._environ):
            return os.path.basename(os.path.abspath(self._paths.config_dir))
        return socket.gethostname().partition(".")[0]


def _open_syslog(method: str) -> logging.Handler:
    if method == "nonblocking":
        return _SyslogDatagramHandler(socket.AF_UNIX, _SYSLOG_SOCKET, rfc5424=False)
    if method:
        return _SyslogDatagramHandler(socket.AF_INET, _SYSLOG_UDP, rfc5424=method == "udp-rfc5424")
    return _SyslogHandler()


def complain(text: str) -> None:
    """Writes to standard error before the log is open; drops the text if that fails."""
    try:
        sys.stderr.write(f"{PROGRAM}: {harmless(text)}\n")
        sys.stderr.flush()
    except (AttributeError, OSError):
        # closed, or the reader is gone: buffered text must not cause an error when the interpreter exits
        sys.stderr = None
