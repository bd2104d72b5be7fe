"""`run` with its new options, `cancel`, `results` and `subscribe`, against a broker that does what the test wants."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samples
from fake_broker import FakeBroker, ReceivedRequest
from nodes import TIMEOUT

from ctdb_event import cli
from ctdb_event.commands import notes, runs, streaming
from ctdb_event.commands.connection import DaemonConnection
from ctdb_event.commands.screen import Screen
from ctdb_event.commands.session import Session
from ctdb_event.core import Mailbox

Capture = pytest.CaptureFixture[bytes]
FAILED = samples.run(
    outcome="failed",
    summary=3,
    scripts=[
        samples.script("00.ctdb", output=b"fine\n"),
        samples.script("60.nfs", "failed", 3, b"no \x1b[31m\xff\n\tserver\n"),
        {**samples.script("70.x", "not-reached", -42), "started": None},
    ],
)


def say(capture: Capture, *arguments: str, code: int = 0) -> tuple[str, str]:
    assert cli.main(list(arguments)) == code
    out, err = capture.readouterr()
    return out.decode("utf-8", "surrogateescape"), err.decode()


def streamed(asked: ReceivedRequest) -> None:
    if asked.params["stream"]:
        about = samples.note()
        asked.note("queued", **about)
        asked.note("started", waited=0.5, **about)
        asked.note("script-started", script="00.ctdb", pid=3, **about)
        asked.note("output", script="00.ctdb", output=b"one\ntw\xc3", **about)
        asked.note("output", script="00.ctdb", output=b"\xa9\x1b\xff", **about)
        asked.note("script-finished", script="00.ctdb", state="ok", result=0, seconds=0.2, **about)
        asked.note("lock-waiting", locks=["a", "b"], lock=None, text="x", **about)
        asked.note("gap", lost=7, time=1.0)
        asked.note("script-finished", script="10.off", state="disabled", result=-8, seconds=0.0, **about)
        asked.note("of-later", **about)
    asked.result(FAILED)


# ---------------------------------------------------------------------- run


def test_each_argument_is_one(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.reply("run", {"run": "mb-7"})
    assert say(capfdbinary, "run", "--detach", "0", "legacy", "x", "a b", os.fsdecode(b"\xff")) == ("mb-7\n", "")
    expected = {"component": "legacy", "event": "x", "args": ["a b", "\udcff"], "timeout": 0, "run_all": False}
    assert broker.asked("run") == {**expected, "detach": True}
    shown, _ = say(capfdbinary, "run", "--detach", "--json", "0", "legacy", "x", "--", "-y")
    assert json.loads(shown) == {"run": "mb-7"}
    assert broker.asked("run")["args"] == ["-y"]


@pytest.mark.parametrize(
    ("outcome", "code"), [("success", 0), ("failed", 8), ("timed-out", 110), ("cancelled", 125), ("of-later", 5)]
)
def test_exit_status_is_that_of_the_event(outcome: str, code: int, broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.reply("run", samples.run(outcome=outcome))
    shown, err = say(capfdbinary, "run", "--json", "30", "legacy", "monitor", code=code)
    assert json.loads(shown)["outcome"] == outcome
    assert err == ""
    assert broker.asked("run")["stream"] is False


def test_all_scripts_in_test_mode(broker: FakeBroker, capfdbinary: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTDB_EVENT_RUN_ALL", "")
    broker.reply("run", samples.run())
    say(capfdbinary, "run", "--json", "30", "legacy", "monitor")
    assert broker.asked("run")["run_all"] is True


def test_stream(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.rules["run"] = streamed
    out, err = say(capfdbinary, "run", "--stream", "30", "legacy", "takeip", code=8)
    assert out == "one\ntwé\x1b\udcff"
    assert err.splitlines() == [
        "== legacy takeip eth0: waits for other events (run mb-2)",
        "== 00.ctdb: started",
        "== 00.ctdb: ok after 0.2s",
        "== waits for a, b",
        "== 7 notes were lost here: this reader is too slow",
        "== 10.off: disabled",
        "== legacy monitor: failed after 1.2s",
    ]


def test_stream_as_json(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.rules["run"] = streamed
    out, err = say(capfdbinary, "run", "--stream", "--json", "30", "legacy", "takeip", code=8)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line.get("note") for line in lines][:4] == ["queued", "started", "script-started", "output"]
    assert lines[3]["output"] == "one\ntw\udcc3"
    assert lines[3]["number"] == lines[0]["number"] + 3
    assert set(lines[-1]) == {"result"}
    assert err == ""


def test_streaming_and_detached_exclude_each_other(node: Path, capfdbinary: Capture) -> None:
    _, err = say(capfdbinary, "run", "--stream", "--detach", "0", "a", "b", code=22)
    assert "leave one of them out" in err


def test_a_timeout_that_is_none(node: Path, capfdbinary: Capture) -> None:
    assert 'timeout "x": a whole number' in say(capfdbinary, "run", "--json", "x", "a", "b", code=22)[1]


# ---------------------------------------------------------------------- Ctrl-C


def interrupted(monkeypatch: pytest.MonkeyPatch, *times: int) -> None:
    """Makes the broker's answer number N look as if Ctrl-C came instead."""
    receive = runs._Run._follow
    count = 0

    def follow(self: runs._Run, call: Mailbox) -> dict[str, Any]:
        nonlocal count
        count += 1
        if count in times:
            raise KeyboardInterrupt
        return receive(self, call)

    monkeypatch.setattr(runs._Run, "_follow", follow)


