"""Who a process descends from."""

from __future__ import annotations

import os
import subprocess

import pytest

from ctdb_eventd.runner.ancestry import ancestor_groups


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
