"""The Debian package: built, installed, upgraded, broken and removed on a copy of this machine."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from skipping import skip_or_fail

from ctdb_eventd import __version__

from .machine import Machine, missing_requirements

pytestmark = pytest.mark.interop

TOP = Path(__file__).resolve().parents[2]
HELPER = "/usr/libexec/ctdb/ctdb-eventd"
# Names, kinds, modes, owners and sizes of everything that the installation could touch, times and contents of the
# programs in the helper directory. An overlay has other sizes of directories once they were written to.
FINGERPRINT = """cd / && for what in usr/libexec/ctdb usr/lib/ctdb-eventd usr/bin usr/sbin etc/ctdb; do
  [ ! -e $what ] || find $what -type d -printf '%p d %m %U:%G\\n' -o -printf '%p %y %m %U:%G %l %s\\n'
done | sort
stat -c '%n %Y' usr/libexec/ctdb/*
sha256sum usr/libexec/ctdb/*
dpkg-divert --list; dpkg -V ctdb; ls usr/share/doc | grep ctdb
"""
# What ctdbd does: a pipe for the daemon's word, and a process to watch. Prints who it is, then ends it.
START = """set -e
export CTDB_TEST_MODE=1 CTDB_BASE=/tmp/node
rm -rf $CTDB_BASE; mkdir -p $CTDB_BASE/run $CTDB_BASE/var $CTDB_BASE/events/legacy $CTDB_BASE/share/events/legacy
printf '[logging]\\n\\tlocation = file:/tmp/node/log\\n' >$CTDB_BASE/ctdb.conf
printf '#!/bin/sh\\necho it ran\\n' >$CTDB_BASE/events/legacy/00.test.script
chmod 755 $CTDB_BASE/events/legacy/00.test.script
mkfifo /tmp/node/ready
/usr/libexec/ctdb/ctdb-eventd -P $$ -S 9 9>/tmp/node/ready &
exec 8</tmp/node/ready
test "$(timeout 10 head -c 4 <&8 | od -An -tx1 | tr -d ' ')" = 00000000
test "$(cat /tmp/node/run/eventd.pid)" = $!
echo "exe $(readlink /proc/$!/exe)"
{cli} run 30 legacy monitor
{cli} status legacy monitor
kill $!
wait $! || test "{ours}" = no
"""


@pytest.fixture(scope="module", autouse=True)
def requirements() -> None:
    """Skips with the reason, or fails where `make interop` promises that they run."""
    skip_or_fail(missing_requirements())


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, requirements: None) -> Path:
    """The package, built."""
    directory = tmp_path_factory.mktemp("package")
    command = [str(TOP / "contrib/debian/build.sh"), sys.executable, str(directory)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


@pytest.fixture
def machine(tmp_path: Path, package: Path) -> Iterator[Machine]:
    """A copy of this machine with the package's file on it."""
    with Machine(tmp_path) as machine:
        machine.run("cat >/ctdb-eventd.deb; mkdir -p /run/ctdb; chmod 755 /run", stdin=package.read_bytes())
        yield machine


def start(machine: Machine, *, ours: bool = True) -> str:
    """Starts what is in the helper's place; returns what it said of itself."""
    cli = "/usr/bin/ctdb-event" if ours else "/usr/libexec/ctdb/ctdb-event"
    return machine.run(START.format(cli=cli, ours="yes" if ours else "no"))


def test_the_package_names_nothing_of_the_machine_it_was_built_on(package: Path) -> None:
    names = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    assert "__pycache__" not in names
    assert "direct_url.json" not in names
    assert {line.split()[1] for line in names.splitlines()} == {"root/root"}
    for program in ("ctdb-event", "ctdb-node"):
        for name in (f"bash-completion/completions/{program}", f"zsh/vendor-completions/_{program}"):
            assert f" ./usr/share/{name}\n" in names
        for name in (f"fish/vendor_completions.d/{program}.fish", f"man/man1/{program}.1.gz"):
            assert f" ./usr/share/{name}\n" in names
    for name in ("man/man8/ctdb-eventd.8.gz", "doc/ctdb-eventd/ctdb-node.service"):
        assert f" ./usr/share/{name}\n" in names
    archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for file in filter(tarfile.TarInfo.isfile, files):
            opened = files.extractfile(file)
            assert opened is not None
            # documentation, and so the README in METADATA, names a directory that a checkout may happen to be in
            if not file.name.startswith("./usr/share/doc/") and not file.name.endswith("/METADATA"):
                assert str(TOP).encode() not in opened.read(), file.name
    control = subprocess.run(["dpkg-deb", "-f", package], capture_output=True, text=True, check=True).stdout
    assert re.search(r"^Depends: python3 \(>= 3\.11\), ctdb, util-linux$", control, flags=re.MULTILINE)


def test_installed_it_is_what_ctdbd_starts_and_removed_all_is_as_before(machine: Machine) -> None:
    before = machine.run(FINGERPRINT)
    original = machine.run(f"sha256sum <{HELPER}")
    assert "Done: put a shell file" in machine.run("dpkg -i /ctdb-eventd.deb")
    assert machine.run(f"dpkg-divert --listpackage {HELPER}") == "ctdb-eventd\n"
    assert machine.run(f"sha256sum <{HELPER}.ctdb") == original
    said = start(machine)
    assert re.search(r"^exe /usr/bin/python3", said)
    assert "00.test " in said
    assert machine.run("ctdb-eventd-install --status").count("ERROR") == 0
    assert "Nothing to do" in machine.run("dpkg -i /ctdb-eventd.deb"), "an upgrade leaves it in place"
    machine.run("dpkg -r ctdb-eventd")
    assert machine.run(FINGERPRINT) == before


def test_the_packages_ctdb_node_starts_the_packages_daemon(machine: Machine) -> None:
    """The modules of the package are not on the path of the interpreter that it uses."""
    machine.run("dpkg -i /ctdb-eventd.deb")
    said = machine.run(
        """export CTDB_TEST_MODE=1 CTDB_BASE=/tmp/node
        for name in run var events/legacy share/events/legacy; do mkdir -p $CTDB_BASE/$name; done
        ctdb-node run --no-interfaces 2>/tmp/node/said &
        timeout 60 sh -c 'until ctdb-node health 2>/dev/null; do sleep 0.1; done' || cat /tmp/node/said
        tr '\\0' ' ' </proc/$(cat /tmp/node/run/eventd.pid)/cmdline; echo
        kill $!; wait $!; echo "status $?"
        """
    )
    assert "running, HEALTHY\n" in said
    assert "/usr/lib/ctdb-eventd/bin/ctdb-eventd -P " in said
    assert said.endswith("status 0\n")


# In the shell of the node: ctdbd with short waits, no address and no scripts but those of a test.
NODE = """set -e
path=/usr/libexec/ctdb/ctdb-path
socket=$($path socket eventd) pid=$($path pidfile eventd)
mkdir -p $(dirname $socket) $(dirname $pid)
wait_for() { timeout 40 sh -c "until $1 >/dev/null 2>&1; do sleep 0.1; done" || { echo "no: $1"; cat $log; exit 1; }; }
log=/var/log/ctdb/log.ctdb
start() { ctdbd; wait_for "ctdb ping"; }
stop() { ctdb shutdown; wait_for "test ! -e $pid"; }
"""
SET_UP_NODE = """
echo 127.0.0.1 >/etc/ctdb/nodes; rm -f /etc/ctdb/events/legacy/*
printf 'MonitorInterval=2\\nRerecoveryTimeout=2\\n' >/etc/ctdb/ctdb.tunables
printf '[logging]\\n\\tlocation = file:/var/log/ctdb/log.ctdb\\n' >/etc/ctdb/ctdb.conf
"""


def test_a_real_ctdbd_starts_it_and_goes_on_if_it_breaks(machine: Machine) -> None:
    """Installed, broken, and removed again: each time the node becomes healthy with the daemon that it should have."""
    machine.run(SET_UP_NODE + "dpkg -i /ctdb-eventd.deb")
    began = machine.run(
        NODE + "start; test -S $socket; readlink /proc/$(cat $pid)/exe; wait_for 'ctdb nodestatus'; "
        "ctdb event status legacy init; ctdb-event status legacy monitor; ctdb-eventd-install --status; stop"
    )
    assert began.startswith("/usr/bin/python3")
    assert "ctdb-path prints them: socket /" in began
    machine.run("mv /usr/lib/ctdb-eventd /usr/lib/moved-away")
    look = "start; test -S $socket; readlink /proc/$(cat $pid)/exe; wait_for 'ctdb nodestatus'; stop"
    assert machine.run(NODE + look).startswith(f"{HELPER}.ctdb\n")
    log = machine.run("cat /var/log/ctdb/log.ctdb")
    assert "ctdb-eventd: can't start /usr/lib/ctdb-eventd/bin/ctdb-eventd" in log
    assert "starting CTDB's own event daemon instead" in log
    machine.run("mv /usr/lib/moved-away /usr/lib/ctdb-eventd; dpkg -r ctdb-eventd")
    assert machine.run(NODE + look).startswith(f"{HELPER}\n")


NEWER = """set -e
dpkg-deb -R /ctdb-eventd.deb /newer
sed -i 's/^__version__ = .*/__version__ = "9.9.9"/' /newer/usr/lib/ctdb-eventd/python/ctdb_eventd/__init__.py
sed -i 's/^Version: .*/Version: 9.9.9/' /newer/DEBIAN/control
"""


def test_an_upgrade_of_the_package_upgrades_the_daemon_that_runs_and_ctdbd_notices_nothing(machine: Machine) -> None:
    machine.run(SET_UP_NODE + "dpkg -i /ctdb-eventd.deb")
    machine.run(NEWER + "dpkg-deb --build /newer /newer.deb")
    began = machine.run(
        NODE + "start; wait_for 'ctdb nodestatus'; cat $pid; ctdb uptime | sed -n '/start time/s/([^)]*)//p'"
    )
    said = machine.run(NODE + "dpkg -i /newer.deb 2>&1; cat $pid; ctdb uptime | sed -n '/start time/s/([^)]*)//p'")
    assert f"Upgraded to version 9.9.9 from {__version__}: " in said
    assert "systemctl restart ctdb" not in said
    assert said.endswith(began)
    assert "ctdb-eventd 9.9.9" in machine.run("ctdb-event ping --plain")
    pid = began.split("\n")[0]
    assert f"Running:  our daemon, process {pid}, version 9.9.9\n" in machine.run("ctdb-eventd-install --status")
    machine.run(NODE + "ctdb event run 30 legacy monitor; wait_for 'ctdb event status legacy monitor'; stop")


def test_an_upgrade_of_the_package_to_one_that_cant_take_over_leaves_the_daemon_that_runs(machine: Machine) -> None:
    machine.run(SET_UP_NODE + "dpkg -i /ctdb-eventd.deb")
    machine.run(
        NEWER
        + "sed -i 's/^_OLDEST_READ = .*/_OLDEST_READ = 9/' /newer/usr/lib/ctdb-eventd/python/ctdb_eventd/handover.py;"
        "dpkg-deb --build /newer /newer.deb"
    )
    machine.run(NODE + "start; wait_for 'ctdb nodestatus'")
    said = machine.run(NODE + "dpkg -i /newer.deb 2>&1; ctdb-event ping --plain; ctdb-eventd-install --status")
    assert "this version is installed, but the running daemon was not upgraded" in said
    assert "it is in form 1, expected 9 or a later one" in said
    assert f"ctdb-eventd {__version__}\t" in said
    assert f", version {__version__}; version 9.9.9 is installed: `ctdb-event upgrade` upgrades the daemon" in said
    machine.run(NODE + "ctdb event run 30 legacy monitor; stop")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("exit 1", "ended with exit status 1"),
        ("exec sleep 1000", "took more than 1 s"),
        ("echo run/ctdb", "one line with an absolute path was expected"),
        (None, "is missing"),
    ],
)
def test_without_ctdbs_answer_the_node_has_ctdbs_daemon(machine: Machine, said: str | None, reason: str) -> None:
    """And nothing is installed on a node where it doesn't answer."""
    path = "/usr/libexec/ctdb/ctdb-path"
    machine.run(SET_UP_NODE + f"dpkg -i /ctdb-eventd.deb; cp {path} /kept")
    machine.run(f"rm {path}" if said is None else f"printf '#!/bin/sh\\n{said}\\n' >{path}")
    damaged = machine.attempt("ctdb-eventd-install --status")
    assert damaged.returncode == 4
    assert reason in damaged.stdout.decode()
    look = "start; readlink /proc/$(cat $pid)/exe; stop"
    assert machine.run(NODE.replace("path=/usr/libexec/ctdb/ctdb-path", "path=/kept") + look).startswith(
        f"{HELPER}.ctdb\n"
    )
    assert reason in machine.run("cat /var/log/ctdb/log.ctdb")
    machine.run("ctdb-eventd-install --remove")
    refused = machine.attempt("ctdb-eventd-install")
    assert refused.returncode == 1
    assert "nothing was changed: correct" in refused.stdout.decode()


