"""Values and texts of strangers as they are shown: bounded, and nothing that a terminal would obey."""

from __future__ import annotations

import unicodedata

import pytest

from ctdb_eventd.text import escaped, shown


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "a", b"a", [1, ["b"]], {"a": {}}, (1,), "x" * 300, [0] * 300])
def test_a_short_value_is_shown_as_python_writes_it(value: object) -> None:
    assert shown(value) == repr(value)


def deep() -> list[object]:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 301, f"'{'x' * 300}'..."),
        ("\0" * 301, repr("\0" * 300) + "..."),
        (b"\0" * (1 << 20), repr(b"\0" * 300) + "..."),
        ([0] * 1000, repr([0] * 100)[:-1] + ",..."),
        ({"a": deep()}, "a deeply nested dict"),
        (deep(), "a deeply nested list"),
    ],
    ids=["text", "escapes", "bytes", "list", "nested map", "nested list"],
)
def test_a_long_or_deep_value_is_cut(value: object, expected: str) -> None:
    assert shown(value).replace(" ", "") == expected.replace(" ", "")


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cs", "Zl", "Zp"])
def test_no_control_or_format_character_is_left(category: str) -> None:
    text = "".join(chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == category)
    assert text
    result = escaped(text)
    assert result.isascii()
    assert result.isprintable()


def test_what_is_kept_is_kept() -> None:
    assert escaped("a\tb\nc\x1b\u202ed\udcff", "\t\n") == "a\tb\nc\\x1b\\u202ed\\xff"
    assert escaped("caf\u00e9 \u65e5") == "caf\u00e9 \u65e5"
    assert escaped("caf\u00e9 \u65e5", "", True) == "caf\\xe9 \\u65e5"
