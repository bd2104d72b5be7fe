"""The shell library of event scripts: what is flagged gets done, whoever asks at once, fails or is killed."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from nodes import TIMEOUT, Node, running_daemon

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
LIBRARY = CONTRIB / "functions"
CTDBS = Path("/etc/ctdb/functions")

PUBLIC = {
    "ctdb_service_needs_reconfigure",
    "ctdb_service_reconfigure",
    "ctdb_service_set_reconfigure",
    "ctdb_service_unset_reconfigure",
}
# What the sample scripts do in ipreallocated.
IF_DUE = "if ctdb_service_needs_reconfigure; then ctdb_service_reconfigure; fi"

Process = subprocess.Popen[str]

every_function = pytest.mark.parametrize("function", sorted(PUBLIC))


class Shell:
    """A shell in which scripts read the library, with one state directory for all."""

    def __init__(self, command: list[str], base: Path) -> None:
        self.command = command
        self.base = base
        self.flags = base / "var" / "eventd" / "reconfigure"
        self.environ = {"PATH": os.environ["PATH"], "CTDB_BASE": str(base), "CTDB_TEST_MODE": "1", "LC_ALL": "C.UTF-8"}

    def start(
        self, script: str, *args: str, environ: dict[str, str] | None = None, stdin: int = subprocess.DEVNULL
    ) -> Process:
        """Starts a script of the service nfs; its standard input is empty, or that descriptor."""
        head = f"service_name=nfs\n. {shlex.quote(str(LIBRARY))}\n"
        return subprocess.Popen(
            [*self.command, "-c", head + script, "60.nfs.script", *args],
            env=self.environ if environ is None else environ,
            cwd=self.base,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, *args: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Runs a script; returns its exit status and what it wrote to standard output and error."""
        return ended(self.start(script, *args, environ=environ))

    def due(self, service: str = "nfs") -> bool:
        """Returns whether a service has to be reconfigured, as another script sees it."""
        status, out, errors = self.run(f"ctdb_service_needs_reconfigure {service}")
        assert (out, errors) == ("", "")
        return status == 0

    def flag(self, *args: str) -> None:
        """Sets the flag of nfs, in a script with these arguments."""
        assert self.run("ctdb_service_set_reconfigure", *args) == (0, "", "")


def ended(process: Process) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, out, errors


