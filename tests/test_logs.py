"""The log: where it goes, how a line looks, and that nothing which happens to it reaches the code that logs."""

from __future__ import annotations

import json
import logging
import os
import re
import resource
import socket
import syslog
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ctdb_eventd import logs
from ctdb_eventd.config import Config
from ctdb_eventd.errors import StartupError
from ctdb_eventd.logs import NOTICE, FileHandler, Log, complain, log_output
from ctdb_eventd.paths import Paths

pytestmark = pytest.mark.usefixtures("root_logger")
log = logging.getLogger("ctdb_eventd.tests")

HEAD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d (\S+) ctdb-eventd\[(\d+)\]: ")


def configured(base: Path, config: Config | None = None, **environ: str) -> Log:
    """The log of a test node; it goes to `base`/log.ctdb unless the configuration says otherwise."""
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(base), **environ}
    configured_log = Log(environ, Paths(environ))
    configured_log.configure(config or Config())
    return configured_log


def texts(path: Path) -> list[str]:
    """What was logged, without time, host and process."""
    return [HEAD.sub("", line) for line in path.read_text().splitlines()]


def handle(text: str, created: float) -> None:
    record = logging.makeLogRecord({"msg": text, "created": created, "levelno": logging.ERROR})
    logging.getLogger().handle(record)


# ---------------------------------------------------------------------- lines


def test_a_line_begins_with_time_host_and_process(tmp_path: Path) -> None:
    configured(tmp_path)
    log.error("text")
    head = HEAD.match((tmp_path / "log.ctdb").read_text())
    assert head
    assert head.groups() == (tmp_path.name, str(os.getpid()))


def test_outside_test_mode_the_host_is_known_by_its_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "node1.example.com")
    path = tmp_path / "log"
    Log({}, Paths({})).configure(Config(log_location=f"file:{path}"))
    log.error("text")
    assert " node1 ctdb-eventd[" in path.read_text()


