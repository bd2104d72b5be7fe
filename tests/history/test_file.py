"""The history's file: what is written, kept, and survives."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nodes import TIMEOUT

from ctdb_eventd.history.reader import read
from ctdb_eventd.history.recorder import History
from ctdb_eventd.history.records import Bounds, Ended, Examined, Started, Wanted
from ctdb_eventd.model import ScriptReport, Wait

FOR_EVER = Bounds(days=1e9)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return os.fspath(tmp_path / "history.db")


def opened(path: str, bounds: Bounds) -> History:
    history = History(path, bounds)
    history.startup()
    return history


def started(number: int, **more: Any) -> Started:
    values: dict[str, Any] = {
        "run": f"a-{number}",
        "component": "legacy",
        "event": "takeip",
        "args": ("eth0", "10.0.0.1", "24"),
        "address": "10.0.0.1",
        "queued": time.time(),
    }
    return Started(**values | more)


def ended(number: int, outcome: str = "success", **more: Any) -> Ended:
    return Ended(run=f"a-{number}", outcome=outcome, summary=0, waited=0.5, seconds=1.5, **more)


def rows(path: str, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def wait_until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


def test_a_run_is_there_with_its_scripts_and_waits(path: str) -> None:
    history = opened(path, FOR_EVER)
    history.record(started(1, uid=0, pid=7, program="ctdbd", queued=5.0))
    script = ScriptReport(name="10.interface", begin=5_000_000, end=5_250_000, result=1, output=b"no \xff device\n")
    never = ScriptReport(name="20.after", begin=0, end=0, result=-125)
    wait = Wait(what="routes", holder="13.per_ip_routing of 10.0.0.2", began=5.0, seconds=0.5, script="10.interface")
    history.record(ended(1, "failed", scripts=(script, never), waits=(wait,), ended_by="uid 0"))
    history.close()
    assert rows(path, "SELECT * FROM run") == [
        (
            *(1, "a-1", "legacy", "takeip", '["eth0", "10.0.0.1", "24"]', "10.0.0.1", 0, 7, "ctdbd"),
            *(5.0, 0.5, 1.5, "failed", 0, "uid 0", 1),
        )
    ]
    assert rows(path, "SELECT * FROM script") == [
        (1, 0, "10.interface", "failed", 1, 5.0, 0.25, b"no \xff device\n", None, None),
        (1, 1, "20.after", never.state, -125, None, 0.0, b"", None, None),
    ]
    assert rows(path, "SELECT * FROM wait") == [
        (1, 0, "10.interface", "routes", "13.per_ip_routing of 10.0.0.2", 5.0, 0.5)
    ]
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_what_came_before_the_thread_is_written_too(path: str) -> None:
    history = History(path, Bounds())
    history.close()
    assert not os.path.exists(path)
    history.record(started(1))
    history.close()
    assert rows(path, "SELECT run FROM run") == [("a-1",)]


def test_what_is_no_text_is_written_all_the_same(path: str) -> None:
    history = opened(path, Bounds())
    history.record(started(1, component="\udcffa", event="\udcfe", args=("\udcfd",), program="p\udcff"))
    wait = Wait(what="lock\udcff", holder="h\udcff", began=1.0, seconds=0.1, script="s\udcff")
    script = ScriptReport(name="10.\udcff", begin=1, end=2, result=0)
    history.record(ended(1, scripts=(script,), waits=(wait,)))
    history.close()
    [run] = read(path, "runs", Wanted(component="\udcffa", event="\udcfe"), None)
    assert (run["component"], run["event"], run["args"]) == (r"\udcffa", r"\udcfe", ["\udcfd"])
    shown = read(path, "run", Wanted(), "a-1")
    assert shown is not None
    assert shown["scripts"][0]["name"] == r"10.\udcff"
    assert shown["waits"][0]["holder"] == r"h\udcff"


def test_long_output_is_cut_in_the_middle(path: str) -> None:
    history = opened(path, Bounds(output=10))
    history.record(started(1))
    history.record(
        ended(1, scripts=(ScriptReport(name="s", begin=1, end=2, result=0, output=b"begin0123456789ended"),))
    )
    history.close()
    assert rows(path, "SELECT output FROM script") == [(b"begin\n[10 bytes left out here]\nended",)]


def test_what_was_going_on_at_a_crash_is_there_as_interrupted(path: str) -> None:
    code = f"""
