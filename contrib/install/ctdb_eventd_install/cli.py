"""The command line of `ctdb-eventd-install`: reports the present state and the steps, and carries them out.

Reports go to stdout, errors to stderr. Decisions are made in other modules.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from ctdb_eventd import __version__
from ctdb_eventd.errors import EventdError
from ctdb_eventd.places import forget
from ctdb_eventd_install import swap
from ctdb_eventd_install.console import complain, flush, say, show
from ctdb_eventd_install.fallback import find_daemon, program_in, render, why_it_does_not_run
from ctdb_eventd_install.places import NodePlaces, find_places
from ctdb_eventd_install.problems import Busy, InstallError, NotAllowed, NotUpgraded, ReviewFailed, StepFailed
from ctdb_eventd_install.records import Record, choose_record
from ctdb_eventd_install.review import Finding, Severity, review, review_program
from ctdb_eventd_install.running import (
    ANSWER_TIMEOUT,
    OURS,
    PID_FILES,
    ask,
    cli_of,
    lock_holder,
    running_daemon,
    version_of,
)

__all__ = ["EXIT_DAMAGED", "EXIT_ERROR", "EXIT_INTERRUPTED", "EXIT_NOT_INSTALLED", "main"]

EXIT_ERROR = 1
"""The task failed; stderr says why. 2 is a wrong command line."""
EXIT_NOT_INSTALLED = 3
"""--status: CTDB's own daemon is in place."""
EXIT_DAMAGED = 4
"""--status: ours is in place but would not run, or an installation or removal is incomplete."""
EXIT_INTERRUPTED = 130
"""Ctrl-C, as in shells."""

_TAKES_EFFECT = (
    "This takes effect when ctdbd is started the next time: `systemctl restart ctdb`. "
    "The node's addresses move to others until it is back."
)


@attrs.frozen(kw_only=True)
class _Task:
    """The requested task, and the node that it is for."""

    places: NodePlaces
    record: Record
    program: str
    """The path of our daemon."""
    dry_run: bool
    now: bool = False
    """Upgrade the running daemon to the installed one."""

    @property
    def below_root(self) -> bool:
        """The task is for an image, whose programs can't be run here."""
        return self.places.root != "/"


def main(argv: Sequence[str] | None = None, program: str | None = None) -> int:
    """Runs the installer.

    Args:
        argv: The command line, sys.argv if None.
        program: Our daemon if --program doesn't name it; the one that was installed with this program if None.

    Returns:
        0 if all is as asked for, 1 after an error, and for --status also 3 and 4, see the constants here.
    """
    try:
        arguments = _parse(argv, program or os.path.join(sysconfig.get_path("scripts"), "ctdb-eventd"))
    finally:
        flush()
    try:
        return _run(arguments, os.environ)
    except EventdError as error:
        complain(str(error))
        return EXIT_ERROR
    except KeyboardInterrupt:
        complain("interrupted; --status shows whether an operation is incomplete")
        return EXIT_INTERRUPTED


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: Any = None) -> None:
        # in Python 3.11.2, argparse ends with a traceback if this output can't be written
        show(message, file)


def _parse(argv: Sequence[str] | None, program: str) -> argparse.Namespace:
    parser = _Parser(
        prog="ctdb-eventd-install",
        description="Puts this event daemon in the place of CTDB's own, which is kept beside it. Can be repeated.",
        epilog="Exit status: 0 done; 1 could not be done; 2 usage; --status: 3 not installed, 4 installed and damaged.",
        allow_abbrev=False,
    )
    parser.set_defaults(task="install")
    tasks = parser.add_mutually_exclusive_group()
    for name, text in (
        ("remove", "put CTDB's own event daemon back"),
        ("status", "show which daemon is installed and whether it can run"),
        ("reapply", "install again if it was installed, after an upgrade of CTDB (RPM); else do nothing"),
    ):
        tasks.add_argument(f"--{name}", dest="task", action="store_const", const=name, help=text)
    parser.add_argument("--now", action="store_true", help="install, and upgrade our running daemon to this version")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
    parser.add_argument("--root", default="/", metavar="DIR", help="work on the system below this directory")
    parser.add_argument("--helper-dir", metavar="DIR", help="CTDB's helper programs, if they are in an unusual place")
    parser.add_argument("--program", default=program, metavar="FILE", help="our daemon (%(default)s)")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    arguments = parser.parse_args(argv)
    if arguments.now and (arguments.task in ("remove", "status") or arguments.dry_run or arguments.root != "/"):
        parser.error("--now is for an installation on this system itself")
    return arguments


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the name of a script may be anything
    places = find_places(arguments.root, arguments.helper_dir)
    task = _Task(
        places=places,
        record=choose_record(places, environ.get("DPKG_MAINTSCRIPT_PACKAGE")),
        program=os.path.abspath(arguments.program),
        dry_run=arguments.dry_run,
        now=arguments.now,
    )
    if arguments.task == "status":
        return _status(task)
    with _exclusive(task):
        if arguments.task == "remove":
            return _remove(task)
        return _install(task, only_again=arguments.task == "reapply")


