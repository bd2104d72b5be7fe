"""The table's rows about events: running them, and their results."""

from __future__ import annotations

from ctdb_event.commands.table import JSON, PLAIN, Command, Operand, Option

__all__ = ["COMPONENT", "EVENT", "ROWS"]

COMPONENT = Operand("COMPONENT", "component", "The component, such as `legacy`: a directory of event scripts.")
EVENT = Operand("EVENT", "event", "The event, such as `monitor`.")

_RUN_OPERANDS = (
    Operand("TIMEOUT", "", "Seconds from the moment it starts to run; 0 is no limit."),
    COMPONENT,
    EVENT,
    Operand("ARG", "", "The event's own arguments.", required=False, many=True),
)
_RUN_STATUSES = (
    ("0", "the event succeeded"),
    ("8", "a script failed (ENOEXEC)"),
    ("110", "the event timed out (ETIMEDOUT)"),
    ("125", "the run was cancelled (ECANCELED)"),
    ("2", "there is no such component (ENOENT)"),
    (
        "16",
        "it was not run: it waited longer than `[eventd] queue timeout` allows, or a script that can't be ended holds "
        "its address (EBUSY)",
    ),
    ("22", "a name or a number is invalid (EINVAL)"),
    ("35", "it would have to wait for the event whose script requests it (EDEADLK)"),
    ("5", "a system error (EIO); the daemon's log shows it"),
    ("1", "wrong usage, or no daemon answers"),
)

_RUN = Command(
    "run",
    "Run an event.",
    "Runs the scripts of an event and waits for their end. Without any of the options it is the command of CTDB's own "
    "program: the arguments are joined by spaces, and split at spaces again for the scripts.\n\n"
    "With `--stream`, `--detach` or `--json` each ARG is one argument of the scripts, also if it contains spaces; one "
    "that begins with a dash must follow `--`. `--stream` shows the scripts' output on standard output as it comes, "
    "and on standard error a line when each script starts and ends. Ctrl-C cancels the run, a second Ctrl-C exits at "
    "once. If the connection is lost, the run is cancelled too, unless it is detached.",
    group="Events",
    operands=_RUN_OPERANDS,
    options=(
        Option("--stream", "Show output as it comes, script by script."),
        Option("--detach", "Print the run's id, and don't wait for its end."),
        Option("--json", "Print the result as JSON; with --stream one object per line, the result last."),
    ),
    examples=(
        ("ctdb-event run 30 legacy monitor", "Check this node's services now."),
        ("ctdb-event run --stream 60 legacy monitor", "The same, and watch the scripts."),
        ("ctdb-event run --detach 0 legacy mail 'two words'", "Start it, and print its id for `cancel` and `ps`."),
    ),
    statuses=(*_RUN_STATUSES, ("130", "Ctrl-C: it was cancelled")),
    json="A run, as the reply to `run` in [the protocol](protocol.md#a-run). With `--stream` one object for each note, "
    'as `subscribe --json` has them, and last `{"result": RUN}`. With `--detach` `{"run": ID}`.',
    dropin=True,
)
_STATUS = Command(
    "status",
    "Show the scripts' results in an event's latest run.",
    "For each script its name, result, time and output, in the form of CTDB's own program. The exit status is the "
    "result of the script that failed. `results` shows more, and of all events at once.",
    group="Events",
    operands=(COMPONENT, EVENT),
    examples=(("ctdb-event status legacy monitor", "Why is this node unhealthy?"),),
    statuses=(
        ("0", "the event succeeded"),
        ("1 to 255", "exit status of the script that failed, or an errno"),
        ("2", "there is no such component (ENOENT)"),
        ("22", "the event has not run since the daemon started (EINVAL)"),
        ("1", "wrong usage, or no daemon answers"),
    ),
    dropin=True,
)
_CANCEL = Command(
    "cancel",
    "Cancel a run that is queued or running.",
    "The client that requested the run gets the result that it was cancelled. The running script gets SIGTERM, and "
    "SIGKILL after `[eventd] kill grace`. Cancel runs of `ctdbd` with care: a node whose startup or takeip fails is "
    "taken out of service.",
    group="Events",
    operands=(Operand("RUN", "run", "Id of the run, as `ps` shows it."),),
    options=(JSON,),
    examples=(("ctdb-event cancel mb3k9x2f-17", "Cancel the run with that id."),),
    statuses=(("0", "it was cancelled"), ("2", "there is no such run, or it has ended (ENOENT)"), ("1", "no daemon")),
    json='`{"run": ID, "state": "queued" or "running"}`: its state before.',
)
_RESULTS = Command(
    "results",
    "Show the latest result of each event.",
    "Of address events that ran concurrently, the worst result. With COMPONENT only of this one. With EVENT too: its "
    "scripts, one by one, with their output.",
    group="Events",
    operands=(
        Operand("COMPONENT", "component", "Only of this component.", required=False),
        Operand("EVENT", "event", "Only of this event, with its scripts' output.", required=False),
    ),
    options=(
        Option("--addresses", "The latest result of address events for each address."),
        Option("--address", "Only for this address.", "ADDRESS"),
        JSON,
        PLAIN,
    ),
    examples=(
        ("ctdb-event results", "All results."),
        ("ctdb-event results legacy monitor", "The last check, with the scripts' output."),
        ("ctdb-event results --addresses legacy takeip", "Which address could not be taken?"),
    ),
    statuses=(
        ("0", "shown, whatever the results are"),
        ("2", "there is no such component (ENOENT)"),
        ("22", "the event has not run since the daemon started (EINVAL)"),
        ("1", "wrong usage, or no daemon answers"),
    ),
    columns=(
        ("run", "its id"),
        ("component", ""),
        ("event", ""),
        ("args", "its arguments"),
        ("address", "of an address event"),
        ("outcome", "`success`, `failed`, `timed-out` or `cancelled`"),
        ("summary", "result of the script that failed, 0 if none did"),
        ("queued", "time of the request"),
        ("waited", "seconds until it started; WAITED has `script_waits` too"),
        ("seconds", "from its start to its end"),
        ("script", "each script has a line of its own if EVENT is given, with this and the following columns"),
        ("state", "of the script"),
        ("result", "of the script"),
        ("started", "time"),
        ("script_seconds", ""),
        ("output", "what it printed"),
        ("known_from", "if it is `not-handled`: where that is declared, `head`, `configuration` or `table`"),
        ("script_waits", "seconds that its scripts waited for locks, slots, commands and files"),
    ),
    json="A list of runs, as `status` in [the protocol](protocol.md#a-run) has them.",
)
_EVENTS = Command(
    "events",
    "List the events that CTDB has.",
    "In the order in which they occur on a node, with their arguments and whether they run concurrently. Scripts may "
    "handle others: every valid name can be run.",
    group="Events",
    options=(JSON, PLAIN),
    examples=(("ctdb-event events", "Which events do scripts have to handle?"),),
    statuses=(("0", "listed"), ("1", "no daemon answers")),
    columns=(("name", ""), ("mode", "`exclusive`, `address` or `monitor`"), ("args", "what its arguments are")),
    json="A list of objects with `name`, `mode` and `args`.",
)

ROWS = (_RUN, _STATUS, _CANCEL, _RESULTS, _EVENTS)
"""In the order in which they are shown."""
