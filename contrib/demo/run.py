#!/usr/bin/env python3
"""run.py [--no-interfaces]: a whole node at work, live, on a private directory that is removed afterwards.

`ctdb-node run` with the sample scripts of contrib/events and twenty public addresses: the node starts and takes them, a
service dies and comes back, an interface goes down, the node ends. Root gets real addresses, in a network namespace
that ends with the demo; for anybody else, and with --no-interfaces, the scripts only say what they would do. Ends with
an error if anything goes otherwise than expected. Run it with the Python that has ctdb_node: `make run` does.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
INSIDE = "--inside"
"""Internal option: the demo is in its network namespace already."""
ADDRESSES = 20
TIMEOUT = 60.0
"""Seconds for each wait, so that the demo fails with a message instead of hanging."""
MAX_BASE_LENGTH = 80
"""Characters; the path of a Unix socket in it must fit into 108 bytes."""
# Variables of the caller's own CTDB, which must not affect the demo.
FOREIGN = ("CTDB_LOGGING", "CTDB_DEBUGLEVEL", "CTDB_EVENT_RUN_ALL", "EVENTS_STATE_DIR", "NOTIFY_SOCKET")


class Failed(Exception):
    """The demo failed; the text says what was expected."""


class Screen:
    """Prints lines; of consecutive lines that differ in numbers only, the first, and how many followed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._form = ""
        self._more = 0

    def line(self, text: str) -> None:
        with self._lock:
            # the time stands behind a line that was logged a while after it had come
            form = re.sub(r"\d+", "0", re.sub(r", at [\d:.]+\)$", ")", text))
            if form == self._form and re.search(r"\d", text):
                self._more += 1
                return
            if self._more:
                print(f"    … and {self._more} more of these")
            self._form, self._more = form, 0
            print(text, flush=True)


class Node:
    """`ctdb-node run`, whose output is shown as it comes."""

    def __init__(self, command: list[str], screen: Screen) -> None:
        self._said: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,  # Ctrl-C is for the demo, which then ends the node
        )
        self._reader = threading.Thread(target=self._read, args=[screen], daemon=True)
        self._reader.start()

    def _read(self, screen: Screen) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            screen.line(line.rstrip("\n"))
            with self._changed:
                self._said.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        """Waits until it prints this text, after the text of the last call."""
        deadline = time.monotonic() + TIMEOUT
        with self._changed:
            while True:
                for number, line in enumerate(self._said):
                    if text in line:
                        del self._said[: number + 1]
                        return
                if self._ended:
                    raise Failed(f'the node ended, and should have said "{text}" before')
                if not self._changed.wait(deadline - time.monotonic()):
                    raise Failed(f'the node should have said "{text}" within {TIMEOUT:.0f} s')

    def end(self) -> int:
        """Waits until it has ended, and until all of its output was printed."""
        try:
            status = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Failed(f"the node did not end within {TIMEOUT:.0f} s") from None
        self._reader.join(TIMEOUT)
        return status


