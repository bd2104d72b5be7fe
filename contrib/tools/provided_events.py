#!/usr/bin/env python3
"""provided_events.py [--here VERSION]: finds out which events CTDB's own scripts handle, by running them.

With --here it prints the rows for the CTDB that is installed here. Without, it writes ctdb_eventd/provided.txt from the
rows of every version in use, each in its own root (contrib/tools/in-root.sh). Needs root; changes nothing outside
namespaces of its own. With the standard library alone, so that it runs wherever CTDB does.

An event is left out of a script's row only if running the script for it can't make a difference. Each script is run
under `sh -x`, with every command replaced by one that writes down what it is called with, for each event and for a name
that no script knows. For the left out event and that name, with everything that scripts can be configured to do
configured well, configured wrong and not configured at all:

- both traces are the same but for the event's name, and for tests whether the number of arguments is what it is: a
  script is left out only where an event has as many as CTDB gives it;
- neither contains a command with an effect, and no file was changed. What every script makes for itself before it looks
  at its event counts as none, since it is there whenever it is needed: `mkdir -p` of its state directory, and the note
  of the machine's init style. Nor do commands that only read, and text on standard output: it is the same for events
  that are handled;
- the exit status is 0, and there is nothing on standard error.

Besides, an event that stands as a label in any `case` of the script is never left out, and with everything configured
well some of these have another trace than the unknown name: so the runs did come as far as to look at the event.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parents[2]
TABLE = TOP / "ctdb_eventd/provided.txt"
VERSIONS = ("4.17", "4.22", "4.24", "4.25")
PROVIDED = Path("/usr/share/ctdb/events/legacy")
BASE = Path("/etc/ctdb")

TAKE = ("eth0", "10.0.0.1", "24")
EVENTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("init", "setup", "startup", "shutdown", "monitor", "startrecovery", "recovered"), ()),
    **{"takeip": TAKE, "startipreallocate": (), "releaseip": TAKE, "updateip": ("eth0", "eth1", *TAKE[1:])},
    "ipreallocated": (),
}
"""All events of CTDB, with arguments like those that CTDB passes."""
UNKNOWN = "no-such-event"

READERS = frozenset(
    "awk basename cat cmp comm cut date dirname egrep expr fgrep grep head id ls mawk printf pwd readlink realpath sed "
    "seq sort stat tail test tr true uname uniq wc".split()
)
"""Commands that only read; they are executed after they were recorded."""
BUILTINS = frozenset(
    ". : [ alias break case cd command continue echo eval exec exit export false for getopts hash if local printf pwd "
    "read readonly return set shift test times trap true type ulimit umask unset until wait while".split()
)
HEAD = """\
# Which events CTDB's own scripts handle. Made by contrib/tools/provided_events.py, whose head says how; proved anew for
# each version of CTDB by `make interop-versions`. A script that isn't listed, or has other content, is started for
# every event. So are all where CTDB's file `functions`, which they read first, is none that the row's versions have.
#
# functions SHA-256 VERSIONS
# SCRIPT SHA-256 VERSIONS: EVENTS
"""


class Row(NamedTuple):
    """The events that a script of CTDB handles; for the file `functions`, which handles none, a row without events."""

    name: str
    digest: str
    events: tuple[str, ...] | None

    def text(self, versions: str) -> str:
        """Returns a line of the table."""
        line = f"{self.name} {self.digest} {versions}"
        return line if self.events is None else ": ".join((line, " ".join(self.events)))


class Outcome(NamedTuple):
    """The result of running a script for an event."""

    trace: str
    """Its commands, with EVENT in place of the event's name."""
    effects: tuple[str, ...]
    """Commands and changes that had, or may have had, an effect."""


# ---------------------------------------------------------------------- one run


