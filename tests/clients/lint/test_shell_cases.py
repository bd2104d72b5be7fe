"""Which labels of a shell script name events, and which parts of it only look like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_event.lint.shell_cases import event_labels


def names(text: str) -> list[str]:
    return [name for _, name in event_labels(text)]


def test_labels_have_their_lines() -> None:
    text = 'case "$1" in\nstartup)\n\techo\n\t;;\n\ntakeip |\\\n  releaseip) ;;\n(monitor) true;;\n*) exit 0\nesac\n'
    assert list(event_labels(text)) == [(2, "startup"), (6, "takeip"), (7, "releaseip"), (8, "monitor"), (9, "*")]


@pytest.mark.parametrize("subject", ["$1", '"$1"', "${1}", '"${1}"', '"${1:-}"', "${1-none}", '"${1:-monitor}"'])
def test_ways_to_write_the_first_argument(subject: str) -> None:
    assert names(f"case {subject} in a) ;; esac") == ["a"]


@pytest.mark.parametrize("subject", ["$2", '"$10"', "$x", "'$1'", '"$1$2"', '"${1#take}"', "$(echo $1)"])
def test_other_subjects_are_no_events(subject: str) -> None:
    assert names(f"case {subject} in a) ;; esac") == []


@pytest.mark.parametrize(("label", "name"), [("take*", "take*"), ("take??", "take??"), ('"a"', "a"), ("'a'", "a")])
def test_quotes_and_patterns(label: str, name: str) -> None:
    assert names(f'case "$1" in {label}) ;; esac') == [name]


@pytest.mark.parametrize("label", ['""', "$event", '"${x}"', "`x`", "[ab]x", '"a b"', r"a\b", "a'b'"])
def test_what_is_no_plain_name_is_left_out(label: str) -> None:
    assert names(f'case "$1" in {label}) ;; monitor) ;; esac') == ["monitor"]


# ---------------------------------------------------------------------- where $1 is something else


@pytest.mark.parametrize(
    "function",
    [
        'f() { case "$1" in no) ;; esac; }',
        'f ()\n\n{\n  if x; then case "$1" in no) ;; esac fi\n}',
        'f() ( case "$1" in no) ;; esac )',
        'f() {\n\tcase "$1" in\n\tno) ;;\n\tesac\n}',
        "function f {\n\tcase $1 in\n\tno) ;;\n\tesac\n}",
        "function f () { case $1 in no) ;; esac; }",
        "f() {\n\tshift\n\tset -- x\n}",
        "if x\nthen\n  f() {\n\tcase $1 in\n\tno) ;;\n\tesac\n  }\nfi",
    ],
)
def test_functions_are_left_out_and_end(function: str) -> None:
    assert names(f'{function}\ncase "$1" in yes) ;; esac\n') == ["yes"]


@pytest.mark.parametrize("before", ["shift", "set -- a b", "set a", "set -e - a", "if x; then shift; fi"])
def test_nothing_counts_after_the_arguments_were_changed(before: str) -> None:
    assert names(f"{before}\ncase $1 in no) ;; esac") == []


@pytest.mark.parametrize("before", ["set -e", "set +x -u", "set -o pipefail", "set", "echo shift", "f() { shift; }"])
def test_what_leaves_the_arguments_alone(before: str) -> None:
    assert names(f"{before}\ncase $1 in yes) ;; esac") == ["yes"]


def test_a_shift_within_the_label_does_not_end_the_labels() -> None:
    assert names('case "$1" in\na) shift ;;\nb) ;;\nesac\ncase "$1" in no) ;; esac') == ["a", "b"]


def test_the_event_under_another_name() -> None:
    assert names('event="$1"\nshift\ncase "$event" in a) ;; esac') == ["a"]
    assert names('export event=$1\nmain() { case "${event}" in a) ;; esac; }') == ["a"]
    assert names("event=$1\nevent=x\ncase $event in a) ;; esac") == []
    assert names("event=$1 x=$2\nf() { event=x; }\ncase $event in a) ;; esac") == []
    assert names("f() { event=$1; }\ncase $event in a) ;; esac") == []
    assert names("shift\nevent=$1\ncase $event in a) ;; esac") == []


# ---------------------------------------------------------------------- the rest of the script


@pytest.mark.parametrize(
    "before",
    [
        'x=$(case "$2" in (a) echo;; b) echo ")";; esac)',
        "cat <<EOF\ncase $1 in no) ;; it's (\nEOF",
        "cat <<-'END'\n\tcase $1 in no)\n\tEND",
        "x=$((y << 8)); cat <<<y",
        "cat <<\\X; echo\n`\nX",
        "# case $1 in no) it's",
        'echo \'case $1 in no) ;; esac\' "case $1 in no) \\" ;; esac"',
        'case "$2" in a|b)\ncase $3 in c) ;; esac ;;\nd) ;&\ne) ;;&\n*)\nesac',
        "x=esac; in_case=1; incase $1 in it; echo it\\'s",
    ],
)
def test_what_stands_before_is_understood(before: str) -> None:
    assert names(f"{before}\ncase $1 in yes) ;; esac\n") == ["yes"]


def test_it_counts_wherever_it_is_nested() -> None:
    text = (
        "if x; then ( { case $1 in a) x=$(case $1 in b) ;; esac) ;; esac; } ); fi\nwhile :; do case $1 in c) esac done"
    )
    assert names(text) == ["a", "b", "c"]


@pytest.mark.parametrize("rest", ["a b) ;; esac", "| a) ;; esac", "(a", "a\nb) ;; esac"])
def test_it_ends_at_a_label_that_can_not_be_read(rest: str) -> None:
    assert names(f"case $1 in first) ;; {rest}\ncase $1 in no) ;; esac") == ["first"]


@given(st.text(alphabet="case in$1\"'`(){};|&<>\n\\#ab)esac"))
def test_no_text_is_too_odd(text: str) -> None:
    for line, name in event_labels(f"case $1 in {text}"):
        assert line >= 1
        assert name
