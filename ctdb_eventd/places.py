"""Finds CTDB's files and sockets: runs its helper program `ctdb-path`, or uses its cached answers.

CTDB's paths are compiled into it and differ between versions and distributions, so only CTDB knows them. The command
line loads this module, so it imports very little.
"""

from __future__ import annotations

import os
import select
import time

from ctdb_eventd.paths import Paths, test_mode

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module alone would cost the command line half an interpreter start
    from collections.abc import Mapping, Sequence

__all__ = ["HELPER_DIRS", "LIMIT", "MEMORY", "Inquiry", "ask", "find", "forget"]

HELPER_DIRS = ("/usr/libexec/ctdb", "/usr/lib/ctdb", "/usr/local/libexec/ctdb")
"""Directories of CTDB's helper programs in distributions, older Debian releases and after `make install`."""
LIMIT = 1.0
"""Seconds until `ctdb-path` times out."""
MEMORY = "/run/ctdb-eventd.places"
"""Cache of its last answers. Only root can write there, and a file that root didn't write is ignored."""

_QUESTIONS = ("config", "socket eventd", "pidfile eventd", "etcdir", "vardir", "datadir")
"""Arguments that every version of `ctdb-path` accepts."""
_FORM = "places of ctdb-eventd, form 1"
_MOST = 1 << 16
_WRITABLE_BY_OTHERS = 0o022
_KILL = 9  # the signal module would cost more than all of this
_END_SECONDS = 0.2
_BY_HAND = "install CTDB's package again if running it by hand shows the same"


class _NoAnswer(Exception):
    """CTDB's paths can't be found; the text is the reason."""


class Inquiry:
    """Runs `ctdb-path` for all questions in parallel; starts in the constructor, so that the caller can do other work.

    Attributes:
        problem: Why `ctdb-path` can't be run; None if it was started.
    """

    def __init__(self, environ: Mapping[str, str], helper_dir: str | None = None) -> None:
        """Finds `ctdb-path` and starts it; in CTDB's test mode, whose layout is fixed, it does nothing.

        Args:
            environ: Whether it is test mode, and optionally the directory of helper programs.
            helper_dir: CTDB's directory of helper programs, None to look for it.
        """
        self.problem: str | None = None
        self._environ = environ
        self._program = ""
        self._processes: list[_Process] = []
        if test_mode(environ):
            return
        try:
            self._program = _find_program(helper_dir or environ.get("CTDB_HELPER_BINDIR"))
            for question in _QUESTIONS:
                self._processes.append(_Process(self._program, question, environ))
        except _NoAnswer as error:
            self._give_up(str(error))

    def paths(self) -> Paths:
        """Waits for the answers; without them returns the cached paths, or else the built-in ones.

        Raises:
            PathsError: In test mode the environment doesn't say where the test node is.
        """
        if test_mode(self._environ):
            return Paths(self._environ)
        if self.problem is None:
            try:
                answers = self._answers()
            except _NoAnswer as error:
                self._give_up(str(error))
            else:
                _remember(self._program, answers)
                return _paths(self._environ, answers)
        known = _remembered()
        if known is not None and known[0] == self._program:
            return _paths(self._environ, known[1])  # of the very same file: its answers can't have changed
        paths = Paths(self._environ)
        paths.problem = self.problem
        return paths

    def _answers(self) -> list[str]:
        deadline = time.monotonic() + LIMIT
        return [process.answer(deadline) for process in self._processes]

    def end(self) -> None:
        """Ends what still runs. Idempotent."""
        for process in self._processes:
            process.end()

    def _give_up(self, problem: str) -> None:
        self.problem = problem
        self.end()


def ask(environ: Mapping[str, str], helper_dir: str | None = None) -> Paths:
    """Asks CTDB for its paths; see `Inquiry`.

    Raises:
        PathsError: In test mode the environment doesn't say where the test node is.
    """
    return Inquiry(environ, helper_dir).paths()


def find(environ: Mapping[str, str]) -> Paths:
    """Finds CTDB's paths for a client: from the cache if that is valid, else by asking.

    The cache is valid while the program that gave the answers is the same file. It takes precedence over a search: the
    daemon that started last knows better which CTDB is in use. `problem` is None if CTDB is not installed, as that is
    not an error here.

    Raises:
        PathsError: In test mode the environment doesn't say where the test node is.
    """
    named = environ.get("CTDB_HELPER_BINDIR")
    if not test_mode(environ):
        known = _remembered()
        if known is not None and (not named or known[0] == os.path.join(named, "ctdb-path")):
            return _paths(environ, known[1])
        if not named and not _programs():
            return Paths(environ)
    return ask(environ)


def forget() -> None:
    """Removes the cache; ignores errors."""
    try:
        os.unlink(MEMORY)
    except OSError:
        pass


def _paths(environ: Mapping[str, str], answers: Sequence[str]) -> Paths:
    return Paths(environ, dict(zip(_QUESTIONS, answers, strict=True)))


# ---------------------------------------------------------------------- asking


def _programs() -> list[str]:
    """Returns each `ctdb-path` in a usual directory; several names of the same file count once."""
    found: dict[str, str] = {}
    for directory in HELPER_DIRS:
        program = os.path.join(directory, "ctdb-path")
        if os.path.lexists(program):
            found.setdefault(os.path.realpath(program), program)
    return list(found.values())


