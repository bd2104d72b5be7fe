"""run and status: the bytes that are asked, the words for the answer, and daemons that don't answer properly."""

from __future__ import annotations

import errno
import json
import os
import pwd
import re
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from fake_ctdb import FakeDaemon, add_script, packet, plain_reply, report, status_reply, text

from ctdb_event import cli

DELIBERATELY_OTHERWISE = ("ctdb-event run abc legacy monitor", "ctdb-event run 30 ../events/legacy monitor")
RECORDED: list[dict[str, Any]] = [
    vector
    for vector in json.loads((Path(__file__).parents[1] / "data" / "wire-vectors.json").read_text())
    if vector["command"] not in DELIBERATELY_OTHERWISE
]
WIRE = [vector for vector in RECORDED if "request" in vector]
FILES_ONLY = [vector for vector in RECORDED if "request" not in vector]
ALL_GONE = "whether the event ran is unknown; see the daemon's log for the reason"

Captured = pytest.CaptureFixture[bytes]


def with_reqid(data: bytes, reqid: bytes) -> bytes:
    return data[:8] + reqid + data[12:]


def form_of_4_24(stdout: str, reply: bytes) -> str:
    """Later versions than the recorded one strip an output's last newlines, and show the output of success too."""
    if b"hello monitor\nerr\n" in reply:
        stdout = re.sub("(10.echo .*\n)", r"\1  OUTPUT:\n    hello monitor\n    err\n", stdout)
    return stdout.replace("\n\n", "\n")


@pytest.mark.parametrize("vector", FILES_ONLY, ids=[v["command"] for v in FILES_ONLY])
def test_recorded_commands_without_a_daemon(vector: dict[str, Any], node: Path, capfdbinary: Captured) -> None:
    for name in ("00.ok", "10.echo", "20.off", "30.after"):
        add_script(node / "events" / "legacy" / f"{name}.script", 0o644 if name == "20.off" else 0o755)
    (node / "share" / "events" / "legacy").mkdir()
    assert cli.main(vector["command"].split()[1:]) == vector["exit"]
    assert capfdbinary.readouterr().out.decode() == vector["stdout"]


@pytest.mark.parametrize("vector", WIRE, ids=[f"{i} {v['command']}" for i, v in enumerate(WIRE)])
def test_recorded_conversations(vector: dict[str, Any], daemon: FakeDaemon, capfdbinary: Captured) -> None:
    recorded = bytes.fromhex(vector["reply"])
    daemon.answer = lambda request: with_reqid(recorded, request[8:12])
    code = cli.main(vector["command"].split()[1:])
    asked = with_reqid(daemon.requests[0], bytes.fromhex(vector["request"])[8:12])
    assert asked.hex() == vector["request"]
    assert capfdbinary.readouterr().out.decode() == form_of_4_24(vector["stdout"], recorded)
    assert code == vector["exit"]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ([], None),
        (["a"], b"a"),
        (["a", ""], b"a "),
        (["", "x"], b" x"),
        (["a b", "c"], b"a b c"),
        (["--", "-x"], b"-x"),
        ([os.fsdecode(b"\xff\xfe")], b"\xff\xfe"),
    ],
)
def test_run_joins_arguments_with_spaces(arguments: list[str], sent: bytes | None, daemon: FakeDaemon) -> None:
    daemon.reply(plain_reply(1, 0))
    assert cli.main(["run", "30", "legacy", "takeip", *arguments]) == 0
    assert daemon.requests[0][16:] == text(b"legacy") + text(b"takeip") + text(sent) + struct.pack("=II", 30, 0)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("0", 0), ("030", 30), (" 5", 5), ("5 ", 5), ("+5", 5), ("4294967295", 4294967295), ("0" * 5000 + "7", 7)],
)
def test_run_timeout(given: str, seconds: int, daemon: FakeDaemon) -> None:
    daemon.reply(plain_reply(1, 0))
    assert cli.main(["run", given, "legacy", "monitor"]) == 0
    assert daemon.requests[0][-8:] == struct.pack("=II", seconds, 0)


# CTDB's own program takes what it can't read, and what is out of range, as 0 or as the digits before the rest:
# the event would silently run without its time limit, or with another one.
@pytest.mark.parametrize(
    "given", ["abc", "1x", "1.5", "", "-1", "1e3", "0x10", "1_0", "٣", "++5", "4294967296", "9" * 5000]
)
def test_run_timeout_that_is_none(given: str, daemon: FakeDaemon, capfdbinary: Captured) -> None:
    assert cli.main(["run", "--", given, "legacy", "monitor"]) == errno.EINVAL
    expected = f'ctdb-event: timeout "{given}": a whole number of seconds from 0 (no limit) to 4294967295 is expected\n'
    assert capfdbinary.readouterr() == (b"", expected.encode())
    assert daemon.requests == []


