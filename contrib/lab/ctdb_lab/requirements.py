"""Checks the requirements of a lab, and names what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess

from ctdb_lab.places import CTDB_PATH
from ctdb_lab.plan import CTDB_EVENTD, CTDB_TOOL, CTDBD, PROVIDED_SCRIPTS

__all__ = ["missing_requirements"]

# The programs that a lab needs, and Debian's packages that have them; 10.interface needs iptables and ethtool.
_NEEDED = {
    CTDBD: "ctdb",
    CTDB_TOOL: "ctdb",
    CTDB_EVENTD: "ctdb",
    CTDB_PATH: "ctdb",
    f"{PROVIDED_SCRIPTS}/00.ctdb.script": "ctdb",
    f"{PROVIDED_SCRIPTS}/10.interface.script": "ctdb",
    "ip": "iproute2",
    "iptables": "iptables",
    "ip6tables": "iptables",
    "ethtool": "ethtool",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "flock": "util-linux",
    "pstree": "psmisc",
}
_SAMBA = {"smbd": "samba", "/etc/init.d/smbd": "samba", "smbclient": "smbclient"}
# For tools that are not in an ordinary user's PATH; the message about root is shown anyway.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The namespaces that a lab creates, and the only other operation of a lab that a container may forbid.
_ATTEMPT = (
    "unshare",
    *("--pid", "--fork", "--kill-child", "--mount", "--net", "--uts"),
    *("sh", "-c", "mount -t proc proc /proc && ip link add lab0 type bridge && ip link add a0 type veth peer name b0"),
)


def missing_requirements(eventd: str = CTDB_EVENTD, *, samba: bool = False) -> str:
    """Returns what this machine lacks and how to correct it; empty if nothing is missing.

    Args:
        eventd: The event daemon that is started.
        samba: Whether the nodes have Samba.
    """
    problems = []
    if os.geteuid() != 0:
        problems.append("root: run it with sudo")
    needed = _NEEDED | (_SAMBA if samba else {})
    absent = {what: package for what, package in needed.items() if shutil.which(what, path=_PATH) is None}
    if absent:
        packages = " ".join(sorted(set(absent.values())))
        problems.append(f"{', '.join(absent)}: apt-get install --no-install-recommends {packages}")
    if not os.access(eventd, os.X_OK):
        problems.append(f"{eventd}: make venv")
    if not problems:
        problems += _namespace_problem()
    return f"the lab needs {'; and '.join(problems)}" if problems else ""


def _namespace_problem() -> list[str]:
    attempt = subprocess.run(_ATTEMPT, capture_output=True, text=True, check=False)
    if attempt.returncode == 0:
        return []
    reason = attempt.stderr.strip()
    return [f"permission to create namespaces, a bridge and veth links (CAP_SYS_ADMIN, CAP_NET_ADMIN): {reason}"]
