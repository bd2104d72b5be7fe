"""Commands that run one at a time: the wrappers themselves, with other commands behind them."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from modes import modes_at, umask
from nodes import children_of, until

from ctdb_eventd.config import Config
from ctdb_eventd.errors import StartupError
from ctdb_eventd.runner.wrappers import IPTABLES, Wrappers

TOOLS = ("flock", "cat", "mktemp", "rm", "mkdir", "rmdir", "sleep", "readlink", "sh", "ls", "env")
# fails loudly if another one runs beside it
ALONE = 'mkdir "$BUSY" || exit 99; sleep 0.02; rmdir "$BUSY"; echo "$0" >> "$BUSY.done"'

# Has locks of its own that it doesn't wait for, as iptables has, and gives them back only by ending. Whichever
# descriptor the kernel closes first: one of the locks is below all others and one above, and files that take long to
# close stand between them and whatever the program inherited.
OWN_LOCKS = """
import fcntl, os, sys
low, high = (os.open(path, os.O_CREAT | os.O_RDWR) for path in sys.argv[1:])
os.dup2(high, 300)
os.close(high)
for own in low, 300:
    fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
for number in range(4):
    slow = os.memfd_create("slow")
    os.posix_fallocate(slow, 0, 64 << 20)
    if number % 2:
        os.dup2(slow, 200 + number)
        os.close(slow)
