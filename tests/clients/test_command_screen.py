"""How text reaches a person: escapes, colours, columns, times."""

from __future__ import annotations

import io
import sys

import pytest

from ctdb_event.commands import screen
from ctdb_event.commands.screen import Screen, plain_line, quoted, width
from ctdb_event.commands.times import at, clock, lasting
from ctdb_eventd.text import escaped


class Out(io.TextIOWrapper):
    """A standard output of the test's."""

    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def written(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


def on(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], **kind: object) -> tuple[Screen, Out]:
    out = Out(**kind)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdout", out)
    return Screen(environ), out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[31m\x07\x7f", r"\x1b[31m\x07\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("a\udcffb", r"a\xffb"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\U000e0001", r"\U000e0001"),
        ("a\tb\nc", r"a\x09b\x0ac"),
    ],
)
def test_what_a_terminal_could_obey_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_some_controls_may_stay() -> None:
    assert escaped("a\tb\nc\r", "\t\n") == "a\tb\nc\\x0d"


def test_a_terminal_that_may_not_know_utf8_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, shown in (("iso-8859-1", r"\xe9"), ("UTF-8", "é")):
        assert on(monkeypatch, {}, terminal=True, encoding=encoding)[0].safe("é") == shown
    assert on(monkeypatch, {}, terminal=False, encoding="ascii")[0].safe("é") == "é"


@pytest.mark.parametrize(
    ("environ", "terminal", "coloured"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm"}, False, False),
    ],
)
def test_colours_are_for_terminals(
    environ: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen, out = on(monkeypatch, environ, terminal=terminal)
    screen.table(("A", "B "), [[("x", "bad"), "1"], ["long", ("22", "")]])
    shown = out.written().decode()
    assert ("\x1b[31mx\x1b[0m" in shown) is coloured
    bare = shown.replace("\x1b[31m", "").replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert bare == "A      B\nx      1\nlong  22\n"


def test_plain_lines_on_a_terminal_hold_no_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, out = on(monkeypatch, {"TERM": "xterm"}, terminal=True)
    screen.plain(["a\x1b", "b\tc"])
    assert out.written() == b"a\\x1b\tb\\tc\n"


def test_without_a_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    nowhere = Screen({"TERM": "xterm"})
    assert not nowhere.terminal
    nowhere.write("lost")


def test_values_of_plain_lines() -> None:
    values = [None, True, False, 1, 1.5, "a\tb", b"\xff\n", ["x", "y z"], ()]
    assert plain_line(values) == "\tyes\tno\t1\t1.500\ta\\tb\t\udcff\\n\tx 'y z'\t"


@pytest.mark.parametrize(("word", "shown"), [("a-b", "a-b"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'")])
def test_words_are_quoted_for_a_shell(word: str, shown: str) -> None:
    assert quoted(word) == shown


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("é", 1), ("漢字", 4), ("e\u0301", 1)])
def test_width_is_in_columns(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((None, ""), (0.0, "0.0s"), (-0.01, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m00s")),
        *((3599.0, "59m59s"), (3600.0, "1h00m"), (86399.0, "23h59m"), (90000.0, "1d01h")),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert lasting(seconds) == shown


def test_points_in_time(node: object) -> None:
    assert at(1_700_000_000.25) == "2023-11-14 22:13:20"
    assert clock(1_700_000_000.25) == "22:13:20.250"
    assert at(None) == clock(None) == at(1e30) == clock(1e30) == ""


def test_public_names_are_there() -> None:
    assert all(hasattr(screen, name) for name in screen.__all__)
