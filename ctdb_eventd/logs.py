"""The log: where it goes, how a line looks, and what happens when it can't be written. Built on `logging`.

Nothing here may raise into the code that logs: a full disk must not end a failover.
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
import traceback
from collections.abc import Callable, Iterator, Mapping

import attrs

from ctdb_eventd.config import Config
from ctdb_eventd.errors import StartupError
from ctdb_eventd.paths import Paths, test_mode
from ctdb_eventd.text import escaped, shown

__all__ = ["NOTICE", "FileHandler", "Log", "complain", "log_output"]

NOTICE = logging.INFO + 5
"""CTDB's level between INFO and WARNING, its default."""

_PROGRAM = "ctdb-eventd"
_SHORT = 1024
"""Bytes of a line that any syslog daemon takes in one datagram."""
_LEVELS = {
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "NOTICE": NOTICE,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}
_PRIORITIES = {
    logging.ERROR: syslog.LOG_ERR,
    logging.WARNING: syslog.LOG_WARNING,
    NOTICE: syslog.LOG_NOTICE,
    logging.INFO: syslog.LOG_INFO,
    logging.DEBUG: syslog.LOG_DEBUG,
}
_SYSLOG_UDP = ("127.0.0.1", 514)
_SYSLOG_SOCKET = "/dev/log"
_LONGEST = 8192
"""Characters of a line, and of the traceback behind it, that are written."""
_FRAMES = 20
"""Of a traceback: the innermost ones."""

_MOST_LINES = 1000
"""Lines of a script's output that are logged from its beginning, and from its end: all of a megabyte of short lines
would keep everybody waiting for seconds."""
_MOST_BYTES = 64 << 10
"""The same in bytes: making escapes of a megabyte would take as long."""

_SELDOM = 60.0
"""Seconds between two lines that say the same of the same peer."""
_MOST_PEERS = 1000

_output_log = logging.getLogger("ctdb_eventd.output")


def log_output(name: str, output: bytes) -> None:
    """Logs what a script printed, line by line at level ERROR, as CTDB does; blank lines are left out.

    Of much output the first and the last lines are logged, and how many are between.
    """
    if not output:
        return
    short = len(output) <= 2 * _MOST_BYTES
    first = _lines(output if short else output[:_MOST_BYTES])
    last = first if short else _lines(output[-_MOST_BYTES:])
    if short and len(first) <= 2 * _MOST_LINES:
        lines = first
    else:
        lines, last = first[:_MOST_LINES], last[-_MOST_LINES:]
        left_out = max(output.count(b"\n") - len(lines) - len(last), 1)
        lines += [f"[{left_out} lines left out here; the event's status has what was kept]", *last]
    for line in lines:
        _output_log.error("%s: %s", name, line)


def _lines(output: bytes) -> list[str]:
    return [line for line in output.decode("utf-8", "surrogateescape").split("\n") if line.strip()]


class _Formatter(logging.Formatter):
    """One event, one line: bounded, without anything that a terminal would obey; lines of a traceback are joined."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except Exception:
            # A mistake in the caller's arguments: better a clumsy line than none, or an error where it is not expected.
            text = f"{record.msg} {shown(record.args)}"
        line = _harmless(text)
        if record.exc_info:
            line += " | " + _harmless("".join(traceback.format_exception(*record.exc_info, limit=-_FRAMES)).rstrip())
        return line


def _harmless(text: str) -> str:
    """Returns a text as one line of bounded length, in which a stranger's can't rewrite those around it."""
    line = escaped(text[:_LONGEST].replace("\n", " | "), "\t")
    if len(text) <= _LONGEST and len(line) <= _LONGEST:
        return line
    return f"{line[:_LONGEST]}… (cut, {len(text)} characters in all)"


class _Seldom(logging.Filter):
    """Of lines that say the same of the same peer lets one a minute pass, with the number of those that it held back.

    It is about records with an attribute `seldom` (`extra={"seldom": …}`), which names the peer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held_back: dict[tuple[str, object], tuple[float, int]] = {}  # when one was logged, how many not

    def filter(self, record: logging.LogRecord) -> bool:
        peer = getattr(record, "seldom", None)
        if peer is None:
            return True
        since, count = self._held_back.get((record.msg, peer), (record.created - _SELDOM, 0))
        if 0 <= record.created - since < _SELDOM:
            self._held_back[record.msg, peer] = since, count + 1
            return False
        self._held_back.pop((record.msg, peer), None)
        if len(self._held_back) >= _MOST_PEERS:
            del self._held_back[next(iter(self._held_back))]
        self._held_back[record.msg, peer] = record.created, 0
        if count:
            record.msg, record.args = f"%s (since the last such line: {count} more)", (record.getMessage(),)
        return True


