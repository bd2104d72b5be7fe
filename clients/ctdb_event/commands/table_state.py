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
    "List what is running and what waits.",
    "Every run that is not over, in order of arrival: its state and age, for how long it and its scripts waited, how "
    "much of its time is left, the script that runs and for how long, and the runs, locks and slots that it waits for. "
    "The time that is left stands still while a script waits for locks.",
    group="Now",
    options=(JSON, PLAIN),
    examples=(
        ("ctdb-event ps", "What is going on?"),
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
        ("waits_for", "runs, locks with who holds those of commands and files, and `slot`"),
        ("waits_for_more", "how many further runs"),
        ("waited", "seconds before its start; WAITED has `script_waits` too"),
        ("script_waits", "seconds that its scripts have waited for locks, slots, commands and files"),
    ),
    json="A list of jobs, as `status` in [the protocol](protocol.md#a-job) has them.",
)
_HEALTH = Command(
    "health",
    "Tell whether a component is healthy.",
    "In one line and an exit status, for probes and monitoring systems: what the latest monitor event said, since when "
    "that is so, and how long ago it ended. If it failed, the script and the first line of its output too. The line "
    "begins with `OK`, `CRITICAL` or `UNKNOWN`. Whatever goes wrong is told on standard output as well, but for wrong "
    "usage. A daemon that does not answer within 10 s counts as none.\n\nCTDB's own event daemon can be asked as well; "
    "it does not know since when.",
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
        ("1", "it is not: a script failed or the time was over"),
        ("2", "it is not known: the monitor event has not run since the daemon started, or there is no such component"),
        ("3", "no daemon answers, or wrong usage"),
    ),
    json="An object: `component`, `state` (`healthy`, `unhealthy`, `unknown` or `no-daemon`), `since` and `checked` "
    "(times, or null), `script` (the one that failed, or null), `reason` (text or null), `own` (false if CTDB's own "
    "daemon answered, null if nobody did).",
)
_WATCH = Command(
    "watch",
    "Show what happens, live.",
    "A screen with the components and their health, results that were not good, locks (first those that are "
    "waited for), what runs with its time and deadline, the queue, and the last results. Monitor events that "
    "pass, and the lock that an address event has of its own address, are left out. `q` leaves it, space pauses "
    "it, `/` asks for a text without which rows are not shown, `j` and `k` or the arrows scroll what does not "
    "fit. It needs the Python package rich (`.venv/bin/pip install rich`, with the `pip` beside the program). "
    "Without it, and when standard output is no terminal, it prints a line for whatever happens, as `subscribe` "
    "does. Should the daemon go, it waits for the next one.",
    group="Now",
    options=(Option("--lines", "Lines, even on a terminal."),),
    examples=(("ctdb-event watch", "Look on while addresses move."),),
    statuses=(("0", "`q` was pressed"), ("1", "wrong usage, or no daemon answered at the start"), ("130", "Ctrl-C")),
)
_SUBSCRIBE = Command(
    "subscribe",
    "Print what happens, a line for each thing.",
    "Goes on until Ctrl-C. A reader that is too slow gets a note `gap` with the number of those it missed. With "
    "`--since` only the ends of runs are printed, all from the history: each once and in order, whichever daemon ran "
    "them, and none is missing. Runs without scripts are not in the history.",
    group="Now",
    options=(
        Option("--kinds", "Only notes of these kinds, joined by commas.", "KIND[,KIND...]", "words", _NOTES),
        Option("--component", "Only about this component.", "COMPONENT", "component"),
        Option("--event", "Only about this event.", "EVENT", "event"),
        Option("--run", "Only about this run.", "RUN", "run"),
        Option("--address", "Only about this address.", "ADDRESS"),
        Option("--outcome", "Only runs that ended so, joined by commas.", "OUTCOME[,OUTCOME...]", "words", _OUTCOMES),
        Option("--output", "Scripts' output too."),
        Option("--report", "With each run that ends its scripts, and what they printed."),
        Option("--since", "First the runs that ended after this one, from the history; then those that end.", "RUN"),
        JSON,
        PLAIN,
    ),
    examples=(
        ("ctdb-event subscribe", "Everything but output."),
        ("ctdb-event subscribe --json --kinds finished,health", "For a program that acts on results."),
        ("ctdb-event subscribe --outcome failed,timed-out", "Only what did not end well."),
        ("ctdb-event subscribe --json --report --since mx0300hj-3", "Go on after the last run that was seen."),
    ),
    statuses=(
        ("130", "Ctrl-C"),
        ("1", "wrong usage, no daemon answers, or it has gone"),
        ("2", "`--since`: no such run is over and in the history"),
        ("22", "no such kind or outcome, or they don't go together"),
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
    "List locks, their holders and who waits.",
    "Locks of addresses are held by runs, named ones by scripts that declare them and by `ctdb-event lock`. Locks of "
    "commands that scripts run one at a time, such as `iptables`, and of files that scripts lock themselves are listed "
    "if a script waits for them.",
    group="Now",
    options=(JSON, PLAIN),
    examples=(("ctdb-event locks", "Who keeps whom waiting?"),),
    statuses=_SEEN,
    columns=(
        ("name", ""),
        ("kind", "`address`, `named`, `command` or `file`"),
        ("role", "`holder` or `waiting`: one line for each owner, in order; `more`: how many more wait, as `text`"),
        ("run", "id of the run whose it is"),
        ("lock", "number of a client's lock"),
        ("pid", "of the script or the client"),
        ("text", "who it is"),
        ("since", "time"),
        ("seconds", "for how long"),
    ),
    json="A list of locks, as `locks` in [the protocol](protocol.md#locks) has them.",
)
_LOCK = Command(
    "lock",
    "Run a command while holding locks.",
    "Waits for all the locks together, runs the command, and gives them back at its end. They are the locks that "
    "scripts declare, so a script that needs one of them doesn't run meanwhile. `iptables`, and the name of a command "
    "in `[locks] serialise`, is also the lock of that command: in scripts it waits, and fails when `command wait` is "
    "over. Any other name serves for commands among themselves.\n\n"
    "The exit status is the command's, or 128 + N if signal N killed it. SIGTERM, SIGHUP and "
    "SIGINT are passed on to it; Ctrl-C reaches it by itself. Should the daemon go, its locks go with it: that is said "
    "on standard error, and the command goes on. Should `ctdb-event lock` itself be killed with SIGKILL, the "
    "command goes on too, and the locks last until it, and whatever it leaves running, has gone.\n\nThe command can't "
    "run an event whose scripts need one of the locks: they are not started, and the event fails.",
    group="Locks",
    operands=(
        Operand("NAME[,NAME...]", "locks", "The locks."),
        Operand("COMMAND", "command", "What is to be run, with its arguments."),
        Operand("ARG", "command-argument", "Its arguments.", required=False, many=True),
    ),
    options=(Option("--wait", "Most seconds to wait for the locks; 0 is not at all.", "SECONDS"),),
    examples=(
        ("ctdb-event lock iptables -- iptables-restore rules", "Change the firewall while no script does."),
        ("ctdb-event lock --wait 10 nfs-callout,route-table -- ./move", "Two locks, for which it waits 10 s at most."),
    ),
    statuses=(
        ("124", "the wait was over"),
        ("125", "the locks can't be had: wrong usage, no daemon, a lock that would never come"),
        ("126", "the command can't be run"),
        ("127", "there is no such command"),
        ("130", "Ctrl-C while it waited"),
        ("else", "the command's"),
    ),
)
_STATS = Command(
    "stats",
    "Show the daemon's figures.",
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
    "Give metrics to Prometheus.",
    "Serves them by HTTP, or writes a file for the textfile collector of node_exporter. It is a client of the daemon "
    "that needs only `read` in `[access]`, and runs until it is ended; meanwhile the daemon may come and go, which "
    "`ctdb_event_up` tells. docs/operations.md lists the metrics. It needs the Python package "
    "prometheus-client (`.venv/bin/pip install prometheus-client`, with the `pip` beside the program).",
    group="Daemon",
    options=(
        Option("--listen", "Where to serve them; 127.0.0.1:9725.", "HOST:PORT"),
        Option(
            "--textfile",
            "Write them to this file instead, once; counts and durations are only there with --every.",
            "FILE",
            "file",
        ),
        Option("--every", "Write it again and again, so many seconds apart.", "SECONDS"),
    ),
    examples=(
        ("ctdb-event exporter", "Serve http://127.0.0.1:9725/metrics."),
        ("ctdb-event exporter --textfile /var/lib/node_exporter/ctdb-event.prom --every 15", "For node_exporter."),
    ),
    statuses=(
        ("0", "the file is written once"),
        ("1", "wrong usage, a package is missing, or the address or file can't be had"),
        ("22", "an option's value can't be understood (EINVAL)"),
        ("130", "Ctrl-C"),
    ),
)
_RELOAD = Command(
    "reload",
    "Make the daemon read its configuration again.",
    "An error in it is shown with file, line and what was expected; then the former configuration stays in force.",
    group="Daemon",
    options=(JSON,),
    examples=(("ctdb-event reload", "After a change of ctdb.conf."),),
    statuses=(("0", "it is in force"), ("22", "it can't be used (EINVAL)"), ("1", "no daemon answers")),
    json='`{"warnings": [TEXT, ...]}`.',
)
_UPGRADE = Command(
    "upgrade",
    "Make the daemon go on as the version that is installed.",
    "No address moves: the daemon's process, its clients and their requests stay. It tries the new version first, then "
    "waits until nothing runs ([eventd] upgrade wait); what is asked for meanwhile waits for the new version. If that "
    "can't go on, the reason is shown and the daemon goes on as before.",
    group="Daemon",
    options=(Option("--cancel", "Give up the one that is under way."), JSON),
    examples=(
        ("ctdb-event upgrade", "After another version was installed."),
        ("ctdb-event upgrade --cancel", "It waits for something that takes too long."),
    ),
    statuses=(
        ("0", "the installed version goes on"),
        ("11", "the daemon goes on as before (EAGAIN)"),
        ("1", "no daemon answers"),
    ),
    json="An object with `former`, `version`, `waited` and `seconds`; of `--cancel` an empty one.",
)
_PING = Command(
    "ping",
    "Ask whether the daemon answers.",
    "Says which daemon it is, and how long the answer took.",
    group="Daemon",
    options=(JSON, PLAIN),
    examples=(("ctdb-event ping", "Is it ours, and does it live?"),),
    statuses=(("0", "it answers"), ("1", "it doesn't, or it is CTDB's own")),
    columns=(("server", "name and version"), ("pid", ""), ("seconds", "until the answer")),
    json="An object with `server`, `pid` and `seconds`.",
)

ROWS = (_PS, _HEALTH, _WATCH, _SUBSCRIBE, _LOCKS, _LOCK, _STATS, _EXPORTER, _RELOAD, _UPGRADE, _PING)
"""In the order in which they are shown."""