@pytest.mark.parametrize(("test_mode", "flags"), [(True, 1), (False, 0)])
def test_run_all_is_for_test_mode_only(
    test_mode: bool, flags: int, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTDB_EVENT_RUN_ALL", "")
    if not test_mode:
        monkeypatch.delenv("CTDB_TEST_MODE")
    daemon.reply(plain_reply(1, 0))
    assert cli.main(["--socket", str(daemon.path), "run", "5", "legacy", "monitor"]) == 0
    assert daemon.requests[0][-4:] == struct.pack("=I", flags)


@pytest.mark.parametrize(
    ("result", "line", "code"),
    [
        (0, "", 0),
        (2, "Event dir for legacy does not exist\n", 2),
        (8, "Event monitor in legacy failed\n", 8),
        (110, "Event monitor in legacy timed out\n", 110),
        (125, "Event monitor in legacy got cancelled\n", 125),
        (5, "Failed to run event monitor in legacy, result=5\n", 5),
        (-5, "Failed to run event monitor in legacy, result=-5\n", 5),
    ],
)
def test_run_results(result: int, line: str, code: int, daemon: FakeDaemon, capfdbinary: Captured) -> None:
    daemon.reply(plain_reply(1, result))
    assert cli.main(["run", "30", "legacy", "monitor"]) == code
    assert capfdbinary.readouterr() == (line.encode(), b"")


@pytest.mark.parametrize(
    ("result", "explanation"),
    [(35, b"it would have to wait for the event whose script requests it"), (16, b"it waited in the queue")],
)
def test_results_that_need_it_are_explained_on_stderr(
    result: int, explanation: bytes, daemon: FakeDaemon, capfdbinary: Captured
) -> None:
    daemon.reply(plain_reply(1, result))
    assert cli.main(["run", "30", "legacy", "monitor"]) == result
    out, err = capfdbinary.readouterr()
    assert out == f"Failed to run event monitor in legacy, result={result}\n".encode()
    assert explanation in err
    assert err.startswith(b"ctdb-event: ")
    assert err.count(b"\n") == 1


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (2, "Event dir for legacy does not exist\n"),
        (22, "Event monitor has never run in legacy\n"),
        (5, "Unknown error (5) for event monitor in legacy\n"),
        (110, "Unknown error (110) for event monitor in legacy\n"),
    ],
)
def test_status_errors(result: int, line: str, daemon: FakeDaemon, capfdbinary: Captured) -> None:
    daemon.reply(plain_reply(2, result))
    assert cli.main(["status", "legacy", "monitor"]) == result
    assert capfdbinary.readouterr() == (line.encode(), b"")


def shown(daemon: FakeDaemon, capfdbinary: Captured, *reports: bytes, summary: int = 0) -> bytes:
    daemon.reply(status_reply(summary, *reports))
    assert cli.main(["status", "legacy", "monitor"]) == (abs(summary) & 0xFF or int(summary != 0))
    out, err = capfdbinary.readouterr()
    assert err == b""
    return out


@pytest.mark.parametrize(
    ("result", "rest"),
    [
        (0, b"OK         0.002 Thu Jan  1 00:01:40 1970\n"),
        (1, b"ERROR      0.002 Thu Jan  1 00:01:40 1970\n  OUTPUT: \n"),
        (255, b"ERROR      0.002 Thu Jan  1 00:01:40 1970\n  OUTPUT: \n"),
        (-110, b"TIMEDOUT   Thu Jan  1 00:01:40 1970\n  OUTPUT: \n"),
        (-8, b"DISABLED  \n"),
        (-4, b"CANNOT RUN (Interrupted system call)\n  OUTPUT: \n"),
        (-2, b"CANNOT RUN (No such file or directory)\n  OUTPUT: \n"),
        (-200, b"CANNOT RUN (Unknown error 200)\n  OUTPUT: \n"),
        (-(1 << 31), b"CANNOT RUN (Unknown error 2147483647)\n  OUTPUT: \n"),
    ],
)
def test_status_words(result: int, rest: bytes, daemon: FakeDaemon, capfdbinary: Captured) -> None:
    out = shown(daemon, capfdbinary, report(b"10.interface", result), summary=result)
    assert out == b"10.interface         " + rest