@pytest.fixture(params=["dash", "bash --posix", "bash"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    command: list[str] = request.param.split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    return Shell(command, tmp_path)


# ---------------------------------------------------------------------- one script at a time


def test_a_flag_is_up_from_set_to_unset(shell: Shell) -> None:
    assert not shell.due()
    shell.flag("takeip", "eth0", "10.0.0.1", "24")
    assert shell.due()
    assert shell.run("ctdb_service_unset_reconfigure") == (0, "", "")
    assert not shell.due()
    assert shell.run("ctdb_service_unset_reconfigure") == (0, "", "")


def test_nothing_is_written_before_a_flag_is_set(shell: Shell) -> None:
    assert shell.run("ctdb_service_needs_reconfigure; ctdb_service_unset_reconfigure") == (0, "", "")
    assert list(shell.base.iterdir()) == []


def test_services_are_independent_and_the_scripts_own_is_the_default(shell: Shell) -> None:
    shell.flag()
    assert shell.run("ctdb_service_set_reconfigure samba") == (0, "", "")
    assert (shell.due("nfs"), shell.due("samba"), shell.due("httpd")) == (True, True, False)
    assert shell.run("service_name=samba; ctdb_service_unset_reconfigure") == (0, "", "")
    assert (shell.due("nfs"), shell.due("samba")) == (True, False)


def test_reconfigure_does_what_is_due_once(shell: Shell) -> None:
    script = 'service_reconfigure() { echo "exports of $1"; }; ctdb_service_reconfigure'
    assert shell.run(script) == (0, "", "")
    shell.flag()
    assert shell.run(script) == (0, "reconfiguring nfs\nexports of nfs\n", "")
    assert shell.run(script) == (0, "", "")
    assert not shell.due()


def test_reconfigure_serves_another_service_than_the_scripts_own(shell: Shell) -> None:
    script = "service_reconfigure() { :; }; ctdb_service_set_reconfigure samba; ctdb_service_reconfigure samba"
    shell.flag()
    assert shell.run(script) == (0, "reconfiguring samba\n", "")
    assert (shell.due("nfs"), shell.due("samba")) == (True, False)


def test_a_flag_raised_meanwhile_survives(shell: Shell) -> None:
    shell.flag()
    script = """
    service_reconfigure() {
        ctdb_service_needs_reconfigure && echo "still due"
        ctdb_service_set_reconfigure
        ctdb_service_needs_reconfigure && echo "due again"
    }
    """
    out = "reconfiguring nfs\ndue again\n"
    assert shell.run(script + IF_DUE) == (0, out, "")
    assert shell.due()
    # and the script itself sees that, once service_reconfigure is over
    assert shell.run(f"{script}ctdb_service_reconfigure; {IF_DUE}") == (0, out + out, "")


def test_a_failure_has_its_status_and_leaves_the_flag(shell: Shell) -> None:
    shell.flag()
    failing = "service_reconfigure() { echo 'no space'; return 7; }; " + IF_DUE
    complaint = "ctdb_service_reconfigure: nfs is not reconfigured (exit status 7) and has to be still\n"
    for _ in range(2):
        assert shell.run(failing) == (7, "reconfiguring nfs\nno space\n", complaint)
        assert shell.due()
    assert shell.run("service_reconfigure() { :; }; " + IF_DUE) == (0, "reconfiguring nfs\n", "")
    assert not shell.due()


def test_failures_leave_one_file_however_many_they_are(shell: Shell) -> None:
    for _ in range(4):
        shell.flag()
        assert shell.run("service_reconfigure() { false; }; " + IF_DUE)[0] == 1
    assert os.listdir(shell.flags / "nfs") == ["wanted"]


@pytest.mark.parametrize("end", ["kill -9 $$", "exit 3", "exit 0"])
def test_a_script_that_ends_in_the_middle_leaves_the_flag(end: str, shell: Shell) -> None:
    """A killed one is the commonest failure: that is what happens when the event's time is over."""
    shell.flag()
    assert shell.run(f"service_reconfigure() {{ {end}; }}; ctdb_service_reconfigure")[1] == "reconfiguring nfs\n"
    assert shell.due()
    shell.flag()
    assert shell.run("service_reconfigure() { :; }; ctdb_service_reconfigure") == (0, "reconfiguring nfs\n", "")
    assert not shell.due()


def test_unset_forgets_what_a_killed_script_left(shell: Shell) -> None:
    shell.flag()
    shell.run("service_reconfigure() { kill -9 $$; }; ctdb_service_reconfigure")
    assert shell.run("ctdb_service_unset_reconfigure") == (0, "", "")
    assert not shell.due()


def test_service_reconfigure_may_use_the_functions_for_other_services(shell: Shell) -> None:
    shell.flag()
    assert shell.run("ctdb_service_set_reconfigure samba") == (0, "", "")
    script = """
    service_reconfigure() {
        echo "begin $1"
        [ "$1" = samba ] || ctdb_service_reconfigure samba
        echo "end $1"
    }
    """
    out = "reconfiguring nfs\nbegin nfs\nreconfiguring samba\nbegin samba\nend samba\nend nfs\n"
    assert shell.run(script + "ctdb_service_reconfigure") == (0, out, "")
    assert not shell.due("nfs")
    assert not shell.due("samba")


def test_scripts_that_stop_at_errors_and_at_unset_variables_can_use_it(shell: Shell) -> None:
    shell.flag()
    script = f"""
    set -eu
    unset service_name
    service_reconfigure() {{ return 4; }}
    . {shlex.quote(str(LIBRARY))}
    ctdb_service_needs_reconfigure nfs
    ctdb_service_needs_reconfigure samba || ctdb_service_set_reconfigure samba
    ctdb_service_unset_reconfigure samba
    echo reached
    ctdb_service_reconfigure nfs
    echo "not reached"
    """
    status, out, _ = shell.run(script)
    assert (status, out) == (4, "reached\nreconfiguring nfs\n")
    assert shell.due()


# ---------------------------------------------------------------------- who asked


def test_reconfigure_says_who_asked(shell: Shell) -> None:
    shell.flag("takeip", "eth0", "10.0.0.1", "24")
    shell.flag("updateip", "eth0", "eth1", "2001:db8::1", "64")
    out = "reconfiguring nfs: takeip eth0 10.0.0.1 24, updateip eth0 eth1 2001:db8::1 64\n"
    assert shell.run("service_reconfigure() { :; }; ctdb_service_reconfigure") == (0, out, "")


def test_of_many_who_asked_a_few_are_named_and_kept(shell: Shell) -> None:
    for number in range(30):
        shell.flag("takeip", "eth0", f"10.0.0.{number}", "24")
    assert len((shell.flags / "nfs" / "wanted").read_text().splitlines()) == 4
    asked = ", ".join(f"takeip eth0 10.0.0.{number} 24" for number in range(3))
    out = f"reconfiguring nfs: {asked}, and more\n"
    assert shell.run("service_reconfigure() { :; }; ctdb_service_reconfigure") == (0, out, "")


def test_a_note_is_one_short_line_whatever_the_arguments(shell: Shell) -> None:
    shell.flag("takeip", "eth0\nreconfiguring samba", "10.0.0.1", "24")
    shell.flag("x" * 10_000)
    shell.flag(r"a\nb %s $(id) *")
    notes = ["an event with unprintable arguments", "x" * 200, r"a\nb %s $(id) *"]
    assert (shell.flags / "nfs" / "wanted").read_text().splitlines() == notes
    out = f"reconfiguring nfs: {', '.join(notes)}\n"
    assert shell.run("service_reconfigure() { :; }; ctdb_service_reconfigure") == (0, out, "")


def test_a_failure_does_not_forget_who_asked(shell: Shell) -> None:
    shell.flag("releaseip", "eth0", "10.0.0.1", "24")
    out = "reconfiguring nfs: releaseip eth0 10.0.0.1 24\n"
    for _ in range(2):
        assert shell.run("service_reconfigure() { false; }; ctdb_service_reconfigure")[1] == out


# ---------------------------------------------------------------------- wrong use


@every_function
@pytest.mark.parametrize("name", ["a/b", "/", "../nfs", ".", "..", "a\nb", "a\tb"])
def test_what_is_no_name_is_refused(function: str, name: str, shell: Shell) -> None:
    complaint = f'{function}: "{name}" is no name for a service\n'
    assert shell.run('"$1" "$2"', function, name) == (2, "", complaint)
    assert list(shell.base.iterdir()) == []


@every_function
def test_a_service_must_be_named(function: str, shell: Shell) -> None:
    complaint = f"{function}: which service? Name one, or set service_name\n"
    assert shell.run(f"{function} ''") == (2, "", complaint)
    assert shell.run(f"service_name=; {function}") == (2, "", complaint)
    assert shell.run(f"unset service_name; {function}") == (2, "", complaint)


@every_function
def test_one_service_at_a_time(function: str, shell: Shell) -> None:
    assert shell.run(f"{function} nfs samba") == (2, "", f"{function}: one service at a time, not 2: nfs samba\n")


@pytest.mark.parametrize("name", ["-f", "*", "a b", "é", "$x", "begun.1", "wanted", "nfs-ganesha@1.service", "\\n"])
def test_unusual_names_are_names(name: str, shell: Shell) -> None:
    shell.flag()
    script = 'service_reconfigure() { :; }; ctdb_service_set_reconfigure "$1" && ctdb_service_reconfigure "$1"'
    assert shell.run(script, name) == (0, f"reconfiguring {name}: {name}\n", "")
    assert sorted(os.listdir(shell.flags)) == sorted([name, "nfs"])
    assert shell.due()


def test_a_script_without_service_reconfigure_is_told_so(shell: Shell) -> None:
    shell.flag()
    complaint = "ctdb_service_reconfigure: the script defines no function service_reconfigure\n"
    assert shell.run("ctdb_service_reconfigure") == (2, "", complaint)
    assert shell.due()


def test_a_state_directory_that_cannot_be_made_is_named(shell: Shell) -> None:
    """A file in its place stops root, too. The script goes on: what to do about it is the script's decision."""
    (shell.base / "var").write_text("")
    status, out, errors = shell.run('ctdb_service_set_reconfigure; echo "status $?"')
    assert (status, out) == (0, "status 1\n")
    assert errors.endswith(f"ctdb_service_set_reconfigure: cannot create {shell.flags}/nfs\n")


def test_a_flag_that_cannot_be_written_is_named(shell: Shell) -> None:
    (shell.flags / "nfs" / "wanted").mkdir(parents=True)
    status, out, errors = shell.run('ctdb_service_set_reconfigure; echo "status $?"')
    assert (status, out) == (0, "status 1\n")
    assert errors.endswith(f"ctdb_service_set_reconfigure: cannot write {shell.flags}/nfs/wanted\n")


@pytest.mark.parametrize(("tool", "complaint"), [("mv", "cannot write to"), ("rm", "cannot clear")])
def test_a_flag_that_cannot_be_taken_away_is_named_and_stays(tool: str, complaint: str, shell: Shell) -> None:
    """The tools fail as on a file system that was remounted read-only, which a test can't do."""
    shell.flag()
    (shell.base / tool).write_text(f"#!/bin/sh\necho {tool}: Read-only file system >&2\nexit 1\n")
    (shell.base / tool).chmod(0o755)
    script = "service_reconfigure() { :; }; ctdb_service_reconfigure"
    environ = {**shell.environ, "PATH": f"{shell.base}:{shell.environ['PATH']}"}
    status, _, errors = shell.run(script, environ=environ)
    reason = f"{tool}: Read-only file system\n"
    assert (status, errors) == (1, f"{reason}ctdb_service_reconfigure: {complaint} {shell.flags}/nfs\n")
    assert shell.due()
    if tool == "rm":
        expected = f"{reason}ctdb_service_unset_reconfigure: {complaint} {shell.flags}/nfs\n"
        assert shell.run("ctdb_service_unset_reconfigure", environ=environ) == (1, "", expected)


# ---------------------------------------------------------------------- where flags are, and names

# Not by setting a flag: on a real node that would tell a service to reconfigure.
WHERE = 'ctdb_service_needs_reconfigure; echo "$_eventd_dir"'


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "/var/lib/ctdb/eventd/reconfigure/nfs"),
        ({"CTDB_BASE": "/base"}, "/var/lib/ctdb/eventd/reconfigure/nfs"),
        ({"CTDB_BASE": "/base", "CTDB_TEST_MODE": "yes"}, "/base/var/eventd/reconfigure/nfs"),
        ({"CTDB_BASE": "/base", "CTDB_TEST_MODE": ""}, "/base/var/eventd/reconfigure/nfs"),
        ({"CTDB_TEST_MODE": "yes", "EVENTD_RECONFIGURE_DIR": "/my flags"}, "/my flags/nfs"),
    ],
)
def test_flags_are_in_the_daemons_state_directory(variables: dict[str, str], expected: str, shell: Shell) -> None:
    assert shell.run(WHERE, environ={"PATH": shell.environ["PATH"], **variables}) == (0, expected + "\n", "")


