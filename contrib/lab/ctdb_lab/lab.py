"""The lab as a whole: starts it, inspects it, waits for states, and removes it completely."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType

from ctdb_lab import files
from ctdb_lab.addresses import State
from ctdb_lab.errors import LabError, NoAnswer
from ctdb_lab.node import ANSWER_SECONDS, Node
from ctdb_lab.places import run_here
from ctdb_lab.plan import CLIENT_ADDRESSES, Plan
from ctdb_lab.processes import find_holder, wait_for_end, watched_children
from ctdb_lab.requirements import missing_requirements
from ctdb_lab.waiting import wait_until

__all__ = ["Lab", "take_down"]

HEALTHY_SECONDS = 120
_READY_SECONDS = 20
_DOWN_SECONDS = 20
_HOLD_LAB = str(Path(__file__).with_name("hold-lab.sh"))
_UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--propagation", "private", "--net", "--uts")


class Lab:
    """A lab. As a context manager: the lab is up in the block, and is taken down at its end or with this process.

    Attributes:
        directory: The directory of all its files.
        plan: The description of the lab.
        nodes: The nodes, in order; empty before it is up.
    """

    def __init__(self, directory: Path, plan: Plan) -> None:
        """Describes a lab.

        Args:
            directory: A path that doesn't exist yet, in a directory that does.
            plan: The description of the lab.
        """
        self.directory = directory.resolve()
        self.plan = plan
        self.nodes: list[Node] = []
        self._unshare: subprocess.Popen[bytes] | None = None

    @classmethod
    def attach(cls, directory: Path) -> Lab:
        """Attaches to a running lab; `close` detaches from it.

        Raises:
            LabError: No lab is running.
        """
        try:
            plan = Plan.load(directory / "plan.json")
        except FileNotFoundError:
            raise LabError(f"there is no lab in {directory}: make lab") from None
        lab = cls(directory, plan)
        lab._attach_nodes()
        return lab

    def __enter__(self) -> Lab:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    # Up and down

    def up(self, *, detached: bool = False) -> None:
        """Creates the namespaces and starts ctdbd on every node; returns before they are healthy.

        Args:
            detached: Whether the lab outlives this process, until `take_down`.

        Raises:
            LabError: It can't be started; what was started is taken down.
        """
        problem = missing_requirements(self.plan.eventd, samba=self.plan.samba)
        if problem:
            raise LabError(problem)
        files.create(self.directory, self.plan)
        try:
            self._hold(detached)
            self._wait_until_held()
            self._attach_nodes()
            for node in self.nodes:
                node.start()
        except BaseException:
            self.down()
            raise

    def _hold(self, detached: bool) -> None:
        # cat ends when its standard input is closed, whose other end is in this process
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LAB_NODES": str(self.plan.nodes),
            "LAB_CLIENT": " ".join(CLIENT_ADDRESSES) if self.plan.samba else "",
            "LAB_HOLD": "sleep infinity" if detached else "cat",
        }
        with (self.directory / "setup.log").open("wb") as log:
            self._unshare = subprocess.Popen(
                [*_UNSHARE, "sh", _HOLD_LAB, str(self.directory), "lab"],
                env=environment,
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C must only reach this process, which takes the lab down
                start_new_session=True,
            )

    def _wait_until_held(self) -> None:
        ready = [self.directory / f"node{number}" / "ready" for number in range(self.plan.nodes)]

        def are_ready() -> bool:
            assert self._unshare is not None, "nobody started it"
            if self._unshare.poll() is not None:
                raise LabError(f"the lab's namespaces could not be made:\n{self._setup_log()}")
            return all(path.exists() for path in ready)

        wait_until(are_ready, _READY_SECONDS, "the nodes to be set up", self._setup_log)

    def _setup_log(self) -> str:
        return (self.directory / "setup.log").read_text(errors="replace")

    def _attach_nodes(self) -> None:
        for number in range(self.plan.nodes):
            self.nodes.append(Node(self.directory, self.plan, number))

    def close(self) -> None:
        """Detaches from the lab, which continues to run."""
        for node in self.nodes:
            node.close()
        self.nodes = []

    def down(self) -> None:
        """Ends all processes of the lab, and thereby all namespaces, links and mounts; removes its files."""
        self.close()
        unshare, self._unshare = self._unshare, None
        if unshare is not None:
            # its child, process 1 of the lab, is killed with it. `find_holder` could miss that one: it doesn't have its
            # command line yet at first, and no longer while the namespace ends
            with watched_children(unshare.pid) as have_ended:
                unshare.kill()
                unshare.wait()
                if not have_ended(_DOWN_SECONDS):
                    raise LabError(f"what the lab in {self.directory} holds doesn't end")
            if unshare.stdin is not None:
                unshare.stdin.close()
        take_down(self.directory)

    def plug(self, number: int, link: str, *, put_in: bool) -> None:
        """Simulates pulling or plugging a link's cable: at the bridge, where the node can't change it.

        Raises:
            LabError: The link doesn't exist.
        """
        done = run_here(*self.entering("ip", "link", "set", f"node{number}-{link}", "up" if put_in else "down"))
        if done.returncode != 0:
            raise LabError(f"node {number}: the cable of {link}: {done.stderr}")

    def entering(self, *argv: str) -> list[str]:
        """Returns a command line that runs `argv` in the network namespace of the bridge, otherwise on this machine."""
        return ["nsenter", f"--target={find_holder(self.directory, 'lab')}", "--net", *argv]

    # Inspection

    def hosting(self) -> dict[str, dict[int, State]]:
        """Returns for each public address the nodes whose kernel has it."""
        found = [node.addresses() for node in self.nodes]
        return {
            public.address: {
                node.number: has[public.address]
                for node, has in zip(self.nodes, found, strict=True)
                if public.address in has
            }
            for public in self.plan.public_addresses
        }

    def is_hosted_once(self, on: Collection[int] | None = None) -> bool:
        """Returns whether every public address is usable on exactly one node, which is one of these.

        Args:
            on: Numbers of nodes; all of them by default.
        """
        allowed = range(self.plan.nodes) if on is None else on
        return all(
            len(hosts) == 1 and all(number in allowed and state is State.USABLE for number, state in hosts.items())
            for hosts in self.hosting().values()
        )

    def is_agreed(self, on: Collection[int]) -> bool:
        """Returns whether every ctdbd of these nodes reports the same hosts of addresses as the kernels."""
        truth = {address: next(iter(hosts), -1) for address, hosts in self.hosting().items()}
        return all(self.nodes[number].hosts_by_ctdb() == truth for number in on)

    def wait_until_hosted(self, on: Collection[int] | None = None, timeout: float = 60, poll: float = 0.1) -> float:
        """Waits until every address is hosted once, by these nodes only; returns the seconds that it took.

        Raises:
            LabError: It took more than `timeout` seconds.
        """
        who = "any node" if on is None else f"the nodes {sorted(on)}"
        what = f"every address to be hosted exactly once, by {who}"
        return wait_until(lambda: self.is_hosted_once(on), timeout, what, self.explain, poll=poll)

    def wait_until_healthy(self, timeout: float = HEALTHY_SECONDS) -> float:
        """Waits until all nodes are healthy, host all addresses and agree on them; returns the seconds that it took."""
        return self._wait_until_healthy(set(range(self.plan.nodes)), timeout)

    def wait_until_healthy_but(self, number: int, timeout: float = HEALTHY_SECONDS) -> float:
        """Like `wait_until_healthy`, without one node, which has been taken out and hosts nothing."""
        return self._wait_until_healthy(set(range(self.plan.nodes)) - {number}, timeout)

    def wait_until_settled(self, seconds: float = 3, timeout: float = HEALTHY_SECONDS) -> None:
        """Waits until all nodes are healthy and no address has moved for `seconds`.

        After a start, ctdbd moves some addresses again to balance them.
        """
        last: dict[str, dict[int, State]] = {}
        since = time.monotonic()

        def is_settled() -> bool:
            nonlocal last, since
            now = self.hosting()
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since >= seconds

        self.wait_until_healthy(timeout)
        wait_until(is_settled, timeout, f"no address to move for {seconds:g} s", self.explain)
        self.wait_until_healthy(timeout)

    def _wait_until_healthy(self, on: set[int], timeout: float) -> float:
        def is_fine() -> bool:
            return (
                self.is_hosted_once(on)
                and all(self.nodes[number].is_healthy() for number in sorted(on))
                and self.is_agreed(on)
            )

        what = f"nodes {sorted(on)} to be healthy and to host all addresses"
        return wait_until(is_fine, timeout, what, self.explain, poll=0.3)

    def explain(self) -> str:
        """Returns misplaced addresses, ctdbd's status, and the ends of the logs, for error messages."""
        odd = {
            address: {number: state.value for number, state in hosts.items()}
            for address, hosts in self.hosting().items()
            if list(hosts.values()) != [State.USABLE]
        }
        status = "\n".join(_status(node) for node in self.nodes)
        return "\n".join([f"not hosted once: {odd}", status, *(node.explain() for node in self.nodes)])


def _status(node: Node) -> str:
    with contextlib.suppress(NoAnswer):
        shown = node.ctdb("status", timeout=ANSWER_SECONDS).stdout
        if shown:
            return shown
    return f"node {node.number} is silent"


def take_down(directory: Path) -> bool:
    """Ends the lab in a directory, even if it is only partly up; returns whether there was one.

    Raises:
        LabError: Its processes don't end (blocked in the kernel), or the directory is not a lab's.
    """
    directory = directory.resolve()
    there = directory.exists()
    while (holder := find_holder(directory, "lab")) is not None:
        there = True
        if not wait_for_end(holder, 9, _DOWN_SECONDS):
            raise LabError(f"process {holder} and what it holds doesn't end; see /proc/{holder}/stack")
    files.remove(directory)
    return there
