"""`ctdb-event watch`: what it knows, what it shows, and the real thing on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import samples
from fake_broker import FakeBroker, ReceivedRequest
from nodes import TIMEOUT
from rich.console import Console

from ctdb_event import cli
from ctdb_event.commands import watch
from ctdb_event.commands.connection import DaemonConnection
from ctdb_event.commands.watch_keys import View
from ctdb_event.commands.watch_model import Snapshot, WatchState
from ctdb_event.commands.watch_source import Source
from ctdb_event.commands.watch_view import draw, fit

COMPONENTS = [{"name": "legacy", "directory": "/e", "scripts": 20, "enabled": 12, "error": None}]
UNHEALTHY = {"component": "legacy", "healthy": False, "since": samples.BEGIN, "script": "60.nfs\x1b", "result": 3}
FAILED = samples.run(outcome="failed", scripts=[samples.script("00.ctdb"), samples.script("60.nfs", "failed", 3)])


def snapshot(**status: Any) -> Snapshot:
    lock = {"name": "iptables", "kind": "named", "holder": samples.owner(), "waiting": [samples.owner(text="b")]}
    return Snapshot(components=COMPONENTS, status=samples.status(**status), locks=[lock])


def shown(model: WatchState, height: int = 60, only_ascii: bool = False, view: View | None = None) -> str:
    console = Console(width=140, height=height, record=True, file=open(os.devnull, "w"))
    with console.file:
        console.print(draw(model, view or View(), height, samples.BEGIN, only_ascii))
        return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def test_all_of_it(node: Path) -> None:
    model = WatchState()
    model.server = "ctdb-eventd 1"
    jobs = [samples.job(left=1.0), samples.job(run="mb-5", timeout=0, left=None, state="ending"), samples.queued()]
    model.apply_snapshot(
        snapshot(jobs=jobs, results=[samples.run(event="startup"), FAILED, samples.run()], health=[UNHEALTHY])
    )
    model.apply_note("script-started", samples.note(script="x", pid=1))
    model.apply_note("health", {"time": samples.BEGIN, **UNHEALTHY})
    lines = shown(model).splitlines()
    assert lines[0] == "ctdb-eventd 1  2023-11-14 22:13:20"
    assert lines[-1].startswith("q quits")
    for line in (
        "legacy     12 of 20 enabled  not healthy since 2023-11-14 22:13:20: 60.nfs\\x1b failed",
        "legacy takeip 'eth 0' 10.0.0.1 24  3.0s  1.2s    1.0s      10.interface  2.5s",
        "legacy takeip 'eth 0' 10.0.0.1 24  3.0s  1.2s    no limit  10.interface  2.5s",
        "legacy takeip 'eth 0' 10.0.0.1 24  3.2s  mb-2 address:10.0.0.1",
        "iptables  holder   3.0s   legacy takeip",
        "iptables  waiting  3.0s   b",
        "legacy monitor  failed   22:13:20  1.2s  0.8s    60.nfs: exit status 3",
        "22:13:20.250  legacy: not healthy: 60.nfs\\x1b failed",
    ):
        assert line in lines
    heads = [line.split("  ")[0] for line in lines if line.split("  ")[0].isupper()]
    assert heads == ["COMPONENT", "PROBLEMS", "LOCK", "RUNNING", "QUEUED", "LAST RESULT", "RECENT"]
    assert not any(line.startswith("legacy monitor  success") for line in lines), (
        "monitor events that pass are left out"
    )
    assert any(line.startswith("legacy startup  success") for line in lines)


def test_locks_that_are_waited_for_come_first_and_an_address_s_own_is_left_out() -> None:
    own = {"name": "address:10.0.0.1", "kind": "address", "holder": samples.owner(), "waiting": []}
    free = {"name": "iptables", "kind": "named", "holder": samples.owner(), "waiting": []}
    wanted = [{**lock, "name": f"{lock['kind']} wanted", "waiting": [samples.owner(text="b")]} for lock in (own, free)]
    model = WatchState()
    model.apply_snapshot(Snapshot(components=COMPONENTS, status=samples.status(), locks=[own, free, *wanted]))
    assert [lock["name"] for lock in model.locks()] == ["address wanted", "named wanted", "iptables"]


@pytest.mark.parametrize(
    ("kind", "more", "shown"),
    [
        *(("started", {"waited": 0.0}, False), ("finished", {"outcome": "success"}, False)),
        *(("finished", {"outcome": "failed"}, True), ("script-finished", {"state": "ok", "result": 0}, False)),
        *(("script-finished", {"state": "failed", "result": 3}, True), ("lock-waiting", {"locks": ["a"]}, True)),
    ],
)
def test_of_monitor_events_only_what_went_wrong_is_told(kind: str, more: dict[str, Any], shown: bool) -> None:
    model = WatchState()
    times = {"seconds": 1.0, "waited": 0.0, "summary": 0, "script": "10.a", "text": "legacy monitor", "lock": None}
    model.apply_note(kind, {**samples.note(event="monitor"), **times, **more})
    assert len(model.lately) == shown


def test_health_of_a_component(node: Path) -> None:
    model = WatchState()
    healthy = {**UNHEALTHY, "healthy": True}
    broken = {**COMPONENTS[0], "name": "x", "error": "x can't be read"}
    model.apply_snapshot(Snapshot(components=[*COMPONENTS, broken], status=samples.status(health=[healthy]), locks=[]))
    assert "healthy since 2023-11-14 22:13:20" in shown(model)
    assert "x can't be read" in shown(model)
    assert "not known: no monitor event has run" in shown(model)


def test_before_the_first_snapshot_and_in_trouble() -> None:
    model = WatchState()
    assert not model.busy
    assert model.jobs("running") == model.results(good=True) == model.locks() == []
    assert model.health() == {}
    model.trouble = "gone\x1b"
    assert shown(model).splitlines()[1] == "gone\\x1b"
    model.apply_snapshot(snapshot(jobs=[samples.job(args=["é"])]))
    assert model.busy
    assert "gone" not in shown(model)
    assert "'é'" in shown(model)
    assert "\\xe9" in shown(model, only_ascii=True)


@pytest.mark.parametrize(
    ("rows", "room", "shares"),
    [
        *(([3, 4], 10, [3, 4]), ([3, 40], 10, [3, 7]), ([9, 9], 10, [5, 5]), ([5, 1, 5], 1, [2, 1, 2]), ([], 5, [])),
        ([], -1, []),
    ],
)
def test_the_longest_sections_are_cut(rows: list[int], room: int, shares: list[int]) -> None:
    assert fit(rows, room) == shares


def test_a_cut_section_says_how_many_more_there_are() -> None:
    model = WatchState()
    model.apply_snapshot(snapshot(jobs=[samples.queued(run=f"mb-{number}") for number in range(50)]))
    lines = shown(model, height=24).splitlines()
    assert len(lines) <= 24
    assert "and 40 more" in lines


def test_what_the_daemon_left_out_is_counted_too() -> None:
    model = WatchState()
    left = [{"component": name, "running": 7, "queued": 1000, "oldest": samples.BEGIN} for name in ("a", "b")]
    model.apply_snapshot(
        snapshot(jobs=[samples.job(), *(samples.queued(waits_for_more=3) for _ in range(50))], more=left)
    )
    lines = shown(model, height=80).splitlines()
    assert "and 14 more" in lines
    assert "and 2000 more" in lines
    assert any(line.endswith("mb-2 address:10.0.0.1 and 3 more") for line in lines)
    lines = shown(model, height=24).splitlines()
    assert len(lines) <= 24
    assert any(line.startswith("and 20") and line != "and 2000 more" for line in lines)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        *(
            (" ", View(paused=True)),
            ("pp", View()),
            ("jjk", View(skipped=1)),
            ("k", View()),
            ("\x1b[B", View(skipped=1)),
        ),
        *(("/nfs", View(text="nfs", typing=True)), ("/nfx\x7fs\r", View(text="nfs")), ("/q\x1b", View())),
        ("j/q\rj", View(text="q", skipped=1)),
    ],
)
def test_what_keys_do(keys: str, expected: View) -> None:
    view = View()
    assert not view.press(keys)
    assert view == expected


def test_only_q_leaves() -> None:
    assert View().press("jq")
    assert not View(typing=True).press("q")


def test_a_section_that_is_cut_can_be_scrolled_to_its_end() -> None:
    model = WatchState()
    jobs = [samples.queued(args=[str(number)]) for number in range(50)]
    model.apply_snapshot(snapshot(jobs=jobs))
    lines = shown(model, height=24, view=View(skipped=3)).splitlines()
    queued = [line.split()[2] for line in lines if line.startswith("legacy takeip")]
    assert queued == [str(number) for number in range(3, 3 + len(queued))]
    lines = shown(model, height=24, view=View(skipped=1000)).splitlines()
    assert [line.split()[2] for line in lines if line.startswith("legacy takeip")][-1] == "49"
    assert lines[-1].endswith("[from row 1001]")


def test_only_rows_with_a_text() -> None:
    model = WatchState()
    model.apply_snapshot(snapshot(jobs=[samples.job(args=["one"]), samples.job(args=["two"])], results=[FAILED]))
    lines = shown(model, view=View(text="TWO")).splitlines()
    assert [line.split()[2] for line in lines if line.startswith("legacy")] == ["two"]
    assert lines[-1].endswith("[only rows with TWO]")


# ---------------------------------------------------------------------- on a terminal


class Screen:
    """The program on a terminal of the test's."""

    def __init__(self, *command: str, keyboard: bool = True, lines: int = 40) -> None:
        self.terminal, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 140, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=self.slave if keyboard else subprocess.DEVNULL,
            stdout=self.slave,
            stderr=self.slave,
            env={**os.environ, "TERM": "xterm"},
        )

    def until(self, text: str) -> None:
        """Waits until the program has written this since the last time."""
        self.seen = self.read_until(text).partition(text.encode())[2]

    def read_until(self, text: str) -> bytes:
        """Waits until the program has written this; returns what it has written since the last `until`."""
        deadline = time.monotonic() + TIMEOUT
        while text.encode() not in self.seen:
            ended = self.process.poll() is not None
            if not select.select([self.terminal], [], [], 0.0 if ended else 0.1)[0]:
                assert not ended, f"ended with {self.process.returncode} before it wrote {text!r}: {self.seen!r}"
                assert time.monotonic() < deadline, f"doesn't write {text!r}: {self.seen!r}; {self.waits_in()}"
                continue
            self.seen += os.read(self.terminal, 1 << 16)
        return self.seen

    def status(self) -> int:
        """Waits for its end, and returns its exit status."""
        try:
            return self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"doesn't end: {self.waits_in()}")

    def waits_in(self) -> str:
        """Where it is in the kernel, and its signals."""
        directory = Path(f"/proc/{self.process.pid}")
        return f"in {(directory / 'wchan').read_text()}\n{(directory / 'status').read_text()}"

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def ended(self) -> int:
        """Waits for its end, and checks that the terminal is as before."""
        self.until("\x1b[?1049l")
        code = self.status()
        assert termios.tcgetattr(self.slave) == self.before
        return code