def test_the_places_are_ctdbs_and_are_remembered_by_root_alone(machine: Machine) -> None:
    """The daemon's, the command line's, and what real compiled programs answer; a stranger can't write the memory."""
    machine.run("dpkg -i /ctdb-eventd.deb; rm -f /run/ctdb-eventd.places")
    python = "PYTHONPATH=/usr/lib/ctdb-eventd/python python3 -c"
    show = "from ctdb_eventd.places import find; import os; p = find(os.environ); print(*map(str, %s), sep='\\n')"
    fields = "(p.config_file, p.socket, p.pid_file, p.config_dir, p.state_dir, p.provided_dir, p.problem)"
    questions = ("config", "socket eventd", "pidfile eventd", "etcdir", "vardir", "datadir")
    path = "/usr/libexec/ctdb/ctdb-path"
    answers = machine.run("; ".join(f"{path} {question}" for question in questions)).rstrip("\n")
    expected = f"{answers}/events\nNone\n"
    for _ in range(2):  # asked, then remembered
        assert machine.run(f'{python} "{show % fields}"') == expected
    assert machine.run("stat -c '%U %a' /run/ctdb-eventd.places; stat -c '%U %a' /run") == "root 644\nroot 755\n"
    # an upgrade that has another file in its place
    machine.run(f"cp {path} /new; chmod 755 /new; mv /new {path}; rm -f /trace")
    machine.run(f"mv {path} {path}.real; printf '#!/bin/sh\\n>/trace\\nexec {path}.real \"$@\"\\n' >{path}")
    machine.run(f"chmod 755 {path}")
    for _ in range(2):  # no compiled program: asked each time
        assert machine.run(f'{python} "{show % fields}"; rm /trace') == expected


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("rm /usr/lib/ctdb-eventd/bin/ctdb-eventd", "it is missing"),
        ("mv /usr/bin/python3 /usr/bin/python3-away", "its Python, /usr/bin/python3, is missing"),
        ("rm -r /usr/lib/ctdb-eventd/python/anyio/_backends", "Backend 'asyncio' is not available"),
        ("rm -r /usr/lib/ctdb-eventd/python/ctdb_eventd", "ModuleNotFoundError: No module named 'ctdb_eventd'"),
    ],
)
def test_broken_it_gives_way_to_ctdbs_own(machine: Machine, damage: str, reason: str) -> None:
    machine.run("dpkg -i /ctdb-eventd.deb")
    machine.run(damage)
    said = start(machine, ours=False)
    assert reason in said
    assert f"exe {HELPER}.ctdb\n" in said


