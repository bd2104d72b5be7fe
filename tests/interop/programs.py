"""Which programs take part, what they need of the machine, and how to name what is missing."""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
import sys

OUR_BIN = os.path.dirname(sys.executable)
CTDB_HELPERS = "/usr/libexec/ctdb"
CTDBD = "/usr/sbin/ctdbd"
CTDB_TOOL = "/usr/bin/ctdb"
PROVIDED_SCRIPTS = "/usr/share/ctdb/events/legacy"

# What the tests run and Debian's package that brings it; 10.interface needs iptables and ethtool to move an address.
_NEEDED = {
    os.path.join(CTDB_HELPERS, "ctdb-eventd"): "ctdb",
    os.path.join(CTDB_HELPERS, "ctdb-event"): "ctdb",
    CTDBD: "ctdb",
    CTDB_TOOL: "ctdb",
    os.path.join(PROVIDED_SCRIPTS, "00.ctdb.script"): "ctdb",
    os.path.join(PROVIDED_SCRIPTS, "10.interface.script"): "ctdb",
    "ip": "iproute2",
    "iptables": "iptables",
    "ethtool": "ethtool",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}


class Maker(enum.Enum):
    """Whose program takes part."""

    CTDB = CTDB_HELPERS
    OURS = OUR_BIN

    @property
    def daemon(self) -> str:
        """Path of the event daemon; CTDB's own lies beside ours where that was installed in its place."""
        kept = os.path.join(self.value, "ctdb-eventd.ctdb")
        return kept if os.path.exists(kept) else os.path.join(self.value, "ctdb-eventd")

    @property
    def cli(self) -> str:
        """Path of the command line."""
        return os.path.join(self.value, "ctdb-event")


def missing_requirements() -> str:
    """Names what this machine lacks and the command that helps; empty if nothing is missing."""
    problems = []
    if os.geteuid() != 0:
        problems.append("root: run them with sudo")
    absent = {what: package for what, package in _NEEDED.items() if shutil.which(what) is None}
    if absent:
        packages = " ".join(sorted(set(absent.values())))
        problems.append(f"{', '.join(absent)}: apt-get install {packages}")
    elif not problems:
        problems += _namespace_problem()
    return f"interop tests need {'; and '.join(problems)}" if problems else ""


def _namespace_problem() -> list[str]:
    attempt = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True, check=False)
    if attempt.returncode == 0:
        return []
    return [f"leave to create network and mount namespaces (CAP_SYS_ADMIN): {attempt.stderr.strip()}"]