print("ready", flush=True)
sys.stdin.readline()
os._exit(0)
"""


class Place:
    """Wrappers, with commands of our own behind them in a PATH of their own."""

    def __init__(self, tmp_path: Path, name: str = "state") -> None:
        self.real = tmp_path / "real"
        self.tools = tmp_path / "tools"
        for directory in (self.real, self.tools):
            directory.mkdir()
        for tool in TOOLS:
            path = shutil.which(tool)
            assert path is not None
            (self.tools / tool).symlink_to(path)
        self.run_dir = tmp_path / f"{name}.run"
        self.wrappers = Wrappers(state_dir=os.fspath(tmp_path / name), run_dir=os.fspath(self.run_dir))
        self.directory = Path(self.wrappers.directory)
        self.environ = {"PATH": f"{self.directory}:{self.real}:{self.tools}", "BUSY": os.fspath(tmp_path / "busy")}

    def write(self, *serialise: str, wait: float = 30) -> None:
        self.wrappers.write(Config(serialise=serialise, command_wait=wait))

    def command(self, body: str, *names: str) -> None:
        for name in names or ("iptables",):
            (self.real / name).write_text(f"#!/bin/sh\n{body}\n")
            (self.real / name).chmod(0o755)

    def lock(self, name: str = "iptables") -> Path:
        return self.run_dir / "eventd.locks" / name

    def popen(self, *args: str, name: str = "iptables", process_group: int | None = None) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [self.directory / name, *args],
            env=self.environ,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            process_group=process_group,
        )

    def run(self, *args: str, name: str = "iptables", given: bytes = b"") -> tuple[int, bytes, str]:
        """Runs a wrapper; returns its status, output and errors."""
        process = self.popen(*args, name=name)
        output, errors = process.communicate(given, timeout=60)
        return process.returncode, output, errors.decode()

    def shell(self, text: str) -> tuple[int, str, str]:
        """Runs a script that uses commands as an event script does."""
        done = subprocess.run(
            ["/bin/sh", "-c", text], env=self.environ, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds a lock file as a running command does."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write()
    return made


# ---------------------------------------------------------------------- nobody notices


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("",),
        ("", "", ""),
        ("-A", "INPUT", "-m", "comment", "--comment", "two words"),
        ("new\nline", "\t tab ", " "),
        ("*", "?", "[a-z]", "~", "/*"),
        ("'", '"', "\\", "`reboot`", "$(reboot)", "$PATH", "!!", "a;b", "a&b", "a|b", "#"),
        ("-n", "--", "-e", "%s\\n", "\\0"),
        ("\udcff\udcfe", "é"),
        ("x" * 100_000,),
    ],
    ids=range(10),
)
def test_arguments_arrive_as_they_are(place: Place, args: tuple[str, ...]) -> None:
    place.command('printf "%s\\n" "$#"; for word in "$@"; do printf "%s\\0" "$word"; done')
    status, output, errors = place.run(*args)
    assert (status, errors) == (0, "")
    assert output == f"{len(args)}\n".encode() + b"".join(os.fsencode(word) + b"\0" for word in args)


def test_input_and_output_pass_as_they_are(place: Place) -> None:
    place.command("exec cat", "iptables-restore")
    given = bytes(range(256)) * 1000
    assert place.run(name="iptables-restore", given=given) == (0, given, "")


def test_output_and_errors_stay_apart(place: Place) -> None:
    place.command("echo out; echo err >&2")
    assert place.run() == (0, b"out\n", "err\n")


@pytest.mark.parametrize("status", [0, 1, 2, 4, 75, 126, 127, 255])
def test_the_exit_status_is_the_commands(place: Place, status: int) -> None:
    place.command(f"exit {status}")
    assert place.run() == (status, b"", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
def test_death_by_a_signal_is_seen_as_that(place: Place, number: signal.Signals) -> None:
    place.command(f"kill -{number.value} $$")
    assert place.run()[0] == -number


@pytest.mark.parametrize("status", [145, 146, 147, 148, 149, 150, 151, 156])
def test_an_exit_status_that_looks_like_a_signal_which_ends_nothing_is_passed_on(place: Place, status: int) -> None:
    """Stopping itself, the wrapper would never come back."""
    place.command(f"exit {status}")
    assert place.run() == (status, b"", "")


def test_the_wrapper_says_nothing_of_a_signal(place: Place) -> None:
    place.command("echo mine >&2; kill -TERM $$")
    assert place.run() == (-signal.SIGTERM, b"", "mine\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_for_the_group_reaches_both_and_the_lock_lasts_until_the_command_has_gone(
    place: Place, number: signal.Signals
) -> None:
    place.write(wait=0.01)
    place.command(f"trap 'echo caught; read -r _; exit 3' {number.value}; echo ready; while :; do sleep 0.01; done")
    with place.popen(process_group=0) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        os.killpg(process.pid, number)
        assert process.stdout.readline() == b"caught\n"
        assert place.run()[0] == 75
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(60) == 3


async def test_that_holds_for_a_listing_into_a_pipe_too(place: Place, tmp_path: Path) -> None:
    place.write(wait=0.01)
    os.mkfifo(tmp_path / "gate")
    place.command(
        f"trap 'echo caught >{tmp_path}/caught; read -r _ <{tmp_path}/gate; exit 3' TERM; echo list; echo ready >&2; "
        "while :; do sleep 0.01; done",
        "iptables-save",
    )
    place.command("exit 0", "iptables")
    with place.popen(name="iptables-save", process_group=0) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"ready\n"
        os.killpg(process.pid, signal.SIGTERM)
        await until((tmp_path / "caught").exists, "the command to catch the signal")
        assert place.run()[0] == 75
        (tmp_path / "gate").write_text("\n")
        assert process.stdout.read() == b"list\n"
        assert process.wait(60) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_for_the_group_that_ends_the_command_is_passed_on(place: Place, number: signal.Signals) -> None:
    place.command("echo ready; exec sleep 1000")
    with place.popen(process_group=0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        os.killpg(process.pid, number)
        assert process.wait(60) == -number


def test_signals_are_for_the_command_as_they_are_for_the_caller(place: Place) -> None:
    place.command("sed -n 's/^Sig[BIC][lg][knt]://p' /proc/self/status")
    (place.tools / "sed").symlink_to(shutil.which("sed") or "")
    ignoring = "trap '' USR1 INT; "
    for before in ("", ignoring):
        assert place.shell(f"{before}iptables") == place.shell(f'{before}"{place.real}/iptables"')


def test_the_environment_differs_in_one_variable_that_says_what_is_held(place: Place) -> None:
    (place.real / "iptables").symlink_to(place.tools / "env")
    place.environ |= {"ODD": "a b\n*'\"", "EMPTY": ""}
    status, output, _ = place.run("-0")
    assert status == 0
    found = dict(line.split("=", 1) for line in output.decode().rstrip("\0").split("\0"))
    holds = found.pop("CTDB_EVENTD_HOLDS")
    # a shell that is given no PWD tells it, when it is asked to export anything
    assert found.pop("PWD", os.getcwd()) == os.getcwd()
    assert found == place.environ
    assert re.fullmatch(r" iptables:\d+", holds)


def test_the_command_is_called_by_its_path_and_in_the_same_directory(place: Place, tmp_path: Path) -> None:
    place.command('echo "$0"; readlink /proc/self/cwd')
    status, output, _ = place.run()
    assert (status, output.decode().splitlines()) == (0, [f"{place.real}/iptables", os.getcwd()])


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_the_real_command_is_the_first_behind_the_wrapper_wherever_it_stands(place: Place, where: str) -> None:
    place.command("echo real")
    (place.tools / "iptables").write_text("not executable")
    others = [os.fspath(place.tools), os.fspath(place.real)]
    others.insert({"first": 0, "middle": 1, "last": 2}[where], os.fspath(place.directory))
    place.environ["PATH"] = ":".join(["/nonexistent", *others])
    assert place.run() == (0, b"real\n", "")


@pytest.mark.parametrize("spelling", ["{0}/", "{0}/../bin", "//{0}", "{0}.link", "{0}/."])
@pytest.mark.parametrize("whose", ["mine", "another daemon's"])
def test_no_wrapper_is_taken_for_the_command_however_its_directory_is_spelled(
    place: Place, tmp_path: Path, spelling: str, whose: str
) -> None:
    (tmp_path / "other").mkdir()
    other = place if whose == "mine" else Place(tmp_path / "other")
    other.write()
    Path(f"{other.directory}.link").symlink_to(other.directory)
    place.command("echo real")
    wrappers = [os.fspath(place.directory), spelling.format(other.directory), os.fspath(other.directory)]
    place.environ["PATH"] = ":".join([*wrappers, os.fspath(place.real), os.fspath(place.tools)])
    assert place.run() == (0, b"real\n", "")


def test_a_directory_of_that_name_is_not_the_command(place: Place) -> None:
    (place.tools / "iptables").mkdir()
    place.command("echo real")
    place.environ["PATH"] = f"{place.directory}:{place.tools}:{place.real}"
    assert place.run() == (0, b"real\n", "")


def test_an_empty_part_of_the_path_is_the_working_directory(place: Place) -> None:
    place.command("echo here")
    place.environ["PATH"] = f"{place.directory}::{place.tools}"
    done = subprocess.run(
        [place.directory / "iptables"], cwd=place.real, env=place.environ, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, b"here\n")


@pytest.mark.parametrize("name", ["a b", "a'b", 'a"b', "a$HOME", "a`b`", "a\\b", "a*b", "a;b", "é", "-a"])
def test_the_directories_may_have_any_name(tmp_path: Path, name: str) -> None:
    place = Place(tmp_path, name)
    place.write(wait=0.01)
    place.command("echo real")
    assert place.run() == (0, b"real\n", "")
    assert place.lock().exists()
    with held(place.lock()):
        status, _, errors = place.run()
    assert status == 75
    assert os.fspath(place.lock()) in errors


# ---------------------------------------------------------------------- one at a time


def test_many_at_once_run_one_after_the_other(place: Place) -> None:
    place.command(ALONE, *IPTABLES)
    with ThreadPoolExecutor(12) as pool:
        results = [*pool.map(lambda number: place.run(name=IPTABLES[number % len(IPTABLES)]), range(24))]
    assert results == [(0, b"", "")] * 24
    done = Path(place.environ["BUSY"] + ".done").read_text().split()
    assert sorted(done) == sorted(f"{place.real}/{name}" for name in IPTABLES * 4)


def test_a_command_that_the_configuration_names_runs_alone_but_beside_iptables(place: Place) -> None:
    place.write("ipset", wait=0.01)
    place.command("echo ran", "ipset", "iptables")
    with held(place.lock("ipset")):
        assert place.run(name="iptables") == (0, b"ran\n", "")
        assert place.run(name="ipset")[0] == 75
    with held(place.lock("iptables")):
        assert place.run(name="ipset") == (0, b"ran\n", "")


def test_iptables_may_be_named_too_and_keeps_the_lock_of_its_kin(place: Place) -> None:
    place.write("iptables", "ip6tables", wait=0.01)
    place.command("echo ran", "ip6tables")
    with held(place.lock("iptables")):
        assert place.run(name="ip6tables")[0] == 75


def test_a_command_that_calls_itself_or_its_kin_goes_through(place: Place) -> None:
    place.write(wait=0.5)
    place.command("ip6tables-save inner && echo outer")
    place.command('echo "$1"; [ "$1" = innermost ] || iptables-restore innermost', "ip6tables-save")
    place.command('echo "$1"', "iptables-restore")
    assert place.run() == (0, b"inner\ninnermost\nouter\n", "")


def test_a_command_that_calls_another_serialised_one_takes_both_locks(place: Place) -> None:
    place.write("firewall", wait=0.01)
    place.command("iptables -L", "firewall")
    place.command('echo "$CTDB_EVENTD_HOLDS"')
    status, output, _ = place.run(name="firewall")
    assert status == 0
    assert re.fullmatch(rb" firewall:\d+ iptables:\d+\n", output)
    with held(place.lock("iptables")):
        assert place.run(name="firewall")[0] == 75


def test_the_lock_is_held_until_the_command_exits(place: Place, tmp_path: Path) -> None:
    place.write(wait=0.01)
    place.command("echo started; read -r _")
    process = place.popen()
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    assert place.run()[0] == 75
    process.communicate(b"\n", timeout=60)
    assert place.run(given=b"\n")[0] == 0


async def test_the_lock_is_held_until_every_file_of_the_command_is_closed(place: Place, tmp_path: Path) -> None:
    """As the older iptables needs it: the next one fails at once if the lock that the last one had is still held."""
    (tmp_path / "holder.py").write_text(OWN_LOCKS)
    place.command(
        f'[ "$1" = try ] || exec "{sys.executable}" -IS "{tmp_path}/holder.py" "{tmp_path}/low" "{tmp_path}/high"\n'
        f'exec 7>>"{tmp_path}/low" 8>>"{tmp_path}/high"\n'
        'flock -n 7 && flock -n 8 || { echo "another app is holding the lock"; exit 4; }'
    )
    for _ in range(5):
        with place.popen() as first:
            assert first.stdout is not None
            assert first.stdout.readline() == b"ready\n"
            with place.popen("try") as second:
                await until(lambda: children_of(second.pid), "the flock that waits")
                first.communicate(b"\n", timeout=60)
                assert first.returncode == 0
                output, _ = second.communicate(timeout=60)
                assert (second.returncode, output) == (0, b"")


def test_what_a_command_leaves_running_keeps_no_lock(place: Place) -> None:
    """Nor does it pass for one that holds it."""
    place.write("ipset", wait=0.01)
    again = 'read -r _ <"$BUSY.go"; ipset inner; echo "$?" >"$BUSY.went"'
    place.command(f'[ "$1" = inner ] || {{ {{ {again}; }} >/dev/null 2>&1 & }}', "ipset")
    subprocess.run(["mkfifo", place.environ["BUSY"] + ".go", place.environ["BUSY"] + ".went"], check=True)
    assert place.run(name="ipset") == (0, b"", "")
    with held(place.lock("ipset")):
        Path(place.environ["BUSY"] + ".go").write_text("\n")
        assert Path(place.environ["BUSY"] + ".went").read_text() == "75\n"


async def test_a_wrapper_that_is_killed_alone_leaves_the_lock_to_the_command(place: Place) -> None:
    place.write(wait=0.01)
    place.command("echo ready; read -r _; echo over")
    with place.popen() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
        assert place.run()[0] == 75
        output, _ = process.communicate(b"\n", timeout=60)
        assert output == b"over\n"
    place.write()
    assert place.run(given=b"\n")[0] == 0


def test_a_signal_for_the_wrapper_alone_changes_nothing_for_the_command(place: Place) -> None:
    place.write(wait=0.01)
    place.command("echo ready; read -r _; exit 3")
    with place.popen() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert place.run()[0] == 75
        process.communicate(b"\n", timeout=60)
        assert process.returncode == 3


def test_the_lock_is_the_lowest_descriptor_that_was_free(place: Place) -> None:
    place.command("readlink /proc/$$/fd/3; [ ! -e /proc/$$/fd/4 ]")
    assert place.run() == (0, f"{place.lock()}\n".encode(), "")


def test_a_listing_may_be_piped_into_a_restore(place: Place) -> None:
    place.command("echo rules", "iptables-save")
    place.command("exec cat", "iptables-restore")
    feed = "sleep 0.2; iptables-save"
    assert place.shell(f"{{ {feed}; }} | iptables-restore") == (0, "rules\n", "")


def test_a_listing_longer_than_a_pipe_may_be_read_by_what_runs_the_command_itself(place: Place) -> None:
    place.command(
        '[ "$1" = -S ] || exit 0; line=$(printf "%0200d" 1); n=0; while [ $n -lt 800 ]; do echo $line; n=$((n+1)); done'
    )
    loop = "while read -r line; do [ $n -gt 3 ] || iptables -D $line || exit 9; n=$((n+1)); done; echo $n"
    assert place.shell(f"iptables -S | {{ n=0; {loop}; }}") == (0, "800\n", "")


@pytest.mark.parametrize("text", ["", "no end of line", "blank lines\n\n\n", "%s %d\\n \\\\c .\n", "dots ..\n.", "é\n"])
def test_a_piped_listing_arrives_as_it_is(place: Place, tmp_path: Path, text: str) -> None:
    (tmp_path / "text").write_text(text)
    place.command(f"exec cat {tmp_path}/text", "iptables-save")
    assert place.shell("iptables-save | cat") == (0, text, "")


def test_a_piped_listing_needs_no_room_on_any_disk(place: Place) -> None:
    """Commands such as iptables-save don't notice a full one, so half of a listing would be a success."""
    place.command("echo list", "iptables-save")
    shutil.rmtree(place.run_dir / "eventd.spool")
    assert place.shell("iptables-save | cat") == (0, "list\n", "")


