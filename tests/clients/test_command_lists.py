"""The commands that ask one thing and print a list of it, in all three forms."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import samples
from fake_broker import FakeBroker

from ctdb_event import cli

COMPONENT = {"name": "legacy", "directory": "/e/legacy", "scripts": 20, "enabled": 12, "error": None}
SCRIPTS: dict[str, Any] = {
    "component": "legacy",
    "directory": "/e/legacy",
    "scripts": [
        {
            **{"name": "00.ctdb", "path": "/e/legacy/00.ctdb.script", "target": "/p/00.ctdb.script", "enabled": True},
            **{"reason": None, "warnings": [], "locks": ["a", "b"]},
            **{"owner": 0, "modified": samples.BEGIN, "digest": "0123456789abcdef" * 4},
        },
        {
            **{"name": "50.x", "path": "/e/legacy/50.x", "target": "/gone", "enabled": False},
            **{"reason": "dangling link to /gone", "warnings": ["runs only here", "not safe"], "locks": []},
        },
    ],
    "refused": [{"path": "/e/legacy/README", "reason": "no digits"}],
}
LOCKS: list[dict[str, Any]] = [
    {
        **{"name": "address:10.0.0.1", "kind": "address", "holder": samples.owner()},
        "waiting": [samples.owner(run="mb-3", pid=None, text="legacy releaseip")],
    },
    {"name": "free", "kind": "named", "holder": None, "waiting": []},
]
STATS = {"version": "0.1.0", "started": samples.BEGIN, "uptime": 3700.0, "processor_seconds": 1.5, "memory": 26 << 20}


def say(capture: pytest.CaptureFixture[bytes], *arguments: str) -> str:
    assert cli.main(list(arguments)) == 0
    out, err = capture.readouterr()
    assert err == b""
    return out.decode()


@pytest.fixture
def said(broker: FakeBroker) -> FakeBroker:
    broker.reply("status", samples.status(jobs=[samples.job(), samples.queued()]))
    broker.reply("components", [COMPONENT, {**COMPONENT, "name": "x", "error": "x can't be read"}])
    broker.reply("scripts", SCRIPTS)
    broker.reply("events", [{"name": "takeip", "mode": "address", "args": ["interface", "netmask bits"]}])
    broker.reply("locks", LOCKS)
    broker.reply("stats", {**STATS, "runs": {"success": 3, "failed": 1}})
    broker.reply("hello", {"server": "ctdb-eventd 0.1.0", "pid": 42})
    return broker


SOME_EVENTS: dict[str, Any] = {
    **SCRIPTS,
    "scripts": [
        {**SCRIPTS["scripts"][0], "events": None, "known_from": None},
        {**SCRIPTS["scripts"][1], "events": ["made-up", "takeip"], "known_from": "head"},
        {**SCRIPTS["scripts"][0], "name": "60.nfs", "events": ["monitor"], "known_from": "table"},
    ],
}


def test_scripts_against_events(said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    said.reply("scripts", SOME_EVENTS)
    said.reply("events", [{"name": name, "mode": "exclusive", "args": ()} for name in ("monitor", "takeip")])
    assert say(capfdbinary, "scripts", "--events", "legacy") == (
        "SCRIPT   STATE     monitor  takeip  made-up  KNOWN FROM\n"
        "00.ctdb  enabled   yes      yes     yes\n"
        "50.x     disabled  -        yes     yes      declared in its head\n"
        "60.nfs   enabled   yes      -       yes      a script of CTDB, recognised by its content\n"
    )
    assert json.loads(say(capfdbinary, "scripts", "--events", "--json", "legacy")) == SOME_EVENTS
    plain = [line.split("\t") for line in say(capfdbinary, "scripts", "--events", "--plain", "legacy").splitlines()]
    assert [(line[0], *line[7:9]) for line in plain] == [
        *(("00.ctdb", "", ""), ("50.x", "made-up takeip", "head"), ("60.nfs", "monitor", "table"), ("README", "", "")),
    ]


def test_scripts_say_for_which_events_they_are_started(
    said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    said.reply("scripts", SOME_EVENTS)
    shown = say(capfdbinary, "scripts", "legacy").splitlines()
    assert shown[2].endswith("runs only here; not safe; only for made-up takeip (declared in its head)")


def test_scripts_of_all_components(said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    said.reply("components", [COMPONENT, COMPONENT])
    shown = say(capfdbinary, "scripts").splitlines()
    assert shown[0].split()[:3] == ["COMPONENT", "SCRIPT", "STATE"]
    names = ["00.ctdb", "50.x", "README"] * 2
    assert [line.split()[:2] for line in shown[1:]] == [["legacy", name] for name in names]
    assert [line.split("\t")[0] for line in say(capfdbinary, "scripts", "--plain").splitlines()] == names
    assert json.loads(say(capfdbinary, "scripts", "--json")) == [SCRIPTS, SCRIPTS]
    assert say(capfdbinary, "scripts", "--events").split()[:4] == ["COMPONENT", "SCRIPT", "STATE", "takeip"]
    said.reply("components", [])
    assert say(capfdbinary, "scripts") == "There are no scripts.\n"


PEOPLE = {
    "ps": """\
