"""`ctdb-node rehearse` with real namespaces, on the configuration and the scripts of the CTDB that is installed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from nodes import TIMEOUT, until

from .programs import Maker
from .sites import Rehearsed, Site

pytestmark = pytest.mark.interop

_PLACES = ("/", "/dev", "/etc", "/etc/ctdb", "/mnt", "/proc", "/proc/sys", "/run", "/sys", "/tmp", "/usr", "/var")
"""Where rehearsals mount, and the script that is wild."""
_RACE = """#!/bin/sh
zone=/var/lib/ctdb/zone
case "$1" in
init) : >$zone ;;
takeip) old=$(cat $zone); sleep 0.05; { echo "$old"; echo "$3"; } >$zone ;;
releaseip) old=$(grep -vx "$3" $zone); sleep 0.05; echo "$old" >$zone ;;
esac
"""


def _outside() -> dict[str, str]:
    """What a rehearsal might change of this machine."""

    def said(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    mounts = said("findmnt", "--raw", "--noheadings", "--output", "TARGET,SOURCE,OPTIONS").splitlines()
    return {
        # others of this machine may mount in their own places meanwhile
        "mounts": "\n".join(mount for mount in mounts if "rehearsal" in mount or mount.split()[0] in _PLACES),
        "links": said("ip", "-oneline", "link"),
        "addresses": said("ip", "-brief", "address"),
        "rules": said("ip", "rule"),
        "firewall": "\n".join(line for line in said("iptables-save").splitlines() if not line.startswith("#")),
        "host": socket.gethostname(),
        "files": said("ls", "-lR", *filter(os.path.isdir, ("/var/lib/ctdb", "/etc/ctdb", "/etc/iproute2"))),
    }


def _numbers(word: str) -> list[int]:
    """Processes with a word in their command lines."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and word in _command(entry)]


def _command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _members(namespace: str) -> list[str]:
    """Command lines of the processes in a network namespace."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.readlink(entry / "ns/net") == namespace:
                    found.append(_command(entry))
            except OSError:
                continue
    return found


# the full number is 20
@pytest.mark.parametrize("time", range(int(os.environ.get("REHEARSALS", "1"))))
def test_a_race_is_found_and_the_proposed_lock_mends_it(site: Site, time: int) -> None:
    site.enable("00.ctdb", "10.interface")
    site.script("77.dns", _RACE)
    rehearsed = site.rehearse("--addresses", "8", "--rounds", "2")
    found = rehearsed.findings("differs", problem=True)
    assert {(each["script"], each["text"].split()[0]) for each in found} == {("77.dns", "/var/lib/ctdb/zone")}
    assert all("`# ctdb-eventd-locks: dns`" in each["advice"] for each in found)
    assert all("then it is the same" in each["advice"] for each in found)
    assert rehearsed.status == 1
    # with the proposed line it is ready
    first, _, rest = _RACE.partition("\n")
    site.script("77.dns", f"{first}\n# ctdb-eventd-locks: dns\n{rest}")
    assert site.rehearse("--addresses", "8", "--rounds", "2").findings(problem=True) == []


def test_a_script_that_fails_side_by_side_only(site: Site) -> None:
    site.script(
        "77.once",
        '#!/bin/sh\ncase "$1" in\ntakeip) mkdir /run/once || exit 5; sleep 0.2; rmdir /run/once ;;\nesac\n',
    )
    rehearsed = site.rehearse("--addresses", "4", "--rounds", "2")
    failing = [each for each in rehearsed.findings("differs", problem=True) if "exit status" in each["text"]]
    assert [each["script"] for each in failing] == ["77.once"]
    assert "then it is the same" in failing[0]["advice"]
    assert rehearsed.findings("fails") == []


@pytest.mark.parametrize(
    "event",
    "init setup startrecovery recovered startup monitor startipreallocate takeip releaseip ipreallocated "
    "shutdown".split(),
)
def test_a_script_that_fails_in_an_event(site: Site, event: str) -> None:
    site.script("77.bad", f'#!/bin/sh\n[ "$1" != {event} ] || {{ echo "no luck"; exit 3; }}\n')
    rehearsed = site.rehearse("--addresses", "1", "--rounds", "1")
    (found,) = rehearsed.findings("fails", problem=True)
    assert (found["script"], found["details"]) == ("77.bad", ["no luck"])
    assert f"`{event}" in found["text"]
    assert rehearsed.status == 1


def test_an_address_with_two_interfaces_is_moved_there_and_back(site: Site) -> None:
    (site.base / "public_addresses").write_text("10.77.0.1/24 lo,other0\n")
    site.script("77.bad", '#!/bin/sh\n[ "$1" != updateip ] || { echo "from $2 to $3"; exit 3; }\n')
    (found,) = site.rehearse("--rounds", "1").findings("fails")
    assert found["details"] == ["from lo to other0"]
    assert found["text"] == "77.bad fails in `updateip lo other0 10.77.0.1 24`: exit status 3, 2 times"


def test_nothing_outside_changes(site: Site) -> None:
    site.script(
        "00.wild",
        """#!/bin/sh