@pytest.mark.parametrize(
    ("output", "block"),
    [
        (None, b"  OUTPUT: \n"),
        (b"", b"  OUTPUT: \n"),
        (b"a", b"  OUTPUT: a\n"),
        (b"a\n\n", b"  OUTPUT: a\n"),
        (b"\n", b"  OUTPUT: \n"),
        (b" a \n", b"  OUTPUT:  a \n"),
        (b"a\nb\n", b"  OUTPUT:\n    a\n    b\n"),
        (b"a\n\nb", b"  OUTPUT:\n    a\n    \n    b\n"),
        (b"\na", b"  OUTPUT:\n    \n    a\n"),
        (b"\xff\0\x80\r\n", b"  OUTPUT: \xff\0\x80\r\n"),
    ],
)
def test_status_output(output: bytes | None, block: bytes, daemon: FakeDaemon, capfdbinary: Captured) -> None:
    failed = shown(daemon, capfdbinary, report(b"10.x", 1, output), summary=1)
    succeeded = shown(daemon, capfdbinary, report(b"10.x", 0, output))
    assert failed.split(b"\n", 1)[1] == block
    assert succeeded.split(b"\n", 1)[1] == (block if output else b"")


def test_status_long_name_keeps_a_space(daemon: FakeDaemon, capfdbinary: Captured) -> None:
    out = shown(daemon, capfdbinary, report(b"10.a-name-longer-than-twenty\xff", -8))
    assert out == b"10.a-name-longer-than-twenty\xff DISABLED  \n"


def test_status_leaves_out_what_never_ran(daemon: FakeDaemon, capfdbinary: Captured) -> None:
    reports = [report(b"10.a", 0), report(b"20.b", -42, begin=0.0), report(b"30.c", -8)]
    assert [line[:4] for line in shown(daemon, capfdbinary, *reports).splitlines()] == [b"10.a", b"30.c"]


def test_status_stops_at_an_earlier_run(daemon: FakeDaemon, capfdbinary: Captured) -> None:
    reports = [report(b"10.a", 0), report(b"20.b", 0), report(b"30.c", 0, begin=99.9), report(b"40.d", 0)]
    assert [line[:4] for line in shown(daemon, capfdbinary, *reports).splitlines()] == [b"10.a", b"20.b"]


@pytest.mark.parametrize(
    ("begin", "seconds", "rest"),
    [
        (100.0, 1.9965, b"1.996 Thu Jan  1 00:01:40 1970\n"),
        (100.999999, 0.001, b"0.001 Thu Jan  1 00:01:40 1970\n"),
        (100.0, -1.5, b"-1.500 Thu Jan  1 00:01:40 1970\n"),
        (-5.0, 0.0015, b"0.002 Wed Dec 31 23:59:55 1969\n"),
        (9e12, 0.0, b"0.000 Sat Aug 24 16:00:00 287168\n"),
    ],
)
def test_status_times(begin: float, seconds: float, rest: bytes, daemon: FakeDaemon, capfdbinary: Captured) -> None:
    out = shown(daemon, capfdbinary, report(b"10.x", 0, begin=begin, seconds=seconds))
    assert out.split(b"OK         ")[1] == rest


def test_status_time_out_of_range(daemon: FakeDaemon, capfdbinary: Captured) -> None:
    times = struct.pack("=qqqq", 2**62, 0, 2**62, 0)
    out = shown(daemon, capfdbinary, text(b"10.x") + times + struct.pack("=i", 0) + text(None))
    assert out.endswith(b"OK         0.000 (invalid time)\n")


def test_replies_to_somebody_else_are_passed_over(daemon: FakeDaemon, capfdbinary: Captured) -> None:
    others = packet(99, b"whatever") + packet(2, struct.pack("=Ii", 1, 8))
    daemon.reply(others + plain_reply(1, 0))
    assert cli.main(["run", "30", "legacy", "monitor"]) == 0
    assert capfdbinary.readouterr() == (b"", b"")


def test_megabytes_of_output_arrive(daemon: FakeDaemon, capfdbinary: Captured) -> None:
    output = b"x" * 5_000_000
    assert shown(daemon, capfdbinary, report(b"10.x", 0, output)).endswith(b"  OUTPUT: " + output + b"\n")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"\1\0\0\0rest", "packet length 1 is less than the header's 12 bytes"),
        (b"\xff\xff\xff\xff", "packet of 4294967295 bytes announced, at most 268435456 are accepted"),
        (packet(1, b""), "command: 4 bytes needed, 0 left in the packet"),
        (packet(1, b"\1\0\0\0\0\0\0\0"), "reply to command 1 instead of 2"),
        (packet(1, b"\2\0\0\0"), "result: 4 bytes needed, 0 left in the packet"),
        (packet(1, struct.pack("=Iiii", 2, 0, 0, -1)), "script count: -1 is negative"),
        (packet(1, struct.pack("=Iiii", 2, 0, 0, 1 << 30)), "script name: 4 bytes needed, 0 left in the packet"),
        (status_reply(0, report(b"10.x", 0), b"\1\0\0\0x"), "script name: string of 1 bytes has no closing NUL"),
    ],
)
def test_malformed_status_reply(reply: bytes, reason: str, daemon: FakeDaemon, capfdbinary: Captured) -> None:
    daemon.reply(reply)
    assert cli.main(["status", "legacy", "monitor"]) == 1
    expected = f"ctdb-event: the program that listens on {daemon.path} does not use the event protocol: {reason}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