def until_cancelled(outcome: str) -> Callable[[ReceivedRequest], None]:
    """A rule for `run`: its answer comes after that of `cancel`, on the same connection."""

    def run(asked: ReceivedRequest) -> None:
        cancel = asked.following()
        assert cancel is not None
        assert (cancel.method, cancel.params) == ("cancel", {"call": asked.id})
        cancel.result({"state": "running"})
        asked.result(samples.run(outcome=outcome))

    return run


CANCELLING = "ctdb-event: Ctrl-C: the run is being cancelled; Ctrl-C again exits at once\n"
LEFT = "ctdb-event: Ctrl-C: disconnected; the daemon cancels the run\n"


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        ("cancelled", 130, "ctdb-event: Ctrl-C: run mb-1 was cancelled\n"),
        ("success", 0, "ctdb-event: Ctrl-C came too late: run mb-1 had already ended: success\n"),
    ],
)
@pytest.mark.parametrize("times", [(1,), (1, 2)], ids=["once", "passed on by a wrapper"])
def test_ctrl_c_cancels(
    times: tuple[int, ...],
    outcome: str,
    code: int,
    said: str,
    broker: FakeBroker,
    capfdbinary: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupted(monkeypatch, *times)
    monkeypatch.setattr(runs, "_SAME_SIGINT", 3600.0)
    broker.rules["run"] = until_cancelled(outcome)
    out, err = say(capfdbinary, "run", "--json", "30", "legacy", "monitor", code=code)
    assert json.loads(out)["outcome"] == outcome
    assert err == CANCELLING + said


def test_a_second_ctrl_c_does_not_wait(
    broker: FakeBroker, capfdbinary: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, 1, 2)
    monkeypatch.setattr(runs, "_SAME_SIGINT", 0.0)
    broker.rules["run"] = until_cancelled("cancelled")
    err = say(capfdbinary, "run", "--json", "30", "legacy", "monitor", code=130)[1]
    assert err == CANCELLING + LEFT


def test_ctrl_c_while_much_comes_shows_how_the_run_was_cancelled(broker: FakeBroker) -> None:
    """It may fall between any two steps of receiving and printing."""

    def run(asked: ReceivedRequest) -> None:
        while not select.select([asked.connection], [], [], 0)[0]:
            for _ in range(50):
                asked.note("output", script="a", output=b"x\n", **samples.note())
        cancel = asked.following()
        assert cancel is not None
        assert (cancel.method, cancel.params) == ("cancel", {"call": asked.id})
        asked.result(samples.run(outcome="cancelled"))

    broker.rules["run"] = run
    command = [sys.executable, "-m", "ctdb_event", "run", "--stream", "30", "legacy", "x"]
    for _ in range(10):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=TIMEOUT)[1].decode()
        assert (process.returncode, said.splitlines()[-1]) == (130, "ctdb-event: Ctrl-C: run mb-1 was cancelled")