def _find_program(directory: str | None) -> str:
    if directory:
        program = os.path.join(directory, "ctdb-path")
        if not os.path.lexists(program):
            raise _NoAnswer(f"{program} is missing: install CTDB's package again")
        return program
    programs = _programs()
    if not programs:
        places = ", ".join(HELPER_DIRS)
        raise _NoAnswer(f"ctdb-path is in none of {places}: install CTDB, or name its directory in CTDB_HELPER_BINDIR")
    if len(programs) > 1:
        raise _NoAnswer(f"there are {' and '.join(programs)}: name the directory of one in CTDB_HELPER_BINDIR")
    return programs[0]


class _Process:
    """One running `ctdb-path`."""

    __slots__ = ("_command", "_output", "_pid", "_pidfd")

    def __init__(self, program: str, question: str, environ: Mapping[str, str]) -> None:
        self._command = f"{program} {question}"
        self._pidfd = -1
        self._output, write_end = os.pipe()
        # dup2 first: the descriptor of the pipe may have a number that is opened below
        actions = [(os.POSIX_SPAWN_DUP2, write_end, 1)]
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 2)]
        try:
            command = [program, *question.split()]
            # a process group of its own, so that its children can be killed too
            self._pid = os.posix_spawn(program, command, environ, file_actions=[*actions, *null], setpgroup=0)
        except OSError as error:
            os.close(self._output)
            raise _NoAnswer(f"{program} can't be started: {error.strerror}; {_BY_HAND}") from None
        finally:
            os.close(write_end)
        try:
            self._pidfd = os.pidfd_open(self._pid)
        except ProcessLookupError:
            pass  # it has ended, and SIGCHLD is ignored
        except OSError as error:
            self.end()
            raise _NoAnswer(f"Linux 5.3 or later is needed: pidfd_open: {error.strerror}") from None

    def answer(self, deadline: float) -> str:
        """Waits for the end of the process, not for end of file: another process may have its output open."""
        try:
            if self._pidfd >= 0:
                poll = select.poll()
                poll.register(self._pidfd, select.POLLIN)
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise _NoAnswer(f"`{self._command}` took more than {LIMIT:g} s; {_BY_HAND}")
            status = self._status()
            if status:
                how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
                raise _NoAnswer(f"`{self._command}` {how}; {_BY_HAND}")
            os.set_blocking(self._output, False)
            return self._check(self._read())
        finally:
            self.end()

    def _read(self) -> bytes:
        try:
            return os.read(self._output, _MOST)
        except BlockingIOError:
            return b""

    def _status(self) -> int:
        pid, self._pid = self._pid, 0
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            return 0  # SIGCHLD is ignored, so the status is unknown: only its output counts

    def _check(self, said: bytes) -> str:
        line = said.removesuffix(b"\n")
        try:
            path = line.decode()
        except UnicodeDecodeError:
            path = ""
        if not path.startswith("/") or not path.isprintable():
            shown = ascii(line[:80])[1:] + ("…" if len(line) > 80 else "")
            expected = "one line with an absolute path was expected"
            raise _NoAnswer(f"`{self._command}` printed {shown}, and {expected}; {_BY_HAND}")
        return path

    def end(self) -> None:
        """Kills the process if it still runs. Idempotent."""
        if self._output >= 0:
            os.close(self._output)
            self._output = -1
        if self._pid:
            self._kill()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _kill(self) -> None:
        pid, self._pid = self._pid, 0
        give_up = time.monotonic() + _END_SECONDS
        try:
            os.killpg(pid, _KILL)
            # a process that is blocked in the kernel must not block us
            while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < give_up:
                time.sleep(0.002)
        except (ProcessLookupError, ChildProcessError):
            pass


# ---------------------------------------------------------------------- remembering


def _identity(program: str) -> str:
    status = os.stat(program)
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return f"{status.st_dev} {status.st_ino} {status.st_size} {times}"


def _remember(program: str, answers: Sequence[str]) -> None:
    """Caches a program's answers, if only root can write the cache and the answers are constants of that file."""
    if os.geteuid() != 0 or not os.path.isabs(program):
        return
    known = _remembered()
    if known == (program, list(answers)):
        return
    new = f"{MEMORY}.{os.getpid()}"
    try:
        identity = _identity(program)
        if not _holds(program, answers) or _identity(program) != identity:
            return
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, os.fsencode("\n".join([_FORM, program, identity, *answers, ""])))
            os.fchmod(fd, 0o644)
        finally:
            os.close(fd)
        os.rename(new, MEMORY)
    except OSError:
        pass  # it is asked again next time


def _holds(program: str, answers: Sequence[str]) -> bool:
    """Returns whether the answers are compiled into the program, and not read or computed by it."""
    with open(program, "rb") as file:
        content = file.read()
    directories = {os.path.dirname(answer) for answer in answers[:3]} | set(answers[3:])
    return content.startswith(b"\x7fELF") and all(directory.encode() in content for directory in directories)


def _remembered() -> tuple[str, list[str]] | None:
    """Returns the cached program and answers, if the program is still the same file."""
    try:
        fd = os.open(MEMORY, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if status.st_uid != 0 or status.st_mode & _WRITABLE_BY_OTHERS:
            return None
        form, program, identity, *answers = os.fsdecode(os.read(fd, _MOST)).split("\n")
        if form != _FORM or len(answers) != len(_QUESTIONS) + 1 or _identity(program) != identity:
            return None
        return program, answers[:-1]
    except (OSError, ValueError):
        return None  # the program was removed, or the file is damaged
    finally:
        os.close(fd)