case "$1" in init) ;; *) exit 0 ;; esac
for place in /etc /etc/ctdb /var/lib/ctdb /var/tmp /tmp /usr/local/bin /root /run /dev /dev/shm; do
	echo wild >$place/wild
done
rm -rf /etc/ctdb/functions /var/lib/ctdb
hostname wild
ip address add 10.66.0.1/24 dev lo
iptables -A INPUT -s 10.66.0.2 -j DROP
echo 17 >/proc/sys/vm/swappiness
/usr/bin/umount /proc
/bin/mount -t tmpfs none /usr
mount -t tmpfs none /etc
killall python3
reboot
""",
    )
    swappiness = Path("/proc/sys/vm/swappiness").read_text()
    before = _outside()
    site.rehearse("--addresses", "1", "--rounds", "1")
    assert _outside() == before
    assert Path("/proc/sys/vm/swappiness").read_text() == swappiness
    for place in ("/etc", "/var/lib/ctdb", "/var/tmp", "/tmp", "/usr/local/bin", "/root", "/run", "/dev"):
        assert not Path(place, "wild").exists()
    assert not (site.base / "wild").exists()


def _left(rehearsed: Rehearsed) -> list[tuple[str | None, str]]:
    return [(each["script"], each["text"]) for each in rehearsed.findings("leaves", problem=True)]


def test_a_process_left_behind_is_named_and_ended(site: Site) -> None:
    site.script("77.left", '#!/bin/sh\n[ "$1" != takeip ] || setsid sleep 7777 >/dev/null 2>&1 &\n')
    rehearsed = site.rehearse("--addresses", "1", "--rounds", "1")
    assert _left(rehearsed) == [(None, "a script leaves a process running in `takeip`: sleep 7777 (3 of them)")]
    assert _numbers("sleep 7777") == []


def test_a_process_left_behind_is_named_by_its_last_command_and_the_script_known_from_another(site: Site) -> None:
    site.script(
        "77.left",
        """#!/bin/sh
