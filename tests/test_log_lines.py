"""Lines of the log as JSON, through the log itself; tests/test_logs.py has the text."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ctdb_eventd.config import Config
from ctdb_eventd.events import plan
from ctdb_eventd.log_lines import NOTICE
from ctdb_eventd.logs import Log, log_output
from ctdb_eventd.model import EventSpec
from ctdb_eventd.paths import Paths
from ctdb_eventd.runner.reports import Reports
from ctdb_eventd.runs import Job
from ctdb_eventd.scripts import Script

pytestmark = pytest.mark.usefixtures("root_logger")
log = logging.getLogger("ctdb_eventd.tests")


def configured(base: Path, config: Config | None = None, **environ: str) -> Log:
    """The log of a test node, as JSON in `base`/log.ctdb unless the configuration says otherwise."""
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(base), **environ}
    node_log = Log(environ, Paths(environ))
    node_log.configure(config or Config(log_format="json"))
    return node_log


def values(base: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (base / "log.ctdb").read_text().splitlines()]


def test_a_line_is_an_object_with_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    configured(tmp_path)
    extra = {"about": {"run": "t-1", "duration": 0.25, "status": 7, "arguments": ("a\n", "b"), "address": None}}
    record = log.makeRecord(log.name, NOTICE, "", 0, "took %d", (3,), None, extra=extra)
    record.created = 1_700_000_000.25
    log.handle(record)
    monkeypatch.undo()
    time.tzset()
    (value,) = values(tmp_path)
    assert value == {
        "time": "2023-11-15T03:43:20.250000+05:30",
        "level": "NOTICE",
        "host": tmp_path.name,
        "pid": os.getpid(),
        "message": "took 3",
        "run": "t-1",
        "duration": 0.25,
        "status": 7,
        "arguments": ["a | ", "b"],
    }


def test_whatever_is_in_it_a_line_is_one_object(tmp_path: Path) -> None:
    configured(tmp_path)
    log.error("one\ntwo\x1b\u202e\udcff\ud800", extra={"about": {"script": '"}\n\u2028', "arguments": ("\0",)}})
    log.error("%s", "x" * 100_000, extra={"about": {"holder": "y" * 100_000}})
    first, second = values(tmp_path)
    assert first["message"] == r"one | two\x1b\u202e\xff\ud800"
    assert (first["script"], first["arguments"]) == (r'"} | \u2028', [r"\x00"])
    assert all(second[key].endswith("… (cut, 100000 characters in all)") for key in ("message", "holder"))


def test_a_traceback_is_a_key_of_its_own(tmp_path: Path) -> None:
    configured(tmp_path)
    try:
        raise KeyError("key")
    except KeyError:
        log.exception("failed")
    (value,) = values(tmp_path)
    assert value["message"] == "failed"
    assert value["traceback"].endswith(" | KeyError: 'key'")


def test_what_a_script_printed_has_address_and_time_as_keys(tmp_path: Path) -> None:
    configured(tmp_path)
    log_output("10.interface", b"old\nnew\n", [(0, time.time() - 60), (4, time.time())], {"address": "10.0.0.1"})
    old, new = values(tmp_path)
    assert (old["message"], old["script"], old["address"]) == ("10.interface: old", "10.interface", "10.0.0.1")
    assert old["came"] < old["time"]
    assert old["came"] < new["came"]
    assert len(old["came"]) == len(old["time"])


def test_a_script_that_fails_is_told_with_its_run_and_all_that_is_known_of_it(tmp_path: Path) -> None:
    configured(tmp_path)
    spec = EventSpec(component="legacy", event="takeip", args=("eth0", "10.0.0.1", "24"), timeout=30, run_all=False)
    job = Job(run="t-1", spec=spec, plan=plan(spec.event, spec.args), done=None)

    class Listener:
        def script_finished(self, job: Job, report: object) -> None:
            pass

    reports = Reports(job, [Script("10.x", "/nowhere/10.x.script", bare=False)], Listener())  # type: ignore[arg-type]
    reports.exited("10.x", 0, 250_000, 7, b"no\n")
    reports.exited("10.x", 0, 250_000, -9, b"")
    its = {"run": "t-1", "component": "legacy", "event": "takeip", "arguments": ["eth0", "10.0.0.1", "24"]}
    its |= {"address": "10.0.0.1", "script": "10.x"}
    output, failed, killed = values(tmp_path)
    assert output.items() >= {**its, "message": "10.x: no"}.items()
    assert failed.items() >= {**its, "outcome": "failed", "status": 7, "duration": 0.25}.items()
    assert killed.items() >= {**its, "outcome": "killed", "signal": 9, "duration": 0.25}.items()


def test_standard_error_has_json_too_and_nothing_before_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    configured(tmp_path, CTDB_INTERACTIVE="true")
    log.error("text")
    assert json.loads(capfd.readouterr().err)["message"] == "text"


def test_lines_that_were_lost_are_counted_in_the_same_form(tmp_path: Path) -> None:
    (tmp_path / "log.ctdb").symlink_to("/dev/full")
    node_log = configured(tmp_path)
    log.error("lost")
    (tmp_path / "log.ctdb").unlink()
    node_log.reopen()
    log.error("kept")
    assert [value["message"] for value in values(tmp_path)] == [
        "1 log lines before this one were lost: No space left on device",
        "kept",
    ]


def test_another_form_takes_effect_in_the_same_file(tmp_path: Path) -> None:
    node_log = configured(tmp_path)
    descriptors = len(os.listdir("/proc/self/fd"))
    log.error("one")
    node_log.configure(Config())
    log.error("two")
    first, second = (tmp_path / "log.ctdb").read_text().splitlines()
    assert json.loads(first)["message"] == "one"
    assert second.endswith("]: two")
    assert len(os.listdir("/proc/self/fd")) == descriptors
