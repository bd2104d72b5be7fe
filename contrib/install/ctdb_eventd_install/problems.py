"""The installer's errors; every text says what to do."""

from __future__ import annotations

from ctdb_eventd.errors import EventdError

__all__ = [
    "Busy",
    "DivertedByOthers",
    "InstallError",
    "KeptIsMissing",
    "NoEventDaemon",
    "NotAPythonProgram",
    "NotAllowed",
    "NotUpgraded",
    "ReviewFailed",
    "SeveralHelperDirectories",
    "StepFailed",
]


class InstallError(EventdError):
    """The installer can't do its task."""


class NoEventDaemon(InstallError):
    """CTDB's event daemon is in none of the directories where it could be."""

    def __init__(self, looked_in: tuple[str, ...]) -> None:
        super().__init__(looked_in)
        self.looked_in = looked_in

    def __str__(self) -> str:
        return (
            f"CTDB's event daemon, ctdb-eventd, is not in {' or '.join(self.looked_in)}: "
            "install CTDB first, or name its directory with --helper-dir"
        )


class SeveralHelperDirectories(InstallError):
    """CTDB is installed more than once, and only the administrator knows which one is in use."""

    def __init__(self, found: tuple[str, ...]) -> None:
        super().__init__(found)
        self.found = found

    def __str__(self) -> str:
        return f"CTDB's event daemon is in {' and in '.join(self.found)}: choose one with --helper-dir"


class KeptIsMissing(InstallError):
    """Our file is in place, but CTDB's own daemon, to fall back on or to go back to, has gone."""

    def __init__(self, kept: str) -> None:
        super().__init__(kept)
        self.kept = kept

    def __str__(self) -> str:
        return (
            f"CTDB's own event daemon is missing, it should be {self.kept}: install CTDB's package again "
            "(Debian: apt-get install --reinstall ctdb; RPM: dnf reinstall ctdb), then repeat this"
        )


class DivertedByOthers(InstallError):
    """Another package or the administrator has diverted the helper already."""

    def __init__(self, helper: str, target: str, holder: str) -> None:
        super().__init__(helper, target, holder)
        self.helper = helper
        self.target = target
        self.holder = holder

    def __str__(self) -> str:
        who = "the administrator" if self.holder == "LOCAL" else f"the package {self.holder}"
        return f"{who} has diverted {self.helper} to {self.target} already (dpkg-divert --list): undo that first"


class NotAllowed(InstallError):
    """The helper directory can't be written to."""

    def __init__(self, directory: str, *, as_root: bool) -> None:
        super().__init__(directory, as_root)
        self.directory = directory
        self.as_root = as_root

    def __str__(self) -> str:
        if self.as_root:
            return (
                f"{self.directory} is not writable, even for root: nothing was changed. "
                "Its file system is mounted read-only (mount -o remount,rw), or it is immutable (chattr -i)"
            )
        return f"{self.directory} is not writable: run this as root (sudo), or with --dry-run"


class Busy(InstallError):
    """Another installer works on the node: it has locked the lock file."""

    def __init__(self, path: str, holder: str | None) -> None:
        super().__init__(path, holder)
        self.path = path
        self.holder = holder

    def __str__(self) -> str:
        who = f" ({self.holder} has locked {self.path})" if self.holder else ""
        other = ", or end that process if it is something else" if self.holder else ""
        return f"another ctdb-eventd-install is running on this node{who}: wait until it has ended{other}"


class NotAPythonProgram(InstallError):
    """The daemon to install is no Python program."""

    def __init__(self, program: str, reason: str) -> None:
        super().__init__(program, reason)
        self.program = program
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.program} can't be used as event daemon: {self.reason}"


class ReviewFailed(InstallError):
    """The node would not come up with our daemon; what is wrong was listed before."""

    def __init__(self, errors: int) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        what = "the error" if self.errors == 1 else f"the {self.errors} errors"
        return f"nothing was changed: correct {what} above and run this again"


class StepFailed(InstallError):
    """A step failed, after the steps before it succeeded. The node works in every such state."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(step, reason)
        self.step = step
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"could not {self.step}: {self.reason}. The node still has an event daemon that works; "
            "remove the cause and run this again, or go back with --remove"
        )


class NotUpgraded(InstallError):
    """The daemon is installed, but the running one was not upgraded."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"this version is installed, but the running daemon was not upgraded: {self.reason}. "
            "The next start of CTDB starts this version; `ctdb-event upgrade` tries again without a restart"
        )