class Demo:
    """The demo: the node's directory, and the steps."""

    def __init__(self, real: bool) -> None:
        self.real = real
        self.screen = Screen()
        self.node: Node | None = None
        self.base = Path(tempfile.mkdtemp(prefix="ctdb-demo."))
        self.state = self.base / "var/sample-events"

    def prepare(self) -> None:
        """Fills the directory, and creates the interfaces."""
        if len(str(self.base)) > MAX_BASE_LENGTH:
            raise Failed(f"{self.base} is too long a name for a Unix socket below it: set TMPDIR to a shorter one")
        for name in ("events", "share/events/legacy", "run", "var"):
            (self.base / name).mkdir(parents=True)
        shutil.copytree(TOP / "contrib/events/legacy", self.base / "events/legacy")
        shutil.copy(TOP / "contrib/events/sample-functions", self.base)
        shutil.copy(TOP / "contrib/functions", self.base / "eventd-functions")
        (self.base / "ctdb.conf").write_text("[logging]\n\tlog level = INFO\n")
        (self.base / "sample-events.options").write_text(f"EVENTS_REAL_ADDRESSES={'yes' if self.real else 'no'}\n")
        orders = ("eth0,eth1", "eth1,eth0")
        lines = [f"10.0.0.{31 + number}/24 {orders[number % 2]}\n" for number in range(ADDRESSES)]
        (self.base / "public_addresses").write_text("".join(lines))
        for name in FOREIGN:
            os.environ.pop(name, None)
        # the event daemon's log goes where the node's goes, and both are shown
        os.environ.update(CTDB_TEST_MODE="1", CTDB_BASE=str(self.base), CTDB_INTERACTIVE="1")
        os.environ["PATH"] = f"{PROGRAMS}:{os.environ.get('PATH', os.defpath)}"
        if self.real:
            for name in ("eth0", "eth1"):
                self._quietly("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
                self._quietly("ip", "link", "set", name, "up")
                self._quietly("ip", "link", "set", f"{name}-peer", "up")

    def _quietly(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{shlex.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def heading(self, text: str) -> None:
        self.screen.line("")
        self.screen.line(f"== {text}")

    def step(self, command: str, expected: int = 0, text: str = "") -> None:
        """Prints and runs a command, and prints its output; checks exit status, and that `text` is in the output."""
        self.screen.line(f"$ {command}")
        done = subprocess.run(
            ["sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        for line in done.stdout.splitlines():
            self.screen.line(line)
        if done.returncode:
            self.screen.line(f"[exit status {done.returncode}]")
        if done.returncode != expected:
            raise Failed(f"`{command}` should have ended with exit status {expected}, not {done.returncode}")
        if text not in done.stdout:
            raise Failed(f'the output of `{command}` should contain "{text}"')

    def show(self) -> None:
        """Runs the steps of the demo."""
        self.heading(f"A node starts, and takes its {ADDRESSES} public addresses")
        command = ["ctdb-node", "run", *([] if self.real else ["--no-interfaces"])]
        self.screen.line(f"$ {shlex.join(command)}")
        node = self.node = Node(command, self.screen)
        node.wait_for(f"{ADDRESSES} taken; {ADDRESSES} of {ADDRESSES} are here")
        self.step("ctdb-node health", text="running, HEALTHY")
        self.step("ctdb-node set MonitorInterval=1", text="MonitorInterval=1\n")

        self.heading("Its service dies: monitor fails, and the node gives its addresses up")
        self.step(f"kill -s KILL -- -{(self.state / 'service.pid').read_text().strip()}")
        node.wait_for("the node is UNHEALTHY: 50.service: the service is not running")
        node.wait_for(f"{ADDRESSES} addresses given up")
        self.step("ctdb-node health", 1, "UNHEALTHY: 50.service: the service is not running")

        self.heading("The administrator starts it again: the node is healthy, and takes its addresses")
        self.step("ctdb-event run 30 legacy startup")
        node.wait_for("the node is HEALTHY")
        node.wait_for(f"{ADDRESSES} taken; {ADDRESSES} of {ADDRESSES} are here")

        # not while an interface is down: 10.interface would call the node unhealthy before its addresses have moved
        self.step("ctdb-node set MonitorInterval=15", text="MonitorInterval=15\n")
        moved = 0
        if self.real:
            self.heading("An interface goes down, and a reallocation is requested: its addresses move to the other one")
            self.step("ip link set eth0 down")
            moved = ADDRESSES // 2
        else:
            self.heading("A reallocation is requested, with nothing to move")
        self.step("ctdb-node reallocate")
        node.wait_for(f"{moved} moved, 0 taken; {ADDRESSES} of {ADDRESSES} are here")
        if self.real:
            self.step("ctdb-node addresses", text="10.0.0.31/24  eth1\n")
            self._expect_addresses({"eth0": 0, "eth1": ADDRESSES})

        self.heading("The node ends")
        self.step(f"kill -s TERM {node.process.pid}")
        status = node.end()
        self.screen.line(f"[ctdb-node has ended, exit status {status}]")
        self._check_end(status)

    def _expect_addresses(self, expected: dict[str, int]) -> None:
        for name, number in expected.items():
            found = self._quietly("ip", "-family", "inet", "-oneline", "address", "show", "dev", name).count("\n")
            if found != number:
                raise Failed(f"{name} should have {number} addresses, and has {found}")

    def _check_end(self, status: int) -> None:
        if status:
            raise Failed(f"the node ended with exit status {status} instead of 0")
        if left := sorted(path.name for path in (self.base / "run").glob("*.socket")):
            raise Failed(f"the node left sockets behind: {', '.join(left)}")
        if self._service_runs():
            raise Failed("the service should have been stopped")
        if self.real:
            self._expect_addresses({"eth0": 0, "eth1": 0})

    def _service_runs(self) -> bool:
        lock = self.state / "service.lock"
        return lock.exists() and subprocess.run(["flock", "-n", lock, "true"], check=False).returncode != 0

    def clean_up(self) -> None:
        """Ends everything that is still running, and removes the directory."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if self.node is not None and self.node.process.poll() is None:
            self.node.process.terminate()
            try:
                self.node.end()
            except Failed:
                self.node.process.kill()
                self.node.end()
        if self._service_runs():
            # it is a child of its script, not of the node, so it has to be stopped by name
            subprocess.run(
                [self.base / "events/legacy/50.service.script", "shutdown"], capture_output=True, check=False
            )
        shutil.rmtree(self.base, ignore_errors=True)


def why_not_real() -> str | None:
    """Returns why real addresses are not possible; None if they are."""
    if os.geteuid() != 0:
        return "only root can have some of its own"
    for program in ("ip", "unshare"):
        if shutil.which(program) is None:
            return f"there is no program {program} (packages iproute2 and util-linux)"
    needed = "ip link add eth0 type veth peer name eth0-peer && : >>/proc/sys/net/ipv4/conf/eth0/promote_secondaries"
    tried = subprocess.run(["unshare", "--net", "sh", "-c", needed], capture_output=True, text=True, check=False)
    return f"what they need can't be made here: {tried.stderr.strip()}" if tried.returncode else None


def exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    """Ends the demo by an exception, so that `finally` blocks run."""
    sys.exit(128 + number)


def main(arguments: list[str]) -> int:
    """Runs the demo; returns the exit status."""
    if arguments not in ([], ["--no-interfaces"], [INSIDE]):
        print(__doc__, file=sys.stderr)
        return 2
    if missing := [name for name in ("ctdb-node", "ctdb-event") if not (PROGRAMS / name).exists()]:
        print(f"demo: there is no program {PROGRAMS / missing[0]}; `make run` installs it", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, exit_on_signal)
    if not arguments:
        reason = why_not_real()
        if reason is None:
            os.execvp("unshare", ["unshare", "--net", sys.executable, __file__, INSIDE])
        print(f"No real addresses: {reason}. The scripts say what they would do.")
    demo = Demo(real=arguments == [INSIDE])
    try:
        demo.prepare()
        demo.show()
    except Failed as error:
        demo.screen.line("")
        demo.screen.line(f"demo: FAILED: {error}")
        return 1
    finally:
        demo.clean_up()
    demo.screen.line("")
    demo.screen.line("demo: everything went as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
