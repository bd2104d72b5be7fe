"""`ctdb-event complete`: the candidates that completions of shells offer."""

from __future__ import annotations

from pathlib import Path

import pytest
import samples
from fake_broker import FakeBroker

from ctdb_event import cli
from ctdb_event.commands.catalogue import COMMANDS, find

KINDS = find(["subscribe"]).options[0].words  # type: ignore[union-attr]
Captured = pytest.CaptureFixture[bytes]


def offered(capture: Captured, *words: str) -> list[str]:
    assert cli.main(["complete", "--", *words]) == 0
    out, err = capture.readouterr()
    assert err == b""
    return [line.partition("\t")[0] or line for line in out.decode("utf-8", "surrogateescape").splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), [*dict.fromkeys(command.words.split()[0] for command in COMMANDS)]),
        (("-",), ["--socket", "--debug", "--help"]),
        (("ping", "-"), ["--json", "--plain", "--socket", "--debug", "--help"]),
        (("-d", "x", "--debug", "=", "x", "-dx", "script", ""), ["list", "enable", "disable"]),
        (("help", "script", ""), ["list", "enable", "disable"]),
        (("nonsense", ""), []),
        (("run", "--", "--js"), []),
        (("subscribe", "--kinds=queued,f"), [f"--kinds=queued,{kind}" for kind in KINDS]),
        (("subscribe", "--kinds", "queued,f"), [f"queued,{kind}" for kind in KINDS]),
        (("--socket", ""), ["\tfiles"]),
        (("--socket=/x",), ["\tfiles"]),
        (("timeline", "a", ""), ["\tfiles"]),
        (("--wait", "5", "lock", "x", "--", ""), ["\tcommand 6"]),
        (("lock", "x", "--", "touch", "-"), ["\tcommand 4"]),
        (("results", "--address", ""), []),
    ],
)
def test_what_the_table_says(words: tuple[str, ...], expected: list[str], node: Path, capfdbinary: Captured) -> None:
    assert offered(capfdbinary, *words) == expected


def test_every_candidate_is_described(node: Path, capfdbinary: Captured) -> None:
    cli.main(["complete", "--", "sub"])
    assert b"subscribe\tPrint notifications as they come, one per line.\n" in capfdbinary.readouterr().out


def test_runs_tell_what_they_are(broker: FakeBroker, capfdbinary: Captured) -> None:
    broker.reply("status", samples.status(jobs=[samples.job()]))
    cli.main(["complete", "cancel", ""])
    expected = b"mb-2\trunning legacy takeip 'eth 0' 10.0.0.1 24\n"
    assert capfdbinary.readouterr().out == expected


def test_no_name_that_breaks_the_line_or_a_terminal_obeys_is_offered(broker: FakeBroker, capfdbinary: Captured) -> None:
    broker.reply("components", [{"name": name} for name in ("a\nb", "\tfiles", "\x1b[2J", "\udcff", "$(x) y")])
    assert offered(capfdbinary, "status", "") == ["$(x) y"]


def test_scripts_of_other_places_come_from_the_daemon(broker: FakeBroker, capfdbinary: Captured) -> None:
    broker.reply("scripts", {"scripts": [{"name": "10.a"}, {"name": "20.b"}], "refused": []})
    assert offered(capfdbinary, "script", "enable", "elsewhere", "") == ["10.a", "20.b"]


def test_locks_in_use_and_declared_ones(broker: FakeBroker, capfdbinary: Captured) -> None:
    broker.reply("locks", [{"name": "used", "kind": "named"}, {"name": "address:10.0.0.1", "kind": "address"}])
    broker.reply("components", [{"name": "legacy"}])
    broker.reply("scripts", {"scripts": [{"locks": ["used", "declared"]}]})
    assert offered(capfdbinary, "lock", "x,") == ["x,declared", "x,used"]


def test_a_refusal_is_no_candidate_and_no_complaint(broker: FakeBroker, capfdbinary: Captured) -> None:
    broker.refuse("components", "EACCES", "no")
    assert offered(capfdbinary, "status", "") == []
    assert offered(capfdbinary, "--socket", "/nonexistent", "status", "") == []
