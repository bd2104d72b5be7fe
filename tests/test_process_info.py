"""What /proc tells of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import until

from ctdb_eventd.process_info import command_of, memory, open_descriptors

PYTHON = os.path.basename(sys.executable)


async def command_of_child(*words: str | bytes) -> str:
    """What is told of a process with these words behind the interpreter's own."""
    process = subprocess.Popen([sys.executable, "-c", "input()", *words], stdin=subprocess.PIPE)
    try:
        await until(lambda: b"input()" in Path(f"/proc/{process.pid}/cmdline").read_bytes(), "the program")
        return command_of(process.pid)
    finally:
        process.communicate(b"\n")


async def test_a_command_line_is_shown_with_spaces_between_its_words() -> None:
    assert await command_of_child("two words", "x") == f"{PYTHON} -c input() two words x"


async def test_a_python_program_is_shown_by_its_own_name(tmp_path: Path) -> None:
    program = tmp_path / "ctdb-event"
    program.write_text("input()")
    process = subprocess.Popen([sys.executable, str(program), "lock", "routes"], stdin=subprocess.PIPE)
    try:
        await until(lambda: b"routes" in Path(f"/proc/{process.pid}/cmdline").read_bytes(), "the program")
        assert command_of(process.pid) == "ctdb-event lock routes"
    finally:
        process.communicate(b"\n")


async def test_a_long_one_is_shortened() -> None:
    text = await command_of_child("x" * 5000)
    assert text == f"{PYTHON} -c input() {'x' * 5000}"[:120] + "..."


async def test_what_is_no_utf_8_is_shown_as_well_as_it_can_be() -> None:
    assert (await command_of_child(b"caf\xe9")).endswith(" caf\N{REPLACEMENT CHARACTER}")


async def test_letters_are_counted_and_not_their_bytes() -> None:
    word = "\N{LATIN SMALL LETTER E WITH ACUTE}" * 300
    text = await command_of_child(word)
    assert text == f"{PYTHON} -c input() {word}"[:120] + "..."


def test_a_process_that_is_not_there_has_no_command_line() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert command_of(process.pid) == ""
    assert command_of(0) == ""


def test_a_zombie_has_no_command_line() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert command_of(process.pid) == ""
    process.wait()


def test_the_memory_is_what_the_kernel_says() -> None:
    size = memory()
    assert size % os.sysconf("SC_PAGE_SIZE") == 0
    assert 1 << 20 < size < 1 << 40


def test_descriptors_are_counted_without_the_one_that_counts_them() -> None:
    before = open_descriptors()
    with open(os.devnull) as _, open(os.devnull) as _:
        assert open_descriptors() == before + 2
    assert open_descriptors() == before > 0


def test_what_can_not_be_told_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*what: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "listdir", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    assert (memory(), open_descriptors(), command_of(os.getpid())) == (0, 0, "")
