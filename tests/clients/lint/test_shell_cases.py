"""Which labels of a shell script name events, and which parts of it only look like them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_event.lint.shell_cases import event_labels


def found(text: str) -> list[tuple[int, str]]:
    return [(label.line, label.text) for label in event_labels(text)]


def names(text: str) -> list[str]:
    return [label.text for label in event_labels(text)]


def test_labels_have_their_lines() -> None:
    text = 'case "$1" in\nstartup)\n\techo\n\t;;\n\ntakeip | releaseip) ;;\n(monitor) true;;\n*) exit 0\nesac\n'
    assert found(text) == [(2, "startup"), (6, "takeip"), (6, "releaseip"), (7, "monitor"), (8, "*")]


@pytest.mark.parametrize(
    "subject", ["$1", '"$1"', "${1}", '"${1}"', '"${1:-}"', "${1-none}", '"${1:-monitor}"', '\\\n  "$1"']
)
def test_ways_to_write_the_first_argument(subject: str) -> None:
    assert names(f"case {subject} in a) ;; esac") == ["a"]


@pytest.mark.parametrize("subject", ["$2", '"$10"', "$x", "'$1'", '"$1$2"', '"${1#take}"', "$(echo $1)"])
def test_other_subjects_are_no_events(subject: str) -> None:
    assert names(f"case {subject} in a) ;; esac") == []


@pytest.mark.parametrize(
    ("label", "text", "pattern"),
    [
        ("take*", "take*", r"take.*"),
        ("take??", "take??", r"take.."),
        ('"take*"', "take*", r"take\*"),
        ("'a$b'", "a$b", r"a\$b"),
        ("st'art'\"up\"", "startup", "startup"),
        (r"a\*\b", "a*b", r"a\*b"),
        (r"'a\b'", r"a\b", r"a\\b"),
    ],
)
def test_quotes_and_patterns(label: str, text: str, pattern: str) -> None:
    (read,) = event_labels(f'case "$1" in {label}) ;; esac')
    assert (read.text, read.pattern) == (text, pattern)


@pytest.mark.parametrize(
    "label", ['""', "$event", '"${x}"', "`x`", "[ab]x", "@(a|b)", "+(a)b", "$(x y)", "x$((1+(2)))", "a" * 256]
)
def test_what_is_known_only_when_it_runs_is_left_out(label: str) -> None:
    assert names(f'case "$1" in {label}) ;; monitor) ;; esac') == ["monitor"]


# ---------------------------------------------------------------------- where $1 is something else


@pytest.mark.parametrize(
    "function",
    [
        'f() { case "$1" in no) ;; esac; }',
        'f ()\n\n{\n  if x; then case "$1" in no) ;; esac fi\n}',
        'f() ( case "$1" in no) ;; esac )',
        'f() if x; then case "$1" in no) ;; esac; fi',
        'f() case "$1" in no) ;; esac',
        'function f { case "$1" in no) ;; esac; }',
        'function f () { case "$1" in no) ;; esac; }',
        'function f\n(\ncase "$1" in no) ;; esac\n)',
        'f() { g() { :; }; case "$1" in no) ;; esac; }',
        "f() { shift; set -- x; }",
        'f() for i in 1 2; do case "$1" in no) ;; esac; done',
        "f() { echo '}'; echo \"}\" \\}; # }\ncase $1 in no) ;; esac; }",
    ],
)
def test_functions_are_left_out_and_end(function: str) -> None:
    assert names(f'{function}\ncase "$1" in yes) ;; esac\n') == ["yes"]


@pytest.mark.parametrize(
    "before", ["shift", "x=1 shift 2", "set -- a b", "set a", "set -e - a", "if x; then shift; fi"]
)
def test_nothing_counts_after_the_arguments_were_changed(before: str) -> None:
    assert names(f"{before}\ncase $1 in no) ;; esac") == []


@pytest.mark.parametrize("before", ["set -e", "set +x -u", "set -o pipefail", "set", "echo shift", "f() { shift; }"])
def test_what_leaves_the_arguments_alone(before: str) -> None:
    assert names(f"{before}\ncase $1 in yes) ;; esac") == ["yes"]


def test_a_shift_within_the_label_does_not_end_the_labels() -> None:
    assert names('case "$1" in a) shift ;; b) ;; esac; case "$1" in no) ;; esac') == ["a", "b"]


def test_the_event_under_another_name() -> None:
    assert names('event="$1"\nshift\ncase "$event" in a) ;; esac') == ["a"]
    assert names('export event=$1; main() { case "${event}" in a) ;; esac; }') == ["a"]
    assert names("event=$1\nevent=x\ncase $event in a) ;; esac") == []
    assert names("event=$1 x=$2\nf() { event=x; }\ncase $event in a) ;; esac") == []
    assert names("f() { event=$1; }\ncase $event in a) ;; esac") == []
    assert names("shift\nevent=$1\ncase $event in a) ;; esac") == []


# ---------------------------------------------------------------------- the rest of the grammar


@pytest.mark.parametrize(
    "before",
    [
        'x=$(case "$2" in (a) echo;; b) echo ")";; esac)',
        "cat <<EOF\ncase $1 in no) ;; it's (\nEOF",
        "cat <<-'END' <<B\n\tcase $1 in no)\n\tEND\n\"\nB",
        "cat <<\\X; echo\n`\nX",
        'echo "it\'s $(echo ")" "(") ${x:-"}"} `echo \\` ")"` \\""',
        "echo ${x#'}'} ${x%\"}\"} ${y:-$(echo })} ${#x}",
        'echo "${x:-it\'s}" "${y:-$(echo "}")}"',
        "x=$((1 << (2 + 3))); ((y = 1 << 2)); for ((i = 0; i < 3; i++)); do :; done",
        'a=(1 "2)" $(x) (3)); a+=(4)',
        "[[ $x =~ ^(a|b)$ && ( a < b ) ]] || true",
        "diff <(a) <(b) > >(c) 2>&1; mapfile x < <(ls)",
        "# case $1 in no) it's",
        "echo a#b#'c' $# ${#}",
        "for x in a b; do echo; done; for y do :; done; for z\nin 1\ndo :; done; select x in y; do break; done",
        "while ! read x; do until y; do :; done; done <<< case",
        "if a; then b; elif c; then d; else e; fi; { f; } && ( g; ) | h & time i",
        "echo case if do { } esac; cmd in; x () { :; }",
        "echo $'it' $\"y\" $ \\\n  continued",
        "!(x) y; shopt -s extglob; echo *(a) @(b|c)",
        'case "$2" in a|b) case $3 in c) ;; esac ;; d) ;& e) ;;& *) esac',
        "{ (true) }",
    ],
)
def test_what_stands_before_is_understood(before: str) -> None:
    assert names(f"{before}\ncase $1 in yes) ;; esac\n") == ["yes"]


@pytest.mark.parametrize("after", ["exit 0", "cat <<END\n(", "x=$(y)", "# (", "; "])
def test_the_text_may_end_anywhere_behind_it(after: str) -> None:
    assert names(f"case $1 in yes) ;; esac\n{after}") == ["yes"]


def test_it_counts_wherever_it_is_nested() -> None:
    text = (
        "if x; then ( { case $1 in a) x=$(case $1 in b) ;; esac) ;; esac; } ); fi; while :; do case $1 in c) esac done"
    )
    assert sorted(names(text)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "text",
    [
        "case $1 in a) echo 'x ;; esac",
        'case $1 in a) echo "x ;; esac',
        "case $1 in a) echo `x ;; esac",
        "case $1 in a) echo ${x ;; esac",
        "case $1 in a) echo $(x ;; esac",
        "case $1 in a) (x ;; esac",
        "case $1 in a) ;;",
        "case $1 a) ;; esac",
        "case $1 in a b) ;; esac",
        "case $1 in a|;) ;; esac",
        "case $1 in | a) ;; esac",
        "case $1 in a) ;; esac )",
        "case $1 in a) ;; esac; a b () { :; }",
        "case $1 in a) ;; esac; a ( b )",
        "case $1 in a) ;; esac; f() x",
        "case $1 in a) ;; esac; cat <",
        "case $1 in a) ;; esac; cat < ;",
        "case $1 in a) ;; esac; ((1 + 2)",
        "case $1 in a) ;; esac; [[ x",
        "case ; in a) ;; esac",
        "case $1 in a) ;; esac; " + "$(" * 5000,
    ],
)
def test_what_can_not_be_followed_has_no_labels(text: str) -> None:
    assert names(text) == []


@given(st.text(alphabet="case in$1\"'`(){};|&<>\n\\#ab)esac"))
def test_no_text_is_too_odd(text: str) -> None:
    for label in event_labels(f"case $1 in {text}"):
        assert label.line >= 1
        assert label.text
        re.compile(label.pattern)
