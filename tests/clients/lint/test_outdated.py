"""What scripts use that not every version of CTDB has."""

from __future__ import annotations

import pytest

from ctdb_event.lint.outdated import check_outdated, code_lines, defined_functions

SOURCE = '[ -n "$CTDB_BASE" ] || exit 1\n. "${CTDB_BASE}/functions"\n'


def outdated(text: str, functions: frozenset[str] | None = None) -> list[tuple[int | None, str, str]]:
    """Returns line, severity and check."""
    return [(fault.line, fault.severity.value, fault.check.value) for fault in check_outdated(text, functions)]


@pytest.mark.parametrize(
    "line",
    [
        "loadconfig",
        "loadconfig nfs",
        "\tloadconfig",
        "true && loadconfig",
        "monitor) loadconfig ;;",
        "if loadconfig; then true; fi",
        "if true; then loadconfig; fi",
        "x=$(loadconfig)",
        "! loadconfig",
    ],
)
def test_a_function_that_is_gone(line: str) -> None:
    assert outdated(f"{SOURCE}{line}\n") == [(3, "warning", "function")]


@pytest.mark.parametrize(
    "line", ["# loadconfig", "true # loadconfig", "echo loadconfig", "loadconfig=1", "loadconfig2", "my-loadconfig"]
)
def test_what_is_no_call_of_it(line: str) -> None:
    assert outdated(f"{SOURCE}{line}\n") == []


def test_what_to_use_instead_is_said_once_for_each_script() -> None:
    (fault,) = check_outdated(f"{SOURCE}loadconfig\nloadconfig nfs\n", frozenset())
    assert fault.message == 'CTDB 4.13 and later have no function "loadconfig"; use load_script_options'


@pytest.mark.parametrize("definition", ["loadconfig () {", "loadconfig()\n{", "function loadconfig {"])
def test_a_function_of_the_scripts_own_is_its_own_affair(definition: str) -> None:
    assert outdated(f"{SOURCE}{definition}\n\t:\n}}\nloadconfig\n") == []


def test_without_the_functions_of_ctdb_it_is_another_program() -> None:
    assert outdated("loadconfig\nfailcount_init x\n") == []
    assert outdated("source /etc/ctdb/functions; loadconfig\n") == [(1, "warning", "function")]


def test_a_node_that_has_the_function_is_right() -> None:
    functions = defined_functions("loadconfig () {\n}\nip_addr_add()\n{\n}\n")
    assert functions == {"loadconfig", "ip_addr_add"}
    assert outdated(f"{SOURCE}loadconfig\nip_addr_add 1 2\n", functions) == []


def test_a_function_that_came_later() -> None:
    text = f"{SOURCE}failcount_init x\nip_addr_add 1 2\n"
    assert outdated(text) == [(3, "note", "function"), (4, "note", "function")]
    assert outdated(text, frozenset({"failcount_init"})) == [(4, "warning", "function")]
    messages = [fault.message for fault in check_outdated(text, frozenset())]
    assert "CTDB 4.22 has it, 4.17 has not" in messages[0]
    assert "CTDB 4.25 has it, 4.24 has not" in messages[1]


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("ctdb eventscript run monitor", "ctdb event run TIMEOUT legacy EVENT"),
        ("/usr/bin/ctdb -n all -T 10 disablescript 50.web", "ctdb event script disable legacy SCRIPT"),
        ("if $CTDB isnotrecmaster >/dev/null; then", "ctdb leader, and compare with ctdb pnn"),
        ('master=$("${CTDB}" -X recmaster)', "ctdb leader"),
        ("ctdb natgw master", "ctdb natgw leader"),
    ],
)
def test_a_command_that_is_gone(line: str, instead: str) -> None:
    (fault,) = check_outdated(f"{line}\n", None)
    assert (fault.line, fault.severity.value, fault.check.value) == (1, "warning", "command")
    assert fault.message.endswith(f"; use {instead}")


@pytest.mark.parametrize(
    "line",
    ["ctdb event run 30 legacy monitor", "ctdb leader", "myctdb recmaster", "# ctdb recmaster", "ctdb natgw list"],
)
def test_commands_that_are_there(line: str) -> None:
    assert outdated(f"{line}\n") == []


@pytest.mark.parametrize("line", ["ls /etc/ctdb/events.d", '"$CTDB_BASE/events.d/50.web" monitor'])
def test_the_former_directory(line: str) -> None:
    assert outdated(f"true\n{line}\n") == [(2, "warning", "events-d")]


@pytest.mark.parametrize("line", ["ls /etc/ctdb/events.dir", "ls /etc/my-events.d", "# /etc/ctdb/events.d"])
def test_other_directories(line: str) -> None:
    assert outdated(f"{line}\n") == []


def test_lines_without_comments() -> None:
    assert list(code_lines("#!/bin/sh\n\n  a # b\nc${#d}\n   # e")) == [(3, "  a"), (4, "c${#d}")]
