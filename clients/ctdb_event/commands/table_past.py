"""The table's rows about the history."""

from __future__ import annotations

from ctdb_event.commands.table import JSON, PLAIN, Command, Operand, Option

__all__ = ["ROWS"]

_WHICH = (
    Option("--component", "Only of this component.", "COMPONENT", "component"),
    Option("--event", "Only of this event.", "EVENT", "event"),
    Option("--address", "Only for this address.", "ADDRESS"),
    Option("--failed", "Only runs that did not succeed."),
    Option("--since", "Only runs that had not ended then.", "TIME"),
    Option("--until", "Only runs requested before then.", "TIME"),
    Option("--slower", "Only runs that took longer, with their waits.", "SECONDS"),
    Option("--by", "Only runs requested by `ctdbd`, or by the user with this id.", "UID|ctdbd"),
)
_READ = (
    ("0", "shown"),
    ("22", "a value is invalid (EINVAL)"),
    ("1", "wrong usage, or the history can't be read"),
)
_READER = "For root it reads the history's file itself, and needs no daemon; for other users the daemon reads it."
_TIMES = (
    "A TIME is a time of day (`02:30`, the latest that is past), a date (`2026-11-27`), both (`2026-11-27T02:30`), or "
    f"how long ago (`20m`, `3h`, `2d`). {_READER}"
)

_HISTORY = Command(
    "history",
    "List past runs, the latest last.",
    "Every run of the last weeks (`[history]` in `ctdb.conf`), also of former daemons: when and by whom it was "
    f"requested, its outcome, duration and waits, and which scripts failed. {_TIMES}",
    group="Past",
    options=(
        *_WHICH,
        Option("--limit", "At most this number, the latest ones; default 50, with `--export` 1000.", "NUMBER"),
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
        ("outcome", "`success`, `failed`, `timed-out`, `cancelled`, `interrupted`, or nothing if it still runs"),
        ("summary", "result of the script that failed, 0 if none did"),
        ("queued", "time of the request"),
        ("waited", "seconds until it started; WAITED has `script_waits` too"),
        ("seconds", "from its start to its end"),
        ("uid", "user who requested it"),
        ("pid", ""),
        ("program", "`ctdbd`, or the name of the client's process"),
        ("ended_by", "who cancelled it, or why it was cancelled"),
        ("bad_scripts", "those that failed"),
        ("script_waits", "seconds that its scripts waited for locks, slots, commands and files"),
    ),
    json="A list of runs, as in [the protocol](protocol.md#a-run) but without scripts, with `uid`, `pid`, `program`, "
    "`ended_by`, `bad_scripts` and `script_waits` besides. `--export`: on each line a run as `show --json` has it, and "
    "`node`, the host's name. Times are seconds since the epoch.",
)
_SHOW = Command(
    "show",
    "Show a run: scripts, output, waits, client.",
    "The run is named by its id, as `history` and the log have it. `last` is the latest that has ended, `failed` the "
    f"latest of those that did not succeed. {_READER}",
    group="Past",
    operands=(Operand("RUN", "run", "Its id, `last` or `failed`."),),
    options=(
        Option(
            "--processes", "Also the processes of a script that timed out: files, locks, connections, kernel stack."
        ),
        JSON,
    ),
    examples=(
        ("ctdb-event show failed", "What failed last, and what did its scripts print?"),
        ("ctdb-event show --processes failed", "What did the script that hung have open, and what did it wait for?"),
        ("ctdb-event show mb3k9x2f-17", "The run with that id."),
    ),
    statuses=(("0", "shown"), ("2", "there is no such run (ENOENT)"), ("1", "the history can't be read")),
    json="A run as in [the protocol](protocol.md#a-run), with `uid`, `pid`, `program`, `ended_by`, and `waits`: a list "
    "of `what`, `holder`, `script`, `began` and `seconds`.",
)
_DIFF = Command(
    "diff",
    "Compare two runs: scripts, times, output, waits.",
    "First the scripts and waits of both runs, differences in colour; then the differences of the scripts' output, as "
    "`diff -u` shows them. `good` is the latest successful run of the same event and address before the first one. "
    f"{_READER}",
    group="Past",
    operands=(
        Operand("RUN", "run", "Its id, `last` or `failed`."),
        Operand("OTHER", "run", "The other's id, `last`, `failed` or `good`."),
    ),
    options=(JSON, PLAIN),
    examples=(
        ("ctdb-event diff failed good", "What has changed since it last succeeded?"),
        ("ctdb-event diff mb3k9x2f-17 mb3k9x2f-12", "The runs with these ids."),
    ),
    statuses=(("0", "shown"), ("2", "there is no such run (ENOENT)"), ("1", "the history can't be read")),
    columns=(
        ("kind", "`run`, `script` or `wait`"),
        ("name", "of the event, or events, or the script; what was waited for"),
        ("state", "of the run or script; empty if it isn't there"),
        ("other_state", "the same in the other run"),
        ("result", "exit status"),
        ("other_result", ""),
        ("seconds", "of several waits for the same thing the sum"),
        ("other_seconds", ""),
        ("differs", "`yes` if state, result or output do, or if only one has it"),
    ),
    json="A list of objects with the columns of `--plain`, of scripts `output` and `other_output` besides.",
)
_SLOW = Command(
    "slow",
    "List the scripts and waits that took most time.",
    "Scripts by event, locks and the queue by name: their number, the total time, the median, the 95th percentile and "
    f"the maximum. {_TIMES}",
    group="Past",
    options=(*_WHICH, Option("--limit", "At most this number of lines; default 20.", "NUMBER"), JSON, PLAIN),
    examples=(("ctdb-event slow --since 02:30 --until 03:00", "What took so long?"),),
    statuses=_READ,
    columns=(
        ("kind", "`script` or `wait`"),
        ("name", "of the script; what was waited for"),
        ("event", "of a script"),
        ("count", ""),
        ("total", "seconds"),
        ("median", "seconds"),
        ("most95", "seconds, the 95th percentile"),
        ("longest", "seconds"),
    ),
    json="A list of objects with the columns of `--plain`.",
)