RUN   STATE    EVENT                               AGE  WAITED  LEFT  SCRIPT        SINCE   PID  WAITS FOR
mb-2  running  legacy takeip 'eth 0' 10.0.0.1 24  3.2s    1.2s   27s  10.interface   2.5s  4711
mb-3  queued   legacy takeip 'eth 0' 10.0.0.1 24  3.2s    3.2s                                   mb-2 address:10.0.0.1
""",
    "components": """\
COMPONENT  SCRIPTS  ENABLED  DIRECTORY
legacy          20       12  /e/legacy
x               20       12  /e/legacy  x can't be read
""",
    "scripts legacy": """\
SCRIPT   STATE     OWNER  CHANGED              CONTENT     LOCKS  REMARKS
00.ctdb  enabled   root   2023-11-14 22:13:20  0123456789  a b
50.x     disabled                                                 dangling link to /gone; runs only here; not safe
README   refused                                                  no digits
""",
    "events": """\
EVENT   MODE     ARGUMENTS
takeip  address  <interface> <netmask bits>
""",
    "locks": """\
LOCK              ROLE     SINCE  OWNER             RUN   PID
address:10.0.0.1  holder    3.0s  legacy takeip     mb-2   12
address:10.0.0.1  waiting   3.0s  legacy releaseip  mb-3
""",
    "stats": """\