@pytest.mark.parametrize(("zone", "shown"), [("UTC", "22:13:20.250000+00:00"), ("IST-5:30", "03:43:20.250000+05:30")])
def test_the_time_is_local_and_names_its_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, shown: str
) -> None:
    configured(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        handle("text", 1_700_000_000.25)
    time.tzset()
    assert (tmp_path / "log.ctdb").read_text()[11:32] == shown


def test_every_line_has_its_own_time(tmp_path: Path) -> None:
    configured(tmp_path)
    for created in (1_700_000_000.0, 1_700_000_000.5, 1_700_000_001.0):
        handle("text", created)
    times = [line[17:26] for line in (tmp_path / "log.ctdb").read_text().splitlines()]
    assert times == ["20.000000", "20.500000", "21.000000"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain\ttext caf\u00e9", "plain\ttext caf\u00e9"),
        ("one\ntwo", "one | two"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("over\rwritten\x00\x7f\x0b", r"over\x0dwritten\x00\x7f\x0b"),
        ("\x9b31mred\x85", r"\x9b31mred\x85"),
        ("name\udcff", r"name\xff"),
        ("\ud800", r"\ud800"),
        ("\u202etfel\u2066\u200f", r"\u202etfel\u2066\u200f"),
        ("a\u2028b\u2029c\ufeff\U000e0041", r"a\u2028b\u2029c\ufeff\U000e0041"),
    ],
)
def test_a_stranger_cannot_rewrite_the_lines_around_it(tmp_path: Path, text: str, line: str) -> None:
    configured(tmp_path)
    log.error("%s", text)
    assert (tmp_path / "log.ctdb").read_bytes().decode().count("\n") == 1
    assert HEAD.sub("", (tmp_path / "log.ctdb").read_bytes().decode()) == line + "\n"


@pytest.mark.parametrize("character", ["x", "\n", "\0", "\u202e", "\U000e0041", "\udcff", "\u65e5"])
def test_a_long_line_is_cut_and_says_how_long_it_was(tmp_path: Path, character: str) -> None:
    configured(tmp_path)
    log.error("%s", character * 4_000_000)
    log.error("%s", character * 8192)
    first, second = texts(tmp_path / "log.ctdb")
    assert first.endswith("… (cut, 4000000 characters in all)")
    assert len(first) < 8300
    assert len(second) < 8300


def test_a_traceback_is_cut_by_itself(tmp_path: Path) -> None:
    configured(tmp_path)

    def deep(left: int) -> None:
        if not left:
            raise KeyError("x" * 4_000_000)
        deeper(left - 1)

    def deeper(left: int) -> None:
        deep(left)

    try:
        deep(200)
    except KeyError:
        log.exception("%s", "y" * 9000)
    (line,) = texts(tmp_path / "log.ctdb")
    assert "… (cut, 9000 characters in all) | Traceback (most recent call last): | " in line
    assert " | KeyError: 'xxx" in line
    assert len(line) < 17_000


def test_what_can_not_be_put_into_words_does_not_reach_the_caller(tmp_path: Path) -> None:
    configured(tmp_path)
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    log.error("%s failed", nested)
    assert texts(tmp_path / "log.ctdb") == ["%s failed a deeply nested tuple"]


def test_a_traceback_is_one_line(tmp_path: Path) -> None:
    configured(tmp_path)
    try:
        raise KeyError("key")
    except KeyError:
        log.exception("failed")
    (line,) = texts(tmp_path / "log.ctdb")
    assert line.startswith("failed | Traceback (most recent call last): | ")
    assert line.endswith(" | KeyError: 'key'")


def test_a_node_whose_directory_is_no_text_has_a_log(tmp_path: Path) -> None:
    base = tmp_path / os.fsdecode(b"node\xff")
    base.mkdir()
    configured(base)
    log.error("text")
    assert b" node\\udcff ctdb-eventd[" in (base / "log.ctdb").read_bytes()


# ---------------------------------------------------------------------- what is told seldom


def refuse(uid: int, created: float) -> None:
    record = {"msg": "uid %d refused", "args": (uid,), "created": created, "levelno": logging.WARNING, "seldom": uid}
    logging.getLogger().handle(logging.makeLogRecord(record))


def test_complaints_about_the_same_peer_are_logged_once_a_minute(tmp_path: Path) -> None:
    configured(tmp_path)
    for second in range(0, 130, 10):
        refuse(7, 1_700_000_000.0 + second)
        refuse(8, 1_700_000_000.0 + second * 6)
    sevens = [line for line in texts(tmp_path / "log.ctdb") if "uid 7" in line]
    assert sevens == ["uid 7 refused", *["uid 7 refused (since the last such line: 5 more)"] * 2]
    eights = [line for line in texts(tmp_path / "log.ctdb") if "uid 8" in line]
    assert eights == ["uid 8 refused"] * 13


def test_a_clock_that_is_set_back_hides_nothing(tmp_path: Path) -> None:
    configured(tmp_path)
    refuse(7, 1_700_000_000.0)
    refuse(7, 1_600_000_000.0)
    assert texts(tmp_path / "log.ctdb") == ["uid 7 refused"] * 2


def test_however_many_peers_there_are_some_are_remembered(tmp_path: Path) -> None:
    configured(tmp_path)
    for uid in range(5000):
        refuse(uid, 1_700_000_000.0)
    refuse(4999, 1_700_000_001.0)
    refuse(0, 1_700_000_001.0)
    assert texts(tmp_path / "log.ctdb")[5000:] == ["uid 0 refused"]


# ---------------------------------------------------------------------- levels


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("ERROR", ["error"]),
        ("WARNING", ["error", "warning"]),
        ("NOTICE", ["error", "warning", "notice"]),
        ("INFO", ["error", "warning", "notice", "info"]),
        ("DEBUG", ["error", "warning", "notice", "info", "debug"]),
    ],
)
def test_the_level_decides_what_is_heard(tmp_path: Path, level: str, heard: list[str]) -> None:
    configured(tmp_path, Config(log_level=level))
    levels = [logging.ERROR, logging.WARNING, NOTICE, logging.INFO, logging.DEBUG]
    for number, text in zip(levels, ["error", "warning", "notice", "info", "debug"], strict=True):
        log.log(number, text)
    assert texts(tmp_path / "log.ctdb") == heard


