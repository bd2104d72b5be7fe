"""Who may ask a real daemon for what, and what it logs of that: processes of other users, and of other namespaces."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from native_client import Refused, native_client
from nodes import TIMEOUT, Daemon, Node, running_daemon, socket_mode, start_daemon, until

from ctdb_eventd.protocol import frames
from ctdb_eventd.traffic import MOST_CONNECTIONS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")

ALICE, BOB, STRANGER = 61234, 61235, 61236
NAGIOS = 61300
"""A group."""
UNKNOWN = int(Path("/proc/sys/kernel/overflowuid").read_text())
ACCESS = f"[access]\n  read = {ALICE}\n  operate monitor = @{NAGIOS}\n"

# Becomes another user once everything is imported: the packages may be in a directory that is closed to others.
_ASK = """
import json, os, sys
path, uid, gid, groups, calls = json.loads(sys.argv[1])
from ctdb_event.commands.connection import DaemonConnection, CallFailed
import ctdb_event.failures, ctdb_event.sync.client, ctdb_event.commands.problems, pwd
from ctdb_event.errors import BrokerError
os.setgroups(groups); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
def ask(method, params):
    try:
        with DaemonConnection(path) as connection:
            return connection.call(method, **params)
    except CallFailed as error:
        return [error.code, error.message]
    except Exception as error:
        return [type(error).__name__, str(error)]
print(json.dumps([ask(*call) for call in calls], default=repr))
"""


def unmeasured(environ: Mapping[str, str]) -> dict[str, str]:
    """What another user's process gets: it could not write where coverage wants it to."""
    return {name: value for name, value in environ.items() if not name.startswith("COVERAGE_")}


@pytest.fixture
def node() -> Iterator[Node]:
    # pytest's own directory is closed to other users
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        node = Node(Path(base))
        node.script("50.say.script", 'echo "$1"; [ "$1" != hold ] || read x <$CTDB_BASE/fifo')
        os.mkfifo(node.base / "fifo")
        yield node


def allow(node: Node, access: str = ACCESS) -> None:
    node.configure(access)


