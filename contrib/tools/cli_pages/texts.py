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
Asks the event daemon of this node to run events, and shows what it does. The commands `run` (without options),
`status` and `script` are those of CTDB's own program, to the byte, and work with either daemon. All others need
`ctdb-eventd` of this project.

Options may stand anywhere; `--` ends them.
"""
OUTPUT = """
Listings are for people: aligned columns with a header, in colours on a terminal unless `NO_COLOR` is set. Two options
are for programs, and stay as they are documented: `--plain` and `--json`.

With `--plain` each item is one line; its columns are separated by tabs. A column without a value is empty. Times are
seconds since the epoch, durations seconds, both with three decimals; `yes` and `no` are as they read; several words
are quoted for a shell. A tab, a newline and a backslash in a name or an output are written `\\t`, `\\n` and `\\\\`; all
other bytes are as they came, whether they are UTF-8 or not.

With `--json` values are those of the native dialect, described in docs/protocol.md; further keys may come. A byte XX
that is not UTF-8 is the escape `\\udcXX`, in names and in scripts' output.

No control character of a script's output, of a name, or of what was typed gets to a terminal: it is shown as an escape
such as `\\x1b`. Into pipes and files `run`, `status` and `script` write the same bytes as CTDB's own program.
"""
EXIT = """
Each command has its own, above. In general: 0, an errno as CTDB's own program has it, or 1 for wrong usage and for a
daemon that can't be asked; 130 after Ctrl-C, 141 when nobody reads the output any more.
"""
ENVIRONMENT = (
    ("NO_COLOR", "If it is set and not empty, there are no colours."),
    ("CTDB_TEST_MODE", "If it is set, everything of the node lies below `CTDB_BASE`."),
    ("CTDB_BASE", "The directory of a test node."),
    ("CTDB_HELPER_BINDIR", "CTDB's directory of helper programs; its `ctdb-path` says where everything is."),
)
FILES = (
    (
        "/run/ctdb/eventd.socket",
        "The daemon's socket, or where CTDB says. Root may connect, and who is named in `[access]` of ctdb.conf.",
    ),
    ("/run/ctdb-eventd.places", "What CTDB said where its places are, as long as its `ctdb-path` is the same file."),
    ("/etc/ctdb/events/", "One directory for each component, with its event scripts."),
    ("/usr/share/ctdb/events/", "The same for scripts that packages provide, to be enabled."),
)

DAEMON = """
Runs the event scripts of a CTDB node, in the place of CTDB's own event daemon. `ctdbd` starts it, asks it to run
events, and ends when it ends. It stays in the foreground.

Address events for different addresses run side by side; all others one after the other. What takes longer than its
time is ended with everything that it started.
"""
DAEMON_OPTIONS = (
    ("-P, --pid PID", "End when this process ends. `ctdbd` names itself."),
    ("-S, --startup-fd FD", "Descriptor that is told when the daemon listens: four zero bytes."),
    ("--helper-dir DIR", "Ask the `ctdb-path` in this directory for CTDB's places, instead of looking for it."),
    ("--version", "Print the version, and end."),
    ("-h, --help", "Print the options, and end."),
)
SIGNALS = (
    ("SIGTERM, SIGINT", "End: events that run are cancelled, and their scripts ended."),
    ("SIGHUP", "Open the log again, after it was moved away."),
    ("SIGUSR1", "Read the configuration again. An error in it is logged, and the former one stays in force."),
    ("SIGUSR2", "Write what runs and waits, and for what, to the log."),
)
DAEMON_EXIT = (
    ("0", "It was told to end, or the process that it watches has ended."),
    ("1", "It could not start; standard error says why."),
)
DAEMON_ENVIRONMENT = (
    ("CTDB_TEST_MODE", "If it is set, everything of the node lies below `CTDB_BASE`."),
    ("CTDB_BASE", "The directory of a test node."),
    ("CTDB_HELPER_BINDIR", "CTDB's directory of helper programs; its `ctdb-path` says where everything is."),
)
DAEMON_FILES = (
    (
        "/etc/ctdb/ctdb.conf",
        "The configuration: sections `[logging]`, `[event]`, `[eventd]`, `[locks]` and `[access]`.",
    ),
    ("/etc/ctdb/events/", "One directory for each component, with its event scripts."),
    ("/run/ctdb/eventd.socket", "Where it listens, or where CTDB says."),
    ("/run/ctdb/eventd.pid", "Its process id, locked while it runs; or where CTDB says."),
    ("/var/log/ctdb/log.ctdb", "The log, unless the configuration names another one."),
)

NODE = """
The smallest cluster daemon: `ctdb-node run` gives one machine the whole life of a node of CTDB, without `ctdbd` and
without databases. It starts `ctdb-eventd`, runs the events from `init` to `shutdown`, calls `monitor` again and again
and has the node healthy or unhealthy by that, and brings the public addresses where they are to be. It stays in the
foreground. The other commands talk to it; only the user who runs it may.

It must not run beside `ctdbd` on the same directories.
"""
NODE_SIGNALS = (
    ("SIGTERM, SIGINT", "End: all addresses are released, then the event `shutdown` is run."),
    ("SIGHUP", "Read public_addresses again, and have the event daemon read its configuration."),
)
NODE_EXIT = (
    ("0", "It was done; of `run`: it was told to end, and did."),
    (
        "1",
        "It was not, and standard error says why; of `run` also: `init` or `setup` failed, or the event daemon ended.",
    ),
    ("2", "Wrong usage."),
    ("0 to 3 of health", "Healthy, unhealthy, not known yet, and no answer or wrong usage."),
    ("130, 141", "Ctrl-C of a command other than `run`; nobody reads the output any more."),
)
NODE_ENVIRONMENT = (
    ("CTDB_TEST_MODE", "If it is set, everything of the node lies below `CTDB_BASE`."),
    ("CTDB_BASE", "The directory of a test node."),
    ("NOTIFY_SOCKET, WATCHDOG_USEC", "Set by a service manager that is to be notified of state, health and life."),
)
NODE_FILES = (
    ("/etc/ctdb/public_addresses", "The addresses, one a line with the interfaces that it may be on."),
    ("/etc/ctdb/notify.sh", "Is told of changes, if it may be executed."),
    ("/etc/ctdb/events/legacy/", "The event scripts."),
    ("/run/ctdb/node.socket", "Where it listens, beside the event daemon's socket."),
)
NODE_EXAMPLES = (
    (
        "CTDB_TEST_MODE=1 CTDB_BASE=/srv/node ctdb-node run --no-interfaces",
        "Try scripts below a directory of your own.",
    ),
    ("ctdb-node health", "Is it healthy?"),
    ("ctdb-node set MonitorInterval=5", "Call `monitor` every five seconds."),
)