class Stage:
    """A directory in memory with all files that scripts use, in namespaces where nothing else can be changed."""

    def __init__(self, place: Path) -> None:
        """Creates it."""
        self.base = place / "ctdb"
        self.state = place / "state"
        self._bin = place / "bin"
        self._calls = place / "calls"
        self._bin.mkdir()
        directories = [Path(name) for name in ("/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")]
        names = {file.name for directory in directories if directory.is_dir() for file in directory.iterdir()}
        for name in names - BUILTINS - {"sh", "dash"} | {"ipvsadm", "statd_callout_helper", "natgw", "tool"}:
            real = shutil.which(name) if name in READERS else None
            goes_on = f'exec {real} "$@"' if real else "exit 0"
            stub = f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >>{self._calls}\n{goes_on}\n'
            (self._bin / name).write_text(stub)
            (self._bin / name).chmod(0o755)
        self._environ = {
            "CTDB": str(self._bin / "ctdb"),
            "CTDB_BASE": str(self.base),
            "CTDB_HELPER_BINDIR": str(self._bin),
            "CTDB_SCRIPT_VARDIR": str(self.state),
            "PATH": str(self._bin),
        }

    def configure(self, setting: str) -> None:
        """Fills the configuration directory: `plain`, `good` or `wrong`."""
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.copytree(BASE, self.base, symlinks=True)
        lists = {name: str(self.base / name) for name in ("natgw_nodes", "lvs_nodes", "routing", "static-routes")}
        ipvsadm = self._bin / "ipvsadm"
        shutil.copy(self._bin / "ip", ipvsadm)
        if setting == "plain":
            return
        if setting == "good":
            for path in lists.values():
                Path(path).write_text("10.0.0.1 10.0.0.0/24 10.0.0.254\n")
        else:
            ipvsadm.unlink()
            (self.base / "static-routes").write_text("nonsense\n")
            lists = {name: f"/nowhere/{name}" for name in lists}
        low = {"good": "1000", "wrong": "many"}[setting]
        options = {
            **{"CTDB_NATGW_NODES": lists["natgw_nodes"], "CTDB_NATGW_PUBLIC_IP": "10.1.0.1/24"},
            **{"CTDB_NATGW_PUBLIC_IFACE": "eth0", "CTDB_NATGW_PRIVATE_NETWORK": "10.0.0.0/24"},
            **{"CTDB_LVS_NODES": lists["lvs_nodes"], "CTDB_LVS_PUBLIC_IP": "10.1.0.2", "CTDB_LVS_PUBLIC_IFACE": "eth0"},
            **{"CTDB_PER_IP_ROUTING_CONF": lists["routing"], "CTDB_PER_IP_ROUTING_RULE_PREF": "100"},
            **{"CTDB_PER_IP_ROUTING_TABLE_ID_LOW": low, "CTDB_PER_IP_ROUTING_TABLE_ID_HIGH": "9000"},
            **{"CTDB_MONITOR_MPDEVICES": "disk1", "CTDB_START_ISCSI_SCRIPTS": str(self.base)},
            **{"CTDB_MONITOR_HOSTS": "ping:host", "CTDB_MONITOR_FILESYSTEM_USAGE": "/:80:90"},
            **{"CTDB_MONITOR_MEMORY_USAGE": "80:90", "CTDB_PERSISTENT_DB_BACKUP_DIR": str(self.state / "backup")},
            "CTDB_NFS_CALLOUT": str(self._bin / "tool") if setting == "good" else "/nowhere/callout",
        }
        text = "".join(f"{key}={value!r}\n" for key, value in options.items())
        with (self.base / "script.options").open("a") as file:
            file.write(text)

    def run(self, script: Path, event: str, args: tuple[str, ...]) -> Outcome:
        """Runs a script for an event."""
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir()
        self._calls.write_text("")
        before = snapshot(self.base)
        link = self.base / "events/legacy" / script.name
        # Without a shell in between: the names of a script's options contain the script's name.
        done = subprocess.run(
            ["/bin/sh", "-x", str(link), event, *args],
            env=self._environ,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        trace = named(done.stderr.decode(errors="replace"), event)
        functions = set(FUNCTION.findall(script.read_text() + (self.base / "functions").read_text()))
        calls = self._calls.read_text().splitlines()
        effects = [
            *(f"command: {call}" for call in calls if not self._is_harmless(call)),
            *(f"trace: {line}" for line in trace.splitlines() if not self._is_known(line, functions)),
            *(f"state: {path}" for path, kind in snapshot(self.state).items() if not self._is_own(path, kind)),
            *(["configuration was changed"] if snapshot(self.base) != before else []),
            *([f"exit status {done.returncode}"] if done.returncode else []),
        ]
        return Outcome(trace, tuple(effects))

    def _is_own(self, path: str, kind: str) -> bool:
        return kind == "directory" or path == str(self.state / "init-style")

    def _is_harmless(self, call: str) -> bool:
        name = call.partition(" ")[0]
        return name in READERS or re.fullmatch(rf"mkdir -p {self.state}(/[\w.-]+)+", call) is not None

    def _is_known(self, line: str, functions: set[str]) -> bool:
        """Returns whether a line of a trace is a command that is harmless, or that was recorded anyway."""
        if not line.startswith("+"):
            return False  # a message, or the second line of an ignored command
        word, *others = line.lstrip("+").strip().split(" ")
        if re.match(r"[A-Za-z_]\w*=", word):
            # blanks in the value are not quoted, so a command after it can't be distinguished; those of PATH are
            # recorded anyway
            return not any(os.access(other, os.X_OK) for other in others if other.startswith("/"))
        return word in BUILTINS or word in functions or ("/" not in word and (self._bin / word).exists())


FUNCTION = re.compile(r"^\s*([A-Za-z_]\w*)\s*\(\)", re.MULTILINE)


def named(trace: str, event: str) -> str:
    """Replaces an event's name by EVENT where it is a word; omits tests of the number of arguments."""
    trace = re.sub(r"^\++ \[ (\d+) != \1 \]\n", "", trace, flags=re.MULTILINE)
    return re.sub(rf"(?<![\w./-]){re.escape(event)}(?![\w./-])", "EVENT", trace)


def snapshot(directory: Path) -> dict[str, str]:
    """Returns the files below a directory, with their content."""
    return {
        str(path): "directory" if path.is_dir() else f"{path.stat().st_mtime_ns} {hash(path.read_bytes())}"
        for path in directory.rglob("*")
        if path.exists()
    }


# ---------------------------------------------------------------------- one version


def rows_here() -> Iterator[Row]:
    """Yields the rows for the installed CTDB, in order."""
    yield Row("functions", digest(BASE / "functions"), None)
    stage = Stage(isolated())
    for script in sorted(PROVIDED.glob("*.script")):
        handled, why = handles(stage, script)
        if why:
            print(f"{script.name} has no row: {why}", file=sys.stderr)
        elif len(handled) < len(EVENTS):
            yield Row(script.name.removesuffix(".script"), digest(script), handled)


def digest(path: Path) -> str:
    """Returns a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def isolated() -> Path:
    """Returns the only directory to which this process can write; the process must be in its own namespaces."""
    place = "/mnt"
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    for mount in dict.fromkeys(mounts):
        if not mount.startswith(("/dev", f"{place}/")):
            subprocess.run(["mount", "-o", "remount,bind,ro", mount], check=True)
    return Path(place)


def handles(stage: Stage, script: Path) -> tuple[tuple[str, ...], str]:
    """Returns the events that a script handles, and the reason if that is uncertain."""
    labels = {event for event in EVENTS if has_label(script.read_text(), event)}
    differing: set[str] = set()
    for setting in ("good", "wrong", "plain"):
        stage.configure(setting)
        link = stage.base / "events/legacy" / script.name
        link.unlink(missing_ok=True)
        link.symlink_to(script)
        unknown = {args: stage.run(script, UNKNOWN, args) for args in dict.fromkeys(EVENTS.values())}
        for event, args in EVENTS.items():
            outcome = stage.run(script, event, args)
            if outcome.trace != unknown[args].trace or outcome.effects:
                differing.add(event)
        effects = [effect for outcome in unknown.values() for effect in outcome.effects]
        if setting == "good" and not labels & differing:
            return (), "none of its events makes a difference, so it may not have looked at them"
        if effects:
            return (), f"for a name that it doesn't know, {setting}: {effects[0]}"
    return tuple(event for event in EVENTS if event in differing | labels), ""


def has_label(text: str, event: str) -> bool:
    """Returns whether a script has, or may have, an event as a label of any `case`: alone or with others in a line."""
    others = r"[\w*?\"'-]+"
    label = rf"^\s*\(?\s*(?:{others}\s*\|\s*)*[\"']?{event}[\"']?\s*(?:\|\s*{others}\s*)*\)"
    return re.search(label, text, re.MULTILINE) is not None


# ---------------------------------------------------------------------- the table


def table() -> str:
    """Returns the table for all versions; each version's rows are made in its root."""
    found: dict[Row, list[str]] = {}
    for version in VERSIONS:
        command = [str(TOP / "contrib/tools/in-root.sh"), version, "python3", "contrib/tools/provided_events.py"]
        said = subprocess.run([*command, "--here", version], check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in said.splitlines():
            found.setdefault(row_of(line), []).append(version)
    lines = [row.text(",".join(found[row])) for row in sorted(found, key=order)]
    return HEAD + "".join(f"{line}\n" for line in lines)


def row_of(line: str) -> Row:
    """Parses a row as `Row.text` writes it, without its versions."""
    left, colon, events = line.partition(": ")
    name, sha256, _ = left.split()
    return Row(name, sha256, tuple(events.split()) if colon else None)


def order(row: Row) -> tuple[bool, str, str]:
    """Returns the sort key of a row: the file `functions` precedes scripts."""
    return row.events is not None, row.name, row.digest


def main(arguments: list[str]) -> int:
    """Prints the rows, or writes the table; returns the exit status."""
    if arguments[:1] == ["--here"] and len(arguments) == 2:
        namespaces = ["unshare", "--mount", "--propagation", "private", "--net"]
        os.execvp("unshare", [*namespaces, sys.executable, __file__, "--inside", arguments[1]])
    if arguments[:1] == ["--inside"] and len(arguments) == 2:
        for row in rows_here():
            print(row.text(arguments[1]), flush=True)
        return 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    TABLE.write_text(table())
    print(f"wrote {TABLE.relative_to(TOP)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