def ask(node: Node, uid: int, *calls: tuple[str, dict[str, Any]], groups: tuple[int, ...] = ()) -> list[Any]:
    """Makes calls as another user, each on a connection of its own; a refusal is [CODE, TEXT]."""
    order = json.dumps([node.socket, uid, uid, groups, calls])
    asked = [sys.executable, "-c", _ASK, order]
    done = subprocess.run(asked, env=unmeasured(os.environ), capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def run(event: str, component: str = "legacy", **more: Any) -> tuple[str, dict[str, Any]]:
    return "run", {"component": component, "event": event, **more}


READING: tuple[tuple[str, dict[str, Any]], ...] = (
    *((method, {}) for method in ("hello", "ping", "status", "components", "events", "locks", "stats")),
    ("scripts", {"component": "legacy"}),
    *(("history", {"view": view}) for view in ("runs", "run", "slow")),
)
OPERATING: tuple[tuple[str, dict[str, Any]], ...] = (
    run("startup"),
    run("startup", detach=True),
    ("lock", {"names": ["door"]}),
    ("enable", {"component": "legacy", "script": "50.say"}),
    ("disable", {"component": "legacy", "script": "50.say"}),
    ("reload", {}),
)


def refused(answers: list[Any]) -> list[bool]:
    return [isinstance(answer, list) and answer[:1] == ["EACCES"] for answer in answers]


async def test_without_rules_the_socket_is_root_s_alone(node: Node) -> None:
    async with running_daemon(node):
        assert socket_mode(node.socket) == 0o700


async def test_who_may_read_may_look_and_not_more(node: Node) -> None:
    allow(node)
    async with running_daemon(node):
        assert socket_mode(node.socket) == 0o666
        assert refused(ask(node, ALICE, *READING)) == [False] * len(READING)
        assert refused(ask(node, ALICE, *OPERATING)) == [True] * len(OPERATING)


async def test_a_user_has_a_number_of_connections_and_others_have_theirs(node: Node) -> None:
    allow(node)
    async with running_daemon(node) as daemon:
        code = f"""
import os, socket, sys
os.setresuid({ALICE}, {ALICE}, {ALICE})
def connect():
    client = socket.socket(socket.AF_UNIX)
    client.connect({node.socket!r})
    try:
        client.sendall({frames.PREFACE + frames.request(1, "ping", {})!r})
        return client, client.recv(1) != b""
    except ConnectionError:
        return client, False
kept = [connect() for _ in range({MOST_CONNECTIONS})]
print([served for _, served in kept].count(True), connect()[1], flush=True)
sys.stdin.read()
"""
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=unmeasured(os.environ)
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{MOST_CONNECTIONS} False\n".encode()
            async with native_client(daemon) as root:
                assert await root.call("ping") == {}
            assert process.stdin is not None
            process.stdin.close()
        assert refused(ask(node, ALICE, *READING)) == [False] * len(READING)
    assert f"(uid {ALICE}): refused, its user has {MOST_CONNECTIONS} connections" in node.log


async def test_who_may_read_gets_the_history_from_the_daemon(node: Node) -> None:
    allow(node)
    async with running_daemon(node) as daemon, daemon.client() as client:
        await client.run("startup")
        found: list[Any] = []
        while not found or not isinstance(found[0], dict) or found[0]["outcome"] is None:  # it is written in a moment
            [found] = ask(node, ALICE, ("history", {"event": "startup"}))
        assert (found[0]["outcome"], found[0]["uid"], found[0]["bad_scripts"]) == ("success", os.geteuid(), [])
        assert refused(ask(node, STRANGER, ("history", {}))) == [True]


async def test_who_may_operate_may_do_everything_and_look_too(node: Node) -> None:
    allow(node, f"[access]\noperate = {BOB}\n")
    async with running_daemon(node):
        assert refused(ask(node, BOB, *READING, *OPERATING)) == [False] * len(READING + OPERATING)


async def test_an_event_of_ones_own_is_no_other_and_nothing_else(node: Node) -> None:
    allow(node)
    async with running_daemon(node):
        answers = ask(node, BOB, run("monitor"), *READING, groups=(5, NAGIOS))
        assert answers[0]["outcome"] == "success"
        assert refused(answers) == [False] * len(answers)
        assert refused(ask(node, BOB, *OPERATING, groups=(NAGIOS,))) == [True] * len(OPERATING)


@pytest.mark.parametrize("rule", ["legacy/monitor", "legacy/*"])
async def test_a_component_s_event_is_not_that_of_another(node: Node, rule: str) -> None:
    allow(node, f"[access]\noperate {rule} = {BOB}\n")
    node.script("10.s.script", "exit 0", component="other")
    async with running_daemon(node):
        answers = ask(node, BOB, run("monitor"), run("monitor", "other"), run("startup"))
        assert refused(answers) == [False, True, rule == "legacy/monitor"]


async def test_the_first_group_of_a_process_counts_as_its_others_do(node: Node) -> None:
    allow(node, f"[access]\nread = @{ALICE}\n")
    async with running_daemon(node):
        assert ask(node, ALICE, ("ping", {})) == [{}]
        assert ask(node, BOB, ("ping", {}), groups=(ALICE,)) == [{}]
        assert refused(ask(node, BOB, ("ping", {}))) == [True]


async def test_more_groups_than_the_kernel_s_answer_has_room_for_are_taken_from_the_database(node: Node) -> None:
    many = tuple(range(62000, 62300))
    allow(node, f"[access]\nread = {ALICE}, @{BOB}, @{many[0]}\n")
    async with running_daemon(node):
        assert ask(node, ALICE, ("ping", {}), groups=many) == [{}]
        assert ask(node, BOB, ("ping", {}), groups=many) == [{}]
        assert refused(ask(node, STRANGER, ("ping", {}), groups=many)) == [True]


async def test_a_run_is_cancelled_by_who_may_run_it(node: Node) -> None:
    allow(node, f"[access]\nread = {ALICE}\noperate legacy/hold = {BOB}\n")
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        call = client.start("run", component="legacy", event="hold")
        jobs = (await client.call("status"))["jobs"]
        cancel = ("cancel", {"run": jobs[0]["run"]})
        assert refused(ask(node, ALICE, cancel)) == [True]
        assert ask(node, BOB, cancel) == [{"state": "running"}]
        assert (await client.result(call))["outcome"] == "cancelled"


async def test_a_stranger_is_hung_up_on_and_that_is_logged_once(node: Node) -> None:
    allow(node)
    async with running_daemon(node):
        answers = ask(node, STRANGER, ("ping", {}), ("ping", {}))
        assert [code for code, _ in answers] == ["EACCES", "EACCES"]
        assert f"you (uid {STRANGER}) may not use" in answers[0][1]
    lines = [line for line in node.log.splitlines() if "refused, it may neither read nor operate" in line]
    assert len(lines) == 1, lines
    assert f"(uid {STRANGER})" in lines[0]


async def test_refusals_of_a_reader_are_logged_once(node: Node) -> None:
    allow(node)
    async with running_daemon(node):
        ask(node, ALICE, *OPERATING)
    lines = [line for line in node.log.splitlines() if "refused, may not" in line]
    assert len(lines) == 1
    assert "may not run legacy/startup" in lines[0]


async def test_the_refusal_names_the_line_that_is_missing(node: Node) -> None:
    allow(node)
    async with running_daemon(node):
        [(code, text)] = ask(node, ALICE, run("startup"))
    assert code == "EACCES"
    advice = f"ask its administrator for `operate legacy/startup = {ALICE}` in [access] of {node.base}/ctdb.conf"
    assert text == f"you (uid {ALICE}) may not run legacy/startup on this daemon; {advice}"


# ---------------------------------------------------------------------- reload


@contextlib.contextmanager
def being(uid: int) -> Iterator[None]:
    """Makes this process another user's: who connects is who it is at that moment."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_reload_counts_for_connections_that_are_open(node: Node) -> None:
    allow(node, f"[access]\nread = {ALICE}\n")
    async with running_daemon(node) as daemon:
        async with contextlib.AsyncExitStack() as stack:
            with being(ALICE):
                client = await stack.enter_async_context(native_client(daemon))
            with pytest.raises(Refused, match="may not use lock"):
                await client.call("lock", names=["door"])
            allow(node, f"[access]\noperate = {ALICE}\n")
            await reload(daemon)
            assert "lock" in await client.call("lock", names=["door"])
            watch = client.start("subscribe")
            allow(node, "")
            await reload(daemon)
            assert socket_mode(node.socket) == 0o700
            with pytest.raises(ConnectionError):
                await client.result(watch)
        async with native_client(daemon) as root:
            assert await root.call("locks") == []
        assert "has no rights any more, connection closed" in node.log


async def test_a_user_that_does_not_exist_is_no_reload(node: Node) -> None:
    allow(node)
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        allow(node, "[access]\nread = no-such-user\n")
        with pytest.raises(Refused, match=r'ctdb.conf:5: \[access\] read = "no-such-user": there is no user'):
            await client.call("reload")
        assert socket_mode(node.socket) == 0o666


def test_a_user_that_does_not_exist_is_no_start(node: Node) -> None:
    allow(node, "[access]\nread = no-such-user\n")
    with pytest.raises(
        AssertionError, match=r'exit status 1, .*ctdb.conf:5: \[access\] read = "no-such-user": there is'
    ):
        start_daemon(node)


async def test_a_directory_that_users_can_not_pass_is_worth_a_warning(node: Node) -> None:
    allow(node)
    (node.base / "run").chmod(0o700)
    async with running_daemon(node):
        pass
    assert f"can't reach {node.socket}: {node.base}/run has mode 0700" in node.log


# ---------------------------------------------------------------------- namespaces


def in_namespace(node: Node, uid: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Connects as another user's `root` of a user namespace; prints who it says it is, and whether it is answered."""
    code = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "try: s.sendall(bytes.fromhex(sys.argv[2])); print(os.geteuid(), len(s.recv(100)))\n"
        "except (BrokenPipeError, ConnectionResetError): print(os.geteuid(), 0)"
    )
    hello = (frames.PREFACE + frames.request(1, "ping", {})).hex()
    words = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *words, "/usr/bin/python3", "-c", code)
    return subprocess.run([*words, node.socket, hello], capture_output=True, text=True, timeout=TIMEOUT, cwd="/")