def test_notice_has_a_name_and_lies_between_info_and_warning(tmp_path: Path) -> None:
    configured(tmp_path)
    assert logging.getLevelName(NOTICE) == "NOTICE"
    assert logging.INFO < NOTICE < logging.WARNING


# ---------------------------------------------------------------------- output of scripts


def test_output_is_logged_line_by_line_as_errors(tmp_path: Path) -> None:
    configured(tmp_path, Config(log_level="ERROR"))
    log_output("00.ctdb", b"first\n\n  \n  second")
    assert texts(tmp_path / "log.ctdb") == ["00.ctdb: first", "00.ctdb:   second"]


def test_output_that_is_no_text_is_escaped(tmp_path: Path) -> None:
    configured(tmp_path)
    log_output("00.ctdb", b"caf\xc3\xa9 \xff\x00\n")
    assert texts(tmp_path / "log.ctdb") == ["00.ctdb: caf\u00e9 \\xff\\x00"]


@pytest.mark.parametrize("character", [b"\0", b"\xff", b"x", b"\n", "\u202e".encode(), "\u65e5".encode()])
def test_much_output_costs_no_more_than_some(tmp_path: Path, character: bytes) -> None:
    """What is logged has a bound, and so has the work: the loop has nothing better to do than scripts' output."""
    configured(tmp_path)
    output = (character * 500 + b"\n") * ((4 << 20) // (500 * len(character)))
    log_output("10.x", output)
    log_output("10.x", character * (4 << 20))
    lines = texts(tmp_path / "log.ctdb")
    assert len(lines) <= 2 * 2001
    assert sum(map(len, lines)) < 8 * (256 << 10)
    assert sum("lines left out here; the event's status has what was kept]" in line for line in lines) == 2


def test_of_much_output_the_beginning_and_the_end_are_logged(tmp_path: Path) -> None:
    configured(tmp_path)
    log_output("10.x", b"first\n" + (b"x" * 99 + b"\n") * 100_000 + b"last\n")
    lines = texts(tmp_path / "log.ctdb")
    assert (lines[0], lines[-1]) == ("10.x: first", "10.x: last")
    (notice,) = [line for line in lines if "left out" in line]
    assert notice.startswith(f"10.x: [{100_002 - len(lines) + 1} lines left out here")


def test_output_of_an_address_event_ends_in_the_address(tmp_path: Path) -> None:
    configured(tmp_path)
    log_output("10.interface", b"first\nsecond\n", about={"address": "10.0.0.1"})
    assert texts(tmp_path / "log.ctdb") == ["10.interface: first (10.0.0.1)", "10.interface: second (10.0.0.1)"]


def test_output_that_came_a_while_ago_says_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path)
    now = 1_700_000_000.5
    monkeypatch.setattr(time, "time", lambda: now)
    came = [(0, now - 2.25), (4, now - 0.11), (8, now - 0.09)]
    log_output("10.x", b"one\ntwo\nnow\n", came)
    log_output("10.x", b"one\n", came, {"address": "10.0.0.1"})
    clock = time.strftime("%H:%M", time.localtime(now))
    assert texts(tmp_path / "log.ctdb") == [
        f"10.x: one (at {clock}:18.250)",
        f"10.x: two (at {clock}:20.390)",
        "10.x: now",
        f"10.x: one (10.0.0.1, at {clock}:18.250)",
    ]


def test_of_much_output_each_line_has_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path)
    now = 1_700_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    output = b"first\n" + b"x\n" * 500_000 + b"last\n"
    log_output("10.x", output, [(0, now - 60), (100, now - 50), (len(output) - 5, now - 40)])
    lines = texts(tmp_path / "log.ctdb")
    clock = time.strftime("%H", time.localtime(now))
    assert lines[0] == f"10.x: first (at {clock}:12:20.000)"
    assert lines[100] == f"10.x: x (at {clock}:12:30.000)"
    assert lines[-2] == f"10.x: x (at {clock}:12:30.000)"
    assert lines[-1] == f"10.x: last (at {clock}:12:40.000)"
    (notice,) = [line for line in lines if "left out" in line]
    assert notice.endswith("what was kept]")