@every_function
def test_test_mode_without_a_base_is_refused(function: str, shell: Shell) -> None:
    complaint = f"{function}: CTDB_TEST_MODE is set, so CTDB_BASE must name the directory of the test node\n"
    assert shell.run(function, environ={"PATH": shell.environ["PATH"], "CTDB_TEST_MODE": ""}) == (2, "", complaint)


def names(before: str, after: str) -> tuple[set[str], set[str]]:
    """Returns the functions and the variables that bash has after the second script and not after the first."""
    lists = "declare -F | sed 's/.* //'; echo --; compgen -v"
    found = []
    for script in (before, after):
        done = subprocess.run(["bash", "-c", f"{script}\n{lists}"], capture_output=True, text=True, check=True)
        found.append([set(part.split()) for part in done.stdout.split("--\n")])
    return found[1][0] - found[0][0], found[1][1] - found[0][1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="only bash can list its functions")
def test_all_names_but_the_public_ones_have_our_prefix() -> None:
    functions, variables = names(":", f". '{LIBRARY}'; {'; '.join(sorted(PUBLIC))}; ctdb_service_set_reconfigure /")
    assert {name for name in functions if not name.startswith("_eventd_")} == PUBLIC
    # PIPESTATUS and the like come and go with any command
    assert {name for name in variables if not name.startswith("_eventd_") and name != "PIPESTATUS"} == set()