def test_input_that_can_not_be_kept_is_an_error_and_leaves_nothing(place: Place, tmp_path: Path) -> None:
    place.command(f"touch {tmp_path}/ran", "iptables-restore")
    place.command('command -p cat; echo "cat: No space left on device" >&2; exit 1', "cat")
    spool = place.run_dir / "eventd.spool"
    status, output, errors = place.shell("echo rules | iptables-restore")
    assert (status, output) == (75, "")
    expected = f"iptables-restore: not run: its input could not be kept in {spool} (see: df {spool})\n"
    assert errors == f"cat: No space left on device\n{expected}"
    assert not (tmp_path / "ran").exists()
    assert list(spool.iterdir()) == []


def test_the_status_of_a_piped_listing_is_the_real_commands(place: Place) -> None:
    place.command('echo listed; [ "$2" = die ] && kill -TERM $$; exit 4')
    status = 'a=$( { iptables -L "$0"; echo $? >&3; } | cat ) 3>&1; echo "$a"'
    assert place.shell(f"set -- ; {status.replace('$0', 'no')}")[1].split() == ["4", "listed"]
    assert place.shell(status.replace("$0", "die"))[1].split() == ["143", "listed"]


# ---------------------------------------------------------------------- inside of other locks


def test_a_caller_that_uses_the_usual_descriptor_keeps_it(place: Place, tmp_path: Path) -> None:
    place.command("readlink /proc/$$/fd/9")
    mine = tmp_path / "mine.flock"
    assert place.shell(f"( flock -w 5 9; iptables ) 9>'{mine}'") == (0, f"{mine}\n", "")