@contextlib.contextmanager
def _exclusive(task: _Task) -> Iterator[None]:
    """Locks a file, so that only one installer works on the node; nobody else can open that file, and so lock it.

    Checks that the helper directory is writable. A dry run changes nothing and needs no lock.
    """
    directory = task.places.below(task.places.helper_dir)
    if task.dry_run:
        yield
        return
    if not os.access(directory, os.W_OK):
        raise NotAllowed(directory, as_root=os.geteuid() == 0)
    path = task.places.below(task.places.lock)
    try:
        descriptor = _lock(path)
    except OSError as error:
        raise StepFailed(f"make and lock {path}", error.strerror or str(error)) from error
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.close(descriptor)


def _lock(path: str) -> int:
    while True:
        # Close-on-exec: no child inherits the lock. The installer waits for its children before it releases the lock.
        # If it is killed, a child may go on without the lock, which is harmless: children change nothing.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return descriptor
        except BlockingIOError:
            raise Busy(path, lock_holder(descriptor)) from None
        except FileNotFoundError:
            pass  # another installer was just ending, and has removed it
        os.close(descriptor)


# ---------------------------------------------------------------------- the three tasks


def _install(task: _Task, only_again: bool) -> int:
    state = swap.look(task.places, task.record)
    if only_again and not state.recorded:
        say("Not installed: nothing to do.")
        return 0
    daemon = find_daemon(task.program, task.places.below(task.program))
    findings = [*review(task.places), *_review_ours(task, task.program)]
    _show(findings)
    content = render(daemon, task.places, task.record.undo_command)
    steps = swap.plan_install(task.places, task.record, state, content)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors and not task.dry_run:
        raise ReviewFailed(len(errors))
    running = _running(task.places)
    at_once = task.now and running.startswith(OURS)
    _carry_out(task, steps, f"Ours is in place already: {task.program}", "" if at_once else _TAKES_EFFECT)
    if errors:
        return EXIT_ERROR
    if task.now and not at_once:
        say(f"--now: there is nothing to upgrade. Running: {running}")
    return _upgrade_running(task) if at_once else 0


def _upgrade_running(task: _Task) -> int:
    """Upgrades the running daemon to the installed one."""
    done = ask(task.program, "upgrade", timeout=None)  # its limit is in the configuration
    if done is not None and done.returncode == 0:
        say(done.stdout.strip())
        return 0
    reason = f"{cli_of(task.program)} can't be run" if done is None else done.stderr.strip().split("\n")[-1]
    raise NotUpgraded(reason)


def _remove(task: _Task) -> int:
    state = swap.look(task.places, task.record)
    steps = swap.plan_remove(task.places, task.record, state)
    _carry_out(task, steps, f"CTDB's own event daemon is in place already: {task.places.helper}", _TAKES_EFFECT)
    return 0