[ "$1" = takeip ] || exit 0
# the first one leaves its script's group before it is seen, the second one after that
if mkdir /run/seen; then setsid sleep 7777 & else (sleep 2; exec setsid sleep 7777) & fi >/dev/null 2>&1
""",
    )
    rehearsed = site.rehearse("--addresses", "1", "--rounds", "1")
    assert _left(rehearsed) == [("77.left", "77.left leaves a process running in `takeip`: sleep 7777 (3 of them)")]


def test_the_same_command_left_behind_by_two_scripts_is_named_with_each(site: Site) -> None:
    for name in ("77.left", "78.left"):
        site.script(name, '#!/bin/sh\n[ "$1" != takeip ] || sleep 7777 >/dev/null 2>&1 &\n')
    rehearsed = site.rehearse("--addresses", "1", "--rounds", "1")
    text = "leaves a process running in `takeip`: sleep 7777 (3 of them)"
    assert sorted(_left(rehearsed), key=str) == [(name, f"{name} {text}") for name in ("77.left", "78.left")]


def test_a_process_that_ends_by_itself_is_named_and_no_problem(site: Site) -> None:
    site.script("77.late", '#!/bin/sh\n[ "$1" != takeip ] || sleep 3 >/dev/null 2>&1 &\n')
    rehearsed = site.rehearse("--addresses", "1", "--rounds", "1")
    assert {each["script"] for each in rehearsed.findings("leaves")} == {"77.late"}
    assert rehearsed.findings("leaves", problem=True) == []
    assert rehearsed.status == 0


def test_a_service_that_startup_leaves_is_told_with_its_script(site: Site) -> None:
    site.script("77.left", '#!/bin/sh\n[ "$1" != startup ] || sleep 7778 >/dev/null 2>&1 &\n')
    rehearsed = site.rehearse("--addresses", "1", "--rounds", "1")
    assert [each["script"] for each in rehearsed.findings("leaves", problem=False)] == ["77.left"]
    assert rehearsed.status == 0


def test_a_lock_that_a_script_takes_by_itself_is_told(site: Site) -> None:
    lock = "/run/ctdb/lock"
    site.script("77.own", f'#!/bin/sh\n[ "$1" != takeip ] || flock {lock} sleep 0.4\n')
    rehearsed = site.rehearse("--addresses", "5", "--rounds", "1")
    assert [(each["script"], lock in each["text"]) for each in rehearsed.findings("waits")] == [("77.own", True)]


def test_a_script_that_only_this_daemon_runs(site: Site) -> None:
    site.script("77.own", "#!/bin/sh\n")
    (site.scripts / "77.own.script").rename(site.scripts / "77.own")
    (found,) = site.rehearse("--addresses", "1", "--rounds", "1").findings("elsewhere")
    assert found["script"] == "77.own"


def test_commands_are_stubs_unless_they_are_allowed(site: Site) -> None:
    site.script("77.mount", '#!/bin/sh\n[ "$1" != startup ] || { mount -t tmpfs none /mnt && findmnt /mnt; }\n')
    (found,) = site.rehearse("--rounds", "1").findings("fails")
    assert found["script"] == "77.mount"
    allowed = site.rehearse("--rounds", "1", "--real", "mount")
    assert allowed.findings(problem=True) == []
    assert "mount -t tmpfs none /mnt" not in allowed.document["calls"]


def test_against_the_daemon_of_ctdb(site: Site) -> None:
    site.enable("00.ctdb", "10.interface")
    (against,) = site.rehearse("--addresses", "6", "--rounds", "1", "--against", Maker.CTDB.daemon).document["against"]
    assert (against["daemon"], against["ready"]) == (Maker.CTDB.daemon, True)
    assert against["time"]["addresses"] == 6


def test_the_text_says_what_it_cannot_see(site: Site) -> None:
    done = site.run("--rounds", "1")
    assert done.stdout.startswith("READY\nRehearsed: 0 enabled scripts, 2 addresses on lo, 1 rounds")
    assert "What a rehearsal can't see:\n  - other nodes" in done.stdout
    assert done.stderr == ""


def test_an_interface_that_is_not_there(site: Site) -> None:
    (site.base / "public_addresses").write_text("10.77.0.1/24 nosuch0\n")
    (found,) = site.rehearse("--rounds", "1").findings(problem=True)
    assert (found["kind"], "nosuch0" in found["text"]) == ("interface", True)


def test_what_cannot_be_tried_has_a_status_of_its_own(site: Site) -> None:
    (site.base / "public_addresses").write_text("10.77.0.1 eth0\n")
    done = site.run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ctdb-node: {site.base}/public_addresses:1: '10.77.0.1' has no mask")


def test_a_configuration_with_which_the_daemon_does_not_start(site: Site) -> None:
    with (site.base / "ctdb.conf").open("a") as file:
        file.write("[eventd]\nkill grase = 3\n")
    done = site.run()
    assert done.returncode == 2
    assert "kill grase" in done.stderr


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_nothing_is_left_however_it_ends(site: Site, end: signal.Signals) -> None:
    site.script("77.slow", '#!/bin/sh\n[ "$1" != startup ] || exec sleep 7779\n')
    before = _outside()
    process = subprocess.Popen(site.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        await until(lambda: _numbers("sleep 7779"), "the script")
        namespace = os.readlink(f"/proc/{_numbers('sleep 7779')[0]}/ns/net")
        assert len(_members(namespace)) > 2
        process.send_signal(end)
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    if end is not signal.SIGKILL:
        assert process.returncode == 130
        assert errors == "ctdb-node: interrupted; nothing is left of the rehearsal\n"
        assert _members(namespace) == []
    await until(lambda: not _members(namespace), "the end of the sandbox")
    assert _outside() == before


def test_a_script_that_removes_files_of_the_system(site: Site) -> None:
    site.script("77.wild", '#!/bin/sh\n[ "$1" != takeip ] || rm -f "$nowhere"/*\n')
    if not os.path.islink("/bin"):
        pytest.skip("/bin is no link here, so `rm -f` does no harm")
    done = site.run("--rounds", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ctdb-node: scripts have removed /bin, ")
    assert "On the node they would do the same" in done.stderr
    assert os.path.islink("/bin")
    site.script("77.wild", '#!/bin/sh\n[ "$1" != takeip ] || rm -f /usr/bin/yes\n')
    (found,) = site.rehearse("--rounds", "1").findings("removes")
    assert found["text"] == "a script removes /usr/bin/yes"


def test_a_script_that_kills_all_ends_it_and_it_says_so(site: Site) -> None:
    site.script("77.wild", '#!/bin/sh\n[ "$1" != startup ] || kill -KILL -1\n')
    done = site.run("--rounds", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ctdb-node: the rehearsal ended unexpectedly: ")