_TIMELINE = Command(
    "timeline",
    "Draw runs: what ran and waited when, and what failed.",
    "A row for each address, or for each event without one, and below it one for each of its scripts; waits are "
    "shaded, failures marked with a cross. It is drawn on the terminal, or written to a file with `--html`, `--svg` or "
    "`--perfetto`. It shows the runs that are named, or that `ctdb-event history --export` has written to files; files "
    "of several nodes are drawn one below the other. Without RUN and FILE the options select runs, as for `history`; "
    "without `--since` and `--until` only those of the last ten minutes. A FILE has a dot or a slash in its name. "
    f"{_TIMES}",
    group="Past",
    operands=(
        Operand("RUN|FILE", "file", "A run's id, `last`, `failed`, or an exported file.", required=False, many=True),
    ),
    options=(
        *_WHICH,
        Option("--limit", "At most this number, the latest ones; default 1000.", "NUMBER"),
        Option(
            "--html",
            "Write a page that needs no network; it shows output when the pointer is on a run.",
            "FILE",
            "file",
        ),
        Option("--svg", "Write the picture only.", "FILE", "file"),
        Option("--perfetto", "Write a trace for ui.perfetto.dev, or Chrome.", "FILE", "file"),
    ),
    examples=(
        ("ctdb-event timeline --since 02:30 --until 02:35", "What happened at night?"),
        ("ctdb-event timeline failed", "What took the time in the last failure?"),
        ("ctdb-event timeline --html failover.html node1.jsonl node2.jsonl node3.jsonl", "The failover of a cluster."),
    ),
    statuses=(
        ("0", "drawn"),
        ("2", "there is no such run (ENOENT)"),
        ("22", "a value, or a line of a file, is invalid (EINVAL)"),
        ("1", "wrong usage, or the history can't be read, or a file can't be read or written"),
    ),
)

ROWS = (_HISTORY, _SHOW, _DIFF, _SLOW, _TIMELINE)
"""In the order in which they are shown."""
