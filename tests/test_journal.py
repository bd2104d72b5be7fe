"""The journal as a log: what is sent to its socket, and that nobody waits for it."""

from __future__ import annotations

import array
import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctdb_eventd import logs
from ctdb_eventd.config import Config
from ctdb_eventd.errors import StartupError
from ctdb_eventd.journal import JournalHandler
from ctdb_eventd.log_lines import NOTICE
from ctdb_eventd.logs import Log, log_output
from ctdb_eventd.paths import Paths

log = logging.getLogger("ctdb_eventd.tests")
JOURNAL = Config(log_format="journal", log_level="DEBUG")


class Journal:
    """Where the journal would listen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.fspath(path))
        self.socket.settimeout(30)

    def entry(self) -> dict[str, str]:
        """Returns the next entry, also one that comes as a file."""
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(struct.calcsize("i")))
        for _, _, content in ancillary:
            assert data == b""
            (fd,) = array.array("i", content)
            with open(fd, "rb") as file:
                file.seek(0)
                data = file.read()
        assert data.endswith(b"\n")
        return dict(line.split("=", 1) for line in data.decode().splitlines())

    def close(self) -> None:
        """Ends it, and removes its socket."""
        self.socket.close()
        self.path.unlink()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root_logger: None) -> Iterator[Journal]:
    """The journal's end of the socket; the log that was made in the test is closed behind it."""
    path = tmp_path / "journal"
    its_journal = Journal(path)
    monkeypatch.setattr(logs, "_JOURNAL_SOCKET", os.fspath(path))
    yield its_journal
    its_journal.socket.close()


def configured(base: Path, **environ: str) -> Log:
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(base), **environ}
    node_log = Log(environ, Paths(environ))
    node_log.startup(JOURNAL)
    return node_log


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.ERROR, "3"), (logging.WARNING, "4"), (NOTICE, "5"), (logging.INFO, "6"), (logging.DEBUG, "7")],
)
def test_an_entry_has_text_and_priority(tmp_path: Path, journal: Journal, level: int, priority: str) -> None:
    configured(tmp_path)
    log.log(level, "one\ntwo\x1b=\udcff")
    assert journal.entry() == {
        "MESSAGE": r"one | two\x1b=\xff",
        "PRIORITY": priority,
        "SYSLOG_IDENTIFIER": "ctdb-eventd",
        "SYSLOG_FACILITY": "3",
    }


def test_what_is_known_of_a_line_is_in_fields(tmp_path: Path, journal: Journal) -> None:
    configured(tmp_path)
    about = {"run": "t-1", "address": None, "arguments": ("eth0", "a\nb"), "duration": 0.25, "client_uid": 1}
    log.error("text", extra={"about": about})
    entry = journal.entry()
    assert {name: value for name, value in entry.items() if name.startswith("CTDB_")} == {
        "CTDB_EVENT_RUN": "t-1",
        "CTDB_EVENT_ARGUMENTS": "eth0 a | b",
        "CTDB_EVENT_DURATION": "0.25",
        "CTDB_EVENT_CLIENT_UID": "1",
    }


def test_what_a_script_printed_has_its_address_in_the_text_too(tmp_path: Path, journal: Journal) -> None:
    configured(tmp_path)
    log_output("10.x", b"text\n", about={"address": "10.0.0.1"})
    entry = journal.entry()
    assert (entry["MESSAGE"], entry["CTDB_EVENT_ADDRESS"]) == ("10.x: text (10.0.0.1)", "10.0.0.1")


