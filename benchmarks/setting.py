"""The input of every case: which programs are compared and how often; and the case as a value."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from benchmarks.results import Figure

__all__ = ["NO_OP", "Case", "Programs", "Setting", "default_ours", "default_theirs", "no_ops"]

NO_OP = "#!/bin/sh\nexit 0\n"
"""A script that does nothing."""

_THEIRS = Path("/usr/libexec/ctdb")


@attrs.frozen(kw_only=True)
class Programs:
    """An event daemon and its command line."""

    label: str
    """`C` or `ours`; names directories and appears in messages."""
    directory: Path

    @property
    def daemon(self) -> str:
        """The event daemon's executable; CTDB's own has another name where ours was installed in its place."""
        kept = self.directory / "ctdb-eventd.ctdb"
        return str(kept if kept.exists() else self.directory / "ctdb-eventd")

    @property
    def command(self) -> str:
        """The command line's executable."""
        return str(self.directory / "ctdb-event")

    def missing(self) -> list[str]:
        """Lists the programs that aren't there."""
        return [path for path in (self.daemon, self.command) if not os.access(path, os.X_OK)]


@attrs.frozen(kw_only=True)
class Setting:
    """The two sides of every comparison."""

    theirs: Programs
    ours: Programs
    rounds: int
    """How often each side is measured; a case that takes long measures the slow side less often."""


@attrs.frozen(kw_only=True)
class Case:
    """A benchmark: some figures that are measured together."""

    name: str
    """For `--only`."""
    group: str
    """For `--group`: sequential, parallel or native."""
    summary: str
    """For `--help`."""
    rounds: int
    """The default of `Setting.rounds`."""
    measure: Callable[[Setting], Iterator[Figure]]


def no_ops(count: int) -> dict[str, dict[str, str]]:
    """Returns a component `legacy` with so many scripts that do nothing, as `node` takes it."""
    return {"legacy": {f"{number:02}.no-op": NO_OP for number in range(count)}}


def default_theirs() -> Programs:
    """CTDB's own programs, where Debian's package has them."""
    return Programs(label="C", directory=_THEIRS)


def default_ours(directory: Path | None = None) -> Programs:
    """Our programs, installed beside this interpreter unless another directory is named."""
    # without resolving the link: in a virtual environment it leads to an interpreter without our programs beside it
    return Programs(label="ours", directory=directory or Path(sys.executable).parent)