@pytest.mark.parametrize("used", [(9,), (3,), (3, 4, 5), (3, 4, 5, 6, 7, 8), (9, 8, 7, 6, 5, 4)])
def test_every_descriptor_of_the_caller_is_left_alone(place: Place, tmp_path: Path, used: tuple[int, ...]) -> None:
    place.command("ls -l /proc/$$/fd; flock -n -x 0 < " + f"'{place.lock()}' && echo not held; exit 0")
    redirections = " ".join(f"{fd}>'{tmp_path}/mine.{fd}'" for fd in used)
    status, output, errors = place.shell(f"iptables {redirections}")
    assert (status, errors) == (0, "")
    assert "not held" not in output
    assert all(f"{tmp_path}/mine.{fd}" in output for fd in used)


@pytest.mark.parametrize(
    "call",
    [
        'flock -w 30 "$BUSY.flock" iptables -L',
        '( flock -w 30 9 || exit 1; iptables -L ) 9>"$BUSY.flock"',
        'iptables -L; flock -w 30 "$BUSY.flock" iptables -L; ip6tables -L',
    ],
)
def test_callers_with_a_lock_of_their_own_around_it_do_not_deadlock(place: Place, call: str) -> None:
    place.command(ALONE, "iptables", "ip6tables")
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(lambda _: place.shell(call), range(16))] == [(0, "", "")] * 16


