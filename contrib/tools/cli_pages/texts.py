"""Texts of the man pages that are not in the table."""

from __future__ import annotations

__all__ = [
    "DAEMON",
    "DAEMON_ENVIRONMENT",
    "DAEMON_EXIT",
    "DAEMON_FILES",
    "DAEMON_OPTIONS",
    "DESCRIPTION",
    "ENVIRONMENT",
    "EXIT",
    "FILES",
    "NODE",
    "NODE_ENVIRONMENT",
    "NODE_EXAMPLES",
    "NODE_EXIT",
    "NODE_FILES",
    "NODE_SIGNALS",
    "OUTPUT",
    "SIGNALS",
]

DESCRIPTION = """
Runs events by the event daemon of this node, and shows what it does. The commands `run` (without options), `status`
and `script` are those of CTDB's own program, byte for byte, and work with either daemon. All others need
`ctdb-eventd` of this project.

Options may be given anywhere; `--` ends them.
"""
OUTPUT = """
Listings are for people: aligned columns with a header, in colours on a terminal unless `NO_COLOR` is set. Two options
are for programs, and their documented output is stable: `--plain` and `--json`.

With `--plain` each item is one line; its columns are separated by tabs. A column without a value is empty. Times are
seconds since the epoch, durations seconds, both with three decimals; truth values are `yes` and `no`; lists of words
are quoted for a shell. A tab, a newline and a backslash in a name or an output are written `\\t`, `\\n` and `\\\\`; all
other bytes are unchanged, whether they are UTF-8 or not.

With `--json` values are those of the native dialect, described in docs/protocol.md; further keys may be added. A byte
XX that is not UTF-8 is the escape `\\udcXX`, in names and in scripts' output.

Control characters in a script's output, a name or an argument are not sent to a terminal: each is shown as an escape
such as `\\x1b`. Into pipes and files `run`, `status` and `script` write the same bytes as CTDB's own program.
"""
EXIT = """
Each command has its own, above. In general: 0, an errno as in CTDB's own program, or 1 for wrong usage and if the
daemon doesn't answer; 130 after Ctrl-C, 141 if the output was closed (SIGPIPE).
"""
ENVIRONMENT = (
    ("NO_COLOR", "If it is set and not empty, there are no colours."),
    ("CTDB_TEST_MODE", "If it is set, all files of the node are below `CTDB_BASE`."),
    ("CTDB_BASE", "The directory of a test node."),
    ("CTDB_HELPER_BINDIR", "CTDB's directory of helper programs; its `ctdb-path` prints the paths of all files."),
)
FILES = (
    (
        "/run/ctdb/eventd.socket",
        "The daemon's socket, or the path that CTDB prints. Root may connect, and users in `[access]` of ctdb.conf.",
    ),
    (
        "/run/ctdb-eventd.places",
        "Cache of the paths that CTDB printed, valid as long as its `ctdb-path` is the same file.",
    ),
    ("/etc/ctdb/events/", "One directory for each component, with its event scripts."),
    ("/usr/share/ctdb/events/", "The same for scripts that packages provide; they can be enabled."),
)

DAEMON = """
Runs the event scripts of a CTDB node, instead of CTDB's own event daemon. `ctdbd` starts it, requests events, and
ends if it ends. It stays in the foreground.

Address events for different addresses run concurrently, all others one after the other. An event that times out is
ended with all processes that it started.
"""
DAEMON_OPTIONS = (
    ("-P, --pid PID", "End when this process ends. `ctdbd` passes its own."),
    ("-S, --startup-fd FD", "Descriptor to which four zero bytes are written when the daemon listens."),
    ("--helper-dir DIR", "Run the `ctdb-path` in this directory for CTDB's paths, instead of searching for it."),
    ("--version", "Print the version, and exit."),
    ("-h, --help", "Print the options, and exit."),
)
SIGNALS = (
    ("SIGTERM, SIGINT", "End: running events are cancelled, and their scripts ended."),
    ("SIGHUP", "Reopen the log, after it was renamed."),
    ("SIGUSR1", "Reload the configuration. An error in it is logged, and the former one stays in effect."),
    ("SIGUSR2", "Log what runs, what waits, and for what."),
)
DAEMON_EXIT = (
    ("0", "It got SIGTERM or SIGINT, or the process of `--pid` has ended."),
    ("1", "It could not start; standard error has the reason."),
)
DAEMON_ENVIRONMENT = (
    ("CTDB_TEST_MODE", "If it is set, all files of the node are below `CTDB_BASE`."),
    ("CTDB_BASE", "The directory of a test node."),
    ("CTDB_HELPER_BINDIR", "CTDB's directory of helper programs; its `ctdb-path` prints the paths of all files."),
)
DAEMON_FILES = (
    (
        "/etc/ctdb/ctdb.conf",
        "The configuration: sections `[logging]`, `[event]`, `[eventd]`, `[locks]` and `[access]`.",
    ),
    ("/etc/ctdb/events/", "One directory for each component, with its event scripts."),
    ("/run/ctdb/eventd.socket", "Where it listens, or the path that CTDB prints."),
    ("/run/ctdb/eventd.pid", "Its process id, locked while it runs; or the path that CTDB prints."),
    ("/var/log/ctdb/log.ctdb", "The log, unless the configuration names another one."),
)

NODE = """
A minimal cluster daemon: `ctdb-node run` runs all events of a CTDB node on one machine, without `ctdbd` and without
databases. It starts `ctdb-eventd`, runs the events from `init` to `shutdown`, runs `monitor` at intervals, which makes
the node healthy or unhealthy, and takes, moves and releases the public addresses accordingly. It stays in the
foreground. The other commands control it; only the user who runs it may use them.

It must not run beside `ctdbd` on the same directories.
"""
NODE_SIGNALS = (
    ("SIGTERM, SIGINT", "End: all addresses are released, then the event `shutdown` is run."),
    ("SIGHUP", "Reload public_addresses, and make the event daemon reload its configuration."),
)
NODE_EXIT = (
    ("0", "The command succeeded; of `run`: the node was shut down."),
    (
        "1",
        "It failed, and standard error has the reason; of `run` also: `init` or `setup` failed, or the event daemon "
        "ended.",
    ),
    ("2", "Wrong usage."),
    ("0 to 3 of health", "Healthy, unhealthy, not known yet, and no answer or wrong usage."),
    ("130, 141", "Ctrl-C of a command other than `run`; the output was closed (SIGPIPE)."),
)
NODE_ENVIRONMENT = (
    ("CTDB_TEST_MODE", "If it is set, all files of the node are below `CTDB_BASE`."),
    ("CTDB_BASE", "The directory of a test node."),
    (
        "NOTIFY_SOCKET, WATCHDOG_USEC",
        "Set by a service manager, which is then notified of state and health, and for its watchdog.",
    ),
)
NODE_FILES = (
    ("/etc/ctdb/public_addresses", "The addresses, one per line, each with the interfaces on which it may be."),
    ("/etc/ctdb/notify.sh", "Is run when the node's state changes, if it is executable."),
    ("/etc/ctdb/events/legacy/", "The event scripts."),
    ("/run/ctdb/node.socket", "Where it listens, beside the event daemon's socket."),
)
NODE_EXAMPLES = (
    (
        "CTDB_TEST_MODE=1 CTDB_BASE=/srv/node ctdb-node run --no-interfaces",
        "Test scripts in a directory of your own.",
    ),
    ("ctdb-node health", "Is it healthy?"),
    ("ctdb-node set MonitorInterval=5", "Run `monitor` every five seconds."),
)