def test_ctrl_c_before_the_request_is_known(
    broker: FakeBroker, capfdbinary: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(connection: DaemonConnection, method: str, params: dict[str, Any]) -> Mailbox:
        send(connection, method, params)
        raise KeyboardInterrupt

    send = DaemonConnection.start
    monkeypatch.setattr(DaemonConnection, "start", start)
    broker.reply("run", samples.run())
    assert say(capfdbinary, "run", "--json", "30", "legacy", "monitor", code=130) == ("", LEFT)


def test_ctrl_c_while_the_result_is_shown(
    broker: FakeBroker, capfdbinary: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "print_json", interrupt)
    broker.reply("run", samples.run())
    assert say(capfdbinary, "run", "--json", "30", "legacy", "monitor", code=130) == ("", "")


def test_ctrl_c_and_the_daemon_goes(broker: FakeBroker, capfdbinary: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang_up(asked: ReceivedRequest) -> None:
        asked.note("started", waited=0.0, **samples.note())
        asked.hang_up()

    interrupted(monkeypatch, 1)
    broker.rules["run"] = hang_up
    assert "the daemon cancels" in say(capfdbinary, "run", "--json", "30", "legacy", "monitor", code=130)[1]


# ---------------------------------------------------------------------- a terminal


class Terminal(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def isatty(self) -> bool:
        return True

    def written(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()


def test_on_a_terminal_controls_are_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(streaming, "_place", lambda descriptor: (1, 1))
    stream = streaming.Stream(Screen({"TERM": "xterm"}))
    for output in (b"a\tb\x1b[31m\nz\xc3", b"\xa9\xff\xc3", b""):
        stream.note("output", samples.note(script="x", output=output))
    stream.note("script-finished", samples.note(script="x\x1b", state="failed", result=3, seconds=1.0))
    stream.end(samples.run())
    stream.note("output", samples.note(script="x", output=b"half a line"))
    stream.aside("said\x1b between")
    # what was the beginning of a character comes before the next remark, and that on a line of its own
    assert out.written() == "a\tb\\x1b[31m\nzé\\xff\\xc3\nhalf a line\n"
    assert err.written() == (
        "== \x1b[31mx\\x1b: exit status 3 after 1.0s\x1b[0m\n== \x1b[32mlegacy monitor: success after 1.2s\x1b[0m\n"
        "said\\x1b between\n"
    )


def test_places() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    assert streaming._place(writer) is None
    assert streaming._place(0) is not None


# ---------------------------------------------------------------------- cancel, results


def test_cancel(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.reply("cancel", {"state": "queued"})
    assert say(capfdbinary, "cancel", "mb-3") == ("mb-3 is cancelled, it was queued.\n", "")
    assert broker.asked("cancel") == {"run": "mb-3"}
    assert json.loads(say(capfdbinary, "cancel", "--json", "mb-3")[0]) == {"run": "mb-3", "state": "queued"}


def test_results_of_everything(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.reply("status", samples.status(results=[FAILED, samples.run(event="takeip", address="10.0.0.1")]))
    assert say(capfdbinary, "results", "--addresses")[0] == (
        "EVENT           ADDRESS   OUTCOME  STARTED              TOOK  WAITED  SCRIPTS THAT FAILED\n"
        "legacy monitor            failed   2023-11-14 22:13:20  1.2s    0.8s  60.nfs: exit status 3\n"
        "legacy takeip   10.0.0.1  success  2023-11-14 22:13:20  1.2s    0.8s\n"
    )
    nothing = {"component": None, "event": None, "address": None}
    assert broker.asked("status") == {**nothing, "addresses": True, "output": False}
    line = "mb-1|legacy|monitor|||failed|3|1700000000.250|0.500|1.250||||||||0.250".replace("|", "\t")
    assert say(capfdbinary, "results", "--plain")[0].splitlines()[0] == line
    assert len(json.loads(say(capfdbinary, "results", "--json")[0])) == 2


def test_results_of_one_event(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.reply("status", samples.status(results=[FAILED, samples.run(scripts=[])]))
    shown = say(capfdbinary, "results", "legacy", "monitor", "--address", "10.0.0.1")[0]
    assert shown.splitlines() == [
        "legacy monitor: failed after 1.2s, started 2023-11-14 22:13:20, run mb-1",
        "  00.ctdb              ok                 0.4s, started 2023-11-14 22:13:20",
        "      fine",
        "  60.nfs               exit status 3      0.4s, started 2023-11-14 22:13:20",
        "      no \\x1b[31m\\xff",
        "      \tserver",
        "  70.x                 not-reached",
        "",
        "legacy monitor: success after 1.2s, started 2023-11-14 22:13:20, run mb-1",
    ]
    one = {"component": "legacy", "event": "monitor", "address": "10.0.0.1"}
    assert broker.asked("status") == {**one, "addresses": False, "output": True}
    lines = say(capfdbinary, "results", "legacy", "monitor", "--plain")[0].splitlines()
    run = "mb-1|legacy|monitor|||failed|3|1700000000.250|0.500|1.250|"
    assert lines == [
        (run + "00.ctdb|ok|0|1700000000.250|0.400|fine\\n||0.250").replace("|", "\t"),
        (run + "60.nfs|failed|3|1700000000.250|0.400|no \x1b[31m\udcff\\n\\tserver\\n||0.250").replace("|", "\t"),
        (run + "70.x|not-reached|-42||0.400|||0.250").replace("|", "\t"),
        "mb-1|legacy|monitor|||success|0|1700000000.250|0.500|1.250||||||||0.250".replace("|", "\t"),
    ]


@pytest.mark.parametrize(
    ("known_from", "shown"),
    [
        ("head", "declared in its head"),
        ("configuration", "set by [events] in ctdb.conf"),
        ("of later brokers", "of later brokers"),
    ],
)
def test_a_script_that_does_not_handle_the_event(
    known_from: str, shown: str, broker: FakeBroker, capfdbinary: Capture
) -> None:
    script = {**samples.script("60.nfs", "not-handled"), "known_from": known_from}
    broker.reply("status", samples.status(results=[samples.run(scripts=[script])]))
    line = say(capfdbinary, "results", "legacy", "monitor")[0].splitlines()[1]
    assert line == f"  60.nfs               does not handle this event ({shown})"
    plain = say(capfdbinary, "results", "legacy", "monitor", "--plain")[0].rstrip("\n").split("\t")
    assert (plain[11], plain[16]) == ("not-handled", known_from)


def test_no_results(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.reply("status", samples.status())
    assert say(capfdbinary, "results")[0] == "No event has completed since the daemon started.\n"
    nothing = "No event for 10.0.0.1 has completed since the daemon started.\n"
    assert say(capfdbinary, "results", "--address", "10.0.0.1")[0] == nothing


# ---------------------------------------------------------------------- subscribe

NOTES: list[tuple[str, dict[str, Any], str]] = [
    ("queued", samples.note(), "legacy takeip eth0: waits (mb-2)"),
    ("started", samples.note(waited=0.2), "legacy takeip eth0: started after waiting 0.2s (mb-2)"),
    ("started", samples.note(waited=0.0), "legacy takeip eth0: started (mb-2)"),
    ("script-started", samples.note(script="10.x", pid=3), "legacy takeip eth0: 10.x: started as process 3"),
    ("output", samples.note(script="10.x", output=b"a\x1b\n\nb\n"), "legacy takeip eth0: 10.x: a\\x1b"),
    (
        "script-finished",
        samples.note(script="10.x", state="failed", result=3, seconds=0.5),
        "legacy takeip eth0: 10.x: exit status 3 after 0.5s",
    ),
    (
        "finished",
        samples.note(outcome="failed", summary=3, waited=0.2, seconds=1.0),
        "legacy takeip eth0: failed after 1.0s (mb-2)",
    ),
    ("queued", samples.note(holder="a b"), "legacy takeip eth0: waits behind a b (mb-2)"),
    ("lock-waiting", samples.note(locks=["a", "b"], lock=None, text="x y"), "x y: waits for a, b"),
    ("lock-waiting", samples.note(locks=["a"], lock=None, text="x", holder="y z"), "x: waits for a behind y z"),
    ("lock-acquired", samples.note(locks=["a"], lock=1, text="x y", seconds=2.0), "x y: has a after 2.0s"),
    ("health", {"time": 1.0, "component": "c", "healthy": True, "script": None, "result": 0}, "c: healthy"),
    (
        "health",
        {"time": 1.0, "component": "c", "healthy": False, "script": None, "result": 3},
        "c: not healthy: monitor failed",
    ),
    ("gap", {"time": 1.0, "lost": 7}, "7 notes were lost here: this reader is too slow"),
    ("of-later", {"time": 1.0}, "of-later"),
]


def tell(asked: ReceivedRequest) -> None:
    for kind, data, _ in NOTES:
        asked.note(kind, **data)
    asked.result({"notes": len(NOTES)})


def test_subscribe_for_people(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.rules["subscribe"] = tell
    lines = say(capfdbinary, "subscribe")[0].splitlines()
    assert broker.asked("subscribe") == dict.fromkeys(
        ("kinds", "component", "event", "run", "outcomes", "address", "report")
    )
    expected = [text for _, _, text in NOTES]
    expected[5:5] = ["legacy takeip eth0: 10.x: ", "legacy takeip eth0: 10.x: b"]
    assert [line[13:] for line in lines] == expected
    assert lines[0][:13] == "22:13:20.250 "


def test_subscribe_for_programs(broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.rules["subscribe"] = tell
    lines = [json.loads(line) for line in say(capfdbinary, "subscribe", "--json")[0].splitlines()]
    assert [line["note"] for line in lines] == [kind for kind, _, _ in NOTES]
    assert [line["number"] for line in lines] == list(range(1, 1 + len(NOTES)))
    assert lines[4]["output"] == "a\x1b\n\nb\n"
    plain = say(capfdbinary, "subscribe", "--plain")[0].splitlines()
    begin = "1700000000.250|{}|mb-2|legacy|takeip|eth0|"
    assert plain[3] == (begin.format("script-started") + "10.x|3||||||||||").replace("|", "\t")
    finished = [begin.format("finished").replace("|", "\t") + "\t\t", "failed", "3", "1.000", "0.200", *[""] * 5]
    assert plain[6] == "\t".join(finished)
    assert {line.count("\t") for line in plain} == {17}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--kinds", "finished,health"], ["finished", "health"]),
        (["--kinds", "finished", "--output"], ["finished", "output"]),
        (["--kinds=output", "--output"], ["output"]),
        (["--output"], None),
    ],
)
def test_which_kinds(options: list[str], expected: list[str] | None, broker: FakeBroker, capfdbinary: Capture) -> None:
    broker.rules["subscribe"] = tell
    say(capfdbinary, "subscribe", *options, "--component", "c", "--event", "e", "--run", "r")
    asked = broker.asked("subscribe")
    assert {name: asked[name] for name in ("component", "event", "run")} == {"component": "c", "event": "e", "run": "r"}
    if expected is None:
        assert {"output", "health", "queued"} <= set(asked["kinds"])
    else:
        assert asked["kinds"] == expected


def past(run: str, outcome: str = "success", **more: Any) -> dict[str, Any]:
    return {**samples.run(run=run, outcome=outcome), "ended_by": None, **more}


def test_since_a_run_all_comes_from_the_history(broker: FakeBroker, capfdbinary: Capture) -> None:
    """Whatever notes come, be they doubles, of runs without scripts, or about some that were lost."""
    pages = {
        "mb-1": [past("mb-2"), past("mb-3", "interrupted", waited=None, seconds=None)],
        "mb-3": [past("mb-4")],
        "mb-5": [past("mb-6", "timed-out")],
    }
    later = {"mb-4": [past("mb-5", "failed", summary=3)]}
    notes: list[ReceivedRequest] = []

    def read(asked: ReceivedRequest) -> None:
        run = asked.params["run"]
        asked.result(pages.get(run, []))
        if run == "mb-4" and later:
            pages.update(later)
            later.clear()
            notes[0].note("finished", **samples.note(run="mb-4", outcome="success", summary=0, waited=0, seconds=1))
            notes[0].note("gap", time=1.0, lost=7)
        elif run == "mb-6":
            notes[0].result({"notes": 2})

    broker.rules["subscribe"] = notes.append
    broker.rules["history"] = read
    options = ("--since", "mb-1", "--component", "c", "--address", "a", "--report")
    lines = [json.loads(line) for line in say(capfdbinary, "subscribe", "--json", *options)[0].splitlines()]
    assert [(line["run"], line["outcome"], line["report"]["run"]) for line in lines] == [
        *(("mb-2", "success", "mb-2"), ("mb-3", "interrupted", "mb-3"), ("mb-4", "success", "mb-4")),
        *(("mb-5", "failed", "mb-5"), ("mb-6", "timed-out", "mb-6")),
    ]
    finished = samples.note(outcome="failed", summary=3, waited=0, seconds=1)
    assert all({"note", "number", *finished} <= line.keys() for line in lines)
    asked = broker.asked("subscribe")
    assert (asked["kinds"], asked["component"], asked["address"]) == (["finished"], "c", "a")
    wanted = {"view": "ended", "run": "mb-6", "limit": 100, "component": "c", "event": None, "address": "a"}
    assert broker.asked("history") == wanted


def test_since_a_run_only_wanted_outcomes_are_printed(broker: FakeBroker, capfdbinary: Capture) -> None:
    pages = {"mb-1": [past("mb-2"), past("mb-3", "failed")]}
    broker.rules["subscribe"] = lambda asked: asked.result({"notes": 0})
    broker.rules["history"] = lambda asked: asked.result(pages.get(asked.params["run"], []))
    said = say(capfdbinary, "subscribe", "--since", "mb-1", "--outcome", "failed,timed-out", "--report")[0].splitlines()
    assert "failed after" in said[0]
    assert "(mb-3)" in said[0]
    scripts = samples.run()["scripts"]
    assert [line.split()[0] for line in said[1:] if line.startswith("  ") and line[2] != " "] == [
        script["name"] for script in scripts
    ]


@pytest.mark.parametrize(
    "options", [["--kinds", "health"], ["--kinds", "finished,health"], ["--output"], ["--run", "r"]]
)
def test_since_a_run_nothing_but_ends_can_be_told(options: list[str], broker: FakeBroker, capfdbinary: Capture) -> None:
    _, err = say(capfdbinary, "subscribe", "--since", "mb-1", *options, code=22)
    assert "--since prints only the ends of runs: leave out --run, --output and other --kinds" in err


def test_ctrl_c_ends_a_subscription(broker: FakeBroker, capfdbinary: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    broker.rules["subscribe"] = tell
    monkeypatch.setattr(notes, "print_note", interrupt)
    assert say(capfdbinary, "subscribe", code=130) == ("", "")


def test_nobody_reads_any_more(broker: FakeBroker) -> None:
    told = threading.Event()

    def endless(asked: ReceivedRequest) -> None:
        while not told.is_set():
            asked.note("started", waited=0.0, **samples.note())

    broker.rules["subscribe"] = endless
    process = subprocess.Popen([sys.executable, "-m", "ctdb_event", "subscribe"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 141
    told.set()
