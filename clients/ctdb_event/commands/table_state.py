"""The table's rows about the daemon and its current state."""

from __future__ import annotations

from ctdb_event.commands.table import JSON, PLAIN, Command, Operand, Option

__all__ = ["ROWS"]

_SEEN = (("0", "shown"), ("1", "wrong usage, or no daemon answers"))
_OUTCOMES = ("success", "failed", "timed-out", "cancelled")
_NOTES = (
    *("queued", "started", "script-started", "output", "script-finished", "finished", "lock-waiting"),
    *("lock-acquired", "health"),
)

_PS = Command(
    "ps",
    "List running and queued events.",
    "Every run that has not ended, in order of arrival: its state and age, for how long it and its scripts waited, how "
    "much of its timeout is left, the script that runs and for how long, and the runs, locks and slots that it waits "
    "for. The timeout doesn't run while a script waits for locks.",
    group="Now",
    options=(JSON, PLAIN),
    examples=(
        ("ctdb-event ps", "What is running?"),
        ("ctdb-event ps --plain | cut -f 1", "Only the ids of the runs."),
    ),
    statuses=_SEEN,
    columns=(
        ("run", "its id"),
        ("state", "`queued`, `running` or `ending`"),
        ("component", ""),
        ("event", ""),
        ("args", "its arguments"),
        ("address", "of an address event"),
        ("age", "seconds since the request"),
        ("running", "seconds since its start"),
        ("timeout", "seconds, 0 is none"),
        ("left", "seconds of it that are left"),
        ("script", "the one that runs, or waits to run"),
        ("script_seconds", "for how long it has been running"),
        ("pid", "its process, and process group"),
        ("waits_for", "runs, locks (those of commands and files with their holder), and `slot`"),
        ("waits_for_more", "how many further runs"),
        ("waited", "seconds before its start; WAITED has `script_waits` too"),
        ("script_waits", "seconds that its scripts have waited for locks, slots, commands and files"),
    ),
    json="A list of jobs, as `status` in [the protocol](protocol.md#a-job) has them.",
)
_HEALTH = Command(
    "health",
    "Show whether a component is healthy.",
    "In one line and an exit status, for probes and monitoring systems: the result of the latest monitor event, since "
    "when it is so, and how long ago it ended. If it failed, the script and the first line of its output too. The line "
    "begins with `OK`, `CRITICAL` or `UNKNOWN`. Errors, too, are printed on standard output, except for wrong usage. A "
    "daemon that does not answer within 10 s counts as not running.\n\nIt also works with CTDB's own event daemon, "
    "but then without the time since when.",
    group="Now",
    operands=(
        Operand(
            "COMPONENT",
            "component",
            "The component; `legacy`, the only one that `ctdbd` monitors, if it is left out.",
            required=False,
        ),
    ),
    options=(
        Option("--nagios", "Exit with 0 (healthy), 2 (unhealthy) or 3 (else), as Nagios, Icinga and others expect."),
        JSON,
    ),
    examples=(
        ("ctdb-event health", "Is this node healthy?"),
        ("ctdb-event health --nagios", "The same, as a plugin of a monitoring system."),
    ),
    statuses=(
        ("0", "it is healthy"),
        ("1", "it is not: a script failed, or the event timed out"),
        ("2", "it is not known: the monitor event has not run since the daemon started, or there is no such component"),
        ("3", "no daemon answers, or wrong usage"),
    ),
    json="An object: `component`, `state` (`healthy`, `unhealthy`, `unknown` or `no-daemon`), `since` and `checked` "
    "(times, or null), `script` (the one that failed, or null), `reason` (text or null), `own` (false if CTDB's own "
    "daemon answered, null if none did).",
)
_WATCH = Command(
    "watch",
    "Show the current state as a live screen.",
    "A screen with the components and their health, results that were not good, locks (first those that are "
    "waited for), running events with their time and deadline, the queue, and the last results. Successful "
    "monitor events, and the lock that an address event has of its own address, are left out. `q` quits, space "
    "pauses, `/` shows only rows that contain a text, `j` and `k` or the arrows scroll what does not fit. It "
    "needs the Python package rich (`.venv/bin/pip install rich`, with the `pip` beside the program). Without "
    "it, and when standard output is not a terminal, it prints a line for each notification, as `subscribe` "
    "does. If the daemon ends, it waits for the next one.",
    group="Now",
    options=(Option("--lines", "Lines, even on a terminal."),),
    examples=(("ctdb-event watch", "Watch addresses move."),),
    statuses=(("0", "`q` was pressed"), ("1", "wrong usage, or no daemon answered at the start"), ("130", "Ctrl-C")),
)
_SUBSCRIBE = Command(
    "subscribe",
    "Print notifications as they come, one per line.",
    "Runs until Ctrl-C. A reader that is too slow gets a note `gap` with the number of those that it missed. With "
    "`--since` only the ends of runs are printed, all from the history: each once and in order, whichever daemon ran "
    "them, and none is missing. Runs without scripts are not in the history.",
    group="Now",
    options=(
        Option("--kinds", "Only notes of these kinds, joined by commas.", "KIND[,KIND...]", "words", _NOTES),
        Option("--component", "Only about this component.", "COMPONENT", "component"),
        Option("--event", "Only about this event.", "EVENT", "event"),
        Option("--run", "Only about this run.", "RUN", "run"),
        Option("--address", "Only about this address.", "ADDRESS"),
        Option(
            "--outcome", "Only runs with these outcomes, joined by commas.", "OUTCOME[,OUTCOME...]", "words", _OUTCOMES
        ),
        Option("--output", "Scripts' output too."),
        Option("--report", "With each run that ends its scripts and their output."),
        Option("--since", "First the runs in the history that ended after this one; then new ones as they end.", "RUN"),
        JSON,
        PLAIN,
    ),
    examples=(
        ("ctdb-event subscribe", "Everything but output."),
        ("ctdb-event subscribe --json --kinds finished,health", "For a program that acts on results."),
        ("ctdb-event subscribe --outcome failed,timed-out", "Only failures and timeouts."),
        ("ctdb-event subscribe --json --report --since mx0300hj-3", "Continue after the last run that was seen."),
    ),
    statuses=(
        ("130", "Ctrl-C"),
        ("1", "wrong usage, no daemon answers, or it ended"),
        ("2", "`--since`: no such run has ended and is in the history"),
        ("22", "no such kind or outcome, or options that can't be combined"),
    ),
    columns=(
        ("time", ""),
        ("note", "its kind"),
        ("run", "its id"),
        ("component", ""),
        ("event", ""),
        ("args", "the event's arguments"),
        ("script", ""),
        ("pid", "of a script that starts"),
        ("state", "of a script that ends"),
        ("outcome", "of a run that ends"),
        ("result", "of the script or the run"),
        ("seconds", ""),
        ("waited", "seconds"),
        ("locks", "that are waited for or held"),
        ("text", "who waits for them"),
        ("healthy", "`yes` or `no`"),
        ("lost", "how many notes were left out"),
        ("output", "what a script printed"),
    ),
    json="One object per line: `note` (its kind), `number` (null if it is from the history), and what `data` has in "
    "[the protocol](protocol.md#notes).",
)
_LOCKS = Command(
    "locks",
    "List locks, their holders and waiters.",
    "Locks of addresses are held by runs, named ones by scripts that declare them and by `ctdb-event lock`. Locks of "
    "commands that scripts run one at a time, such as `iptables`, and of files that scripts lock themselves are listed "
    "if a script waits for them.",
    group="Now",
    options=(JSON, PLAIN),
    examples=(("ctdb-event locks", "Who waits for whom?"),),
    statuses=_SEEN,
    columns=(
        ("name", ""),
        ("kind", "`address`, `named`, `command` or `file`"),
        ("role", "`holder` or `waiting`: one line for each owner, in order; `more`: how many more wait, as `text`"),
        ("run", "id of the run that holds it or waits"),
        ("lock", "number of a client's lock"),
        ("pid", "of the script or the client"),
        ("text", "the holder or waiter, for people"),
        ("since", "time"),
        ("seconds", "for how long"),
    ),
    json="A list of locks, as `locks` in [the protocol](protocol.md#locks) has them.",
)
_LOCK = Command(
    "lock",
    "Run a command while holding locks.",
    "Waits for all the locks together, runs the command, and releases them at its end. They are the locks that "
    "scripts declare, so a script that needs one of them doesn't run meanwhile. `iptables`, and the name of a command "
    "in `[locks] serialise`, is also the lock of that command: in scripts it waits, and fails when `command wait` "
    "expires. Any other name only excludes clients that request the same name.\n\n"
    "The exit status is the command's, or 128 + N if signal N killed it. SIGTERM, SIGHUP and SIGINT are passed on to "
    "it; Ctrl-C reaches it directly. If the daemon ends, the locks are lost: a message on standard error says so, and "
    "the command continues. If `ctdb-event lock` itself is killed with SIGKILL, the command continues too, and the "
    "locks are held until it, and all processes that it leaves running, have ended.\n\nThe command can't run an "
    "event whose scripts need one of the locks: they are not started, and the event fails.",
    group="Locks",
    operands=(
        Operand("NAME[,NAME...]", "locks", "The locks."),
        Operand("COMMAND", "command", "The command to run."),
        Operand("ARG", "command-argument", "Its arguments.", required=False, many=True),
    ),
    options=(Option("--wait", "Maximum seconds to wait for the locks; 0: don't wait.", "SECONDS"),),
    examples=(
        ("ctdb-event lock iptables -- iptables-restore rules", "Change the firewall while no script does."),
        ("ctdb-event lock --wait 10 nfs-callout,route-table -- ./move", "Two locks, with at most 10 s of waiting."),
    ),
    statuses=(
        ("124", "the wait timed out"),
        ("125", "no locks: wrong usage, no daemon, or a deadlock"),
        ("126", "the command can't be run"),
        ("127", "there is no such command"),
        ("130", "Ctrl-C while it waited"),
        ("else", "the command's"),
    ),
)
_STATS = Command(
    "stats",
    "Show the daemon's statistics.",
    "Version, time since its start, processor time and memory, clients, runs by outcome, the queue, and slots.",
    group="Daemon",
    options=(JSON, PLAIN),
    examples=(("ctdb-event stats --json | jq .memory", "Resident memory in bytes."),),
    statuses=_SEEN,
    columns=(("name", "such as `memory` or `runs.failed`"), ("value", "")),
    json="An object, as `stats` in [the protocol](protocol.md#stats) has it.",
)
_EXPORTER = Command(
    "exporter",
    "Provide metrics for Prometheus.",
    "Serves them by HTTP, or writes a file for the textfile collector of node_exporter. It is a client of the daemon "
    "that needs only `read` in `[access]`, and runs until it is ended. Meanwhile the daemon may end and be started "
    "again: `ctdb_event_up` shows whether it answers. docs/operations.md lists the metrics. It needs the Python "
    "package prometheus-client (`.venv/bin/pip install prometheus-client`, with the `pip` beside the program).",
    group="Daemon",
    options=(
        Option("--listen", "Where to serve them; default 127.0.0.1:9725.", "HOST:PORT"),
        Option(
            "--textfile",
            "Write them to this file instead, once; counts and durations are only there with --every.",
            "FILE",
            "file",
        ),
        Option("--every", "Write it repeatedly, at this interval.", "SECONDS"),
    ),
    examples=(
        ("ctdb-event exporter", "Serve http://127.0.0.1:9725/metrics."),
        ("ctdb-event exporter --textfile /var/lib/node_exporter/ctdb-event.prom --every 15", "For node_exporter."),
    ),
    statuses=(
        ("0", "the file is written once"),
        ("1", "wrong usage, a package is missing, or the address or file can't be used"),
        ("22", "an option's value is invalid (EINVAL)"),
        ("130", "Ctrl-C"),
    ),
)
_RELOAD = Command(
    "reload",
    "Make the daemon reload its configuration.",
    "An error in it is shown with file, line and what was expected; then the former configuration stays in effect.",
    group="Daemon",
    options=(JSON,),
    examples=(("ctdb-event reload", "After a change of ctdb.conf."),),
    statuses=(("0", "it is in effect"), ("22", "it is invalid (EINVAL)"), ("1", "no daemon answers")),
    json='`{"warnings": [TEXT, ...]}`.',
)
_UPGRADE = Command(
    "upgrade",
    "Upgrade the running daemon to the installed version.",
    "No address moves: the daemon's process, its clients and their requests stay. It tries the new version first, then "
    "waits until no event runs ([eventd] upgrade wait); requests that arrive meanwhile wait for the new version. If "
    "the new version can't take over, the reason is shown, and the daemon continues as before.",
    group="Daemon",
    options=(Option("--cancel", "Cancel the upgrade in progress."), JSON),
    examples=(
        ("ctdb-event upgrade", "After another version was installed."),
        ("ctdb-event upgrade --cancel", "It waits for an event that takes too long."),
    ),
    statuses=(
        ("0", "the installed version runs"),
        ("11", "the daemon continues as before (EAGAIN)"),
        ("1", "no daemon answers"),
    ),
    json="An object with `former`, `version`, `waited` and `seconds`; of `--cancel` an empty one.",
)
_PING = Command(
    "ping",
    "Check whether the daemon answers.",
    "Prints which daemon it is, and how long the reply took.",
    group="Daemon",
    options=(JSON, PLAIN),
    examples=(("ctdb-event ping", "Is it ours, and does it respond?"),),
    statuses=(("0", "it answers"), ("1", "it doesn't, or it is CTDB's own")),
    columns=(("server", "name and version"), ("pid", ""), ("seconds", "until the reply")),
    json="An object with `server`, `pid` and `seconds`.",
)

ROWS = (_PS, _HEALTH, _WATCH, _SUBSCRIBE, _LOCKS, _LOCK, _STATS, _EXPORTER, _RELOAD, _UPGRADE, _PING)
"""In the order in which they are shown."""
