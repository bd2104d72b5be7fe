"""Real firewall rules of scripts that know no lock: the wrappers alone keep iptables and ip6tables from colliding.

Both of iptables' implementations are tried, whichever of them the machine uses by default: the newer one talks to the
kernel's nftables and begins anew when another was faster, the older one has a lock of its own for all tables.
IPTABLES_ROUNDS is the number of rounds with 200 addresses for each implementation (20 for a full run).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
from nodes import Client, Node, until

from .host import Asked, Host, PublicAddress, lay_out, releases, running_host, takes

pytestmark = pytest.mark.interop

ADDRESSES = [
    *(PublicAddress("pub0", f"10.1.0.{number}", 24) for number in range(1, 39)),
    *(PublicAddress("pub0", f"fd00:c7db::{number:x}", 64) for number in range(1, 11)),
]

# As many as a large cluster moves at once.
MANY = [
    *(PublicAddress("pub0", f"10.1.1.{number}", 24) for number in range(1, 151)),
    *(PublicAddress("pub0", f"fd00:c7db:1::{number:x}", 64) for number in range(1, 51)),
]
ROUNDS = int(os.environ.get("IPTABLES_ROUNDS") or 3)

_COMMANDS = ("iptables", "iptables-restore", "iptables-save", "ip6tables", "ip6tables-restore", "ip6tables-save")
_CONTENTION = re.compile(r"xtables|nft|resource temporarily unavailable|another app", re.IGNORECASE)

_FIREWALL = """
case "$1" in
takeip) action=-A ;;
releaseip) action=-D ;;
*) exit 0 ;;
esac
case "$3" in
*:*) ip6tables $action INPUT -d "$3" -j DROP ;;
*) iptables $action INPUT -d "$3" -j DROP ;;
esac
"""

# CTDB's function and a script that doesn't know it, by turns
_MIXED = """
. "$CTDB_BASE/functions"
load_script_options
[ "$1" = takeip ] || exit 0
iptables_wrapper inet -A INPUT -d "$3" -j DROP || exit
iptables -A OUTPUT -s "$3" -j DROP || exit
iptables_wrapper inet -A FORWARD -d "$3" -j DROP
"""

# In the place of the real command: runs it, and complains if another one runs already.
_ALONE = """#!/bin/sh
mkdir {directory}/busy 2>/dev/null || echo "another app runs beside: $*"
{directory}/real/{name} "$@"
status=$?
rmdir {directory}/busy
exit $status
"""

_WHERE = """
[ "$1" = where ] || exit 0
for name in $(cat "$CTDB_BASE/var/commands"); do command -v "$name"; done >"$CTDB_BASE/var/found"
"""

_TABLES = """
cd "$CTDB_BASE/var" || exit
case "$1" in
restore) iptables-restore <wanted ;;
add) iptables -A OUTPUT -m comment --comment 'a  "b" $c *' -j DROP ;;
save) iptables-save >saved ;;
wrong) iptables -D INPUT -d 192.0.2.1 -j DROP >wrong.out 2>wrong.err; echo $? >wrong.status ;;
esac
"""

_WANTED = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -d 192.0.2.7/32 -m comment --comment "two  blanks and a \\"" -j DROP
-A OUTPUT -s 192.0.2.7/32 -j ACCEPT
{added}COMMIT
"""
_ADDED = """-A OUTPUT -m comment --comment "a  \\"b\\" $c *" -j DROP
"""

# One of the commands hangs, while it has the lock.
_STUCK = """
[ "$1" = takeip ] || exit 0
case "$3" in
10.1.0.1) iptables-restore ;;
*) iptables -A INPUT -d "$3" -j DROP ;;
esac
"""
_HANGS = """#!/bin/sh
exec sleep 1000
"""