def test_a_line_that_is_cut_has_its_address_all_the_same(tmp_path: Path) -> None:
    configured(tmp_path)
    log_output("10.x", b"x" * 10_000, about={"address": "10.0.0.1"})
    (line,) = texts(tmp_path / "log.ctdb")
    assert line.endswith(" characters in all) (10.0.0.1)")


def test_no_output_is_not_worth_a_line(tmp_path: Path) -> None:
    configured(tmp_path)
    log_output("00.ctdb", b"")
    assert texts(tmp_path / "log.ctdb") == []


# ---------------------------------------------------------------------- a file that can't be written


def test_lines_lost_to_a_full_disk_are_counted_and_reported_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "log.ctdb"
    path.symlink_to("/dev/full")
    node_log = configured(tmp_path)
    log.error("lost")
    log.error("lost too")
    path.unlink()
    node_log.reopen()
    log.error("kept")
    log.error("and this")
    expected = ["2 log lines before this one were lost: No space left on device", "kept", "and this"]
    assert texts(path) == expected


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may become larger: the write that crosses the limit is short, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_can_grow_again_is_gone_on_with(tmp_path: Path) -> None:
    configured(tmp_path)
    with largest_file(100):
        log.error("x" * 200)
        log.error("lost")
    log.error("kept")
    assert texts(tmp_path / "log.ctdb")[-1] == "kept"
    assert "2 log lines before this one were lost: File too large\n" in (tmp_path / "log.ctdb").read_text()


def test_a_torn_line_is_ended_before_the_next_one(tmp_path: Path) -> None:
    configured(tmp_path)
    with largest_file(100):
        log.error("x" * 200)
    log.error("kept")
    assert texts(tmp_path / "log.ctdb")[1:] == ["1 log lines before this one were lost: File too large", "kept"]


def test_a_short_write_ends_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data, write=os.write: write(fd, data[: max(1, len(data) - 4)]))
        log.error("torn off")
    log.error("whole")
    assert texts(tmp_path / "log.ctdb") == ["torn ", "whole"]


def test_a_mistake_in_a_log_call_does_not_reach_its_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    configured(tmp_path)
    log.error("%d", "no number")


# ---------------------------------------------------------------------- rotation and reconfiguration


def test_reopening_goes_on_in_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "log.ctdb"
    node_log = configured(tmp_path)
    log.error("before")
    rotated = path.rename(tmp_path / "log.ctdb.1")
    log.error("between")
    descriptors = len(os.listdir("/proc/self/fd"))
    node_log.reopen()
    log.error("after")
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert (texts(rotated), texts(path)) == (["before", "between"], ["after"])


def test_a_log_that_cannot_be_reopened_stays_in_use_and_says_so(tmp_path: Path) -> None:
    node_log = configured(tmp_path)
    rotated = (tmp_path / "log.ctdb").rename(tmp_path / "log.ctdb.1")
    (tmp_path / "log.ctdb").mkdir()
    node_log.reopen()
    log.error("after")
    complaint, after = texts(rotated)
    assert complaint.startswith("can't reopen the log: [Errno 21] Is a directory")
    assert complaint.endswith("; continuing in the old file")
    assert after == "after"


def test_reopening_what_is_no_file_does_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    configured(tmp_path, Config(log_location="file:")).reopen()
    log.error("text")
    assert capfd.readouterr().err == "text\n"


def test_reopening_before_the_log_is_configured_does_nothing(tmp_path: Path) -> None:
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(tmp_path)}
    Log(environ, Paths(environ)).reopen()
    assert list(tmp_path.iterdir()) == []


def test_another_level_takes_effect_in_the_same_file(tmp_path: Path) -> None:
    node_log = configured(tmp_path)
    handlers = logging.getLogger().handlers[:]
    node_log.configure(Config(log_level="DEBUG"))
    log.debug("heard")
    assert texts(tmp_path / "log.ctdb") == ["heard"]
    assert logging.getLogger().handlers == handlers


