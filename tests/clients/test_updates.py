"""Typed values of notes."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import samples

from ctdb_event import updates
from ctdb_event.decoding import decode_update
from ctdb_event.errors import MalformedAnswer
from ctdb_event.updates import Update

ABOUT = {"time": 1.5, "run": "abc-1", "component": "legacy", "event": "takeip", "args": ["a"], "address": "10.0.0.1"}
FURTHER: dict[str, tuple[type[Update], dict[str, Any]]] = {
    "queued": (updates.Queued, {"holder": "legacy startup"}),
    "started": (updates.Started, {"waited": 0.5}),
    "script-started": (updates.ScriptStarted, {"script": "10.a", "pid": 5}),
    "output": (updates.Output, {"script": "10.a", "output": b"\xff"}),
    "script-finished": (updates.ScriptFinished, {"script": "10.a", "state": "ok", "result": 0, "seconds": 0.5}),
    "finished": (
        updates.Finished,
        {"outcome": "success", "summary": 0, "waited": 0.5, "seconds": 1.5, "report": None},
    ),
    "lock-waiting": (updates.LockWaiting, {"locks": ["iptables"], "lock": None, "text": "who", "holder": "x"}),
    "lock-acquired": (updates.LockAcquired, {"locks": ["a", "b"], "lock": 3, "text": "who", "seconds": 2.5}),
    "upgraded": (updates.Upgraded, {"former": "0.1", "version": "0.2", "waited": 1.5, "seconds": 0.25}),
    "health": (updates.Health, {"healthy": True, "script": None, "result": 0}),
    "gap": (updates.Gap, {"lost": 12}),
}


def plain(update: Update) -> dict[str, Any]:
    values = attrs.asdict(update)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


@pytest.mark.parametrize("kind", FURTHER)
def test_every_kind_has_its_class(kind: str) -> None:
    expected, further = FURTHER[kind]
    update = decode_update(kind, 7, {**ABOUT, **further, "of later": 1})
    assert type(update) is expected
    assert plain(update) == {**ABOUT, **further, "number": 7}


@pytest.mark.parametrize("kind", FURTHER)
@pytest.mark.parametrize("absent", [{}, {"run": None, "component": None, "event": None, "args": None}])
def test_whom_it_is_about_may_be_absent(kind: str, absent: dict[str, Any]) -> None:
    update = decode_update(kind, 7, {"time": 1.5, **absent, **FURTHER[kind][1]})
    assert (update.run, update.component, update.event, update.args) == (None, None, None, ())


OF_LATER_BROKERS = {"holder", "report"}


@pytest.mark.parametrize(
    ("kind", "key"),
    [(kind, key) for kind, (_, further) in FURTHER.items() for key in further if key not in OF_LATER_BROKERS],
)
def test_what_a_kind_has_to_say_must_be_there(kind: str, key: str) -> None:
    data = {**ABOUT, **FURTHER[kind][1]}
    del data[key]
    with pytest.raises(MalformedAnswer, match=f"{kind}.{key} in the broker's answer is missing"):
        decode_update(kind, 7, data)


def test_the_report_of_a_run_that_ended_is_a_run() -> None:
    update = decode_update("finished", 7, {**ABOUT, **FURTHER["finished"][1], "report": samples.run(run="mb-9")})
    assert isinstance(update, updates.Finished)
    assert update.report is not None
    assert (update.report.run, update.report.scripts[0].name) == ("mb-9", "00.ctdb")


def test_a_note_without_a_time_is_refused() -> None:
    with pytest.raises(MalformedAnswer, match=r"queued\.time"):
        decode_update("queued", 7, {})


def test_kinds_of_later_brokers_are_unknown_and_whole() -> None:
    update = decode_update("eclipse", 7, {**ABOUT, "dark": True})
    assert isinstance(update, updates.Unknown)
    assert (update.kind, update.data["dark"], update.run) == ("eclipse", True, "abc-1")
