"""What lint says of the events that a script's head declares."""

from __future__ import annotations

import pytest

from ctdb_event.lint.declared_events import check_handled_events, check_handled_lines

HEAD = "#!/bin/sh\n# ctdb-eventd-events: takeip releaseip\n"


def said(text: str) -> list[tuple[int | None, str, str]]:
    return [(fault.line, fault.severity.value, fault.message) for fault in check_handled_lines(text)]


@pytest.mark.parametrize("text", [HEAD, "#!/bin/sh\n# ctdb-eventd-events: all\n", "#!/bin/sh\n# ctdb events: all\n"])
def test_nothing_is_said_of_what_is_read(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    "line",
    ["# ctdb-eventd-event: x", " # ctdb-eventd-events: x", "#ctdb-event-events: x", "# CTDB-eventd-events= x"],
)
def test_another_spelling_is_not_read(line: str) -> None:
    expected = 'this declares no events; expected "# ctdb-eventd-events: EVENT" at the line\'s start'
    assert said(f"#!/bin/sh\n{line}\n") == [(2, "warning", expected)]


def test_a_declaration_that_does_not_count() -> None:
    text = "#!/bin/sh\n# ctdb-eventd-events:\n# ctdb-eventd-events: takeip a/b\n"
    assert said(text) == [
        (2, "error", "this declares no event, so the script is started for every event"),
        (
            3,
            "error",
            '"a/b" is not a valid name of an event, so the script is started for every event; expected names of '
            "events, "
            "separated by blanks",
        ),
    ]


def test_a_declaration_behind_the_head() -> None:
    text = HEAD + "#" * 4096 + "\n# ctdb-eventd-events: monitor\n"
    assert said(text) == [
        (4, "warning", '"monitor" is not declared: only the first 4096 bytes of a script are looked at')
    ]


def compared(text: str, *labels: tuple[int, str]) -> list[tuple[int | None, str]]:
    return [(fault.line, fault.message) for fault in check_handled_events(text, labels)]


def test_what_is_declared_has_labels_and_labels_are_declared() -> None:
    assert compared(HEAD, (4, "takeip"), (5, "releaseip")) == []
    assert compared(HEAD, (4, "takeip"), (4, "releaseip"), (6, "monitor"), (8, "-h")) == [
        (6, '"monitor" is not declared in line 2, so this never runs')
    ]
    assert compared(HEAD, (4, "takeip")) == [
        (2, '"releaseip" is declared, but no case label matches it: the script is started for it needlessly')
    ]


def test_labels_may_be_patterns() -> None:
    assert compared(HEAD, (4, "*ip")) == compared(HEAD, (4, "takeip"), (5, "*")) == []


@pytest.mark.parametrize("head", ["", "# ctdb-eventd-events: all\n", "# ctdb-eventd-events: a/b\n"])
def test_nothing_is_compared_with_no_declaration(head: str) -> None:
    assert compared(f"#!/bin/sh\n{head}", (4, "monitor")) == []


def test_a_script_without_labels_looks_at_its_events_in_another_way() -> None:
    assert compared(HEAD) == []
