"""`history`, `show` and `slow`: what is read from the history's file, and how it is told."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ctdb_event import cli
from ctdb_event.commands.past import moment
from ctdb_event.console import Failure
from ctdb_eventd.history.recorder import History
from ctdb_eventd.history.records import Bounds, Ended, Started, history_file
from ctdb_eventd.model import ScriptReport, Wait

T = 1_700_000_000.0
"""2023-11-14 22:13:20 UTC."""


def start(history: History, number: int, address: str, *, program: str = "ctdbd", uid: int = 0) -> None:
    history.record(
        Started(
            run=f"mb-{number}",
            component="legacy",
            event="takeip",
            args=("eth0", address, "24"),
            address=address,
            queued=T + 10 * number,
            uid=uid,
            pid=4711,
            program=program,
        )
    )


def end(history: History, number: int, outcome: str, *scripts: ScriptReport, **more: Any) -> None:
    times = {"waited": 0.5, "seconds": float(number)} | more
    summary = max((script.result for script in scripts), default=0)
    history.record(Ended(run=f"mb-{number}", outcome=outcome, summary=summary, scripts=scripts, **times))


def script(name: str, result: int = 0, output: bytes = b"") -> ScriptReport:
    return ScriptReport(name=name, begin=int(T * 1e6), end=int(T * 1e6) + 250_000, result=result, output=output)


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CTDB_TEST_MODE", "1")
    monkeypatch.setenv("CTDB_BASE", os.fspath(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return tmp_path


@pytest.fixture
def file(node: Path) -> str:
    path = history_file(os.fspath(node / "var"))
    os.makedirs(os.path.dirname(path))
    history = History(path, Bounds(days=1e9))
    history.startup()
    start(history, 1, "10.0.0.1")
    end(history, 1, "success", script("10.interface"))
    start(history, 2, "10.0.0.2", program="python3", uid=1000)
    wait = Wait(what="routes", holder="legacy takeip eth0 10.0.0.1 24", began=T, seconds=0.4, script="13.route")
    failed = script("13.route", 1, b"no such \x1b[31mdevice\n")
    end(history, 2, "failed", script("10.interface"), failed, waits=(wait,))
    start(history, 3, "10.0.0.3")
    end(history, 3, "cancelled", ended_by="uid 0, ctdb-event 99", seconds=0.0)
    start(history, 4, "10.0.0.4")
    history.close()
    return path


def say(capture: pytest.CaptureFixture[bytes], *arguments: str) -> str:
    assert cli.main(list(arguments)) == 0
    out, err = capture.readouterr()
    assert err == b""
    return out.decode()


def refuse(capture: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, str]:
    status = cli.main(list(arguments))
    out, err = capture.readouterr()
    assert out == b""
    return status, err.decode()


def test_a_table_for_people(file: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert [line.rstrip() for line in say(capfdbinary, "history").splitlines()] == [
        "RUN   REQUESTED            EVENT                           OUTCOME    TOOK  WAITED  BY                  "
        "SCRIPTS THAT FAILED",
        "mb-1  2023-11-14 22:13:30  legacy takeip eth0 10.0.0.1 24  success    1.0s    0.5s  ctdbd",
        "mb-2  2023-11-14 22:13:40  legacy takeip eth0 10.0.0.2 24  failed     2.0s    0.9s  python3 (uid 1000)  "
        "13.route",
        "mb-3  2023-11-14 22:13:50  legacy takeip eth0 10.0.0.3 24  cancelled  0.0s    0.5s  ctdbd",
        "mb-4  2023-11-14 22:14:00  legacy takeip eth0 10.0.0.4 24  running                  ctdbd",
    ]


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (["--failed"], [2, 3, 4]),
        (["--address", "10.0.0.2"], [2]),
        (["--component", "other"], []),
        (["--event", "takeip", "--limit", "2"], [3, 4]),
        (["--since", "2023-11-14T22:13:42"], [2, 3, 4]),
        (["--since", "2023-11-14T22:13:43"], [3, 4]),
        (["--until", "2023-11-14T22:13:40"], [1]),
        (["--slower", "2"], [2]),
        (["--by", "1000"], [2]),
        (["--by", "ctdbd"], [1, 3, 4]),
    ],
)
def test_which_runs(file: str, capfdbinary: pytest.CaptureFixture[bytes], which: list[str], found: list[int]) -> None:
    assert [run["run"] for run in json.loads(say(capfdbinary, "history", "--json", *which))] == [
        f"mb-{number}" for number in found
    ]
    plain = say(capfdbinary, "history", "--plain", *which).splitlines()
    assert [line.split("\t")[0] for line in plain] == [f"mb-{number}" for number in found]


def test_nothing_is_said_to_be_nothing(file: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert say(capfdbinary, "history", "--component", "x") == "The history has no such run.\n"
    assert say(capfdbinary, "slow", "--component", "x") == "The history has no runs of that time.\n"


@pytest.mark.parametrize("run", ["mb-2", "failed-before"])
def test_one_run_with_all_that_is_known(file: str, capfdbinary: pytest.CaptureFixture[bytes], run: str) -> None:
    if run == "failed-before":  # the latest that did not end well is the cancelled one
        assert "ended: uid 0, ctdb-event 99\n" in say(capfdbinary, "show", "failed")
        return
    assert say(capfdbinary, "show", run).splitlines() == [
        "legacy takeip eth0 10.0.0.2 24: failed after 2.0s, started 2023-11-14 22:13:40, run mb-2",
        "  10.interface         ok                 0.2s, started 2023-11-14 22:13:20",
        "  13.route             exit status 1      0.2s, started 2023-11-14 22:13:20",
        "      no such \\x1b[31mdevice",
        "  requested at 2023-11-14 22:13:40 by python3 (uid 1000), process 4711",
        "  13.route waited 0.4s for routes, held by legacy takeip eth0 10.0.0.1 24, from 2023-11-14 22:13:20",
    ]


def exported(capture: pytest.CaptureFixture[bytes], *which: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in say(capture, "history", "--export", *which).splitlines()]


def test_an_export_has_runs_whole_and_the_node(file: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    runs = exported(capfdbinary)
    assert [run["run"] for run in runs] == ["mb-1", "mb-2", "mb-3", "mb-4"]
    assert runs[1] == {"node": os.uname().nodename, **json.loads(say(capfdbinary, "show", "mb-2", "--json"))}
    assert (runs[1]["queued"], runs[1]["waits"][0]["began"]) == (T + 20, T)
    assert runs[1]["scripts"][1]["output"] == "no such \x1b[31mdevice\n"


def test_an_export_has_what_is_wanted(file: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert [run["run"] for run in exported(capfdbinary, "--failed", "--limit", "2")] == ["mb-3", "mb-4"]
    assert exported(capfdbinary, "--component", "other") == []


def test_an_export_that_lacks_runs_says_so(
    file: str, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctdb_event.commands.past._MAX_RUNS", 3)
    assert cli.main(["history", "--export"]) == 0
    out, err = capfdbinary.readouterr()
    assert len(out.splitlines()) == 3
    said = b"ctdb-event: only the latest 3 runs are included; for more use --limit, for others --since and --until\n"
    assert err == said


def test_a_run_that_goes_on_is_shown_too(file: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    head = "legacy takeip eth0 10.0.0.4 24: running, requested 2023-11-14 22:14:00, run mb-4"
    assert say(capfdbinary, "show", "mb-4").splitlines()[0] == head


def test_show_for_programs(file: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    run = json.loads(say(capfdbinary, "show", "mb-2", "--json"))
    assert (run["run"], run["uid"], run["program"], run["summary"]) == ("mb-2", 1000, "python3", 1)
    assert [(one["name"], one["state"]) for one in run["scripts"]] == [("10.interface", "ok"), ("13.route", "failed")]
    assert [(one["what"], one["seconds"]) for one in run["waits"]] == [("routes", 0.4)]


def test_what_took_most_time(file: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    found = json.loads(say(capfdbinary, "slow", "--json"))
    assert [(one["kind"], one["name"], one["count"], round(one["total"], 3)) for one in found] == [
        ("script", "10.interface", 2, 0.5),
        ("wait", "routes", 1, 0.4),
        ("script", "13.route", 1, 0.25),
    ]
    assert "wait    routes                    1  0.400s  0.400s  0.400s   0.400s" in say(capfdbinary, "slow")


@pytest.fixture
def monitors(node: Path) -> None:
    """Five runs of monitor: good, failed, of another component, good with another output, failed."""
    path = history_file(os.fspath(node / "var"))
    os.makedirs(os.path.dirname(path))
    history = History(path, Bounds(days=1e9))
    history.startup()
    samba = script("50.samba", output=b"smbd: 3 clients\nwinbind: up\n")
    for number, component, outcome, waits, scripts in (
        (1, "legacy", "success", [], [script("40.vsftpd"), samba]),
        (2, "legacy", "failed", [], [script("50.samba", 2)]),
        (3, "other", "success", [], [samba]),
        (4, "legacy", "failed", [0.25, 0.5], [script("50.samba", 1, b"smbd: 3 clients\nwinbind: \x1b[0mdown\n")]),
    ):
        began = T + number
        history.record(
            Started(run=f"m-{number}", component=component, event="monitor", args=(), address=None, queued=began)
        )
        ended: dict[str, Any] = {
            "outcome": outcome,
            "summary": scripts[-1].result,
            "waited": 0.0,
            "seconds": float(number),
        }
        each = [Wait(what="samba", holder=None, began=began, seconds=one, script="50.samba") for one in waits]
        history.record(Ended(run=f"m-{number}", scripts=tuple(scripts), waits=each, **ended))
    history.close()


def test_what_differs_from_the_last_good_run(monitors: None, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert [line.rstrip() for line in say(capfdbinary, "diff", "failed", "good").splitlines()] == [
        "        NAME             m-4            m-1      TOOK  TOOK   MORE",
        "run     legacy monitor   failed         success  4.0s  1.0s  +3.0s",
        "script  40.vsftpd        -              ok             0.2s",
        "script  50.samba         exit status 1  ok       0.2s  0.2s  +0.0s",
        "wait    50.samba: samba                          0.8s",
        "",
        "--- 50.samba, m-1, requested 2023-11-14 22:13:21",
        "+++ 50.samba, m-4, requested 2023-11-14 22:13:24",
        "@@ -1,2 +1,2 @@",
        " smbd: 3 clients",
        "-winbind: up",
        "+winbind: \\x1b[0mdown",
    ]


def test_two_runs_compared_for_programs(monitors: None, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    found = json.loads(say(capfdbinary, "diff", "m-3", "m-1", "--json"))
    assert [(one["kind"], one["name"], one["state"], one["differs"]) for one in found] == [
        ("run", "other monitor / legacy monitor", "success", False),
        ("script", "40.vsftpd", None, True),
        ("script", "50.samba", "ok", False),
    ]
    assert say(capfdbinary, "diff", "m-4", "m-2", "--plain").splitlines() == [
        "run\tlegacy monitor\tfailed\tfailed\t1\t2\t4.000\t2.000\tyes",
        "script\t50.samba\tfailed\tfailed\t1\t2\t0.250\t0.250\tyes",
        "wait\t50.samba: samba\t\t\t\t\t0.750\t\tyes",
    ]


def test_runs_without_an_earlier_good_one_are_named(monitors: None, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    said = "ctdb-event: no run of legacy monitor before m-1 succeeded\n"
    assert refuse(capfdbinary, "diff", "m-1", "good") == (2, said)
    said = "ctdb-event: the history has no run m-9; `ctdb-event history` lists them\n"
    assert refuse(capfdbinary, "diff", "m-1", "m-9") == (2, said)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["show", "nope"], 2, "the history has no run nope; `ctdb-event history` lists them"),
        (["history", "--since", "25:00"], 22, '"25:00" is not a time: expected a time of day (02:30)'),
        (["history", "--limit", "0"], 22, '--limit "0": expected a number from 1 to 1000000'),
        (["history", "--slower", "x"], 22, '--slower "x": expected seconds, such as 2 or 0.5'),
        (["slow", "--by", "root"], 22, '--by "root": expected ctdbd, or a user\'s number'),
    ],
)
def test_what_can_not_be_understood_is_named(
    file: str, capfdbinary: pytest.CaptureFixture[bytes], arguments: list[str], status: int, said: str
) -> None:
    code, text = refuse(capfdbinary, *arguments)
    assert code == status
    assert text.startswith(f"ctdb-event: {said}")


def test_without_a_history_and_with_a_broken_one_it_says_so(
    node: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = history_file(os.fspath(node / "var"))
    code, text = refuse(capfdbinary, "history")
    assert (code, text) == (
        1,
        f"ctdb-event: can't read the history {path}: it does not exist: no run has been recorded yet, or "
        "[history] days is 0\n",
    )
    os.makedirs(os.path.dirname(path))
    Path(path).write_bytes(b"no database " * 100)
    code, text = refuse(capfdbinary, "show", "last")
    assert (code, text) == (1, f"ctdb-event: can't read the history {path}: file is not a database\n")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("22:00", T - 800),
        ("22:13:20", T),
        ("22:14", T + 40 - 24 * 3600),
        ("2023-11-14", T - 80_000),
        ("2023-11-14T22:13", T - 20),
        ("20m", T - 1200),
        ("2d", T - 48 * 3600),
    ],
)
def test_times_on_the_command_line(given: str, meant: float) -> None:
    assert moment(given, T) == meant


@pytest.mark.parametrize("given", ["", "24:61", "yesterday", "-5m", "2023-13-01"])
def test_what_is_no_time_is_refused(given: str) -> None:
    with pytest.raises(Failure, match="is not a time: expected a time of day"):
        moment(given, T)