@every_function
def test_a_set_that_is_there_already_is_left_alone(function: str, shell: Shell) -> None:
    """All or nothing: flags that one of theirs sets must not be tested by one of ours."""
    script = f"{function}() {{ echo theirs; }}; . {shlex.quote(str(LIBRARY))}; {function}"
    head = f"unset -f {' '.join(PUBLIC)}; "
    assert shell.run(head + script) == (0, "theirs\n", "")
    others = sorted(PUBLIC - {function})
    left = f'; for f in {" ".join(others)}; do command -v "$f"; done; :'
    assert shell.run(head + script + left) == (0, "theirs\n", "")


# ---------------------------------------------------------------------- many at once


def go_at_once(processes: Iterable[Process], gate: int) -> list[tuple[int, str, str]]:
    """Lets processes go that wait for the end of their standard input, and waits for all."""
    started = list(processes)
    os.close(gate)
    return [ended(process) for process in started]


def test_two_hundred_at_once_set_one_flag(shell: Shell) -> None:
    reader, gate = os.pipe()
    script = "read -r line; ctdb_service_set_reconfigure"
    processes = [
        shell.start(script, "takeip", "eth0", f"10.0.{number // 100}.{number % 100}", "24", stdin=reader)
        for number in range(200)
    ]
    os.close(reader)
    assert go_at_once(processes, gate) == [(0, "", "")] * 200
    notes = (shell.flags / "nfs" / "wanted").read_text().splitlines()
    assert len(notes) >= 4
    assert len(set(notes)) == len(notes)
    assert all(note.startswith("takeip eth0 10.0.") and note.endswith(" 24") for note in notes)
    status, out, errors = shell.run("service_reconfigure() { :; }; " + IF_DUE)
    assert (status, out.count("takeip"), errors) == (0, 3, "")
    assert out.endswith(", and more\n")
    assert not shell.due()