FIGURE             VALUE
version            0.1.0
started            2023-11-14 22:13:20
uptime             1h01m
processor_seconds  1.500
memory             26.0 MiB
runs.success       3
runs.failed        1
""",
}


@pytest.mark.parametrize("command", PEOPLE)
def test_for_people(command: str, said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert say(capfdbinary, *command.split()) == PEOPLE[command]


PROGRAMS = {
    "ps": [
        "mb-2|running|legacy|takeip|'eth 0' 10.0.0.1 24|10.0.0.1|3.250|3.000|30|27.000|10.interface|2.500|4711||0"
        "|0.250|1.000",
        "mb-3|queued|legacy|takeip|'eth 0' 10.0.0.1 24|10.0.0.1|3.250||30|||||mb-2 address:10.0.0.1|0|3.250|0.000",
    ],
    "components": ["legacy|20|12|/e/legacy|", "x|20|12|/e/legacy|x can't be read"],
    "scripts legacy": [
        "00.ctdb|enabled||a b||/e/legacy/00.ctdb.script|/p/00.ctdb.script|||0|1700000000.250|"
        f"{'0123456789abcdef' * 4}|legacy|",
        "50.x|disabled|dangling link to /gone||runs only here; not safe|/e/legacy/50.x|/gone||||||legacy|",
        "README|refused|no digits|||/e/legacy/README|||||||legacy|",
    ],
    "events": ["takeip|address|interface 'netmask bits'"],
    "locks": [
        "address:10.0.0.1|address|holder|mb-2||12|legacy takeip|1700000000.250|3.000",
        "address:10.0.0.1|address|waiting|mb-3|||legacy releaseip|1700000000.250|3.000",
    ],
    "stats": [
        *("version|0.1.0", "started|1700000000.250", "uptime|3700.000", "processor_seconds|1.500"),
        *("memory|27262976", "runs.success|3", "runs.failed|1"),
    ],
}


@pytest.mark.parametrize("command", PROGRAMS)
def test_for_programs(command: str, said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    shown = say(capfdbinary, *command.split(), "--plain").splitlines()
    assert shown == [line.replace("|", "\t") for line in PROGRAMS[command]]


MUCH = samples.status(
    jobs=[samples.queued(waits_for_more=7)],
    more=[
        {"component": "legacy", "running": 2, "queued": 9000, "oldest": samples.BEGIN},
        {"component": "other", "running": 0, "queued": 1, "oldest": samples.BEGIN},
    ],
)


def test_what_is_left_out_is_counted(said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    said.reply("status", MUCH)
    _, line, *left = say(capfdbinary, "ps").splitlines()
    assert line.endswith(" mb-2 address:10.0.0.1 and 7 more")
    assert [one.partition(", the oldest since ")[0] for one in left] == [
        "and 2 running and 9000 queued more in legacy",
        "and 1 queued more in other",
    ]


@pytest.mark.parametrize("form", ["--plain", "--json"])
def test_programs_are_told_what_is_left_out_on_stderr(
    said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes], form: str
) -> None:
    said.reply("status", MUCH)
    assert cli.main(["ps", form]) == 0
    out, err = capfdbinary.readouterr()
    assert b"mb-3" in out
    assert err.startswith(b"ctdb-event: and 2 running and 9000 queued more in legacy, the oldest since ")


def test_who_waits_for_a_lock_beside_those_that_are_listed_is_counted(
    said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    said.reply("locks", [{**lock, "waiting_more": 3} for lock in LOCKS[:1]])
    assert say(capfdbinary, "locks").splitlines()[-1].split() == ["address:10.0.0.1", "more", "and", "3", "more"]


@pytest.mark.parametrize("command", PROGRAMS)
def test_as_json_it_is_what_the_broker_said(
    command: str, said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    method = "status" if command == "ps" else command.split()[0]
    expected: Any = said.replies[method]
    shown = json.loads(say(capfdbinary, *command.split(), "--json"))
    assert shown == (expected["jobs"] if command == "ps" else expected)


@pytest.mark.parametrize(
    ("command", "method", "value", "text"),
    [
        ("ps", "status", samples.status(), "Nothing runs or waits.\n"),
        ("components", "components", [], "There are no components.\n"),
        ("events", "events", [], "There are no events.\n"),
        ("locks", "locks", [], "No lock is held.\n"),
        ("scripts x", "scripts", {"directory": "/e/x", "scripts": [], "refused": []}, "There is nothing in /e/x.\n"),
    ],
)
def test_an_empty_list(
    command: str, method: str, value: Any, text: str, broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    broker.reply(method, value)
    assert say(capfdbinary, *command.split()) == text
    assert say(capfdbinary, *command.split(), "--plain") == ""


def test_no_limit(broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    broker.reply("status", samples.status(jobs=[samples.job(timeout=0, left=None)]))
    assert " no limit " in say(capfdbinary, "ps")


def test_ping(said: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert say(capfdbinary, "ping").startswith("ctdb-eventd 0.1.0, process 42, answers in ")
    assert say(capfdbinary, "ping", "--plain").startswith("ctdb-eventd 0.1.0\t42\t0.")
    assert set(json.loads(say(capfdbinary, "ping", "--json"))) == {"server", "pid", "seconds"}


def test_reload(broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    broker.reply("reload", {"warnings": ["ctdb.conf:3: unknown\x1b key"]})
    in_force = "The configuration was reloaded.\n"
    assert say(capfdbinary, "reload") == "warning: ctdb.conf:3: unknown\\x1b key\n" + in_force
    assert json.loads(say(capfdbinary, "reload", "--json")) == {"warnings": ["ctdb.conf:3: unknown\x1b key"]}


def test_bytes_that_are_not_utf8_survive(broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    name = b"a\xff\tb\\\n\x1bc\xc3\xa9"
    broker.reply("components", [{**COMPONENT, "name": name.decode("utf-8", "surrogateescape")}])
    assert cli.main(["components", "--plain"]) == 0
    assert capfdbinary.readouterr().out == b"a\xff\\tb\\\\\\n\x1bc\xc3\xa9\t20\t12\t/e/legacy\t\n"
    assert cli.main(["components", "--json"]) == 0
    shown = capfdbinary.readouterr().out
    assert b'"name": "a\\udcff\\tb\\\\\\n\\u001bc\\u00e9"' in shown
    assert json.loads(shown)[0]["name"].encode("utf-8", "surrogateescape") == name
    assert say(capfdbinary, "components").splitlines()[1].split()[0] == r"a\xff\x09b\\x0a\x1bcé"


def test_names_are_sent_as_the_bytes_that_they_are(
    broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    broker.reply("scripts", SCRIPTS)
    say(capfdbinary, "scripts", os.fsdecode(b"x\xff"))
    assert broker.asked("scripts") == {"component": "x\udcff"}


def test_another_socket(said: FakeBroker, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> None:
    monkeypatch.delenv("CTDB_BASE")  # not needed then
    assert "ctdb-eventd 0.1.0" in say(capfdbinary, "--socket", str(said.path), "ping")
    assert "ctdb-eventd 0.1.0" in say(capfdbinary, "-dX", "ping", "-d", "DEBUG", f"--socket={said.path}")


@pytest.mark.parametrize(
    "answer", [None, [], {}, "text", 7, [7], ["text"], [{}], {"jobs": [[]]}, {"results": {"a": 1}}]
)
@pytest.mark.parametrize(
    "command", ["ps", "results", "components", "locks", "scripts legacy", "events", "health", "stats"]
)
def test_an_answer_of_another_form_is_an_error_and_no_traceback(
    broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes], command: str, answer: object
) -> None:
    for method in ("status", "components", "locks", "scripts", "events", "stats", "hello"):
        broker.reply(method, answer)
    code = cli.main(command.split())
    out, err = capfdbinary.readouterr()
    if err:
        assert code == (3 if command == "health" else 71)
        assert b"the reply of the event daemon at " in err
        assert b" can't be decoded (" in err
    else:
        assert code == 0, out  # an empty list, or one that says nothing