def test_what_is_too_large_for_a_datagram_comes_as_a_file(tmp_path: Path, journal: Journal) -> None:
    configured(tmp_path)
    handler = next(handler for handler in logging.getLogger().handlers if isinstance(handler, JournalHandler))
    vars(handler)["_socket"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 0)  # as small as the kernel has it
    descriptors = len(os.listdir("/proc/self/fd"))
    log.error("x" * 8000)
    assert journal.entry()["MESSAGE"] == "x" * 8000
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_journal_that_is_busy_is_not_waited_for_and_gets_all_in_order(tmp_path: Path, journal: Journal) -> None:
    configured(tmp_path)
    for number in range(3000):  # more than any socket holds
        log.error("line %d", number)
    assert [journal.entry()["MESSAGE"] for _ in range(3000)] == [f"line {number}" for number in range(3000)]
    log.error("after")
    assert journal.entry()["MESSAGE"] == "after"


def test_beyond_what_is_held_lines_are_counted(tmp_path: Path, journal: Journal) -> None:
    configured(tmp_path)
    for number in range(2000):
        log.error("%d %s", number, "x" * 8000)
    received = 0
    while (entry := journal.entry()["MESSAGE"]).endswith("x"):
        assert entry.startswith(f"{received} ")
        received += 1
        if received == 300:  # there is room, so from here on the log goes on
            log.error("after")
    assert entry == f"{2000 - received} log lines before this one were lost: the journal takes them too slowly"
    assert journal.entry()["MESSAGE"] == "after"


def test_a_journal_that_is_restarted_is_found_again(tmp_path: Path, journal: Journal) -> None:
    configured(tmp_path)
    log.error("one")
    journal.close()
    log.error("lost")
    restarted = Journal(journal.path)
    try:
        log.error("kept")
        assert restarted.entry()["MESSAGE"] == "1 log lines before this one were lost: No such file or directory"
        assert restarted.entry()["MESSAGE"] == "kept"
    finally:
        restarted.close()


def test_without_a_journal_the_log_goes_to_its_location_and_says_so(tmp_path: Path, journal: Journal) -> None:
    journal.close()
    node_log = configured(tmp_path)
    log.error("heard")
    problem, line = (tmp_path / "log.ctdb").read_text().splitlines()
    assert problem.endswith(
        f"can't log to the journal at {journal.path}: No such file or directory ([logging] format in "
        f"{tmp_path}/ctdb.conf is journal); the log goes to [logging] location instead"
    )
    assert line.endswith("]: heard")
    # a reload says the same, and takes the journal once it is there
    with pytest.raises(StartupError, match="can't log to the journal"):
        node_log.configure(JOURNAL)
    started = Journal(journal.path)
    try:
        node_log.configure(JOURNAL)
        log.error("again")
        assert started.entry()["MESSAGE"] == "again"
    finally:
        started.close()


def test_interactively_the_log_is_text_on_standard_error(
    tmp_path: Path, journal: Journal, capfd: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path, CTDB_INTERACTIVE="true")
    log.error("text")
    assert capfd.readouterr().err == "text\n"


def test_leaving_the_journal_closes_its_socket(tmp_path: Path, journal: Journal) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    node_log = configured(tmp_path)
    node_log.configure(Config(log_location="file:"))
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_the_socket_stays_open_until_what_is_held_has_been_sent(tmp_path: Path, journal: Journal) -> None:
    handler = JournalHandler(os.fspath(journal.path))
    for number in range(2000):
        handler.handle(logging.makeLogRecord({"msg": f"line {number}", "levelno": logging.ERROR}))
    sender = vars(handler)["_sender"]
    handler.close()
    assert [journal.entry()["MESSAGE"] for _ in range(2000)] == [f"line {number}" for number in range(2000)]
    sender.join(30)
    assert vars(handler)["_socket"].fileno() == -1


def test_what_is_held_can_be_waited_for(tmp_path: Path, journal: Journal) -> None:
    node_log = configured(tmp_path)
    for number in range(2000):
        log.error("line %d", number)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.extend(journal.entry()["MESSAGE"] for _ in range(2000)))
    reader.start()
    held = vars(vars(node_log)["_handler"])["_held"]
    while held:
        node_log.drain()
    reader.join(30)
    assert received == [f"line {number}" for number in range(2000)]
    node_log.drain()
