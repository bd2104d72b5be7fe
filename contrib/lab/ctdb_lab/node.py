"""One node of a lab: a host with ctdbd on it. All methods block."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from ctdb_lab.addresses import AddressReader, State
from ctdb_lab.errors import LabError, NoAnswer
from ctdb_lab.places import ask_ctdb
from ctdb_lab.plan import CTDB_EVENTD, CTDB_HELPER, CTDB_TOOL, CTDBD, Plan
from ctdb_lab.processes import Process, find_holder, kill_member, members
from ctdb_lab.waiting import wait_until

__all__ = ["ANSWER_SECONDS", "Node"]

START_SECONDS = 60
STOP_SECONDS = 30
COMMAND_SECONDS = 60
"""Timeout in seconds of a command on a node, which may wait for a whole takeover."""
ANSWER_SECONDS = 5
"""Timeout in seconds of a query that doesn't wait for anything."""
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_TIMED_OUT = (124, 137)
_LOG_TAIL = 6000
_OUTCOME = re.compile(r"^(\d\d\.\S+) +(OK|ERROR|TIMEDOUT|DISABLED|CANNOT RUN)\b", re.MULTILINE)


class Node:
    """A running node.

    Attributes:
        number: Its number in CTDB, from 0.
        directory: Its files: /etc/ctdb (`etc`), /var/lib/ctdb (`var`), /run (`run`) and /var/log/ctdb (`log`).
        address: The node's own address.
    """

    def __init__(self, lab: Path, plan: Plan, number: int) -> None:
        """Attaches to a node.

        Args:
            lab: The lab's directory.
            plan: The lab's description.
            number: The node's number, from 0.

        Raises:
            LabError: It is not running.
        """
        self.number = number
        self.directory = lab / f"node{number}"
        self.address = plan.node_addresses[number]
        holder = find_holder(lab, f"node{number}")
        if holder is None:
            raise LabError(f"node {number} of the lab in {lab} doesn't run; make lab-down removes what is left of it")
        self._holder = holder
        self._files: dict[tuple[str, str], Path] = {}
        self._reader = AddressReader(f"/proc/{holder}/ns/net")

    def close(self) -> None:
        """Detaches from the node, which continues to run."""
        self._reader.close()

    # Commands

    def entering(self, *argv: str) -> list[str]:
        """Returns a command line that runs `argv` on the node."""
        return ["nsenter", f"--target={self._holder}", "--pid", "--mount", "--net", "--uts", *argv]

    def shell(self) -> list[str]:
        """Returns a command line for a shell on the node, with `ctdb-event` of its event daemon in PATH."""
        return self.entering("env", f"PATH={Path(self.eventd).parent}:{_PATH}", "sh")

    def run(self, *argv: str, timeout: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """Runs a command on the node to its end; its output is text.

        Raises:
            NoAnswer: It timed out after `timeout` seconds, and was killed.
        """
        environment = {"PATH": _PATH}
        # `timeout` runs on the node: killing nsenter would leave the command itself running
        limited = self.entering("timeout", "--kill-after=1", f"{timeout:g}", *argv)
        begin = time.monotonic()
        done = subprocess.run(limited, env=environment, capture_output=True, text=True, check=False)
        if done.returncode in _TIMED_OUT and time.monotonic() - begin >= timeout:
            raise NoAnswer(f"node {self.number}: `{' '.join(argv)}` was not over in {timeout:g} s")
        return done

    def ctdb(self, *argv: str, timeout: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """Runs the real ctdb tool on the node.

        Raises:
            NoAnswer: It timed out after `timeout` seconds.
        """
        return self.run(CTDB_TOOL, *argv, timeout=timeout)

    def ctdb_event(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Runs the `ctdb-event` that came with the event daemon."""
        return self.run(str(Path(self.eventd).parent / "ctdb-event"), *argv)

    def order(self, *argv: str) -> None:
        """Runs the ctdb tool, and checks that it succeeds.

        Raises:
            LabError: It failed.
        """
        done = self.ctdb(*argv)
        if done.returncode != 0:
            raise LabError(
                f"node {self.number}: ctdb {' '.join(argv)}: exit status {done.returncode}: "
                f"{done.stdout}{done.stderr}{self.explain()}"
            )

    # Start and stop

    @property
    def eventd(self) -> str:
        """The event daemon that ctdbd starts; a change takes effect at the next start."""
        return (self.directory / "eventd").read_text()

    @eventd.setter
    def eventd(self, path: str) -> None:
        (self.directory / "eventd").write_text(path)

    def start(self) -> None:
        """Starts ctdbd and waits until it answers; its event daemon is up by then.

        Raises:
            LabError: It doesn't start.
        """
        self._put_eventd_in_place()
        started = self.run(CTDBD)
        if started.returncode != 0:
            raise LabError(f"node {self.number}: ctdbd doesn't start: {started.stderr}\n{self.explain()}")
        wait_until(self._has_started, START_SECONDS, f"ctdbd of node {self.number} to answer", self.explain)
        self._check_eventd()

    def _put_eventd_in_place(self) -> None:
        """Mounts a launcher for the configured event daemon over the one that ctdbd starts, on this node only.

        The launcher is a shell script that executes the daemon, like that of ctdb-eventd-install.
        """
        self.run("umount", CTDB_HELPER)  # fails if nothing is mounted there, which doesn't matter
        wanted = self.eventd
        if wanted == CTDB_HELPER:
            return
        launcher = self.directory / "ctdb-eventd"
        launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(wanted)} "$@"\n')
        launcher.chmod(0o755)
        mounted = self.run("mount", "--bind", str(launcher), CTDB_HELPER)
        if mounted.returncode != 0:
            raise LabError(f"node {self.number}: {wanted} can't be put in place: {mounted.stderr}")

    def _has_started(self) -> bool:
        if not self.processes():
            raise LabError(f"node {self.number}: ctdbd ended at once\n{self.explain()}")
        return self.is_running()

    def _check_eventd(self) -> None:
        """Checks that the configured event daemon is running, and not a fallback."""
        process, wanted = self.daemon("eventd"), self.eventd
        if process is None:
            raise LabError(f"node {self.number}: no event daemon runs\n{self.explain()}")
        if f" {wanted} " in f" {process.command} ":
            return
        # a shell script may execute any program, except CTDB's own event daemon
        if not _is_text(wanted) or _is_copy(f"/proc/{process.pid}/exe", CTDB_EVENTD):
            runs = f"node {self.number}: the event daemon that runs is not {wanted}, but: {process.command}"
            raise LabError(f"{runs}\n{self.explain()}")

    def stop(self) -> None:
        """Shuts ctdbd down regularly and waits until all of its processes have ended."""
        self.order("shutdown")
        self.wait_until_empty()

    def restart_after_crash(self) -> None:
        """Starts ctdbd again after a crash, when all processes of the node have ended."""
        self.wait_until_empty()
        self.start()

    def wait_until_empty(self) -> None:
        """Waits until all processes of the node have ended."""
        wait_until(lambda: not self.processes(), STOP_SECONDS, f"node {self.number} to be empty", self.explain)

    def kill(self, process: Process, number: int = signal.SIGKILL) -> bool:
        """Sends a signal to one of its processes; returns whether the process still existed."""
        return kill_member(self._holder, process.pid, number)

    def kill_all(self) -> None:
        """Kills all of its processes, as a power failure does; its addresses stay on its interface."""
        for process in self.processes():
            self.kill(process)
        self.wait_until_empty()

    # Inspection

    def is_running(self) -> bool:
        """Returns whether ctdbd answers within a few seconds."""
        try:
            return self.ctdb("ping", timeout=ANSWER_SECONDS).returncode == 0
        except NoAnswer:
            return False

    def is_healthy(self) -> bool:
        """Returns whether ctdbd reports this node as OK within a few seconds."""
        try:
            return self.ctdb("nodestatus", timeout=ANSWER_SECONDS).returncode == 0
        except NoAnswer:
            return False

    def addresses(self) -> dict[str, State]:
        """Returns all addresses that the kernel has on this node's interfaces, independent of ctdbd."""
        return self._reader.read()

    def hosts_by_ctdb(self, timeout: float = COMMAND_SECONDS) -> dict[str, int]:
        """Returns each public address and its host as this ctdbd reports it; -1 is none. Empty if ctdbd is down.

        Raises:
            NoAnswer: It didn't answer within `timeout` seconds.
        """
        rows = [line.split("|") for line in self.ctdb("-X", "ip", "all", timeout=timeout).stdout.splitlines()[1:]]
        return {row[1]: int(row[2]) for row in rows}

    def taken_out(self) -> str:
        """Returns `disabled` or `stopped` if the node was taken out of the cluster by a command; else empty."""
        try:
            shown = self.ctdb("-X", "nodestatus", timeout=ANSWER_SECONDS).stdout.splitlines()
        except NoAnswer:
            return ""
        if len(shown) < 2:
            return ""
        flags = dict(zip(shown[0].split("|"), shown[1].split("|"), strict=False))
        return next((word.lower() for word in ("Disabled", "Stopped") if flags.get(word) == "1"), "")

    def outcomes(self, event: str) -> dict[str, str]:
        """Returns each script's result in the event's last run, as `ctdb event status` reports it."""
        return dict(_OUTCOME.findall(self.ctdb("event", "status", "legacy", event).stdout))

    def runs(self, since: float, *options: str) -> list[dict[str, Any]]:
        """Returns what `ctdb-event history --json` has of the time since then; nothing for CTDB's daemon."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(since))
        asked = self.ctdb_event("history", "--json", "--since", moment, *options)
        return json.loads(asked.stdout) if asked.returncode == 0 else []

    def failed_events(self, since: float) -> list[str]:
        """Returns the events that failed or timed out since then; none for CTDB's daemon, which has no history."""
        return [
            f"node {self.number}: {' '.join((run['event'], *run['args']))}: {run['outcome']}: "
            f"{' '.join(run['bad_scripts'])}; ctdb-event show {run['run']}"
            for run in self.runs(since, "--failed")
            if run["outcome"] in ("failed", "timed-out")
        ]

    def processes(self) -> list[Process]:
        """Returns all living processes of the node, except those that keep its namespaces."""
        found = members(self._holder)
        return [process for process in found if not (process.parent == self._holder and _is_sleep(process))]

    def daemon(self, name: str) -> Process | None:
        """Returns the process in a daemon's pid file (`ctdbd`, `eventd`); None if it is not running."""
        return self._of_file(self.run_file("pidfile", name))

    def smbd(self) -> Process | None:
        """Returns Samba's parent process; None if it is not running."""
        return self._of_file(self.directory / "run/samba/smbd.pid")

    def _of_file(self, file: Path) -> Process | None:
        try:
            inner = int(file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return next((process for process in self.processes() if process.inner == inner), None)

    def run_file(self, kind: str, daemon: str) -> Path:
        """Returns the path of a daemon's file, as reported by the node's CTDB, for access from outside the node.

        Args:
            kind: `socket` or `pidfile`.
            daemon: `ctdbd` or `eventd`.

        Raises:
            LabError: CTDB doesn't report it.
        """
        if (kind, daemon) not in self._files:
            # asked on the node: the machine of the user who attaches may have another CTDB, or none
            self._files[kind, daemon] = self.directory / ask_ctdb(self.run, kind, daemon).relative_to("/")
        return self._files[kind, daemon]

    def scripts(self) -> list[Process]:
        """Returns the running event scripts: children of the event daemon in the directory of scripts."""
        eventd = self.daemon("eventd")
        if eventd is None:
            return []
        return [process for process in self.processes() if process.parent == eventd.pid and _is_script(process)]

    @property
    def log(self) -> str:
        """The log of ctdbd and the event daemon."""
        path = self.directory / "log" / "log.ctdb"
        return path.read_text(errors="replace") if path.exists() else ""

    def explain(self) -> str:
        """Returns the node's processes and the end of its log, for error messages."""
        shown = "\n".join(f"  {process}" for process in self.processes())
        return f"node {self.number}, processes:\n{shown}\nnode {self.number}, log:\n…{self.log[-_LOG_TAIL:]}"


def _is_sleep(process: Process) -> bool:
    return process.command == "sleep infinity"


def _is_text(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _is_copy(path: str, of: str) -> bool:
    try:
        return filecmp.cmp(path, of, shallow=False)
    except OSError:
        return False


def _is_script(process: Process) -> bool:
    return f"/events{os.sep}" in process.command and ".script" in process.command