def test_another_location_replaces_the_former(tmp_path: Path) -> None:
    node_log = configured(tmp_path)
    descriptors = len(os.listdir("/proc/self/fd"))
    node_log.configure(Config(log_location=f"file:{tmp_path}/other"))
    log.error("moved")
    assert (texts(tmp_path / "log.ctdb"), texts(tmp_path / "other")) == ([], ["moved"])
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_log_that_cannot_be_opened_is_an_error_and_the_former_stays_in_use(tmp_path: Path) -> None:
    node_log = configured(tmp_path)
    with pytest.raises(StartupError) as caught:
        node_log.configure(Config(log_location=f"file:{tmp_path}/missing/log", log_level="DEBUG"))
    assert str(caught.value) == (
        f"can't open the log {tmp_path}/missing/log: No such file or directory "
        f"([logging] location in {tmp_path}/ctdb.conf sets where it is)"
    )
    log.error("still here")
    log.debug("but not this")
    assert texts(tmp_path / "log.ctdb") == ["still here"]


def test_a_fifo_that_nobody_reads_keeps_nobody_from_starting(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "log.ctdb")
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(tmp_path)}
    Log(environ, Paths(environ)).startup(Config())
    assert capfd.readouterr().err.startswith(f"can't open the log {tmp_path}/log.ctdb: No such device or address (")


def test_standard_error_stands_in_at_the_start_for_a_log_that_cannot_be_opened(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(tmp_path / "missing")}
    node_log = Log(environ, Paths(environ))
    node_log.startup(Config())
    log.error("heard")
    problem, line = capfd.readouterr().err.splitlines()
    assert problem.startswith(f"can't open the log {tmp_path}/missing/log.ctdb: No such file or directory (")
    assert problem.endswith("; the log goes to standard error instead")
    assert line == "heard"
    # once it can be opened, the next reading of the configuration does so
    (tmp_path / "missing").mkdir()
    node_log.configure(Config())
    log.error("again")
    assert texts(tmp_path / "missing" / "log.ctdb") == ["again"]


def test_a_log_in_a_directory_that_is_configured_and_missing_is_an_error_at_the_start_too(tmp_path: Path) -> None:
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(tmp_path)}
    with pytest.raises(StartupError, match="missing/log: No such file or directory"):
        Log(environ, Paths(environ)).startup(Config(log_location=f"file:{tmp_path}/missing/log"))


def test_a_location_with_a_nul_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StartupError):
        configured(tmp_path, Config(log_location="file:/\0"))


def test_libraries_are_heard_and_whatever_was_there_is_replaced(tmp_path: Path) -> None:
    former = logging.NullHandler()
    logging.getLogger().addHandler(former)
    configured(tmp_path)
    logging.getLogger("some.library").error("text")
    assert texts(tmp_path / "log.ctdb") == ["text"]
    assert former not in logging.getLogger().handlers


def test_closing_twice_closes_once(tmp_path: Path) -> None:
    handler = FileHandler(os.fspath(tmp_path / "log"))
    handler.close()
    with open(tmp_path / "log") as takes_the_number:
        handler.close()
        assert takes_the_number.read() == ""


# ---------------------------------------------------------------------- standard error


def test_interactively_the_log_is_standard_error_whatever_the_configuration_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path, Config(log_location="syslog"), CTDB_INTERACTIVE="true")
    log.error("one\ntwo")
    assert capfd.readouterr().err == "one | two\n"
    assert list(tmp_path.iterdir()) == []


def test_standard_error_that_nobody_reads_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path, Config(log_location="file:"))

    def broken(fd: int, data: bytes) -> int:
        raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", broken)
        log.error("lost")
    log.error("kept")
    assert capfd.readouterr().err == "kept\n"


def test_what_must_be_known_before_there_is_a_log_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    complain("no room for \u202e\x1b[1m")
    assert capsys.readouterr() == ("", "ctdb-eventd: no room for \\u202e\\x1b[1m\n")


# ---------------------------------------------------------------------- syslog


@pytest.fixture
def syslog_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where the syslog daemon would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(os.fspath(tmp_path / "dev-log"))
        receiver.settimeout(10)
        monkeypatch.setattr(logs, "_SYSLOG_SOCKET", os.fspath(tmp_path / "dev-log"))
        yield receiver