import time
from ctdb_eventd.history.recorder import *
from ctdb_eventd.history.records import *
history = History({path!r}, Bounds(days=1e9))
history.startup()
for number in (1, 2):
    history.record(Started(run=f"a-{{number}}", component="c", event="e", args=(), address=None, queued=1.0))
history.record(Ended(run="a-1", outcome="success", summary=0, waited=0.0, seconds=0.0))
time.sleep(1000)
"""
    process = subprocess.Popen([sys.executable, "-c", code])

    def both() -> bool:
        try:
            return rows(path, "SELECT count(outcome), count(*) FROM run") == [(1, 2)]
        except sqlite3.Error:
            return False

    wait_until(both, "both to be written")
    process.send_signal(signal.SIGKILL)
    process.wait()
    history = opened(path, FOR_EVER)
    history.record(started(3))
    history.close()
    assert rows(path, "SELECT run, outcome FROM run") == [("a-1", "success"), ("a-2", "interrupted"), ("a-3", None)]


@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        (Bounds(days=1), ["a-4", "a-5"]),
        (Bounds(days=1000, runs=3), ["a-3", "a-4", "a-5"]),
        (Bounds(days=1000), ["a-1", "a-2", "a-3", "a-4", "a-5"]),
    ],
)
def test_what_is_too_old_or_too_much_goes(path: str, bounds: Bounds, left: list[str]) -> None:
    history = opened(path, bounds)
    long_ago = time.time() - 200_000
    for number in range(1, 6):
        history.record(started(number, queued=long_ago if number < 4 else time.time()))
        history.record(ended(number, scripts=(ScriptReport(name="s", begin=1, end=2, result=0),)))
    history.close()
    history = opened(path, bounds)
    history.record(ended(5))
    history.close()
    assert [run for [run] in rows(path, "SELECT run FROM run ORDER BY number")] == left
    assert rows(path, "SELECT count(*) FROM script") == [(len(left),)], "with their scripts"


def test_a_file_that_grows_too_large_loses_its_oldest_runs(path: str) -> None:
    bounds = Bounds(size=1 << 20, output=1 << 14)
    history = opened(path, bounds)
    for number in range(1, 3001):
        history.record(started(number))
        output = os.urandom(1000)
        history.record(ended(number, scripts=(ScriptReport(name="s", begin=1, end=2, result=0, output=output),)))
    history.close()
    [(oldest, newest)] = rows(path, "SELECT min(number), max(number) FROM run")
    assert (oldest > 1, newest) == (True, 3000)
    assert os.path.getsize(path) < 4 << 20


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be one " * 50, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_broken_file_is_kept_aside_and_a_new_one_begun(
    path: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    Path(path).write_bytes(content)
    history = opened(path, Bounds())
    history.record(started(1))
    history.close()
    assert rows(path, "SELECT run FROM run") == [("a-1",)]
    [kept] = Path(path).parent.glob("history.db.broken-*")
    assert kept.read_bytes() == content
    [line] = [record.message for record in caplog.records]
    assert line == (
        f"the history {path} can't be used: file is not a database; it is kept as {kept}, and a new one started"
    )


def test_a_file_of_another_version_is_kept_aside(path: str, caplog: pytest.LogCaptureFixture) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 77")
    connection.close()
    history = opened(path, Bounds())
    history.record(started(1))
    history.close()
    assert rows(path, "SELECT run FROM run") == [("a-1",)]
    assert "it has version 77 of the schema, expected 3" in caplog.text


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_a_former_version_is_brought_up_to_date(
    path: str, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    history = opened(path, FOR_EVER)
    history.record(started(1))
    history.record(ended(1, scripts=(ScriptReport(name="10.a", begin=1, end=2, result=0, output=b"it said"),)))
    history.record(started(2))
    history.record(ended(2))
    history.close()
    connection = sqlite3.connect(path)
    connection.execute("DROP INDEX run_ended")
    connection.execute("ALTER TABLE run DROP COLUMN ended")
    if version == 1:
        for column in ("known_from", "hung"):
            connection.execute(f"ALTER TABLE script DROP COLUMN {column}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    history = opened(path, FOR_EVER)
    history.record(Examined(run="a-1", script="10.a", hung={"summary": "it sleeps"}))
    history.close()
    assert rows(path, "SELECT name, output, known_from, hung FROM script") == [
        ("10.a", b"it said", None, '{"summary": "it sleeps"}')
    ]
    assert [run["run"] for run in read(path, "ended", Wanted(), "a-1")] == ["a-2"]
    assert not caplog.records


def test_runs_are_found_in_the_order_in_which_they_ended(path: str) -> None:
    history = opened(path, FOR_EVER)
    for number in range(1, 7):
        history.record(started(number))
    for number in (3, 1, 6, 2):
        history.record(ended(number))
    history.close()

    def after(run: str, **wanted: Any) -> list[str] | None:
        found = read(path, "ended", Wanted(**wanted), run)
        return None if found is None else [one["run"] for one in found]

    assert after("a-3") == ["a-1", "a-6", "a-2"]
    assert after("a-3", limit=2) == ["a-1", "a-6"]
    assert after("a-6") == ["a-2"]
    assert after("a-2") == []
    assert after("a-3", component="other") == []
    assert after("a-4") is None  # it isn't over
    assert after("a-9") is None
    # the next daemon marks what was going on as interrupted: it ended after all others, and before what ends now
    history = opened(path, FOR_EVER)
    history.record(started(7))
    history.record(ended(7))
    history.close()
    assert after("a-2") == ["a-4", "a-5", "a-7"]
    assert read(path, "ended", Wanted(), "a-2")[0]["outcome"] == "interrupted"


async def ask(history: History, run: str) -> tuple[Any, str | None]:
    """Asks what ended after a run."""
    answers: list[tuple[Any, str | None]] = []
    come = asyncio.Event()

    def done(found: Any, error: str | None) -> None:
        answers.append((found, error))
        come.set()

    history.read("ended", Wanted(), run, done)
    await asyncio.wait_for(come.wait(), TIMEOUT)
    return answers[0]


async def test_whoever_asks_what_ended_gets_all_that_was_over_then(path: str) -> None:
    history = opened(path, FOR_EVER)
    for number in range(1, 50):
        history.record(started(number))
        history.record(ended(number))
        found, error = await ask(history, "a-1")
        assert ([run["run"] for run in found], error) == ([f"a-{other}" for other in range(2, number + 1)], None)
    history.close()


async def test_while_nothing_can_be_written_nobody_is_told_less_than_ended(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    history = opened(path, Bounds())
    history.record(started(1))
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path), "the file")
    locker = sqlite3.connect(path, isolation_level=None, timeout=TIMEOUT)
    locker.execute("BEGIN EXCLUSIVE")
    history.record(ended(1))
    history.record(started(2))
    history.record(ended(2))
    wait_until(lambda: "can't write the history" in caplog.text, "the log line")
    assert await ask(history, "a-1") == (
        None,
        f"{path}: the latest runs aren't in it yet: database is locked",
    )
    locker.execute("ROLLBACK")
    locker.close()
    wait_until(lambda: "can be written again" in caplog.text, "the log line")
    found, error = await ask(history, "a-1")
    assert ([run["outcome"] for run in found], error) == (["success"], None)
    history.close()


def test_while_somebody_locks_the_file_records_wait(path: str, caplog: pytest.LogCaptureFixture) -> None:
    history = opened(path, Bounds())
    history.record(started(1))
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path), "the file")
    locker = sqlite3.connect(path, isolation_level=None, timeout=TIMEOUT)
    locker.execute("BEGIN EXCLUSIVE")
    history.record(started(2))
    wait_until(lambda: "can't write the history" in caplog.text, "the log line")
    locker.execute("ROLLBACK")
    locker.close()
    history.close()
    assert rows(path, "SELECT run FROM run") == [("a-1",), ("a-2",)]
    assert caplog.text.count("can't write the history") == 1


def test_without_its_directory_nothing_but_the_history_is_missing(path: str, caplog: pytest.LogCaptureFixture) -> None:
    history = opened(f"{path}/no/history.db", Bounds())
    history.record(started(1))
    history.close()
    assert "1 records of the history are lost: unable to open database file" in caplog.text
