"""Reports of scripts whose end did not come by itself."""

from __future__ import annotations

import errno
import logging
import os

import attrs
import pytest

from ctdb_eventd.events import plan
from ctdb_eventd.logs import NOTICE
from ctdb_eventd.model import DISABLED, SIGNALLED, TIMED_OUT, EventSpec, ScriptReport
from ctdb_eventd.runner.reports import Reports
from ctdb_eventd.runs import Job
from ctdb_eventd.scripts import Script

SPEC = EventSpec(component="legacy", event="monitor", args=(), timeout=30, run_all=False)
JOB = Job(run="t-1", spec=SPEC, plan=plan("monitor", ()), done=None)


@attrs.frozen
class Child:
    pid: int = 4711
    output: bytes = b"so far"
    came: tuple[tuple[int, float], ...] = ()


class Listener:
    """Hears nothing."""

    def script_finished(self, job: Job, report: object) -> None:
        pass


def made() -> Reports:
    return Reports(JOB, [Script("10.x", "/nowhere/10.x.script", bare=False)], Listener())  # type: ignore[arg-type]


def test_whether_any_script_ran() -> None:
    reports = made()
    assert not reports.any_ran
    reports.add(ScriptReport(name="10.x", begin=1, end=1, result=DISABLED))
    assert not reports.any_ran
    reports.add(reports.exited("20.x", 1, 1, 0, b""))
    assert reports.any_ran


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (
            errno.ELOOP,
            "a link is part of a loop, or of a chain of more than 40 (namei shows them); remove it",
        ),
        (
            errno.ENOTDIR,
            "its path, or that of its interpreter, leads through a file as if it were a directory (namei shows it)",
        ),
        (errno.ENAMETOOLONG, "File name too long"),
    ],
)
def test_a_link_that_can_not_be_followed_is_explained(
    number: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = OSError(number, os.strerror(number))
    report = made().not_started(Script("10.x", "/nowhere/10.x.script", bare=False), 1, error)
    text = f"cannot run /nowhere/10.x.script: {reason}"
    assert (report.result, report.output) == (-number, f"{text}\n".encode())
    assert report.failed
    assert caplog.messages == [f"legacy monitor: 10.x: {text} (ctdb-event show t-1)"]


def test_the_time_of_what_timed_out_is_not_of_the_clock_on_the_wall(caplog: pytest.LogCaptureFixture) -> None:
    """That may be set at any time, backwards too."""
    future = 1 << 60
    with caplog.at_level(logging.ERROR):
        result = made().timed_out(Child(), future, 30_250_000)
    assert result.report is not None
    (script,) = result.report.scripts
    assert (script.begin, script.end, script.result) == (future, future + 30_250_000, TIMED_OUT)
    assert "while 10.x ran, for 30.250 s as process 4711 (ctdb-event show " in caplog.text


def test_so_is_that_of_what_was_cancelled() -> None:
    result = made().cancelled(Child(), 1000, 500)
    assert result.report is not None
    (script,) = result.report.scripts
    assert (script.begin, script.end, script.result, script.output) == (1000, 1500, SIGNALLED, b"so far")


@pytest.mark.parametrize(("status", "took", "notable"), [(0, 15_000_000, False), (0, 15_100_000, True), (1, 29, False)])
def test_a_script_that_takes_most_of_its_event_s_time_is_pointed_out(
    status: int, took: int, notable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(NOTICE)
    made().exited("10.x", 1, took, status, b"")
    text = "legacy monitor: 10.x took 15.100 s, more than half of the event's 30 s (ctdb-event show t-1)"
    assert [record.getMessage() for record in caplog.records if record.levelno == NOTICE] == [text] * notable
