"""Parameters of native calls: each of its kind or refused with what was expected."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_eventd.dispatcher.params import Params
from ctdb_eventd.errors import InvalidParameter

TAKE: dict[str, Callable[[Params], object]] = {
    "text": lambda params: params.text("x"),
    "optional_text": lambda params: params.optional_text("x"),
    "texts": lambda params: params.texts("x"),
    "flag": lambda params: params.flag("x"),
    "seconds": lambda params: params.seconds("x"),
    "wait": lambda params: params.wait("x"),
    "number": lambda params: params.number("x"),
}
EXPECTED = {
    "text": "a text",
    "optional_text": "a text",
    "texts": "a list of texts",
    "flag": "true or false",
    "seconds": "a whole number of seconds from 0 (no limit) to 4294967295",
    "wait": "a number of seconds from 0",
    "number": "a whole number",
}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", "", ""),
        ("text", "caf\udce9", "caf\udce9"),
        ("optional_text", "a b", "a b"),
        ("texts", [], ()),
        ("texts", ["a b", ""], ("a b", "")),
        ("flag", True, True),
        ("flag", False, False),
        ("seconds", 0, 0),
        ("seconds", 4294967295, 4294967295),
        ("wait", 0, 0.0),
        ("wait", 0.5, 0.5),
        ("wait", 30, 30.0),
        ("wait", 1e300, 1e300),
        ("number", 0, 0),
        ("number", -7, -7),
        ("number", (1 << 64) - 1, (1 << 64) - 1),
    ],
)
def test_what_fits_is_taken(kind: str, value: object, expected: object) -> None:
    taken = TAKE[kind](Params({"x": value}))
    assert taken == expected
    assert type(taken) is type(expected)


@pytest.mark.parametrize("params", [{}, {"x": None}, {"y": 1}])
def test_what_is_left_out_or_nil_has_its_default(params: dict[str, object]) -> None:
    taken = {kind: take(Params(params)) for kind, take in TAKE.items() if kind != "text"}
    assert taken == {
        **dict.fromkeys(("optional_text", "texts", "wait", "number")),
        **{"flag": False, "seconds": 0},
    }
    assert Params(params).flag("x", True) is True
    with pytest.raises(InvalidParameter, match=r"^parameter x: a text is expected$"):
        TAKE["text"](Params(params))


def test_a_default_is_not_taken_for_what_is_there() -> None:
    assert Params({"x": False}).flag("x", True) is False


ODD: dict[str, list[object]] = {
    "text": [b"x", 1, ["x"], {}, True],
    "optional_text": [b"x", 0, [], False],
    "texts": ["text", [b"x"], ["a", 1], ["a", None], {"a": "b"}, 0, False],
    "flag": [0, 1, "yes", [], b""],
    "seconds": [-1, 4294967296, 1.0, "1", True, False, []],
    "wait": [-1, -0.1, float("inf"), float("-inf"), float("nan"), "1", True, False, []],
    "number": [1.0, "1", True, False, []],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in ODD.items() for value in values])
def test_what_does_not_fit_is_refused_with_what_was_expected(kind: str, value: object) -> None:
    with pytest.raises(InvalidParameter) as caught:
        TAKE[kind](Params({"x": value}))
    error = caught.value
    assert (error.parameter, error.expected, error.value) == ("x", EXPECTED[kind], repr(value))
    assert str(error) == f"parameter x: {EXPECTED[kind]} is expected, not {value!r}"


def test_more_texts_than_any_program_takes_are_refused() -> None:
    assert len(Params({"x": ["a"] * 100_000}).texts("x") or ()) == 100_000
    with pytest.raises(InvalidParameter, match=r"^parameter x: at most 100000 texts is expected, not 100001$"):
        Params({"x": ["a"] * 100_001}).texts("x")


plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([*TAKE]), plain)
def test_nothing_but_a_refusal_comes_of_any_value(kind: str, value: object) -> None:
    with contextlib.suppress(InvalidParameter):
        TAKE[kind](Params({"x": value}))