def test_malformed_run_reply(daemon: FakeDaemon, capfdbinary: Captured) -> None:
    daemon.reply(plain_reply(2, 0))
    assert cli.main(["run", "30", "legacy", "monitor"]) == 1
    assert b"reply to command 2 instead of 1" in capfdbinary.readouterr().err


@pytest.mark.parametrize("reply", [b"", b"\x14\0", plain_reply(1, 0)[:-1], packet(7, b"for somebody else")])
@pytest.mark.parametrize("command", [["run", "30"], ["status"]])
def test_connection_closed_without_an_answer(
    command: list[str], reply: bytes, daemon: FakeDaemon, capfdbinary: Captured
) -> None:
    daemon.reply(reply)
    assert cli.main([*command, "legacy", "monitor"]) == 1
    expected = f"ctdb-event: no answer on {daemon.path}: connection closed by the daemon; {ALL_GONE}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


@pytest.mark.parametrize(
    ("size", "how"),
    [(0, "lost (Connection reset by peer)"), (3_000_000, "closed by the daemon")],
    ids=["whole", "part"],
)
def test_connection_closed_unread(size: int, how: str, node: Path, capfdbinary: Captured) -> None:
    def refuse() -> None:
        connection = listener.accept()[0]
        connection.recv(1, socket.MSG_PEEK)
        connection.close()

    path = node / "run" / "eventd.socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=refuse)
        thread.start()
        code = cli.main(["run", "30", "legacy", "monitor", "x" * size])
        thread.join()
    assert code == 1
    expected = f"ctdb-event: no answer on {path}: connection {how}; {ALL_GONE}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


ADVICE = "start CTDB (or ctdb-eventd), or name the daemon's socket with --socket PATH"


def test_nobody_listens(node: Path, capfdbinary: Captured) -> None:
    path = node / "run" / "eventd.socket"
    assert cli.main(["status", "legacy", "monitor"]) == 1
    expected = f"ctdb-event: no event daemon listens on {path}: No such file or directory; {ADVICE}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


def test_stale_socket(node: Path, capfdbinary: Captured) -> None:
    path = node / "run" / "eventd.socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
    assert cli.main(["run", "30", "legacy", "monitor"]) == 1
    expected = f"ctdb-event: no event daemon listens on {path}: Connection refused; {ADVICE}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


def test_socket_path_too_long(node: Path, capfdbinary: Captured) -> None:
    path = "/tmp/" + "x" * 200
    assert cli.main(["--socket", path, "status", "legacy", "monitor"]) == 1
    expected = f"ctdb-event: no event daemon listens on {path}: AF_UNIX path too long; {ADVICE}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


USER = pwd.getpwuid(os.geteuid()).pw_name
ROOTS_OWN = f"run this as root, or ask its administrator for `read = {USER}` in [access] of its ctdb.conf"


def test_not_allowed_to_connect(node: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured) -> None:
    def refuse(self: socket.socket, address: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socket.socket, "connect", refuse)  # root, as whom tests may run, is never refused
    path = node / "run" / "eventd.socket"
    assert cli.main(["status", "legacy", "monitor"]) == 1
    expected = f"ctdb-event: not allowed to connect to the event daemon at {path}: Permission denied; {ROOTS_OWN}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())


# CTDB pastes component names into paths, so that `../events/legacy` works there and leaves the scripts' directory.
@pytest.mark.parametrize("command", [["run", "30"], ["status"]])
@pytest.mark.parametrize(("component", "reason"), [("../events/legacy", "it contains a slash"), ("", "it is empty")])
def test_component_that_is_no_name(
    command: list[str], component: str, reason: str, daemon: FakeDaemon, capfdbinary: Captured
) -> None:
    assert cli.main([*command, component, "monitor"]) == errno.EINVAL
    expected = f"ctdb-event: component name '{component}' is invalid: {reason}\n"
    assert capfdbinary.readouterr() == (b"", expected.encode())
    assert daemon.requests == []
