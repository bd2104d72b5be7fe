"""Skips tests where /proc/locks doesn't list the locks that flock(1) takes for a shell."""

from __future__ import annotations

import os
import subprocess
import tempfile

import pytest

__all__ = ["needs_lock_list"]


def _is_listed() -> bool:
    with tempfile.TemporaryFile() as file:
        subprocess.run(["flock", str(file.fileno())], pass_fds=[file.fileno()], check=True)
        inode = os.fstat(file.fileno()).st_ino
        with open("/proc/locks", encoding="ascii") as locks:
            return any(f":{inode} " in line for line in locks)


needs_lock_list = pytest.mark.skipif(
    not _is_listed(),
    reason="in a PID namespace the kernel lists neither locks whose first owner has exited (flock 9) nor their waiters",
)
