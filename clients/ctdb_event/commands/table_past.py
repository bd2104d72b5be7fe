"""The table's rows about the history."""

from __future__ import annotations

from ctdb_event.commands.table import JSON, PLAIN, Command, Operand, Option

__all__ = ["ROWS"]

_WHICH = (
    Option("--component", "Only of this component.", "COMPONENT", "component"),
    Option("--event", "Only of this event.", "EVENT", "event"),
    Option("--address", "Only for this address.", "ADDRESS"),
    Option("--failed", "Only what did not end well."),
    Option("--since", "Only what was not over then.", "TIME"),
    Option("--until", "Only what was asked for before.", "TIME"),
    Option("--slower", "Only runs that waited and ran for more seconds.", "SECONDS"),
    Option("--by", "Only what `ctdbd`, or the user with this number, asked for.", "UID|ctdbd"),
)
_READ = (
    ("0", "shown"),
    ("22", "a value can't be understood (EINVAL)"),
    ("1", "wrong usage, or the history can't be read"),
)
_TIMES = (
    "A TIME is a time of day (`02:30`, the latest that is past), a date (`2026-11-27`), both (`2026-11-27T02:30`), or "
    "how long ago (`20m`, `3h`, `2d`). Root reads the file, so no daemon is needed; for others the daemon does."
)

_HISTORY = Command(
    "history",
    "List what ran, the latest at the end.",
    f"Every run of the last weeks (`[history]` in `ctdb.conf`), also of former daemons: when it was asked for and by "
    f"whom, how it ended, what it took and waited, and which scripts failed. {_TIMES}",
    group="Past",
    options=(
        *_WHICH,
        Option("--limit", "Not more than so many, the latest; 50, with `--export` 1000.", "NUMBER"),
        Option("--export", "Print each run whole, with scripts, output and waits, as JSON on a line of its own."),
        JSON,
        PLAIN,
    ),
    examples=(
        ("ctdb-event history --failed --since 20m", "What went wrong in the last twenty minutes?"),
        ("ctdb-event history --address 10.0.0.31", "What happened to this address?"),
        ("ctdb-event history --since 02:30 --until 03:00 --slower 2", "What was slow that night?"),
        ("ctdb-event history --export --since 10m", "For `ctdb-event timeline`, here or elsewhere."),
    ),
    statuses=_READ,
    columns=(
        ("run", "its id"),
        ("component", ""),
        ("event", ""),
        ("args", "its arguments"),
        ("address", "of an address event"),
        ("outcome", "`success`, `failed`, `timed-out`, `cancelled`, `interrupted`, or nothing if it goes on"),
        ("summary", "result of the script that failed, 0 if none did"),
        ("queued", "time of the request"),
        ("waited", "seconds until it started; WAITED has `script_waits` too"),
        ("seconds", "from its start to its end"),
        ("uid", "who asked"),
        ("pid", ""),
        ("program", "`ctdbd`, or the name that the process went by"),
        ("ended_by", "who cancelled it, or why it gave way"),
        ("bad_scripts", "those that failed"),
        ("script_waits", "seconds that its scripts waited for locks, slots, commands and files"),
    ),
    json="A list of runs, as in [the protocol](protocol.md#a-run) but without scripts, with `uid`, `pid`, `program`, "
    "`ended_by`, `bad_scripts` and `script_waits` besides. `--export`: on each line a run as `show --json` has it, and "
    "`node`, the host's name. Times are seconds since the epoch.",
)
_SHOW = Command(
    "show",
    "Show a run: scripts, output, waits, who asked.",
    "The run is named by its id, as `history` and the log have it. `last` is the latest that is over, `failed` the "
    "latest that did not end well. Root reads the file, so no daemon is needed; for others the daemon does.",
    group="Past",
    operands=(Operand("RUN", "run", "Its id, `last` or `failed`."),),
    options=(
        Option(
            "--processes", "Of a script that timed out its processes too: files, locks, connections, kernel's stack."
        ),
        JSON,
    ),
    examples=(
        ("ctdb-event show failed", "What failed last, and what did its scripts say?"),
        ("ctdb-event show --processes failed", "What did the script that hung have open, and what did it wait in?"),
        ("ctdb-event show mb3k9x2f-17", "The run with that id."),
    ),
    statuses=(("0", "shown"), ("2", "there is no such run (ENOENT)"), ("1", "the history can't be read")),
    json="A run as in [the protocol](protocol.md#a-run), with `uid`, `pid`, `program`, `ended_by`, and `waits`: a list "
    "of `what`, `holder`, `script`, `began` and `seconds`.",
)
_DIFF = Command(
    "diff",
    "Compare two runs: scripts, times, output, waits.",
    "First each script and wait with how it went in either run, what differs in colour; then what the scripts printed "
    "differently, as `diff -u` shows it. `good` is the latest run before the first one that ended well, of the same "
    "event, for the same address. Root reads the file, so no daemon is needed; for others the daemon does.",
    group="Past",
    operands=(
        Operand("RUN", "run", "Its id, `last` or `failed`."),
        Operand("OTHER", "run", "The other's id, `last`, `failed` or `good`."),
    ),
    options=(JSON, PLAIN),
    examples=(
        ("ctdb-event diff failed good", "What is different since it ended well?"),
        ("ctdb-event diff mb3k9x2f-17 mb3k9x2f-12", "The runs with these ids."),
    ),
    statuses=(("0", "shown"), ("2", "there is no such run (ENOENT)"), ("1", "the history can't be read")),
    columns=(
        ("kind", "`run`, `script` or `wait`"),
        ("name", "of event, or events, or script; what was waited for"),
        ("state", "how the run or script went; nothing if it isn't there"),
        ("other_state", "the same in the other run"),
        ("result", "exit status"),
        ("other_result", ""),
        ("seconds", "of several waits for the same their sum"),
        ("other_seconds", ""),
        ("differs", "`yes` if state, result or output do, or if only one has it"),
    ),
    json="A list of objects with the columns of `--plain`, of scripts `output` and `other_output` besides.",
)
_SLOW = Command(
    "slow",
    "List which scripts and waits took most time.",
    "Scripts by event, locks and the queue by name: how often, how long in all, and half, 95 % and all of them took no "
    f"longer than that. {_TIMES}",
    group="Past",
    options=(*_WHICH, Option("--limit", "Not more than so many; 20.", "NUMBER"), JSON, PLAIN),
    examples=(("ctdb-event slow --since 02:30 --until 03:00", "What was it that took so long?"),),
    statuses=_READ,
    columns=(
        ("kind", "`script` or `wait`"),
        ("name", "of the script; what was waited for"),
        ("event", "of a script"),
        ("count", ""),
        ("total", "seconds"),
        ("median", "seconds"),
        ("most95", "seconds: 95 % took no longer"),
        ("longest", "seconds"),
    ),
    json="A list of objects with the columns of `--plain`.",
)