def test_an_upgrade_of_ctdb_leaves_ours_in_place(machine: Machine) -> None:
    machine.run("dpkg -i /ctdb-eventd.deb")
    ours = machine.run(f"sha256sum <{HELPER}")
    machine.run(
        f"""set -e; mkdir -p /new/DEBIAN /new{os.path.dirname(HELPER)}; echo newer >/new{HELPER}
        printf '%s\\n' 'Package: ctdb' 'Version: 9:9' 'Architecture: all' 'Maintainer: x' 'Description: x' \\
            >/new/DEBIAN/control
        dpkg-deb --build /new /new.deb; dpkg --no-triggers -i /new.deb"""
    )
    assert machine.run(f"sha256sum <{HELPER}") == ours
    assert machine.run(f"cat {HELPER}.ctdb") == "newer\n"
    machine.run("dpkg -r ctdb-eventd")
    assert machine.run(f"cat {HELPER}; ls {os.path.dirname(HELPER)}") == "newer\nctdb-eventd\n"


def test_a_node_that_cant_take_it_keeps_what_it_has(machine: Machine) -> None:
    machine.run("printf '[eventd]\\nkill grace = soon\\n' >>/etc/ctdb/ctdb.conf")
    before = machine.run(f"sha256sum <{HELPER}")
    said = machine.run("dpkg -i /ctdb-eventd.deb")
    assert "expected seconds" in said
    assert "this node continues with the event daemon that it has" in said
    assert machine.run(f"sha256sum <{HELPER}") == before
    assert machine.run("dpkg-query -W -f '${db:Status-Status}' ctdb-eventd") == "installed"
    machine.run("sed -i '/eventd/,$d' /etc/ctdb/ctdb.conf && ctdb-eventd-install && ctdb-eventd-install --status")
    machine.run("dpkg -r ctdb-eventd")
    assert machine.run(f"sha256sum <{HELPER}") == before