def serving(end: str = "true") -> str:
    """Defines a service_reconfigure that looks which addresses there are, then meets its end, then serves them.

    Serving is adding to a list: of several at once one that has looked earlier may be through later.
    """
    listing = '"$CTDB_BASE/seen.$$"'
    work = f'ls "$CTDB_BASE/addresses" >{listing} && {end} && cat {listing} >>"$CTDB_BASE/served"'
    return f"service_reconfigure() {{ {work}; }}; "


def served(shell: Shell) -> set[str]:
    """Returns the addresses that any successful service_reconfigure has seen."""
    return set((shell.base / "served").read_text().split())


def test_no_address_is_forgotten_while_some_reconfigure_fail_and_some_are_killed(shell: Shell) -> None:
    """Every address is there before its flag; so when nothing is due any more, all of them must be served."""
    (shell.base / "addresses").mkdir()
    reader, gate = os.pipe()
    taking = ': >"$CTDB_BASE/addresses/$3"; ctdb_service_set_reconfigure'
    ends = ["true", "true", "false", "kill -9 $$"]
    processes = []
    for number in range(120):
        processes.append(
            shell.start(f"read -r line; {taking}", "takeip", "eth0", f"10.0.0.{number}", "24", stdin=reader)
        )
        if number % 5 == 0:
            script = f"read -r line; {serving(ends[number // 5 % 4])}{IF_DUE}"
            processes.append(shell.start(script, "ipreallocated", stdin=reader))
    os.close(reader)
    results = go_at_once(processes, gate)
    assert {status for status, _, _ in results} <= {0, 1, -signal.SIGKILL}
    status, _, errors = shell.run(serving() + IF_DUE)
    assert (status, errors) == (0, "")
    assert not shell.due()
    assert served(shell) == {f"10.0.0.{number}" for number in range(120)}


def test_one_after_another_serves_all_that_was_there_before_the_flag(shell: Shell) -> None:
    """Setters come while a single reconfiguring script goes round and round, and is the last to look."""
    (shell.base / "addresses").mkdir()
    rounds = 'while [ ! -e "$CTDB_BASE/stop" ]; do ctdb_service_reconfigure; done; ctdb_service_reconfigure'
    loop = shell.start(serving() + rounds, "ipreallocated")
    reader, gate = os.pipe()
    taking = 'read -r line; : >"$CTDB_BASE/addresses/$3"; ctdb_service_set_reconfigure'
    processes = [shell.start(taking, "takeip", "eth0", f"10.0.0.{n}", "24", stdin=reader) for n in range(100)]
    os.close(reader)
    assert go_at_once(processes, gate) == [(0, "", "")] * 100
    (shell.base / "stop").write_text("")
    status, _, errors = ended(loop)
    assert (status, errors) == (0, "")
    assert len(served(shell)) == 100
    assert not shell.due()


# ---------------------------------------------------------------------- beside CTDB's own functions

without_ctdbs = pytest.mark.skipif(not CTDBS.exists(), reason=f"Debian package ctdb missing: no {CTDBS}")
both_orders = pytest.mark.parametrize(
    ("first", "second"), [(CTDBS, LIBRARY), (LIBRARY, CTDBS)], ids=["theirs-first", "ours-first"]
)