_TIMELINE = Command(
    "timeline",
    "Draw runs: what ran and waited when, and what failed.",
    "A row for each address, or for each event without one, and below it one for each of its scripts; waits have a "
    "shade of their own, failures a cross. Without a file's name the picture goes to the terminal. It is of the runs "
    "that are named, or that `ctdb-event history --export` has written to files, also on other nodes, which then stand "
    "below one another; without any of them, of those that the options say, as of `history`, and without `--since` and "
    f"`--until` of the last ten minutes. A FILE has a dot or a slash in its name. {_TIMES}",
    group="Past",
    operands=(
        Operand("RUN|FILE", "file", "A run's id, `last`, `failed`, or an exported file.", required=False, many=True),
    ),
    options=(
        *_WHICH,
        Option("--limit", "Not more than so many, the latest; 1000.", "NUMBER"),
        Option("--html", "Write a page that needs no network; output is shown on hovering.", "FILE", "file"),
        Option("--svg", "Write the picture alone.", "FILE", "file"),
        Option("--perfetto", "Write a trace for ui.perfetto.dev, or Chrome.", "FILE", "file"),
    ),
    examples=(
        ("ctdb-event timeline --since 02:30 --until 02:35", "What happened at night?"),
        ("ctdb-event timeline failed", "Where did the time go that the last failure took?"),
        ("ctdb-event timeline --html failover.html node1.jsonl node2.jsonl node3.jsonl", "The failover of a cluster."),
    ),
    statuses=(
        ("0", "drawn"),
        ("2", "there is no such run (ENOENT)"),
        ("22", "a value, or a line of a file, can't be understood (EINVAL)"),
        ("1", "wrong usage, or the history can't be read, or a file can't be read or written"),
    ),
)

ROWS = (_HISTORY, _SHOW, _DIFF, _SLOW, _TIMELINE)
"""In the order in which they are shown."""
