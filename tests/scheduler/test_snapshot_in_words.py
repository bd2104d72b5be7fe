"""The scheduler's state in words."""

from __future__ import annotations

import re

from scheduling import SchedulerNode

from ctdb_eventd.model import EventSpec
from ctdb_eventd.runs import Job
from ctdb_eventd.scheduler.snapshot import describe


class Shown(SchedulerNode):
    """A scheduler whose runs go on for ever."""

    def submit(self, event: str, *args: str, group: int = 0) -> Job:
        spec = EventSpec(component="legacy", event=event, args=args, timeout=30, run_all=False)
        job = self.scheduler.submit(spec, lambda result, details: None)
        assert job is not None
        if job.handle is not None:
            self.run_of(job).group = group
        return job

    def lines(self) -> list[str]:
        """The description, without the times."""
        return [re.sub(r"\d+\.\d s ago", "T", line) for line in describe(self.core)]


def test_nothing_to_do() -> None:
    assert Shown().lines() == ["0 events; 0 scripts run (18 may run at any load, at most 256), 0 wait for a slot"]


def test_every_event_says_what_it_does_or_waits_for() -> None:
    shown = Shown()
    take = shown.submit("takeip", "eth0", "10.0.0.1", "24", group=4711)
    shown.submit("releaseip", "eth0", "10.0.0.1", "24")
    other = shown.submit("takeip", "eth0", "10.0.0.2", "24")
    shown.submit("ipreallocated")
    shown.scheduler.want_script(take, "00.a", ("nfs-callout",))
    shown.scheduler.want_script(other, "00.a", ("nfs-callout", "routes"))
    assert shown.lines() == [
        "4 events; 1 scripts run (18 may run at any load, at most 256), 0 wait for a slot",
        "legacy takeip eth0 10.0.0.1 24: runs (process group 4711), arrived T",
        "legacy releaseip eth0 10.0.0.1 24: waits for legacy takeip eth0 10.0.0.1 24, arrived T",
        "legacy takeip eth0 10.0.0.2 24: runs, waits for its next script's locks or a slot, arrived T",
        "legacy ipreallocated: waits for legacy takeip eth0 10.0.0.1 24 and 2 more, arrived T",
        "lock address:10.0.0.1: held by legacy takeip eth0 10.0.0.1 24; 1 wait, "
        "the first is legacy releaseip eth0 10.0.0.1 24",
        "lock address:10.0.0.2: held by legacy takeip eth0 10.0.0.2 24",
        "lock nfs-callout: held by legacy takeip eth0 10.0.0.1 24; 1 wait, the first is legacy takeip eth0 10.0.0.2 24",
        "lock routes: held by nobody; 1 wait, the first is legacy takeip eth0 10.0.0.2 24",
    ]


def test_an_event_that_is_over_but_not_gone_says_so() -> None:
    shown = Shown()
    shown.scheduler.released(shown.submit("startup"))
    assert shown.lines()[1:] == ["legacy startup: over, but its last script is still being ended, arrived T"]


def test_a_run_that_could_not_be_reached_yet_has_no_process_group() -> None:
    shown = Shown()
    shown.submit("startup").handle = None
    assert shown.lines()[1:] == ["legacy startup: runs, waits for its next script's locks or a slot, arrived T"]


async def test_scripts_that_wait_for_a_slot_say_whether_the_processors_are_why() -> None:
    for limit, why in ((17, ""), (256, "; the processors are busy")):
        shown = Shown(processors=0, limit=limit)
        for number in range(18):
            job = shown.submit("takeip", "eth0", f"10.0.0.{number}", "24")
            shown.scheduler.want_script(job, "00.a", ())
        running = min(limit, 16)
        assert shown.lines()[0].startswith(f"18 events; {running} scripts run")
        assert shown.lines()[0].endswith(f"{18 - running} wait for a slot{why}") or limit == 17
        shown.scheduler.shut_down(lambda: None)


def test_only_the_first_hundred_locks_are_shown() -> None:
    shown = Shown()
    for number in range(102):
        shown.submit("takeip", "eth0", f"10.0.0.{number}", "24")
    lines = shown.lines()
    assert lines[-1] == "... and 2 more locks"
    assert sum(line.startswith("lock ") for line in lines) == 100


def test_only_the_first_hundred_events_are_shown() -> None:
    shown = Shown()
    for _ in range(103):
        shown.submit("startup")
    lines = shown.lines()
    assert len(lines) == 102
    assert lines[-1] == "... and 3 more events"
