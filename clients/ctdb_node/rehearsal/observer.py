"""One pass of a rehearsal, inside of the sandbox: runs a node's events with a real event daemon, and observes.

Progress and the observations are written to a pipe, the channel, one JSON object per line.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Sequence

import anyio
import attrs

import ctdb_event
from ctdb_node import eventd
from ctdb_node.errors import NodeError, first_error
from ctdb_node.rehearsal.endstate import end_state, removed
from ctdb_node.rehearsal.findings import is_of_system
from ctdb_node.rehearsal.inside import CALLS, ERRORS, REQUEST, ROOTS, STATE, command_of
from ctdb_node.rehearsal.observed import (
    ALONE,
    FEW,
    TOGETHER,
    EndState,
    Event,
    Leftover,
    Observations,
    Public,
    Request,
    Round,
    ScriptRun,
    Wait,
    from_json,
    to_json,
)

__all__ = ["main"]

_START_EVENTS = ("init", "setup", "startrecovery", "recovered", "startup", "monitor")
_LONG_WAIT = 0.05
"""If a run's scripts waited for so many seconds in all, the history is asked what they waited for."""
_LOCK_POLL_INTERVAL = 0.1
_MAX_PAST_RUNS = 50
_MAX_OUTPUT = 4096
_MAX_TEXT = 1 << 16
_MAX_PATHS_SHOWN = 8
_EXIT_TIMEOUT = 1.0
"""Seconds after an event in which its processes may still end; then they count as left behind."""
_POLLS = 20
"""How often /proc is read in that time: nothing notifies of the end of processes that aren't our children."""
_LAST_EXIT_TIMEOUT = 10.0
"""Seconds at the end in which those that were left behind may still end by themselves."""