@pytest.fixture
def namespaces(node: Node) -> None:
    done = subprocess.run(["setpriv", f"--reuid={BOB}", "--clear-groups", "unshare", "-U", "-r", "true"])
    if done.returncode:
        pytest.skip("users may not make namespaces here")


@pytest.mark.usefixtures("namespaces")
async def test_root_of_another_namespace_is_who_made_that(node: Node) -> None:
    allow(node)
    async with running_daemon(node):
        assert in_namespace(node, STRANGER, "unshare", "-U", "-r").stdout == "0 0\n"
        assert in_namespace(node, UNKNOWN, "unshare", "-U", "-r").stdout == "0 0\n"
        told = in_namespace(node, ALICE, "unshare", "-U", "-r").stdout.split()
        assert told[0] == "0"
        assert int(told[1]) > 0


@pytest.mark.usefixtures("namespaces")
async def test_who_is_unknown_here_may_do_nothing_even_in_a_group_that_may(node: Node) -> None:
    """A daemon in a namespace that has root alone is told the number of nobody for everybody else."""
    allow(node, f"[access]\nread = {ALICE}, @0\n")
    async with running_daemon(node, prefix=("unshare", "-U", "-r")):
        assert ask(node, ALICE, ("ping", {}))[0][0] == "EACCES"
        assert ask(node, ALICE, ("ping", {}), groups=(0,))[0][0] == "EACCES"
        assert ask(node, 0, ("ping", {})) == [{}]
    assert f"(uid {UNKNOWN}): refused" in node.log


