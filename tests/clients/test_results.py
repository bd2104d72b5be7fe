"""Typed values of what comes over the wire: every key is read, unknown ones are ignored, wrong ones are told."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from ctdb_event.broker import Hello, Stats
from ctdb_event.decoding import decode
from ctdb_event.errors import MalformedAnswer
from ctdb_event.inventory import Component, EventInfo, Lock, Owner, ScriptFile, ScriptFiles
from ctdb_event.results import Overview, Run, Script
from ctdb_eventd.errors import RemoteProtocolError

SCRIPT = {
    "name": "10.interface",
    "state": "failed",
    "result": 7,
    "started": 1700000000.5,
    "seconds": 0.25,
    "output": b"no \xff\n",
    "known_from": None,
    "last": None,
    "hung": None,
}
RUN = {
    "run": "abc-1",
    "component": "legacy",
    "event": "takeip",
    "args": ["eth0", "10.0.0.1", "24"],
    "address": "10.0.0.1",
    "outcome": "failed",
    "summary": 7,
    "queued": 1700000000.25,
    "waited": 0,
    "seconds": 1.5,
    "scripts": [SCRIPT],
    "script_waits": 0.5,
    "former": False,
}
JOB = {
    "run": "abc-2",
    "component": "legacy",
    "event": "monitor",
    "args": [],
    "address": None,
    "state": "running",
    "queued": 1700000000.5,
    "age": 2.5,
    "started": 1700000001.5,
    "running": 1.5,
    "timeout": 30,
    "left": 28.5,
    "script": "50.samba",
    "script_seconds": None,
    "pid": 4711,
    "waits_for": ["slot"],
    "waits_for_more": 2,
    "waited": 1.0,
    "script_waits": 0.5,
}
HEALTH = {"component": "legacy", "healthy": False, "since": 1.5, "script": "50.samba", "result": 1}
OWNER = {"run": None, "lock": 3, "pid": 4712, "text": "backup", "since": 1.5, "seconds": 2.5}
LEFT_OUT = {"component": "legacy", "running": 1, "queued": 2, "oldest": 1.5}
OVERVIEW = {"results": [RUN], "jobs": [JOB], "more": [LEFT_OUT], "health": [HEALTH]}
HELLO = {
    "version": 1,
    "server": "ctdb-eventd 0.1.0",
    "pid": 42,
    "started": 1.5,
    "methods": ["hello"],
    "limits": {"packet": 1, "requests": 2, "unsent": 3, "subscriptions": 4},
}
COMPONENT = {"name": "legacy", "directory": "/e", "scripts": 3, "enabled": 2, "error": None}
FILE = {
    "name": "10.a",
    "path": "/e/10.a.script",
    "target": None,
    "enabled": False,
    "reason": "not executable",
    "warnings": ["runs only here"],
    "locks": ["iptables"],
    "events": ["takeip", "releaseip"],
    "known_from": "head",
    "owner": 0,
    "modified": 1.5,
    "digest": "e3b0c44298fc1c14",
}
FILES = {"component": "legacy", "directory": "/e", "scripts": [FILE], "refused": [{"path": "/e/x", "reason": "why"}]}
EVENT = {"name": "takeip", "mode": "address", "args": ["interface"]}
LOCK = {"name": "iptables", "kind": "named", "holder": OWNER, "waiting": [OWNER, OWNER], "waiting_more": 1}
STATS = {
    "version": "0.1.0",
    "pid": 42,
    "started": 1.5,
    "uptime": 2.5,
    "processor_seconds": 0.5,
    "memory": 1 << 24,
    "descriptors": 12,
    "clients": 2,
    "subscribers": 1,
    "requests": 99,
    "notes_lost": 0,
    "runs": {"success": 5, "failed": 1},
    "scripts_started": 50,
    "queued": 3,
    "running": 2,
    "slots": {"running": 2, "waiting": 1, "free_limit": 18, "limit": 64},
}

KINDS: list[tuple[type[Any], dict[str, Any]]] = [
    (Script, SCRIPT),
    (Run, RUN),
    (Overview, OVERVIEW),
    (Hello, HELLO),
    (Component, COMPONENT),
    (ScriptFiles, FILES),
    (EventInfo, EVENT),
    (Lock, LOCK),
    (Owner, OWNER),
    (Stats, STATS),
]
LATER = {"more": (), "waits_for_more": 0, "waiting_more": 0, "script_waits": 0.0}
LATER |= dict.fromkeys(("former", "hung", "last", "known_from", "owner", "modified", "digest"))
KEYS = [(kind, value, key) for kind, value in KINDS for key in value]


def plain(value: Any) -> Any:
    """The way back, for values whose attributes have the names of the keys."""
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize(("kind", "value"), KINDS, ids=lambda item: getattr(item, "__qualname__", ""))
def test_every_key_is_read_and_unknown_ones_are_ignored(kind: type[Any], value: dict[str, Any]) -> None:
    assert plain(decode(kind, {**value, "of later versions": 1})) == value


def test_what_older_brokers_do_not_say_is_nothing() -> None:
    job = {name: value for name, value in JOB.items() if name not in LATER}
    overview = decode(Overview, {"results": [], "jobs": [job], "health": []})
    assert (overview.more, overview.jobs[0].waits_for_more) == ((), 0)
    assert decode(Lock, {"name": "x", "kind": "named", "holder": None, "waiting": []}).waiting_more == 0
    assert decode(Script, {name: value for name, value in SCRIPT.items() if name not in LATER}).known_from is None
    file = decode(ScriptFile, {name: value for name, value in FILE.items() if name not in ("events", "known_from")})
    assert (file.events, file.known_from) == (None, None)


@pytest.mark.parametrize(("kind", "value", "key"), [case for case in KEYS if case[2] not in LATER])
def test_a_missing_key_is_told_by_name(kind: type[Any], value: dict[str, Any], key: str) -> None:
    less = {name: item for name, item in value.items() if name != key}
    with pytest.raises(MalformedAnswer, match=rf"\.?{key} in the broker's answer is (missing|None)"):
        decode(kind, less)


@pytest.mark.parametrize(("kind", "value", "key"), KEYS)
def test_a_value_of_another_type_is_told(kind: type[Any], value: dict[str, Any], key: str) -> None:
    with pytest.raises(MalformedAnswer, match=rf"{key}|{key.rstrip('s')}|limits|slots|owner|status"):
        decode(kind, {**value, key: object()})


@pytest.mark.parametrize("wrong", [None, [], "run", 3])
def test_what_is_no_map_is_told(wrong: object) -> None:
    with pytest.raises(RemoteProtocolError, match=r"run in the broker's answer is .*, a map was expected"):
        decode(Run, wrong)


@pytest.mark.parametrize(
    ("key", "wrong", "expected"),
    [
        ("summary", True, "a whole number"),
        ("summary", 1.5, "a whole number"),
        ("seconds", True, "a number"),
        ("args", ["a", 1], "a list of text"),
        ("component", b"legacy", "text"),
        ("scripts", {}, "a list"),
    ],
)
def test_types_are_told_apart(key: str, wrong: object, expected: str) -> None:
    with pytest.raises(MalformedAnswer, match=f"{expected} was expected"):
        decode(Run, {**RUN, key: wrong})


def test_what_printed_is_text_for_people() -> None:
    assert decode(Script, SCRIPT).text == "no \ufffd\n"


@pytest.mark.parametrize(
    ("state", "failed"),
    [
        ("ok", False),
        ("disabled", False),
        ("not-reached", False),
        ("failed", True),
        ("killed", True),
        ("timed-out", True),
        ("not-started", True),
    ],
)
def test_which_scripts_make_a_run_fail(state: str, failed: bool) -> None:
    run = decode(Run, {**RUN, "scripts": [{**SCRIPT, "state": state}]})
    assert run.failed == (run.scripts if failed else ())


def test_a_lock_that_nobody_holds() -> None:
    assert decode(Lock, {**LOCK, "holder": None, "waiting": []}).holder is None