def test_a_state_directory_that_may_not_execute_keeps_it_out(machine: Machine) -> None:
    """Our daemon refuses to start there; a node that had it already falls back."""
    mount = "mount -t tmpfs -o mode=755,noexec none"
    machine.run(f"mkdir -p /var/lib/ctdb && {mount} /var/lib/ctdb")
    said = machine.run("dpkg -i /ctdb-eventd.deb")
    assert "/var/lib/ctdb is on a file system that is mounted noexec" in said
    assert "this node continues with the event daemon that it has" in said
    machine.run("umount /var/lib/ctdb && ctdb-eventd-install")
    machine.run(f"{mount} /tmp")
    assert f"exe {HELPER}.ctdb\n" in start(machine, ours=False)
    machine.run(f"{mount} /var/lib/ctdb")
    status = machine.attempt("ctdb-eventd-install --status")
    assert status.returncode == 4
    assert "noexec, and it runs programs that it writes there. CTDB's own" in status.stdout.decode()


@pytest.mark.parametrize(
    "damage",
    ["rm -r /usr/lib/ctdb-eventd/python/attr*", "rm -r /usr/lib/ctdb-eventd", "mv /usr/bin/python3 /usr/bin/away"],
)
@pytest.mark.parametrize("by_hand", [False, True], ids=["", "diverted-by-hand"])
def test_a_broken_package_can_be_removed(machine: Machine, damage: str, by_hand: bool) -> None:
    listing = f"ls -l --time-style=full-iso {os.path.dirname(HELPER)}; dpkg-divert --list"
    before = machine.run(listing)
    machine.run("dpkg -i /ctdb-eventd.deb")
    if by_hand:
        machine.run("ctdb-eventd-install --remove && ctdb-eventd-install")
    machine.run(damage)
    said = machine.run("dpkg -r ctdb-eventd")
    assert "going back without them" in said
    assert "Traceback" not in said
    assert machine.run(listing) == before


def test_each_step_can_be_done_by_hand(machine: Machine) -> None:
    """The commands that the file in the helper's place gives for the case that the installer has gone."""
    before = machine.run(f"sha256sum <{HELPER}")
    machine.run("dpkg -i /ctdb-eventd.deb")
    by_hand = re.findall(r"^#     (.*)$", machine.run(f"cat {HELPER}"), flags=re.MULTILINE)
    assert len(by_hand) == 4
    machine.run("set -e\n" + "\n".join(by_hand))
    assert machine.run(f"sha256sum <{HELPER}") == before
    assert machine.attempt("ctdb-eventd-install --status").returncode == 3
