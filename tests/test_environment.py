"""What scripts get of what the daemon was given: environment and descriptors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ctdb_eventd.environment import close_on_exec, script_environment, spare_from_oom

REPORT_STANDARD_DESCRIPTORS = """
import os, sys
from ctdb_eventd.environment import ensure_standard_descriptors
ensure_standard_descriptors()
found = [os.readlink(f"/proc/self/fd/{fd}") + "+" * os.get_inheritable(fd) for fd in range(3)]
above = [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 2 and os.path.exists(f"/proc/self/fd/{fd}")]
with open(sys.argv[1], "w") as report:
    report.write(" ".join(found + above))
"""


def test_the_environment_is_handed_on_with_bytes_that_are_no_text() -> None:
    given = {b"CTDB_BASE": b"/etc/ctdb", b"CTDB_DEBUGLEVEL": b"NOTICE", b"PATH": b"/bin", b"ODD\xff": b"\xfe"}
    assert script_environment(given) == given


@pytest.mark.parametrize(
    "name",
    # loader and C library; shells; interpreters; service manager
    b"LD_PRELOAD LD_LIBRARY_PATH LD_DEBUG GCONV_PATH LOCPATH GLIBC_TUNABLES MALLOC_PERTURB_ MALLOC_ARENA_MAX "
    b"BASH_ENV ENV IFS PS4 CDPATH GLOBIGNORE EXECIGNORE POSIXLY_CORRECT TMOUT FPATH ZDOTDIR SHELLOPTS BASHOPTS "
    b"BASH_FUNC_ip%% BASH_COMPAT BASH_XTRACEFD "
    b"PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUTF8 VIRTUAL_ENV PERL5LIB PERL5OPT PERLLIB PERL_UNICODE PERLIO RUBYOPT "
    b"RUBYLIB GEM_PATH NODE_OPTIONS NODE_PATH LUA_INIT LUA_PATH_5_4 JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS "
    b"CLASSPATH AWKPATH AWKLIBPATH PHPRC PHP_INI_SCAN_DIR TCLLIBPATH TCL_LIBRARY "
    b"NOTIFY_SOCKET LISTEN_FDS LISTEN_PIDFDID WATCHDOG_USEC INVOCATION_ID JOURNAL_STREAM MAINPID MANAGERPID "
    b"MANAGERPIDFDID SYSTEMD_EXEC_PID MEMORY_PRESSURE_WATCH CREDENTIALS_DIRECTORY DEBUG_INVOCATION".split(),
)
def test_what_is_not_meant_for_scripts_is_left_out_and_can_be_kept(name: bytes) -> None:
    given = {name: b"x", b"PATH": b"/bin"}
    assert script_environment(given) == {b"PATH": b"/bin"}
    assert script_environment(given, keep=[os.fsdecode(name)]) == given


@pytest.mark.parametrize(
    "name",
    b"TMPDIR HOME LANG LC_ALL TZ TZDIR RES_OPTIONS LOCALDOMAIN HOSTALIASES SSL_CERT_FILE RUNTIME_DIRECTORY "
    b"STATE_DIRECTORY LDAPCONF MALLOC PERLITE BASH LISTEN".split(),
)
def test_what_commands_of_scripts_go_by_and_names_alike_are_kept(name: bytes) -> None:
    given = {name: b"x", b"PATH": b"/bin"}
    assert script_environment(given) == given


@pytest.mark.parametrize(
    ("name", "value", "script"),
    [
        ("BASH_ENV", "{trap}", "#!/bin/bash\n"),
        ("ENV", "{trap}", "#!/bin/sh -i\n"),
        ("BASH_FUNC_true%%", "() { touch {ran}; }", "#!/bin/bash\ntrue\n"),
        ("CDPATH", "{dir}", "#!/bin/sh\ncd trapdir >/dev/null 2>&1 && touch {ran}\n"),
        ("PYTHONPATH", "{dir}", f"#!{sys.executable}\n"),
        ("PERL5OPT", "-Mtrap", "#!/usr/bin/perl\n"),
    ],
)
def test_no_code_of_such_a_variable_runs_in_a_script(tmp_path: Path, name: str, value: str, script: str) -> None:
    """With the variable it does, so that this shows something."""
    if shutil.which(script[2:].split("\n")[0].split()[0]) is None:
        pytest.skip("no such interpreter")
    ran = tmp_path / "ran"
    (tmp_path / "trapdir").mkdir()
    (tmp_path / "trap").write_text(f"touch {ran}\n")
    (tmp_path / "sitecustomize.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (tmp_path / "trap.pm").write_text(f"system('touch {ran}'); 1;\n")
    program = tmp_path / "script"

    def filled(text: str) -> str:
        return text.replace("{ran}", f"{ran}").replace("{trap}", f"{tmp_path}/trap").replace("{dir}", f"{tmp_path}")

    program.write_text(filled(script))
    program.chmod(0o755)
    environ = {b"PATH": os.environb[b"PATH"], os.fsencode(name): os.fsencode(filled(value))}
    if name == "PERL5OPT":
        environ[b"PERL5LIB"] = os.fsencode(tmp_path)
    for given, runs in ((environ, True), (script_environment(environ), False)):
        subprocess.run(
            [program], env=given, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
        assert ran.exists() is runs
        ran.unlink(missing_ok=True)


def test_what_is_configured_is_kept_and_nothing_else() -> None:
    given = {b"LD_LIBRARY_PATH": b"/snap", b"PYTHONPATH": b"\xff", b"BASH_FUNC_ip%%": b"x", b"ENV": b"x"}
    wanted = {b"LD_LIBRARY_PATH": b"/snap", b"PYTHONPATH": b"\xff", b"PATH": DEFAULT_PATH}
    assert script_environment(given, keep=["PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV"]) == wanted


def test_a_claim_to_hold_locks_is_never_passed_on() -> None:
    given = {b"CTDB_EVENTD_HOLDS": b"iptables:1"}
    assert script_environment(given, keep=["CTDB_EVENTD_HOLDS"]) == {b"PATH": DEFAULT_PATH}


def test_names_that_only_resemble_those_are_kept() -> None:
    given = {b"CTDB_ENV": b"x", b"ENVIRONMENT": b"x", b"PATH": b"/bin"}
    assert script_environment(given) == given


DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize("given", [{}, {b"PATH": b""}])
def test_there_is_always_a_path(given: dict[bytes, bytes]) -> None:
    assert script_environment(given) == {b"PATH": DEFAULT_PATH}
    assert script_environment(given, first_in_path="/wrappers") == {b"PATH": b"/wrappers:" + DEFAULT_PATH}


def test_a_directory_can_be_put_in_front_of_the_path() -> None:
    given = {b"PATH": b"/bin:/sbin", b"CTDB_BASE": b"/etc/ctdb"}
    wanted = {b"PATH": b"/a b/\xff:/bin:/sbin", b"CTDB_BASE": b"/etc/ctdb"}
    assert script_environment(given, first_in_path=os.fsdecode(b"/a b/\xff")) == wanted


def test_the_daemons_own_environment_stays_as_it_is() -> None:
    given = {b"ENV": b"x"}
    script_environment(given)
    assert given == {b"ENV": b"x"}


@pytest.mark.parametrize("closed", ["0<&- 1>&- 2>&-", "2>&-", "0<&-", ""])
def test_standard_descriptors_are_open_whatever_was_closed(tmp_path: Path, closed: str) -> None:
    report = tmp_path / "report"
    script = f'exec "$@" {closed}'
    command = ["sh", "-c", script, "sh", sys.executable, "-c", REPORT_STANDARD_DESCRIPTORS, os.fspath(report)]
    given = subprocess.DEVNULL
    subprocess.run(command, stdin=given, stdout=given, stderr=given, check=True, timeout=60)
    assert report.read_text().split() == ["/dev/null+"] * 3


def test_inherited_descriptors_are_not_handed_on() -> None:
    reading, writing = os.pipe()
    try:
        os.set_inheritable(writing, True)
        before = [os.get_inheritable(fd) for fd in range(3)]
        close_on_exec()
        assert not os.get_inheritable(writing)
        assert [os.get_inheritable(fd) for fd in range(3)] == before
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(
    ("before", "after", "told"), [("0\n", "-900", b"0"), ("-500\n", "-900", b"-500"), ("-1000\n", "-1000\n", None)]
)
def test_out_of_memory_others_are_ended_first(tmp_path: Path, before: str, after: str, told: bytes | None) -> None:
    path = tmp_path / "oom_score_adj"
    path.write_text(before)
    assert spare_from_oom(os.fspath(path)) == told
    assert path.read_text() == after


def test_what_may_not_be_changed_is_left(tmp_path: Path) -> None:
    assert spare_from_oom(os.fspath(tmp_path)) is None
    assert spare_from_oom(os.fspath(tmp_path / "missing")) is None
