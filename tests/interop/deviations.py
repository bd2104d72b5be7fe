"""Where a command goes otherwise than in the captures, each with the reason: the versions of CTDB, and ours.

The captures come from CTDB's pair of 4.17; later versions print some things otherwise, and our command line does as
4.24's. Rows name steps, so that a step without a row is one where nobody can tell the difference.
"""

from __future__ import annotations

import attrs
from ctdb_versions import ctdb_version

from .programs import Maker
from .steps import ERROR, OFF, STEPS, Expected, Step, failed, ok, row


@attrs.frozen(kw_only=True)
class Deviation:
    """A step that goes otherwise with some programs."""

    steps: tuple[str, ...]
    """Their names."""
    daemon: Maker | None = None
    """Applies with this daemon; None is any."""
    cli: Maker | None = None
    """Applies with this command line; None is any."""
    since: tuple[int, int] | None = None
    """Applies with every command line that does as this version's or a later one's: ours, and CTDB's own if it is."""
    why: str
    expected: Expected

    def applies(self, step: Step, daemon: Maker, cli: Maker) -> bool:
        """Returns whether this row is about that step with that pair of programs."""
        if self.since is not None and _follows(cli) < self.since:
            return False
        return step.name in self.steps and self.daemon in (None, daemon) and self.cli in (None, cli)


def _follows(cli: Maker) -> tuple[int, int]:
    """The version of CTDB that a command line does as."""
    return ctdb_version() if cli is Maker.CTDB else _OUR_MODEL


_OUR_MODEL = (4, 24)
# The oldest after 4.17 that is in use.
_LAYOUT = (4, 22)

_TIMED_OUT = ok("00.ok") + row("10.echo", "TIMEDOUT", "DATE")
_KILLED = ok("00.ok") + row("10.echo", "CANNOT RUN", "(Interrupted system call)")
_NO_OUTPUT = "  OUTPUT: \n"
_HELLO = "  OUTPUT:\n    hello monitor\n    err\n"


def _refused(event: str, component: str) -> Expected:
    return Expected(f"Failed to run event {event} in {component}, result=22\n", 22)


_CTDB, _OURS = Maker.CTDB, Maker.OURS

_STRICT_STATUS = "only 0 is success; CTDB takes 64 to 254 for an errno, and an event that failed for done"
_OUTPUT_4_22 = "since 4.22 the output is stripped at its end, and indented if it has several lines"
_OUTPUT_OF_ALL = "since 4.22 what a successful script printed is shown as well"
_NO_LIMIT = "0 is no limit, as the manual says; CTDB's daemon times out at once"
_NO_ESCAPE = "a name that isn't one directory's never touches the file system"

_NEW_COMMANDS = "there are more commands than CTDB's usage shows: stderr names the nearest, and where they are listed"
_USAGE = next(step.expected.stdout for step in STEPS if step.name == "bogus")