@pytest.mark.parametrize("name", ["nobody", str(UNKNOWN), "@nogroup", f"@{UNKNOWN}"])
async def test_nobody_can_not_be_let_in(node: Node, name: str) -> None:
    allow(node)
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        allow(node, f"[access]\nread = {name}\n")
        with pytest.raises(Refused, match=r"represents every (user|group) that is unknown here"):
            await client.call("reload")


# ---------------------------------------------------------------------- command line and library


_COMMAND = """
import importlib, json, os, pkgutil, pwd, sys, ctdb_event
for module in pkgutil.walk_packages(ctdb_event.__path__, "ctdb_event."):
    if not module.name.endswith("__main__"): importlib.import_module(module.name)
uid = int(sys.argv.pop(1))
os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
from ctdb_event.cli import main
sys.exit(main())
"""


def command(node: Node, uid: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs `ctdb-event` as another user."""
    asked = [sys.executable, "-c", _COMMAND, str(uid), *words]
    return subprocess.run(asked, env=unmeasured(node.environ), cwd="/", capture_output=True, text=True, timeout=TIMEOUT)


async def test_monitoring_needs_no_more_than_read(node: Node) -> None:
    allow(node)
    async with running_daemon(node):
        ask(node, 0, run("monitor"))
        done = command(node, ALICE, "health", "--nagios")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("OK - legacy healthy since ")
        assert command(node, ALICE, "status", "legacy", "monitor").returncode == 0


async def test_monitoring_that_may_not_ask_says_so(node: Node) -> None:
    allow(node)
    async with running_daemon(node):
        done = command(node, STRANGER, "health", "--nagios")
    assert (done.returncode, done.stderr) == (3, "")
    advice = f"ask its administrator for `read = {STRANGER}` in [access] of its ctdb.conf"
    reason = f"you (uid {STRANGER}) may not use the event daemon at {node.socket}; {advice}"
    assert done.stdout == f"UNKNOWN - {reason}; a change takes effect after ctdb-event reload\n"


@pytest.mark.parametrize("options", [(), ("--json",)])
async def test_the_command_line_says_which_line_is_missing(node: Node, options: tuple[str, ...]) -> None:
    allow(node)
    async with running_daemon(node):
        done = command(node, ALICE, "run", *options, "30", "legacy", "startup")
        assert done.returncode == 13
        assert f"you (uid {ALICE}) may not run" in done.stderr
        assert f"`operate legacy/startup = {ALICE}` in [access] of " in done.stderr
        done = command(node, STRANGER, "run", *options, "30", "legacy", "startup")
        assert done.returncode == 13
        assert f"you (uid {STRANGER}) may not use the event daemon at {node.socket}" in done.stderr


async def test_a_socket_that_is_root_s_alone_is_told_apart(node: Node) -> None:
    async with running_daemon(node):
        for words in (("ping",), ("status", "legacy", "monitor")):
            done = command(node, ALICE, *words)
            assert done.returncode == 1
            assert f"run this as root, or ask its administrator for `read = {ALICE}` in [access] of" in done.stderr


_LIBRARY = """
import os, sys, anyio, pwd
import ctdb_event, ctdb_event.sync.client, ctdb_event.aio.client, anyio._backends._asyncio, anyio.to_thread
from ctdb_event import Client, NotAllowed, connect
path, uid, dialect = sys.argv[1], int(sys.argv[2]), sys.argv[3]
os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
async def ask():
    async with connect(path, dialect=dialect) as client:
        await client.run("legacy", "startup")
def ask_blocking():
    with Client(path, dialect=dialect) as client:
        client.run("legacy", "startup")
for act in (ask_blocking, lambda: anyio.run(ask)):
    try: act()
    except NotAllowed as error: print(error.code, error)
"""


@pytest.mark.parametrize(
    ("uid", "dialect", "text"),
    [
        (ALICE, "auto", "may not run legacy/startup on this daemon"),
        (ALICE, "ctdb", "may not be run by this user"),
        (STRANGER, "auto", "may not use the broker at"),
    ],
)
async def test_the_library_says_so_too(node: Node, uid: int, dialect: str, text: str) -> None:
    allow(node)
    async with running_daemon(node):
        words = [sys.executable, "-c", _LIBRARY, node.socket, str(uid), dialect]
        done = subprocess.run(words, env=unmeasured(os.environ), capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    assert [line.split()[0] for line in told] == ["EACCES", "EACCES"]
    assert all(text in line for line in told)


# ---------------------------------------------------------------------- the log


def audited(node: Node) -> list[str]:
    return [line.partition("]: ")[2] for line in node.log.splitlines() if " requested: " in line]


async def test_what_others_than_ctdbd_have_done_is_logged(node: Node) -> None:
    allow(node, f"[access]\noperate = {BOB}\n")
    async with running_daemon(node) as daemon:
        answers = ask(node, BOB, *OPERATING[:1], *OPERATING[2:], *READING)
        os.kill(daemon.process.pid, signal.SIGUSR1)
        await until(lambda: node.log.count("configuration reloaded") == 2, "the second reload")
        lines = audited(node)
    who = lines[0].partition(" requested: ")[0]
    assert who.startswith(f"uid={BOB} (?) pid=")
    assert who.endswith(" (python3)") or "(python" in who
    assert [line.partition(" requested: ")[2] for line in lines] == [
        f"run legacy/startup, run id {answers[0]['run']}",
        "lock door",
        "enable legacy/50.say",
        "disable legacy/50.say",
        "reload",
        "reload",
    ]
    assert lines[-1] == "SIGUSR1 requested: reload"


async def test_a_cancel_is_logged_with_what_it_ends(node: Node) -> None:
    async with running_daemon(node) as daemon, native_client(daemon) as client:
        await client.call("lock", names=["door"])
        waiting = client.start("lock", names=["door", "window"])
        watch = client.start("subscribe")
        run = client.start("run", component="legacy", event="hold", args=["a", "b"])
        job = (await client.call("status"))["jobs"][0]["run"]
        for call in (waiting, watch, run):
            await client.call("cancel", call=call)
        again = (await client.call("run", component="legacy", event="hold", detach=True))["run"]
        await client.call("cancel", run=again)
        said = [line.partition(f"uid=0 (root) pid={os.getpid()} (")[2].partition(") ")[2] for line in audited(node)]
    assert said == [
        "requested: lock door",
        "requested: lock door,window",
        f"requested: run legacy/hold, run id {job}: a b",
        "requested: cancel lock door,window",
        f"requested: cancel legacy/hold, run id {job}",
        f"requested: run legacy/hold, run id {again}",
        f"requested: cancel legacy/hold, run id {again}",
    ]


async def test_what_ctdbd_has_done_is_not_logged_and_its_dialect_else_is(node: Node) -> None:
    node.script("60.x.script", "exit 0")
    async with running_daemon(node, f"--pid={os.getpid()}") as daemon, daemon.client() as client:
        assert await client.run("startup") == 0
        assert audited(node) == []
    async with running_daemon(node) as daemon, daemon.client() as client:
        assert await client.run("startup") == 0
        [line] = audited(node)
        assert ") requested: run legacy/startup, run id " in line


async def reload(daemon: Daemon) -> None:
    async with native_client(daemon) as root:
        await root.call("reload")


async def test_the_ctdb_dialect_answers_eacces(node: Node) -> None:
    allow(node, f"[access]\nread = {ALICE}\n")
    async with running_daemon(node) as daemon:
        async with contextlib.AsyncExitStack() as stack:
            with being(ALICE):
                client = await stack.enter_async_context(daemon.client())
            assert await client.run("startup") == errno.EACCES
