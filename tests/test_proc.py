"""What /proc tells of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lock_list import needs_lock_list
from nodes import until

from ctdb_eventd.file_locks import FileLock
from ctdb_eventd.proc import (
    ancestor_groups,
    command_of,
    file_locks,
    group_members,
    has_lock,
    locked_path,
    memory,
    open_descriptors,
    started,
)

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


# ---------------------------------------------------------------------- who a process descends from


def test_a_process_descends_from_itself_and_its_parents() -> None:
    found = ancestor_groups(os.getpid())
    assert {os.getpid(), os.getpgrp(), os.getppid()} - {1} <= found


def test_a_script_is_found_by_what_it_starts_and_by_what_that_starts() -> None:
    script = "sh -c 'echo $$; read -r _'; exit"
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as process:
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        found = ancestor_groups(grandchild)
        process.communicate(b"\n", timeout=60)
    assert {grandchild, process.pid, os.getpid()} <= found


def test_a_script_that_has_exited_is_found_as_the_leader_of_the_group() -> None:
    # what it leaves behind is adopted by another process, and stays in its group
    script = "exec 4<&0; sh -c 'echo $$; read -r _ <&4' & exit"
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
        process.wait(timeout=60)
        found = ancestor_groups(orphan)
        assert process.stdin is not None
        process.stdin.write(b"\n")
    assert process.pid in found


def test_a_name_that_looks_like_more_fields_does_not_confuse(tmp_path: object) -> None:
    program = f"{tmp_path}/) S 1 ("
    os.symlink("/bin/cat", program)
    with subprocess.Popen([program], stdin=subprocess.PIPE, process_group=0) as process:
        found = ancestor_groups(process.pid)
        process.communicate(timeout=60)
    assert {process.pid, os.getpid()} <= found


@pytest.mark.parametrize("pid", [-1, 0, 1, 2**22 + 1])
def test_who_is_not_there_has_no_ancestors(pid: int) -> None:
    assert ancestor_groups(pid) == set()


def test_kernel_threads_and_other_namespaces_are_no_group() -> None:
    # their group shows as 0, which is no script's
    assert 0 not in ancestor_groups(2)
    assert 0 not in ancestor_groups(os.getpid())


def test_an_endless_line_of_ancestors_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    circle = f"{tmp_path}/stat"
    with open(circle, "w") as file:
        file.write("7 (cat) S 7 0 7 0 -1")
    opened: list[str] = []

    def open_circle(path: str, mode: str) -> object:
        opened.append(path)
        return real_open(circle, mode)

    real_open = open
    monkeypatch.setattr("builtins.open", open_circle)
    assert ancestor_groups(7) == {7}
    assert opened == ["/proc/7/stat"] * 64


# ---------------------------------------------------------------------- groups, and locks on files


def test_when_a_process_was_started() -> None:
    before = time.monotonic()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        its_start = started(process.pid)
    assert its_start is not None
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert before - 2 * tick <= its_start <= time.monotonic() + 2 * tick
    assert started(process.pid) is None


async def test_the_processes_of_a_group() -> None:
    with subprocess.Popen(["sh", "-c", "cat & cat"], stdin=subprocess.PIPE, process_group=0) as process:
        assert process.pid in group_members([process.pid])
        assert os.getpid() not in group_members([process.pid])
        process.kill()
        await until(lambda: process.pid not in group_members([process.pid]), "its end, though nobody has reaped it")
    await until(lambda: group_members([process.pid]) == [], "the other's end")
    assert group_members([]) == []


def our_locks(path: Path) -> list[FileLock]:
    inode = path.stat().st_ino
    return [lock for lock in file_locks() if lock.inode == inode]


@needs_lock_list
async def test_whose_a_lock_on_a_file_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as file:
        subprocess.run(["flock", str(file.fileno())], pass_fds=[file.fileno()], check=True)
        waiter = subprocess.Popen(["flock", path, "true"])
        await until(lambda: len(our_locks(path)) == 2, "the wait")
        held, wait = our_locks(path)
        assert held.pid != os.getpid(), "flock(1) took it for us, and has gone"
        assert has_lock(os.getpid(), held)
        assert not has_lock(waiter.pid, held), "it has the same file open"
        assert not has_lock(held.pid, held)
        assert locked_path(waiter.pid, wait) == str(path)
        assert locked_path(held.pid, wait) is None
    waiter.wait()


def test_without_the_list_nobody_is_known_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError

    monkeypatch.setattr("builtins.open", refuse)
    assert file_locks() == ()