DEVIATIONS = (
    Deviation(
        steps=("bogus",),
        cli=_OURS,
        why=_NEW_COMMANDS,
        expected=Expected(_USAGE, 1, 'unknown command "bogus"; ctdb-event help lists all commands'),
    ),
    # Names that would leave their directory; ahead of the layout's rows, for the first row that applies is taken
    Deviation(
        steps=("run 30 ../events/legacy monitor", "status ../events/legacy monitor", "run 30 '' monitor"),
        cli=_OURS,
        why=_NO_ESCAPE + ", and our command line doesn't even send it",
        expected=Expected("", 22, "is invalid: "),
    ),
    Deviation(
        steps=("run 30 ../events/legacy monitor",),
        daemon=_OURS,
        cli=_CTDB,
        why=_NO_ESCAPE,
        expected=_refused("monitor", "../events/legacy"),
    ),
    Deviation(
        steps=("run 30 '' monitor",),
        daemon=_OURS,
        cli=_CTDB,
        why=_NO_ESCAPE,
        expected=_refused("monitor", ""),
    ),
    Deviation(
        steps=("status ../events/legacy monitor",),
        daemon=_OURS,
        cli=_CTDB,
        why=_NO_ESCAPE + "; EINVAL has only this sentence in CTDB's command line",
        expected=Expected("Event monitor has never run in ../events/legacy\n", 22),
    ),
    Deviation(
        steps=("script enable legacy ../00.ok", "script disable legacy ../00.ok"),
        cli=_OURS,
        why=_NO_ESCAPE,
        expected=Expected("Script ../00.ok is invalid in legacy\n", 22),
    ),
    # The layout of status
    Deviation(
        steps=("status ../events/legacy monitor",),
        daemon=_CTDB,
        since=_LAYOUT,
        why=_OUTPUT_OF_ALL,
        expected=Expected(ok("00.ok", "10.echo") + _HELLO + OFF + ok("30.after"), 0),
    ),
    Deviation(
        steps=("status legacy monitor (2)",),
        since=_LAYOUT,
        why=_OUTPUT_OF_ALL,
        expected=Expected(ok("00.ok", "10.echo") + _HELLO + OFF + ok("30.after"), 0),
    ),
    Deviation(
        steps=("status legacy monitor (3)",),
        since=_LAYOUT,
        why=_OUTPUT_OF_ALL,
        expected=Expected(row("00.ok", "DISABLED") + ok("10.echo") + _HELLO + OFF + ok("30.after"), 0),
    ),
    Deviation(
        steps=("status legacy fail",),
        since=_LAYOUT,
        why=_OUTPUT_4_22,
        expected=Expected(ERROR + "  OUTPUT: bad\n", 7),
    ),
    Deviation(
        steps=("status legacy fail (2)",),
        since=_LAYOUT,
        why=_OUTPUT_4_22,
        expected=Expected(ERROR + "  OUTPUT: bad\n" + OFF + ok("30.after"), 7),
    ),
    Deviation(
        steps=("status legacy hang",),
        since=_LAYOUT,
        why=_OUTPUT_4_22,
        expected=Expected(_TIMED_OUT + "  OUTPUT: waiting\n", 110),
    ),
    Deviation(
        steps=("status legacy words",),
        since=_LAYOUT,
        why=_OUTPUT_4_22,
        expected=Expected(ERROR + "  OUTPUT: 4: a b c d\n", 3),
    ),
    Deviation(
        steps=("status legacy lines",),
        since=_LAYOUT,
        why=_OUTPUT_4_22,
        expected=Expected(ERROR + "  OUTPUT:\n    one\n    \n    three\n", 1),
    ),
    Deviation(
        steps=("status legacy flip (2)",),
        since=_LAYOUT,
        why=_OUTPUT_4_22,
        expected=Expected(ERROR + "  OUTPUT: flipped\n", 9),
    ),
    # Exit statuses from 64 up
    Deviation(steps=("run 30 legacy x64",), daemon=_OURS, why=_STRICT_STATUS, expected=failed("x64")),
    Deviation(steps=("run 30 legacy bare64",), daemon=_OURS, why=_STRICT_STATUS, expected=failed("bare64")),
    Deviation(
        steps=("status legacy x64",),
        daemon=_OURS,
        why=_STRICT_STATUS,
        expected=Expected(ERROR + _NO_OUTPUT, 77),
    ),
    Deviation(
        steps=("status legacy bare64",),
        daemon=_OURS,
        why=_STRICT_STATUS,
        expected=Expected(ERROR + _NO_OUTPUT, 64),
    ),
    # Arguments that CTDB takes without asking
    Deviation(steps=("run 0 legacy monitor",), daemon=_OURS, why=_NO_LIMIT, expected=Expected("", 0)),
    Deviation(
        steps=("run abc legacy monitor",),
        cli=_OURS,
        why="a timeout that isn't a number is a mistake, not 0",
        expected=Expected("", 22, "abc"),
    ),
    Deviation(
        steps=("run abc legacy monitor",),
        daemon=_OURS,
        cli=_CTDB,
        why="CTDB's command line sends 0 for it; " + _NO_LIMIT,
        expected=Expected("", 0),
    ),
    Deviation(
        steps=("script enable legacy given",),
        cli=_OURS,
        why="every version says so of such a file; ours, of such a name",
        expected=Expected("Script given is invalid in legacy\n", 22),
    ),
    Deviation(
        steps=("script list nosuch",),
        since=(4, 24),
        why="4.24 says what it didn't find",
        expected=Expected("", 2, "Unable to find event script installation directory: "),
    ),
)


def expected(step: Step, daemon: Maker, cli: Maker) -> Expected:
    """What a step does with this pair of programs."""
    for deviation in DEVIATIONS:
        if deviation.applies(step, daemon, cli):
            return deviation.expected
    return step.expected


def through_ctdb_tool(want: Expected) -> Expected:
    """What becomes of it when `ctdb event` starts CTDB's ctdb-event: it takes exit statuses from 64 on for errnos."""
    if want.exit < 64:
        return want
    left = want.exit - 64
    return attrs.evolve(want, exit=left, stderr=f"event daemon helper failed with error {left}")