@contextlib.contextmanager
def on_a_terminal(*arguments: str, keyboard: bool = True, lines: int = 40) -> Iterator[Screen]:
    with running_on_a_terminal("-m", "ctdb_event", "watch", *arguments, keyboard=keyboard, lines=lines) as screen:
        yield screen


@contextlib.contextmanager
def running_on_a_terminal(*command: str, keyboard: bool = True, lines: int = 40) -> Iterator[Screen]:
    screen = Screen(*command, keyboard=keyboard, lines=lines)
    try:
        yield screen
    finally:
        screen.process.kill()
        screen.process.wait()
        os.close(screen.terminal)
        os.close(screen.slave)


def answer_nothing(asked: ReceivedRequest) -> None:
    """Leaves the request without an answer."""


@pytest.fixture
def watched(broker: FakeBroker) -> FakeBroker:
    return prepare(broker)


def prepare(broker: FakeBroker) -> FakeBroker:
    broker.reply("hello", {"server": "ctdb-eventd 9.9"})
    broker.reply("components", COMPONENTS)
    broker.reply("status", samples.status())
    broker.reply("locks", [])
    broker.rules["subscribe"] = answer_nothing
    return broker


def test_keys_and_news(watched: FakeBroker) -> None:
    go_on = threading.Event()

    def tell(asked: ReceivedRequest) -> None:
        assert go_on.wait(TIMEOUT)
        watched.reply("status", samples.status(jobs=[samples.job()]))
        asked.note("started", waited=0.0, **samples.note())

    watched.rules["subscribe"] = tell
    with on_a_terminal() as screen:
        screen.until("\x1b[?1049h")
        screen.until("ctdb-eventd 9.9")
        screen.until("12 of 20 enabled")
        go_on.set()
        screen.until("10.interface")
        screen.press("x")
        fcntl.ioctl(screen.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
        screen.process.send_signal(signal.SIGWINCH)
        screen.until("10.interface")
        screen.press(" ")
        screen.until("[paused]")
        watched.reply("status", samples.status(jobs=[samples.job(script="60.nfs")]))
        screen.press("/inter\r")
        screen.until("10.interface")
        screen.until("[only rows with inter]")
        screen.press("q")
        assert screen.ended() == 0


@pytest.mark.parametrize("lines", [1, 2])
def test_a_terminal_of_hardly_any_lines(lines: int, watched: FakeBroker) -> None:
    with on_a_terminal(lines=lines) as screen:
        screen.until("ctdb-eventd 9.9")
        screen.press("q")
        assert screen.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("keyboard", [True, False])
def test_signals_leave_the_terminal_as_it_was(number: signal.Signals, keyboard: bool, watched: FakeBroker) -> None:
    with on_a_terminal(keyboard=keyboard) as screen:
        screen.until("12 of 20 enabled")
        screen.process.send_signal(number)
        assert screen.ended() == 128 + number


def test_the_daemon_goes_and_comes_back(watched: FakeBroker) -> None:
    with on_a_terminal() as screen:
        screen.until("12 of 20 enabled")
        watched.close()
        screen.until("Trying again: ")
        again = prepare(FakeBroker(Path(watched.path)))
        try:
            again.reply("hello", {"server": "ctdb-eventd 10"})
            screen.until("ctdb-eventd 10")
            screen.press("Q")
            assert screen.ended() == 0
        finally:
            again.close()


def test_a_daemon_that_ends_the_subscription(watched: FakeBroker) -> None:
    watched.reply("subscribe", {"notes": 0})
    with on_a_terminal() as screen:
        screen.until("Trying again: the daemon ended the subscription")
        screen.press("q")
        assert screen.ended() == 0


@pytest.mark.parametrize("end", ["subscription", "snapshot", "before it is connected"])
def test_a_source_that_is_of_no_more_use_leaves_nothing_behind(end: str, watched: FakeBroker) -> None:
    """Whichever of the two is lost, and whatever the other one waits for."""
    connected = threading.Event()

    def connect() -> DaemonConnection:
        assert end != "before it is connected" or connected.wait(TIMEOUT)
        return DaemonConnection(str(watched.path))

    if end == "subscription":
        watched.reply("subscribe", {"notes": 0})
    elif end == "snapshot":
        watched.refuse("hello", "EIO", "enough")
    reader, writer = os.pipe()
    source = Source(connect, writer)
    while end != "before it is connected" and "lost" not in [what for what, _, _ in source.messages()]:
        os.read(reader, 1)
    source.close()
    connected.set()
    for thread in source.threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    os.close(reader)
    os.close(writer)


def test_a_daemon_that_does_not_answer(watched: FakeBroker) -> None:
    done = threading.Event()
    watched.rules["status"] = lambda asked: asked.result(done.wait(TIMEOUT))
    with on_a_terminal() as screen:
        screen.until("The daemon does not answer, for ")
        screen.press("q")
        assert screen.ended() == 0
    done.set()


# ---------------------------------------------------------------------- lines


def test_lines_when_it_is_no_terminal(
    watched: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in progress, then what happens; the daemon goes, comes back, and is of another kind at last."""
    watched.reply("status", samples.status(jobs=[samples.job(), samples.queued()]))
    count = 0

    def tell(asked: ReceivedRequest) -> None:
        nonlocal count
        count += 1
        if count == 1:
            # told before `status` is asked for, and shown all the same
            asked.note("finished", outcome="success", seconds=1.0, waited=0.0, summary=0, **samples.note())
            asked.result({"notes": 1})
        elif count == 2:
            asked.hang_up()
        elif count == 3:
            asked.result({"notes": 0})
        else:
            watched.refuse("status", "EIO", "enough")

    monkeypatch.setattr(watch, "RETRY", 0.0)
    watched.rules["subscribe"] = tell
    assert cli.main(["watch"]) == 5
    out, err = capfdbinary.readouterr()
    jobs = "legacy takeip 'eth 0' 10.0.0.1 24: {}, 3.2s old{}\n"
    under_way = jobs.format("running", "") + jobs.format("queued", ", waits for mb-2 address:10.0.0.1")
    assert out.decode() == under_way + "22:13:20.250 legacy takeip eth0: success after 1.0s (mb-2)\n" + under_way
    gone, back = "waiting for the daemon to come back", "ctdb-event: the daemon is back"
    assert [line.rpartition("; ")[2] for line in err.decode().splitlines()] == [
        *(gone, gone, back, gone, "ctdb-event: enough")
    ]


def test_no_daemon_at_the_start(node: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(["watch"]) == 1
    assert b"no event daemon listens" in capfdbinary.readouterr().err


def test_it_waits_for_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    from ctdb_event.console import Failure

    answers: list[Any] = [Failure("no"), Failure("no"), "wire"]

    class Session:
        def connect(self) -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Failure):
                raise answer
            return answer

    monkeypatch.setattr(watch, "RETRY", 0.0)
    assert watch._reconnected(Session()) == "wire"  # type: ignore[arg-type,comparison-overlap]


def test_ctdbs_own_daemon(broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    broker.old = True
    assert cli.main(["watch"]) == 1
    assert b"speaks only CTDB's own dialect" in capfdbinary.readouterr().err


def test_without_rich_there_are_lines_and_a_hint(watched: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import sys; sys.modules['rich'] = None; sys.argv = ['x', 'watch']"
    program = f"import importlib.util as u; u.find_spec = lambda name: None\n{program}"
    watched.reply("status", samples.status(jobs=[samples.job()]))
    watched.rules["subscribe"] = answer_nothing
    code = f"{program}\nfrom ctdb_event.cli import main; sys.exit(main())"
    with running_on_a_terminal("-c", code) as screen:
        seen = screen.read_until("old")
        screen.process.send_signal(signal.SIGINT)
        assert screen.status() == 130
    assert seen.count(b" -m pip install rich; without that package there are lines") == 1
    assert b"\x1b[?1049h" not in seen