# ---------------------------------------------------------------------- what goes wrong


def test_who_waits_too_long_fails_and_says_for_what(place: Place) -> None:
    place.write(wait=0.2)
    place.command("echo ran")
    with held(place.lock()):
        assert place.run() == (
            75,
            b"",
            f"iptables: not run: waited 0.2 s for its turn, something else holds {place.lock()} "
            f"(see: fuser -v {place.lock()})\n",
        )


def test_without_flock_nothing_is_run(place: Place) -> None:
    place.command("echo ran")
    (place.tools / "flock").unlink()
    path = place.environ["PATH"]
    assert place.run() == (
        127,
        b"",
        f"iptables: flock not found in PATH ({path}): install util-linux; not run, as it could not be serialised\n",
    )


def test_a_command_that_is_not_installed_is_not_found(place: Place) -> None:
    path = place.environ["PATH"]
    assert place.run() == (
        127,
        b"",
        f"iptables: not found in PATH ({path}), behind the wrapper in {place.directory}\n",
    )


def test_a_lock_that_cannot_be_opened_fails_like_one_that_is_not_had(place: Place) -> None:
    place.command("echo ran")
    place.lock().unlink()
    place.lock().mkdir()
    assert place.run() == (
        75,
        b"",
        f"iptables: can't open the lock {place.lock()}; not run, as it could not be serialised\n",
    )


