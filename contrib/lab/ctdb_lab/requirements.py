"""What a lab needs of the machine, and how to name what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from ctdb_lab.plan import CTDB_EVENTD, CTDB_HELPER, CTDB_TOOL, CTDBD, PROVIDED_SCRIPTS

__all__ = ["HEEDING_VERSION", "missing_requirements", "version_problem"]

HEEDING_VERSION = "4.17"
"""Of ctdbd: it starts the event daemon that CTDB_EVENTD names. Later ones start their helper, whatever that says."""

# What runs in a lab and Debian's package that brings it; 10.interface needs iptables and ethtool.
_NEEDED = {
    CTDBD: "ctdb",
    CTDB_TOOL: "ctdb",
    CTDB_EVENTD: "ctdb",
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
# For tools that a plain user's PATH has not; the message about root comes with it anyway.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The same that a lab asks for, and the one thing in it that a container may forbid apart from the namespaces.
_ATTEMPT = (
    "unshare",
    *("--pid", "--fork", "--kill-child", "--mount", "--net", "--uts"),
    *("sh", "-c", "mount -t proc proc /proc && ip link add lab0 type bridge && ip link add a0 type veth peer name b0"),
)


def missing_requirements(eventd: str = CTDB_EVENTD) -> str:
    """Names what this machine lacks and what helps; empty if nothing is missing.

    Args:
        eventd: The event daemon that is to run.
    """
    problems = []
    if os.geteuid() != 0:
        problems.append("root: run it with sudo")
    absent = {what: package for what, package in _NEEDED.items() if shutil.which(what, path=_PATH) is None}
    if absent:
        packages = " ".join(sorted(set(absent.values())))
        problems.append(f"{', '.join(absent)}: apt-get install --no-install-recommends {packages}")
    if not os.access(eventd, os.X_OK):
        problems.append(f"{eventd}: make venv")
    if not problems:
        problems += [*version_problem(eventd, _ctdb_version()), *_namespace_problem()]
    return f"the lab needs {'; and '.join(problems)}" if problems else ""


def version_problem(eventd: str, version: str) -> list[str]:
    """Says why this ctdbd would not start that event daemon; empty if it will.

    Args:
        eventd: The event daemon that is to run.
        version: What CTDB's tool says of itself.
    """
    found = re.search(r"[0-9]+\.[0-9]+", version)
    if eventd == CTDB_HELPER or (found and found[0] == HEEDING_VERSION):
        return []
    return [
        f"CTDB {HEEDING_VERSION} (Debian 12) to run {eventd}: this is {version or 'unknown'}, "
        f"and may start nothing but {CTDB_HELPER}, which EVENTD={CTDB_HELPER} asks for"
    ]


def _ctdb_version() -> str:
    return subprocess.run([CTDB_TOOL, "version"], capture_output=True, text=True, check=False).stdout.strip()


def _namespace_problem() -> list[str]:
    attempt = subprocess.run(_ATTEMPT, capture_output=True, text=True, check=False)
    if attempt.returncode == 0:
        return []
    reason = attempt.stderr.strip()
    return [f"leave to create namespaces, a bridge and veth links (CAP_SYS_ADMIN, CAP_NET_ADMIN): {reason}"]