@pytest.fixture
def syslog_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where the syslog daemon would listen on the network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        monkeypatch.setattr(logs, "_SYSLOG_UDP", receiver.getsockname())
        yield receiver


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.CRITICAL, 27),
        (logging.ERROR, 27),
        (logging.WARNING, 28),
        (NOTICE, 29),
        (logging.INFO, 30),
        (logging.DEBUG, 31),
    ],
)
def test_a_datagram_says_its_priority(tmp_path: Path, syslog_socket: socket.socket, level: int, priority: int) -> None:
    configured(tmp_path, Config(log_location="syslog:nonblocking", log_level="DEBUG"))
    log.log(level, "one\ntwo\x1b")
    assert syslog_socket.recv(1000).decode() == rf"<{priority}>ctdb-eventd[{os.getpid()}]: one | two\x1b"


def test_a_syslog_daemon_that_is_slow_is_not_waited_for(tmp_path: Path, syslog_socket: socket.socket) -> None:
    configured(tmp_path, Config(log_location="syslog:nonblocking"))
    for number in range(2000):
        log.error("line %d", number)
    assert syslog_socket.recv(1000).endswith(b": line 0")


def test_a_syslog_daemon_that_comes_back_is_found_again(tmp_path: Path, syslog_socket: socket.socket) -> None:
    path = tmp_path / "dev-log"
    configured(tmp_path, Config(log_location="syslog:nonblocking"))
    path.unlink()
    log.error("lost")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as restarted:
        restarted.bind(os.fspath(path))
        restarted.settimeout(10)
        log.error("kept")
        assert restarted.recv(1000).endswith(b": kept")


def test_syslog_over_udp(tmp_path: Path, syslog_port: socket.socket) -> None:
    configured(tmp_path, Config(log_location="syslog:udp"))
    log.warning("text")
    assert syslog_port.recv(1000).decode() == f"<28>ctdb-eventd[{os.getpid()}]: text"


def test_a_line_too_long_for_a_datagram_is_cut(tmp_path: Path, syslog_socket: socket.socket) -> None:
    configured(tmp_path, Config(log_location="syslog:nonblocking"))
    (sender,) = [sender for sender in map(vars, logging.getLogger().handlers) if "_rfc5424" in sender]
    sender["_socket"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 0)  # as small as the kernel has it
    log.warning("x" * 8000)
    line = syslog_socket.recv(1 << 16)
    assert line.startswith(b"<28>ctdb-eventd[")
    assert line.endswith(b"xxx [cut]")


def test_syslog_over_udp_in_the_newer_format(
    tmp_path: Path, syslog_port: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "node1")
    configured(tmp_path, Config(log_location="syslog:udp-rfc5424"))
    handle("text", 1_700_000_000.25)
    assert syslog_port.recv(1000).decode() == f"<27>1 2023-11-14T22:13:20Z node1 ctdb-eventd {os.getpid()} - - text"


@pytest.mark.parametrize("method", ["nonblocking", "udp"])
def test_syslog_has_json_as_its_message(
    tmp_path: Path, syslog_socket: socket.socket, syslog_port: socket.socket, method: str
) -> None:
    configured(tmp_path, Config(log_location=f"syslog:{method}", log_format="json"))
    log.warning("text")
    head, _, message = (syslog_socket if method == "nonblocking" else syslog_port).recv(1000).decode().partition(": ")
    assert head == f"<28>ctdb-eventd[{os.getpid()}]"
    assert json.loads(message)["message"] == "text"


def test_leaving_syslog_closes_its_socket(tmp_path: Path, syslog_socket: socket.socket) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    node_log = configured(tmp_path, Config(log_location="syslog:nonblocking"))
    node_log.configure(Config(log_location="file:"))
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_plain_syslog_is_that_of_the_c_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[object, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *args: said.append(args))
    monkeypatch.setattr(syslog, "syslog", lambda *args: said.append(args))
    configured(tmp_path, Config(log_location="syslog"))
    log.warning("text")
    assert said == [("ctdb-eventd", syslog.LOG_PID, syslog.LOG_DAEMON), (syslog.LOG_WARNING, "text")]