# ---------------------------------------------------------------------- writing and removing


def test_there_is_a_wrapper_for_each_command_and_nothing_else(place: Place) -> None:
    place.write("ipset", "tc")
    assert sorted(os.listdir(place.directory)) == sorted([".wrappers", *IPTABLES, "ipset", "tc"])
    assert {(place.directory / name).stat().st_mode & 0o7777 for name in IPTABLES} == {0o755}


def test_nobody_else_may_change_them_whatever_the_umask(tmp_path: Path) -> None:
    with umask(0):
        place = Place(tmp_path, "deep/er")
        place.write("ipset")
    modes = {
        path.relative_to(tmp_path): path.stat().st_mode & 0o777
        for path in [place.directory, *place.directory.parents, place.run_dir, *place.run_dir.iterdir(), place.lock()]
        if path.is_relative_to(tmp_path) and path != tmp_path
    }
    assert all(mode & 0o022 == 0 for mode in modes.values()), modes
    assert place.lock().stat().st_mode & 0o777 == 0o600
    assert place.lock().parent.stat().st_mode & 0o777 == 0o700


def test_nobody_else_can_open_them_while_they_are_written(tmp_path: Path) -> None:
    """Who has a program open for writing can change it later too."""
    with umask(0):
        place = Place(tmp_path)
        with modes_at(os, "fchmod") as before:
            place.write("ipset")
    assert len(before) > len(IPTABLES)
    assert all(mode & 0o077 == 0 for mode in before)


def test_locks_that_everybody_could_take_are_closed(place: Place) -> None:
    """As a former version made them."""
    place.lock().parent.chmod(0o755)
    place.lock().chmod(0o644)
    place.write()
    assert place.lock().parent.stat().st_mode & 0o777 == 0o700
    assert place.lock().stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_place_of_a_directory_is_refused(place: Place, tmp_path: Path) -> None:
    """What it leads to is somebody else's, whose files would be removed."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").touch()
    shutil.rmtree(place.directory)
    place.directory.symlink_to(theirs)
    with pytest.raises(StartupError, match=rf"{place.directory} must be a directory .* rm {place.directory}$"):
        place.write()
    assert (theirs / "file").exists()


def test_a_directory_in_the_place_of_a_program_is_replaced(place: Place) -> None:
    (place.directory / "iptables").unlink()
    (place.directory / "iptables" / "deep").mkdir(parents=True)
    (place.directory / "stale").mkdir()
    place.write()
    assert (place.directory / "iptables").is_file()
    assert not (place.directory / "stale").exists()


def test_what_is_no_longer_configured_is_removed_and_leftovers_too(place: Place) -> None:
    place.write("ipset")
    (place.directory / "tc.new").touch()
    place.write()
    assert sorted(os.listdir(place.directory)) == sorted([".wrappers", *IPTABLES])


async def test_one_that_runs_goes_on_when_it_is_written_anew(place: Place) -> None:
    place.command("echo ran")
    with held(place.lock()):
        process = place.popen()
        await until(lambda: children_of(process.pid), "the flock that waits")
        place.write(wait=0.01)
        assert place.run()[0] == 75
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, b"ran\n", b"")


def test_removing_leaves_the_locks(place: Place) -> None:
    place.command("echo ran")
    place.run()
    place.wrappers.remove()
    place.wrappers.remove()
    assert not place.directory.exists()
    assert place.lock().exists()


def test_a_directory_that_cannot_be_made_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StartupError, match=r"^can't make the directory .*/state/eventd: Not a directory$"):
        Place(tmp_path).write()


def test_a_directory_from_which_nothing_can_be_executed_is_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StartupError, match=r"^programs in .*/eventd/bin can't be executed: is it mounted noexec\?$"):
        place.write()


def test_a_directory_that_can_not_stand_in_path_is_said_at_the_start(tmp_path: Path) -> None:
    place = tmp_path / "a:b"
    place.mkdir()
    with pytest.raises(StartupError, match=r"a:b/state/eventd/bin has a colon in its name: scripts could not find"):
        Place(place).write()
