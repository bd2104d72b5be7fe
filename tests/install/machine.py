"""A copy of this machine to install and remove things on: what is written goes to memory and is gone at the end.

Its mounts, network and processes are in namespaces of their own, which end with the process that holds them, so that
nothing is left behind however a test ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

SETUP_SECONDS = 60
_NEEDED = {
    "/usr/sbin/ctdbd": "ctdb",
    "/usr/libexec/ctdb/ctdb-eventd": "ctdb",
    "/usr/bin/python3": "python3",
    "dpkg-deb": "dpkg",
    "unshare": "util-linux",
    "ip": "iproute2",
}

_UNSHARE = ("unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child")
# An overlay of the root directory; what else is mounted is made anew. Ends when its standard input does.
_SETUP = """set -e
mount -t tmpfs none {base}
mkdir {base}/upper {base}/work {base}/root
mount -t overlay overlay -o lowerdir=/,upperdir={base}/upper,workdir={base}/work {base}/root
mount -t proc proc {base}/root/proc
mount --rbind /dev {base}/root/dev
mount -t tmpfs none {base}/root/run
ip link set lo up
echo ready
cat
"""


def missing_requirements() -> str:
    """Names what this machine lacks; empty if nothing is missing."""
    if os.geteuid() != 0:
        return "the package is installed by root: run this with sudo"
    absent = {what: package for what, package in _NEEDED.items() if shutil.which(what) is None}
    if absent:
        return f"{', '.join(absent)} missing: apt-get install {' '.join(sorted(set(absent.values())))}"
    if any(os.stat(directory).st_dev != os.stat("/").st_dev for directory in ("/usr", "/var", "/etc")):
        return "an overlay needs /usr, /var and /etc on the root file system"
    return ""


class Machine:
    """The copy. Use as a context manager."""

    def __init__(self, base: Path) -> None:
        """`base` is an empty directory to mount it on."""
        self._base = base
        self._holder: subprocess.Popen[str] | None = None
        self._inside = 0

    def __enter__(self) -> Machine:
        self._holder = subprocess.Popen(
            [*_UNSHARE, "sh", "-c", _SETUP.format(base=self._base)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n", "the copy of the machine could not be set up"
        (child,) = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._inside = int(child)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._holder is not None
        self._holder.kill()
        self._holder.communicate()

    def run(self, script: str, *, stdin: bytes = b"", environ: dict[str, str] | None = None) -> str:
        """Runs a shell script on it; returns its output, or fails with it."""
        run = self.attempt(script, stdin=stdin, environ=environ)
        assert run.returncode == 0, f"{script}\nexit status {run.returncode}\n{run.stdout.decode(errors='replace')}"
        return run.stdout.decode(errors="replace")

    def attempt(
        self, script: str, *, stdin: bytes = b"", environ: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a shell script on it, whatever becomes of it; stderr is in the output."""
        command = ["nsenter", f"--target={self._inside}", "--mount", "--net", "--pid"]
        command += ["chroot", str(self._base / "root"), "sh", "-c", script]
        clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run(
            command,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean | (environ or {}),
            timeout=SETUP_SECONDS,
            check=False,
        )