def in_both(shell: Shell, first: Path, second: Path, script: str) -> tuple[int, str, str]:
    """Runs a script that reads two libraries in this order, and makes CTDB's keep its state in the test's directory."""
    environ = {**shell.environ, "CTDB_SCRIPT_VARDIR": str(shell.base / "scripts")}
    # the start has read ours already, which must be as if it had not
    head = f"unset -f {' '.join(PUBLIC)}\n. '{first}'\n. '{second}'\nctdb_setup_state_dir service nfs\n"
    return shell.run(head + script, "takeip", environ=environ)


@pytest.mark.interop
@without_ctdbs
@both_orders
def test_in_either_order_the_whole_set_is_ctdbs(first: Path, second: Path, shell: Shell) -> None:
    theirs = shell.base / "scripts" / "service" / "nfs" / "need_reconfigure"
    assert in_both(shell, first, second, "ctdb_service_needs_reconfigure")[0] == 1
    assert in_both(shell, first, second, "ctdb_service_set_reconfigure && ctdb_service_needs_reconfigure")[0] == 0
    assert theirs.exists()
    assert not shell.flags.exists()
    # the script's own function, defined after reading the libraries as CTDB's scripts do
    work = "service_reconfigure() { echo done; }; ctdb_service_reconfigure; ctdb_service_needs_reconfigure"
    assert in_both(shell, first, second, work) == (1, 'Reconfiguring service "nfs"...\ndone\n', "")
    assert not theirs.exists()
    assert in_both(shell, first, second, "ctdb_service_set_reconfigure; ctdb_service_unset_reconfigure") == (0, "", "")
    assert not theirs.exists()
    assert not shell.flags.exists()


@pytest.mark.interop
@without_ctdbs
@pytest.mark.skipif(shutil.which("bash") is None, reason="only bash can list its functions")
def test_only_the_four_names_are_in_both(shell: Shell) -> None:
    ours, our_variables = names(":", f". '{LIBRARY}'")
    theirs, their_variables = names(":", f"CTDB_BASE='{shell.base}'; . '{CTDBS}'")
    assert ours & theirs == PUBLIC
    assert our_variables & their_variables <= {"PIPESTATUS"}


# ---------------------------------------------------------------------- the sample script in a running daemon


def sample_node(base: Path) -> Node:
    """A node with the sample scripts that take part in a failover."""
    node = Node(base)
    for name in ("00.node", "10.interface", "60.nfs-like"):
        source = CONTRIB / "events" / "legacy" / f"{name}.script"
        node.file(source.name, source.read_text(), mode=stat.S_IMODE(source.stat().st_mode))
    shutil.copy(CONTRIB / "events" / "sample-functions", base)
    shutil.copy(LIBRARY, base / "eventd-functions")
    return node


async def test_any_number_of_addresses_is_served_after_one_ipreallocated(tmp_path: Path) -> None:
    node = sample_node(tmp_path)
    addresses = [f"10.0.0.{number}" for number in range(1, 61)]
    exports = node.var / "sample-events" / "exports"
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("init") == 0
        taken = [client.start("takeip", "eth0", address, "24") for address in addresses]
        ipreallocated = client.start("ipreallocated")
        assert [await client.result(reqid) for reqid in [*taken, ipreallocated]] == [0] * 61
        output = (await client.status("ipreallocated")).scripts[-1].output.decode()
        assert output.startswith("reconfiguring exports: takeip eth0 10.0.0.")
        assert ", and more\nserving 60 address(es):\n" in output
        assert sorted(exports.read_text().splitlines()) == sorted(f"{address}/24 on eth0" for address in addresses)

        # nothing has changed, so nothing is done
        assert await client.run("ipreallocated") == 0
        assert (await client.status("ipreallocated")).scripts[-1].output == b""

        released = [client.start("releaseip", "eth0", address, "24") for address in addresses[20:]]
        assert {await client.result(reqid) for reqid in released} == {0}
        assert await client.run("ipreallocated") == 0
        assert len(exports.read_text().splitlines()) == 20


async def test_a_failing_ipreallocated_is_made_up_for_by_the_next(tmp_path: Path) -> None:
    node = sample_node(tmp_path)
    exports = node.var / "sample-events" / "exports"
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("init") == 0
        assert await client.run("takeip", "eth0", "10.0.0.1", "24") == 0
        exports.mkdir()
        assert await client.run("ipreallocated") != 0
        output = (await client.status("ipreallocated")).scripts[-1].output.decode()
        assert "cannot write" in output
        assert "exports is not reconfigured (exit status 1) and has to be still" in output
        exports.rmdir()
        assert await client.run("ipreallocated") == 0
        assert exports.read_text() == "10.0.0.1/24 on eth0\n"