class Observer:
    """Runs the events of one pass and collects the observations."""

    def __init__(self, request: Request, client: ctdb_event.AsyncClient, daemon: int, channel: int) -> None:
        """Starts without observations.

        Args:
            request: What to rehearse.
            client: Connected to the event daemon.
            daemon: Process id of the event daemon.
            channel: Descriptor to which progress is written.
        """
        self._request = request
        self._client = client
        self._daemon = daemon
        self._channel = channel
        with open(ROOTS, encoding="utf-8") as file:
            self._roots, self._read_only = json.load(file)
        self._events: list[Event] = []
        self._rounds: list[Round] = []
        self._leftovers: dict[tuple[int, int], tuple[str, str | None, str]] = {}
        """Process id and start time → event, script, command."""
        self._scripts_by_group: dict[int, str] = {}
        self._hosted: dict[str, str] = {}
        self._runs_with_waits: list[tuple[int, str, float]] = []

    @property
    def _native(self) -> bool:
        return self._client.dialect == "native"

    async def run(self) -> Observations:
        """Runs all events and returns what was observed."""
        lint = await _lint() if self._native else []
        files = await self._files()
        for event in _START_EVENTS:
            self._report_progress(event)
            await self._single(event)
        request = self._request
        if request.addresses:
            for number in range(1, request.alone_rounds + 1):
                await self._round(ALONE, number, request.alone_rounds, request.addresses)
            few = request.addresses[: max(1, len(request.addresses) // 4)]
            if len(few) < len(request.addresses) and request.alone_rounds > 1:
                for number in range(1, request.rounds + 1):
                    await self._round(FEW, number, request.rounds, few)
            for number in range(1, request.rounds + 1):
                await self._round(TOGETHER, number, request.rounds, request.addresses)
            # not part of the comparison, since monitor may change files
            await self._last_round()
        self._report_progress("shutdown")
        await self._single("shutdown")
        await self._fetch_waits()
        leftovers = await self._count_leftovers()
        return Observations(
            daemon=" ".join(request.daemon) or "ctdb-eventd",
            native=self._native,
            events=tuple(self._events),
            rounds=tuple(self._rounds),
            leftovers=tuple(
                Leftover(event=event, script=script, command=command, lasting=lasting, count=count)
                for (event, script, command, lasting), count in sorted(leftovers.items(), key=str)
            ),
            calls=dict(sorted(Counter(_lines(CALLS)).items())),
            unanswered=tuple(sorted(set(_lines(f"{STATE}/unanswered")))),
            lint=tuple(lint),
            known=tuple(each.name for each in files if each.known_from == "table"),
            texts={each.name: _beginning(each.path) for each in files if each.enabled},
            locks=tuple(sorted({lock for each in files for lock in each.locks})),
            read_only=tuple(self._read_only),
        )

    async def _files(self) -> Sequence[ctdb_event.ScriptFile]:
        return (await self._client.scripts("legacy")).scripts if self._native else ()

    async def map_process_groups(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Records the script of each process group, until it is cancelled."""
        if not self._native:
            task_status.started()
            return
        async with self._client.subscribe(["script-started"]) as updates:
            task_status.started()
            async for update in updates:
                if isinstance(update, ctdb_event.ScriptStarted):
                    self._scripts_by_group[update.pid] = update.script

    def _report_progress(self, text: str) -> None:
        os.write(self._channel, json.dumps({"progress": text}).encode() + b"\n")

    # --- events

    async def _last_round(self) -> None:
        """Runs monitor while addresses are hosted, and polls the locks that scripts wait for; nothing is measured."""
        async with anyio.create_task_group() as tasks:
            if self._native:
                tasks.start_soon(self._poll_locks)
            self._report_progress("all addresses side by side, with a look at locks")
            await self._move(FEW, 0, "takeip", self._request.addresses)
            await self._single("monitor")
            await self._update()
            await self._move(FEW, 0, "releaseip", self._request.addresses)
            tasks.cancel_scope.cancel()

    async def _update(self) -> None:
        """Moves each address that may be on several interfaces to the second and back, one after another."""
        for each in self._request.addresses:
            if len(each.interfaces) > 1:
                first, second = each.interfaces[:2]
                for names in ((first, second), (second, first)):
                    await self._event("", 0, "updateip", (*names, each.address, str(each.bits)), each.address)

    async def _poll_locks(self) -> None:
        while True:
            await self._client.locks()  # makes the daemon look for waits, which it does only every second otherwise
            await anyio.sleep(_LOCK_POLL_INTERVAL)

    async def _round(self, kind: str, number: int, of: int, addresses: Sequence[Public]) -> None:
        words = {ALONE: "one after another", FEW: "side by side", TOGETHER: "side by side"}[kind]
        about = f"{len(addresses)} addresses {words}, round {number} of {of}"
        self._report_progress(f"takeip of {about}")
        take_seconds, taken = await self._move(kind, number, "takeip", addresses)
        self._report_progress(f"releaseip of {about}")
        release_seconds, released = await self._move(kind, number, "releaseip", addresses)
        self._rounds.append(
            Round(
                kind=kind,
                number=number,
                count=len(addresses),
                taken=taken,
                released=released,
                take_seconds=take_seconds,
                release_seconds=release_seconds,
            )
        )

    async def _move(self, kind: str, number: int, event: str, addresses: Sequence[Public]) -> tuple[float, EndState]:
        begin = time.monotonic()
        await self._single("startipreallocate", kind, number)
        if kind == ALONE:
            for each in addresses:
                await self._address(kind, number, event, each)
        else:
            async with anyio.create_task_group() as tasks:
                for each in addresses:
                    tasks.start_soon(self._address, kind, number, event, each)
        self._write_hosted()
        await self._single("ipreallocated", kind, number)
        seconds = time.monotonic() - begin
        await self._find_leftovers(event)
        return seconds, await end_state(self._roots)

    async def _address(self, kind: str, number: int, event: str, each: Public) -> None:
        args = (each.interface, each.address, str(each.bits))
        done = await self._event(kind, number, event, args, each.address)
        if done.outcome == "success":
            if event == "takeip":
                self._hosted[each.address] = each.interface
            else:
                self._hosted.pop(each.address, None)
        if kind == ALONE:
            self._write_hosted()

    def _write_hosted(self) -> None:
        """Updates the file from which the stub answers `ctdb ip`."""
        text = "".join(f"{address} {interface}\n" for address, interface in self._hosted.items())
        with open(f"{STATE}/hosted.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{STATE}/hosted.new", f"{STATE}/hosted")

    async def _single(self, event: str, kind: str = "", number: int = 0) -> None:
        await self._event(kind, number, event, (), None)
        if not kind:
            await self._find_leftovers(event)

    async def _event(self, kind: str, number: int, event: str, args: tuple[str, ...], address: str | None) -> Event:
        begin = time.monotonic()
        run: ctdb_event.Run | None = None
        try:
            # a monitor script may fail because its service is a stub; the scripts after it must run all the same
            run_all = event == "monitor" and self._native
            run = await self._client.run("legacy", event, *args, timeout=self._request.timeout, run_all=run_all)
            outcome: str = run.outcome
        except ctdb_event.EventError as error:
            run, outcome = error.run, error.run.outcome
        except ctdb_event.BrokerUnavailable as error:
            text = f"the connection to the event daemon was lost at {event}: {error}\n{_end_of_errors()}"
            raise NodeError(text) from None
        except ctdb_event.BrokerError as error:
            outcome = str(error)
        done = Event(
            kind=kind,
            round=number,
            event=event,
            args=args,
            address=address,
            outcome=outcome,
            seconds=time.monotonic() - begin,
            scripts=tuple(_script_run(each) for each in run.scripts) if run is not None else (),
        )
        if run is not None and run.script_waits >= _LONG_WAIT:
            self._runs_with_waits.append((len(self._events), run.run, run.script_waits))
        self._events.append(done)
        return done

    async def _fetch_waits(self) -> None:
        """Asks the history what scripts waited for; at the end, so that the queries don't distort the measurements."""
        for index, run, _ in sorted(self._runs_with_waits, key=lambda each: -each[2])[:_MAX_PAST_RUNS]:
            past = await self._client.past_run(run)
            if past is not None:
                waits = tuple(
                    Wait(script=each.script, what=each.what, seconds=each.seconds)
                    for each in past.waits
                    if each.script is not None
                )
                self._events[index] = attrs.evolve(self._events[index], waits=waits)

    # --- processes

    async def _find_leftovers(self, event: str) -> None:
        for _ in range(_POLLS):
            if not self._new_processes():
                return
            await anyio.sleep(_EXIT_TIMEOUT / _POLLS)
        for process, (group, command) in self._new_processes().items():
            self._leftovers[process] = (event, self._scripts_by_group.get(group), command)

    async def _count_leftovers(self) -> Counter[tuple[str, str | None, str, bool]]:
        """Counts the processes left behind, by event, script, command, and whether they don't end by themselves.

        On a busy machine a process may have been seen before it executed its command or left its script's group. So
        the command is the last one. A process whose script isn't known has that of those with the same event and
        command, if they are all of one script.
        """
        for _ in range(_POLLS):
            processes = self._processes()
            if not (lasting := self._leftovers.keys() & processes.keys()):
                break
            await anyio.sleep(_LAST_EXIT_TIMEOUT / _POLLS)
        for process in lasting:
            event, script, _ = self._leftovers[process]
            self._leftovers[process] = (event, script, processes[process][1])
        named = {left for left in self._leftovers.values() if left[1] is not None}
        scripts_of_same = Counter((event, command) for event, _, command in named)
        only = {(event, command): script for event, script, command in named if scripts_of_same[event, command] == 1}
        return Counter(
            (event, script or only.get((event, command)), command, process in lasting)
            for process, (event, script, command) in self._leftovers.items()
        )

    def _new_processes(self) -> dict[tuple[int, int], tuple[int, str]]:
        return {each: found for each, found in self._processes().items() if each not in self._leftovers}

    def _processes(self) -> dict[tuple[int, int], tuple[int, str]]:
        """Returns process id and start time → process group and command of those that events have started."""
        own = {1, os.getpid(), self._daemon}
        found = {}
        for name in os.listdir("/proc"):
            if not name.isdecimal() or int(name) in own:
                continue
            process = _process(int(name))
            if process is None:
                continue
            parent, started, group, command = process
            if parent not in (os.getpid(), self._daemon):
                found[int(name), started] = (group, command)
        return found


def _process(pid: int) -> tuple[int, int, int, str] | None:
    """Returns parent, start time, process group and command of a process; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    if fields[0] in "ZX" or not command:
        return None
    return int(fields[1]), int(fields[19]), int(fields[2]), command[:200]


def _script_run(script: ctdb_event.Script) -> ScriptRun:
    return ScriptRun(
        name=script.name,
        state=script.state,
        result=script.result,
        seconds=script.seconds,
        output=script.text[:_MAX_OUTPUT],
    )


async def _lint() -> list[dict[str, object]]:
    words = command_of("ctdb_event.cli", "lint", "--json")
    done = await anyio.run_process(words, check=False, stderr=subprocess.DEVNULL)
    try:
        found: list[dict[str, object]] = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError):
        return []
    return found


def _lines(path: str) -> Iterable[str]:
    with open(path, encoding="utf-8", errors="replace") as file:
        return [line.strip() for line in file if line.strip()]


def _beginning(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_TEXT).decode(errors="replace")
    except OSError:
        return ""


def _end_of_errors() -> str:
    with open(ERRORS, encoding="utf-8", errors="replace") as file:
        return file.read()[-2000:].strip()


async def _observe(request: Request, channel: int) -> Observations:
    async with eventd.running(request.daemon) as process, ctdb_event.connect() as client:
        course = Observer(request, client, process.pid, channel)
        async with anyio.create_task_group() as tasks:
            await tasks.start(course.map_process_groups)
            seen = await course.run()
            tasks.cancel_scope.cancel()
    return seen


def _problem(error: BaseException) -> str:
    error = first_error(error)
    text = str(error) if isinstance(error, NodeError) else f"{type(error).__name__}: {error}"
    with open(ROOTS, encoding="utf-8") as file:
        roots, _ = json.load(file)
    if gone := [path for path in removed(roots) if is_of_system(path)]:
        more = f" and {len(gone) - _MAX_PATHS_SHOWN} more" if len(gone) > _MAX_PATHS_SHOWN else ""
        text = (
            f"scripts have removed {', '.join(gone[:_MAX_PATHS_SHOWN])}{more}, and it can't continue without them: "
            f"{text}\n"
            "On the node they would do the same: look for an `rm` with a variable that may be empty."
        )
    return f"{text}\n{_end_of_errors()}".strip()


def main(arguments: list[str]) -> int:
    """Runs the pass; returns the exit status."""
    channel = int(arguments[0])
    os.set_inheritable(channel, False)
    with open(REQUEST, encoding="utf-8") as file:
        request = from_json(Request, json.load(file))
    errors = os.open(ERRORS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(errors, 2)
    try:
        message = {"observations": to_json(anyio.run(_observe, request, channel))}
    except Exception as error:
        message = {"problem": _problem(error)}
    with open(channel, "w", encoding="utf-8") as file:
        file.write(json.dumps(message) + "\n")
    return 0