class _Stamp(_Formatter):
    """Puts time, host and process in front, in the form of CTDB's own log."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._tail = f" {host} {_PROGRAM}[{os.getpid()}]: "
        self._second = -1
        self._date = self._zone = ""

    def format(self, record: logging.LogRecord) -> str:
        second, fraction = divmod(record.created, 1)
        if second != self._second:
            moment = time.localtime(second)
            zone = time.strftime("%z", moment)
            self._date, self._zone = time.strftime("%Y-%m-%dT%H:%M:%S", moment), f"{zone[:3]}:{zone[3:]}"
            self._second = int(second)
        return f"{self._date}.{int(fraction * 1e6):06d}{self._zone}{self._tail}{super().format(record)}"


class FileHandler(logging.Handler):
    """Appends lines to a file, each with one write, and survives a full disk.

    Lines that could not be written are counted; the first one that can be says how many were lost, and why.
    """

    def __init__(self, path: str) -> None:
        """Opens the file.

        Raises:
            OSError: It can't be opened for appending.
        """
        # before the handler is registered, which closes it at the program's end whatever became of it
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
        """Goes on in a new file of the same name, for log rotation; keeps the old one if that can't be opened."""
        try:
            fd = self._open()
        except OSError as error:
            logging.getLogger(__name__).error("can't reopen the log: %s; going on in the old file", error)
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
        text = "%d log lines before this one were lost: %s"
        record = logging.LogRecord(__name__, logging.ERROR, "", 0, text, (self._lost, self._why), None)
        return (self.format(record) + "\n").encode(errors="backslashreplace")

    def close(self) -> None:
        """Closes the file."""
        super().close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _StandardErrorHandler(logging.Handler):
    """Writes bare lines to standard error, wherever that leads; a reader that went away is no reason to fail."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(2, self.format(record).encode() + b"\n")
        except OSError:
            pass


class _SyslogHandler(logging.Handler):
    """Hands lines to syslog(3), which finds the syslog daemon again by itself when that restarts."""

    def __init__(self) -> None:
        super().__init__()
        syslog.openlog(_PROGRAM, syslog.LOG_PID, syslog.LOG_DAEMON)

    def emit(self, record: logging.LogRecord) -> None:
        syslog.syslog(_priority(record), self.format(record))


class _SyslogDatagramHandler(logging.Handler):
    """Sends lines as datagrams and never waits: what the syslog daemon can't take in time is lost."""

    def __init__(self, family: int, address: str | tuple[str, int], rfc5424: bool) -> None:
        super().__init__()
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address = address
        self._rfc5424 = rfc5424

    def emit(self, record: logging.LogRecord) -> None:
        head = f"<{syslog.LOG_DAEMON | _priority(record)}>"
        if self._rfc5424:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
            head += f"1 {stamp} {socket.gethostname()} {_PROGRAM} {os.getpid()} - - "
        else:
            head += f"{_PROGRAM}[{os.getpid()}]: "
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


def _priority(record: logging.LogRecord) -> int:
    return _PRIORITIES.get(record.levelno, syslog.LOG_ERR)


class Log:
    """The process's log, from start to end; takes over the root logger, so that libraries are heard too."""

    def __init__(self, environ: Mapping[str, str], paths: Paths) -> None:
        """Prepares; nothing is opened yet."""
        self._environ = environ
        self._paths = paths
        self._location: str | None = None
        self._handler: logging.Handler | None = None
        self._seldom = _Seldom()
        logging.addLevelName(NOTICE, "NOTICE")

    def startup(self, config: Config) -> None:
        """Opens the first log; standard error stands in for one that can't be opened, as with CTDB's daemon.

        Raises:
            StartupError: The configuration names a directory for the log that there isn't. CTDB's daemon does not start
                then either.
        """
        try:
            self.configure(config)
        except StartupError as error:
            path = (config.log_location or "").removeprefix("file:")
            if path and not os.path.isdir(os.path.dirname(path)):
                raise
            self.configure(attrs.evolve(config, log_location="file:"))
            logging.getLogger(__name__).error("%s; the log goes to standard error instead", error)

    def configure(self, config: Config) -> None:
        """Follows the configuration.

        Raises:
            StartupError: The log can't be opened; the former one, if any, stays in use.
        """
        with self.prepared(config) as use:
            use()

    @contextlib.contextmanager
    def prepared(self, config: Config) -> Iterator[Callable[[], None]]:
        """Opens the log that the configuration wants.

        Yields:
            What makes it the one in use; without that it is closed at the end of the block, and the former one stays.

        Raises:
            StartupError: The log can't be opened.
        """
        location = config.log_location or f"file:{self._paths.log_file}"
        if "CTDB_INTERACTIVE" in self._environ:
            location = "file:"
        handler = self._handler if location == self._location else self._open(location)
        assert handler is not None

        def use() -> None:
            if handler is not self._handler:
                self._replace(handler)
                self._location = location
            logging.getLogger().setLevel(_LEVELS[config.log_level])

        try:
            yield use
        finally:
            if handler is not self._handler:
                handler.close()

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
        """Tells whether what is logged goes anywhere."""
        return self._handler is not None

    def reopen(self) -> None:
        """Goes on in a new file if the log is a file."""
        if isinstance(self._handler, FileHandler):
            self._handler.reopen()

    def _open(self, location: str) -> logging.Handler:
        kind, _, rest = location.partition(":")
        if kind == "syslog":
            handler = _open_syslog(rest)
            handler.setFormatter(_Formatter())
        elif not rest:
            handler = _StandardErrorHandler()
            handler.setFormatter(_Formatter())
        else:
            try:
                handler = FileHandler(rest)
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                where = f"[logging] location in {self._paths.config_file} sets where it is"
                raise StartupError(f"can't open the log {rest}: {why} ({where})") from error
            handler.setFormatter(_Stamp(self.host))
        return handler

    @property
    def host(self) -> str:
        """This node's name."""
        # several test nodes share one host: each is known by its directory there
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
    """Writes to standard error before there is a log; drops the text if that is impossible."""
    try:
        sys.stderr.write(f"{_PROGRAM}: {_harmless(text)}\n")
        sys.stderr.flush()
    except (AttributeError, OSError):
        # closed, or nobody takes it: what is still held must not trouble the interpreter's end
        sys.stderr = None
