"""The table's rows about components and scripts, and about the table itself."""

from __future__ import annotations

from ctdb_event.commands.table import JSON, PLAIN, Command, Operand, Option
from ctdb_event.commands.table_events import COMPONENT

__all__ = ["HELP_ROW", "ROWS"]

_SCRIPT = Operand("SCRIPT", "script", "The script without `.script`, such as `60.nfs`.")
_CHANGED = (
    ("0", "done, or nothing to do"),
    ("2", "there is no such script (ENOENT)"),
    ("5", "the link can't be made or removed (EIO)"),
    ("22", "the name is not valid for a script, or it is that of a directory (EINVAL)"),
    ("1", "wrong usage"),
)

_COMPONENTS = Command(
    "components",
    "List the components.",
    "Every directory of event scripts, how many scripts it has, and how many of them are enabled.",
    group="Scripts",
    options=(JSON, PLAIN),
    examples=(("ctdb-event components", "Which components are there?"),),
    statuses=(("0", "listed"), ("1", "no daemon answers")),
    columns=(
        ("name", ""),
        ("scripts", "how many"),
        ("enabled", "how many"),
        ("directory", ""),
        ("error", "why it can't be read"),
    ),
    json="A list of objects with `name`, `directory`, `scripts`, `enabled` and `error`.",
)
_SCRIPTS = Command(
    "scripts",
    "List scripts and why some don't run, or where nodes differ.",
    "In the order in which they run: whether each is enabled, whose file it is, when it was changed, the beginning of "
    "its content's SHA-256, the locks that it needs, why it doesn't run or what is wrong with it, and the events for "
    "which it is started if these are not all. Then files that are not scripts, and why.\n\n"
    "With `--nodes` it queries every node by CTDB's `onnode`, one after the other, and lists the scripts that are not "
    "on all nodes with the same content, owner and state, once for each node.",
    group="Scripts",
    operands=(Operand("COMPONENT", "component", "Only this component's scripts.", required=False),),
    options=(
        Option("--events", "A table of scripts against events: which script is started for which, and why."),
        Option("--nodes", "List only where the nodes of the cluster differ."),
        JSON,
        PLAIN,
    ),
    examples=(
        ("ctdb-event scripts legacy", "Why doesn't my script run?"),
        ("ctdb-event scripts --events legacy", "Which scripts does a takeip start?"),
        ("ctdb-event scripts --nodes", "Has every node the same scripts?"),
    ),
    statuses=(
        ("0", "listed; with `--nodes` they have the same scripts"),
        ("1", "wrong usage, or no daemon; with `--nodes` also: they differ"),
        ("2", "there is no such component (ENOENT); with `--nodes` also: a node could not be queried"),
    ),
    columns=(
        ("name", "of the script, or of the file"),
        ("state", "`enabled`, `disabled` or `refused`; with `--nodes` also `missing`"),
        ("reason", "why it doesn't run"),
        ("locks", "that it needs"),
        ("warnings", "joined by `; `"),
        ("path", ""),
        ("target", "of a link"),
        ("events", "for which it is started, empty for all"),
        ("known_from", "where that is declared: `head`, `configuration`, `table`"),
        ("owner", "number of the user whose file it is"),
        ("modified", "when its content was last changed"),
        ("digest", "SHA-256 of its content; the table for people shows the first ten digits"),
        ("component", ""),
        ("node", "address of the node, with `--nodes`; then only name, state, owner, digest and component are there"),
    ),
    json="An object, as `scripts` in [the protocol](protocol.md#scripts) has it; without COMPONENT a list of them. "
    "With `--nodes` an object with `nodes` (those that were queried), `differences` (a list of objects with "
    "`component`, `name`, `node`, `state`, `owner` and `digest`) and `not_asked` (a list of objects with `node` and "
    "`reason`).",
)
_LINT = Command(
    "lint",
    "Find mistakes in event scripts.",
    "Checks names, permissions, interpreters, syntax, locks and events, without a daemon; docs/lint.md lists every "
    "check. Without arguments it checks every component of this node. A directory has a slash in its name, or is `.` "
    "or `..`.",
    group="Scripts",
    operands=(Operand("COMPONENT|DIRECTORY", "component", "What to check.", required=False, many=True),),
    options=(
        JSON,
        Option("--plain", "Only a line for each finding: `FILE:LINE: SEVERITY: MESSAGE [CHECK]`."),
        Option("--strict", "Warnings count as errors."),
    ),
    examples=(
        ("ctdb-event lint legacy", "Before the node finds them."),
        ("ctdb-event lint --strict ./events", "In continuous integration."),
    ),
    statuses=(("0", "there are no errors"), ("1", "there are errors"), ("2", "it could not check, or wrong usage")),
    json="One document, described in [lint](lint.md).",
)
_LIST = Command(
    "script list",
    "List event scripts, without a daemon.",
    "Provided ones first, then local ones; a star marks those that are enabled.",
    group="Scripts",
    operands=(COMPONENT,),
    examples=(("ctdb-event script list legacy", "Which scripts are enabled?"),),
    statuses=(("0", "listed"), ("2", "there is no such component (ENOENT)"), ("1", "wrong usage")),
    dropin=True,
)
_ENABLE = Command(
    "script enable",
    "Enable an event script.",
    "Links a provided script, or makes a local one executable. It runs from the next event on.",
    group="Scripts",
    operands=(COMPONENT, _SCRIPT),
    examples=(("ctdb-event script enable legacy 60.nfs", "From now on CTDB monitors NFS."),),
    statuses=_CHANGED,
    dropin=True,
)
_DISABLE = Command(
    "script disable",
    "Disable an event script.",
    "Removes the link, or makes a local script not executable. The daemon need not run.",
    group="Scripts",
    operands=(COMPONENT, _SCRIPT),
    examples=(("ctdb-event script disable legacy 60.nfs", "Until it is enabled again."),),
    statuses=_CHANGED,
    dropin=True,
)
_HELP = Command(
    "help",
    "List the commands, or explain one.",
    "Without COMMAND all of them, one line each. `ctdb-event COMMAND --help` explains the new ones too; of the "
    "commands that CTDB's own program has it prints what that one prints.",
    group="Help",
    operands=(Operand("COMMAND", "help", "The command's name.", required=False, many=True),),
    examples=(("ctdb-event help lock", "Everything about one command."),),
    statuses=(("0", "shown"), ("1", "there is no such command")),
)

ROWS = (_COMPONENTS, _SCRIPTS, _LINT, _LIST, _ENABLE, _DISABLE)
"""In the order in which they are shown."""
HELP_ROW = _HELP
"""Shown last."""