@pytest.fixture(params=["nft", "legacy"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    """A node without scripts, where iptables is one of the two."""
    program = shutil.which(f"xtables-{request.param}-multi", path="/usr/sbin:/sbin")
    if program is None or not _kernel_has_tables(request.param):
        pytest.skip(f"no iptables-{request.param} on this machine")
    node = lay_out(tmp_path)
    for name in _COMMANDS:
        (node.base / "bin" / name).symlink_to(program)
    return node


def _replace(node: Node, name: str, text: str) -> None:
    command = node.base / "bin" / name
    command.unlink(missing_ok=True)
    command.write_text(text)
    command.chmod(0o755)


def _kernel_has_tables(kind: str) -> bool:
    command = ["unshare", "--net", "sh", "-c", f"iptables-{kind} -S && ip6tables-{kind} -S"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _rule(address: PublicAddress, chain_and_option: str = "INPUT -d") -> str:
    return f"-A {chain_and_option} {address.ip}/{128 if ':' in address.ip else 32} -j DROP"


def _rules(addresses: Iterable[PublicAddress]) -> Counter[str]:
    return Counter(map(_rule, addresses))


async def _assert_quiet(host: Host, client: Client, *events: str) -> None:
    """No script has said anything, of contention least of all: not in any run, nor in the last one's status."""
    outputs = [script.output.decode() for event in events for script in (await client.status(event)).scripts]
    text = "".join(outputs) + host.node.log
    assert not _CONTENTION.search(text), text
    assert text == ""


@pytest.mark.parametrize(("node", "rounds"), [("nft", 20), ("legacy", 6)], indirect=["node"])
async def test_rules_are_exact_after_every_round(node: Node, rounds: int) -> None:
    """Every round takes what is not held and releases what is, all at once."""
    node.script("50.firewall.script", _FIREWALL)
    held, others = ADDRESSES[::2], ADDRESSES[1::2]
    async with running_host(node) as host, host.daemon.client() as client:
        await host.ask(client, takes(held))
        for number in range(rounds):
            await host.ask(client, chain.from_iterable(zip(takes(others), releases(held), strict=True)))
            held, others = others, held
            assert host.rules() == _rules(held), f"round {number}\n{node.log}"
        await _assert_quiet(host, client, "takeip", "releaseip")


async def test_no_command_of_200_at_once_meets_another(node: Node) -> None:
    """The older implementation fails at once if the command before it still holds that implementation's own lock."""
    node.script("50.firewall.script", _FIREWALL)
    async with running_host(node) as host, host.daemon.client() as client:
        for number in range(ROUNDS):
            await host.ask(client, takes(MANY))
            assert host.rules() == _rules(MANY), f"round {number}\n{node.log}"
            await host.ask(client, releases(MANY))
            assert host.rules() == Counter(), f"round {number}\n{node.log}"
        await _assert_quiet(host, client, "takeip", "releaseip")


async def test_commands_run_one_at_a_time(node: Node) -> None:
    """Which today's iptables would mostly survive: it tries again, or waits. Older ones fail."""
    node.script("50.firewall.script", _FIREWALL)
    (node.base / "bin" / "real").mkdir()
    for name in _COMMANDS:
        shutil.move(node.base / "bin" / name, node.base / "bin" / "real")
        _replace(node, name, _ALONE.format(directory=node.base / "bin", name=name))
    async with running_host(node) as host, host.daemon.client() as client:
        await host.ask(client, takes(ADDRESSES))
        assert host.rules() == _rules(ADDRESSES)
        await _assert_quiet(host, client, "takeip")


async def test_ctdbs_own_lock_and_ours_go_together(node: Node) -> None:
    """Theirs is taken around ours: nobody waits for ever, nothing fails."""
    node.script("50.mixed.script", _MIXED)
    mine = [address for address in ADDRESSES if ":" not in address.ip][:30]
    async with running_host(node) as host, host.daemon.client() as client:
        await host.ask(client, takes(mine))
        chains = ("INPUT -d", "OUTPUT -s", "FORWARD -d")
        assert host.rules() == Counter(_rule(address, where) for address in mine for where in chains)
        await _assert_quiet(host, client, "takeip")


async def test_scripts_find_the_wrappers_first(node: Node) -> None:
    """Else all the rest here would be the kernel's own merit."""
    node.script("50.where.script", _WHERE)
    (node.var / "commands").write_text(" ".join(_COMMANDS))
    async with running_host(node) as host, host.daemon.client() as client:
        await host.ask(client, [Asked("where")])
    assert node.read("found").split() == [f"{node.var}/eventd/bin/{name}" for name in _COMMANDS]


async def test_input_output_and_failures_are_the_real_commands(node: Node) -> None:
    """A table goes in and comes out unchanged, with what was added; what fails says the same as without a wrapper."""
    node.script("50.tables.script", _TABLES)
    (node.var / "wanted").write_text(_WANTED.format(added=""))
    async with running_host(node) as host, host.daemon.client() as client:
        await host.ask(client, [Asked(event) for event in ("restore", "add", "save", "wrong")])
        saved = [line for line in node.read("saved").splitlines(keepends=True) if not line.startswith("#")]
        assert "".join(saved) == _WANTED.format(added=_ADDED)
        real = host.run("sh", "-c", "iptables -D INPUT -d 192.0.2.1 -j DROP 2>&1; echo $?")
        assert node.read("wrong.out") + node.read("wrong.err") + node.read("wrong.status") == real
        assert real.endswith("\n1\n")


async def test_what_a_timeout_ends_leaves_no_lock(node: Node) -> None:
    """Neither the one that runs iptables nor the one that waits for it."""
    node.script("50.stuck.script", _STUCK)
    _replace(node, "iptables-restore", _HANGS)
    stuck, waiting, *others = ADDRESSES[:12]
    lock = node.base / "run" / "eventd.locks" / "iptables"
    async with running_host(node) as host, host.daemon.client() as client:
        running = client.start("takeip", *stuck.args, limit=2)
        await until(lambda: _is_held(lock), "iptables-restore to run")
        behind = client.start("takeip", *waiting.args, limit=1)
        assert [await client.result(running), await client.result(behind)] == [errno.ETIMEDOUT] * 2
        begin = time.monotonic()
        await host.ask(client, takes(others))
        assert time.monotonic() - begin < 10
        assert host.rules() == _rules(others)


def _is_held(lock: Path) -> bool:
    """Returns whether a command runs that holds the wrappers' lock."""
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
