"""The daemon's command line: arguments to options, options to a running daemon, its end to an exit status."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ctdb_eventd import __version__, environment
from ctdb_eventd.errors import ConfigError, EventdError, StartupError
from ctdb_eventd.logs import complain
from ctdb_eventd.paths import PathsError
from ctdb_eventd.places import Inquiry

if TYPE_CHECKING:
    from ctdb_eventd.daemon import Daemon, Options

__all__ = ["main", "parse_arguments"]


_MOST = (1 << 31) - 1
"""The largest number that a process id or a descriptor can be."""


def parse_arguments(argv: Sequence[str] | None) -> Options:
    """Reads the command line; ends the process with status 1 and the usage if it can't be used."""
    return _options(_parse(argv))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="ctdb-eventd",
        description="Event daemon for CTDB nodes: runs the event scripts. ctdbd starts it; it stays in the foreground.",
        allow_abbrev=False,
    )
    parser.add_argument("-P", "--pid", type=_number, metavar="PID", help="end when this process ends")
    parser.add_argument(
        "-S",
        "--startup-fd",
        type=_number,
        metavar="FD",
        help="descriptor to which four zero bytes are written when the daemon listens",
    )
    parser.add_argument(
        "--helper-dir", metavar="DIR", help="directory of CTDB's helper programs, if it is not a usual one"
    )
    for option in environment.TRY, environment.TAKE_OVER:
        parser.add_argument(option, type=_number, help=argparse.SUPPRESS)
    parser.add_argument(environment.REFUSED, help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser.parse_args(argv)


def _options(arguments: argparse.Namespace) -> Options:
    from ctdb_eventd.daemon import Options

    # CTDB's own daemon takes -1, its default, for "none"
    pid = arguments.pid if arguments.pid is not None and arguments.pid > 0 else None
    fd = arguments.startup_fd if arguments.startup_fd is not None and arguments.startup_fd >= 0 else None
    return Options(watched_pid=pid, startup_fd=fd, helper_dir=arguments.helper_dir)


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: Any = None) -> None:
        try:
            file.write(message)
            file.flush()
        except (AttributeError, OSError):
            # closed or full: buffered output must not cause an error when the interpreter exits
            if file is sys.stderr:
                sys.stderr = None
            else:
                sys.stdout = None

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage()
        complain(message)
        self.exit(1)


def _number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not -_MOST <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is too large a number")
    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the daemon until it is asked to end.

    Returns:
        0 after a clean end, 1 if it could not start; standard error and the log say why.
    """
    environment.calm_signals()
    environment.name_process("ctdb-eventd")
    arguments = _parse(argv)
    if arguments.try_state is not None:
        return _try_state(arguments)
    if arguments.take_over is not None:
        return _take_over(arguments)
    try:
        _check_descriptor(arguments.startup_fd)
        environment.ensure_standard_descriptors()
        environment.close_on_exec()
        # CTDB answers while the rest is loaded
        inquiry = Inquiry(os.environ, arguments.helper_dir)
        # only now what takes time: a signal may come meanwhile
        from ctdb_eventd.daemon import Daemon

        daemon = Daemon(_options(arguments), os.environ, inquiry.paths())
    except (EventdError, PathsError) as error:
        _report(error)
        return 1
    return _serve(daemon)


def _serve(daemon: Daemon) -> int:
    import anyio

    try:
        anyio.run(daemon.run)
    except EventdError as error:
        _report(error)
        return 1
    except BaseExceptionGroup as group:
        return _report_group(group)
    return 0


def _try_state(arguments: argparse.Namespace) -> int:
    """Checks whether this program could take over from the running daemon, and prints why not; changes nothing."""
    from ctdb_eventd import upgrade
    from ctdb_eventd.daemon import Daemon

    try:
        paths = Inquiry(os.environ, arguments.helper_dir).paths()
        state = upgrade.read_state(arguments.try_state)
        if state.socket != paths.socket:
            raise StartupError(f"it listens on {state.socket}, expected {paths.socket}: CTDB was upgraded as well")
        Daemon(_options(arguments), os.environ, paths).load_config()
    except (EventdError, PathsError) as error:
        _report(error)
        return 1
    sys.stdout.write(f"version {__version__}\n")
    return 0


def _take_over(arguments: argparse.Namespace) -> int:
    """Goes on where a former program in this process was, or becomes that again."""
    environment.close_on_exec()
    # CTDB answers while the rest is loaded
    inquiry = Inquiry(os.environ, arguments.helper_dir)
    from ctdb_eventd import upgrade

    former = upgrade.Former(arguments.take_over, arguments.refused)
    try:
        from ctdb_eventd.daemon import Daemon

        daemon = Daemon(_options(arguments), os.environ, inquiry.paths(), former)
    except Exception as error:
        inquiry.end()
        former.go_back(error)
        raise
    return _serve(daemon)


def _check_descriptor(fd: int | None) -> None:
    """Checks the descriptor of the one who started us, before anything else can get its number."""
    if fd is None or fd < 0:
        return
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError as error:
        raise StartupError(f"can't write to descriptor {fd} (option --startup-fd): {error.strerror}") from error


def _report_group(group: BaseExceptionGroup[BaseException]) -> int:
    expected, unexpected = group.split(EventdError)
    if unexpected is not None:
        raise unexpected
    assert expected is not None
    for error in expected.exceptions:
        _report(error)
    return 1


def _report(error: Exception) -> None:
    for text in error.texts if isinstance(error, ConfigError) else (str(error),):
        complain(text)