def _status(task: _Task) -> int:
    places = task.places
    state = swap.look(places, task.record)
    program = program_in(places.below(places.helper)) if state.helper_is_ours else None
    findings = review(places)
    damage = _damage(task, state)
    if state.helper_is_ours and program is None:
        damage.append(f"{places.helper} is damaged, it names no program: run ctdb-eventd-install again")
    if program:
        ours = _review_ours(task, program)
        findings += [finding for finding in ours if finding.severity is not Severity.ERROR]
        broken = [finding.text for finding in ours if finding.severity is Severity.ERROR]
        damage += [f"{text}. CTDB's own daemon is started instead" for text in broken]
    _show(findings + [Finding(Severity.ERROR, text) for text in damage])
    say(f"In place: {_in_place(task, state, program)}")
    running = _running(places)
    say(f"Running:  {running}{_versions(task, running, program)}")
    if damage:
        return EXIT_DAMAGED
    return 0 if state.installed else EXIT_NOT_INSTALLED


def _running(places: NodePlaces) -> str:
    return running_daemon(places.below(places.node.pid_file), map(places.below, PID_FILES))


def _versions(task: _Task, running: str, program: str | None) -> str:
    """Describes the running version, and the installed one if it differs; empty if that is unknown."""
    if program is None or task.below_root or not running.startswith(OURS):
        return ""
    done = ask(program, "ping", "--plain", timeout=ANSWER_TIMEOUT)
    if done is None or done.returncode:
        return ""
    runs, installed = done.stdout.partition("\t")[0].rpartition(" ")[2], version_of(program)
    if not installed or runs == installed:
        return f", version {runs}"
    return f", version {runs}; version {installed} is installed: `ctdb-event upgrade` upgrades the daemon to it"


def _in_place(task: _Task, state: swap.State, program: str | None) -> str:
    if not state.helper_exists:
        return f"nothing: {task.places.helper} is missing"
    if state.helper_is_ours:
        kept = f"CTDB's own is kept as {task.places.kept}" if state.kept_exists else "CTDB's own is not there"
        return f"our daemon, {program or 'which one is unknown'}; {kept}"
    return f"CTDB's own event daemon, {task.places.helper}"


def _damage(task: _Task, state: swap.State) -> list[str]:
    if state.installed or state.untouched:
        return []
    if not state.helper_exists and not task.places.has_ctdbd():
        return ["CTDB was removed, and parts of the installation are left: run ctdb-eventd-install --remove"]
    if state.helper_is_ours and not state.kept_exists:
        return [f"{task.places.kept} is missing: there is nothing to fall back on. Install CTDB's package again"]
    if not state.helper_exists:
        return [f"{task.places.helper} is missing: run ctdb-eventd-install, or ctdb-eventd-install --remove"]
    if state.recorded and not state.helper_is_ours and not task.record.upgrades_go_aside and not state.same:
        return ["CTDB was upgraded, and its own daemon is back in place: run ctdb-eventd-install again"]
    return ["an installation or removal was interrupted: run ctdb-eventd-install, or ctdb-eventd-install --remove"]


def _review_ours(task: _Task, program: str) -> list[Finding]:
    try:
        daemon = find_daemon(program, task.places.below(program))
    except InstallError as error:
        return [Finding(Severity.ERROR, str(error))]
    unsafe = list(review_program(task.places, daemon.program, daemon.python))
    if task.below_root:
        return [*unsafe, Finding(Severity.WARNING, f"{daemon.program} was not tried: it is below {task.places.root}")]
    reason = why_it_does_not_run(daemon, task.places.helper_dir)
    if reason:
        return [*unsafe, Finding(Severity.ERROR, f"our daemon {daemon.program} can't run: {reason}")]
    return [*unsafe, Finding(Severity.GOOD, f"our daemon {daemon.program} can run")]


# ---------------------------------------------------------------------- saying and doing


def _show(findings: Sequence[Finding]) -> None:
    for finding in findings:
        say(f"{finding.severity.value + ':':9}{finding.text}")


def _carry_out(task: _Task, steps: list[swap.Step], nothing: str, takes_effect: str) -> None:
    if not steps:
        say(f"{nothing}. Nothing to do.")
        return
    say("Would:" if task.dry_run else "Will:")
    for number, step in enumerate(steps, 1):
        say(f"  {number}. {step.text}")
    if task.dry_run:
        say("Nothing was changed (--dry-run).")
        return
    swap.carry_out(steps, task.places, lambda text: say(f"Done: {text}"))
    if not task.below_root:
        forget()  # the paths of another CTDB may be in use now
    if takes_effect:
        say(takes_effect)
