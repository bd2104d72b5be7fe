"""The kernel's list of file locks."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

from nodes import until

from ctdb_eventd.file_locks import FileLock, parse

LIST = """\
1: POSIX  ADVISORY  READ 8326 fe:00:2147327 128 128
2: FLOCK  ADVISORY  WRITE 8283 00:2a:47 0 EOF
2: -> FLOCK  ADVISORY  WRITE 8324 00:2a:47 0 EOF
2:  -> FLOCK  ADVISORY  READ 8325 00:2a:47 0 EOF
3: OFDLCK ADVISORY  WRITE -1 fe:00:12 0 EOF
4: LEASE  ACTIVE    READ  77 fe:00:13 0 EOF
5: POSIX  *NOINODE* WRITE 9 <none>:0 0 EOF
"""


def test_each_line_is_a_lock_or_a_wait_for_the_lock_of_its_number() -> None:
    tmpfs, disk = (0, 0x2A), (0xFE, 0)
    assert parse(LIST) == (
        FileLock(number=1, waits=False, kind="POSIX", mode="READ", pid=8326, device=disk, inode=2147327),
        FileLock(number=2, waits=False, kind="FLOCK", mode="WRITE", pid=8283, device=tmpfs, inode=47),
        FileLock(number=2, waits=True, kind="FLOCK", mode="WRITE", pid=8324, device=tmpfs, inode=47),
        FileLock(number=2, waits=True, kind="FLOCK", mode="READ", pid=8325, device=tmpfs, inode=47),
        FileLock(number=3, waits=False, kind="OFDLCK", mode="WRITE", pid=-1, device=disk, inode=12),
        FileLock(number=4, waits=False, kind="LEASE", mode="READ", pid=77, device=disk, inode=13),
    )


def test_what_is_no_lock_is_left_out() -> None:
    assert parse("") == ()
    assert parse("strange\n1: FLOCK\n") == ()


async def test_the_kernel_s_own_list_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiter = subprocess.Popen(["flock", path, "true"])
        try:
            status = os.fstat(file.fileno())
            device = os.major(status.st_dev), os.minor(status.st_dev)

            def ours() -> list[FileLock]:
                locks = parse(Path("/proc/locks").read_text())
                return [lock for lock in locks if (lock.device, lock.inode) == (device, status.st_ino)]

            await until(lambda: len(ours()) == 2, "the wait")
            held, wait = ours()
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
            waiter.wait()
    assert (held.waits, held.kind, held.mode, held.pid) == (False, "FLOCK", "WRITE", os.getpid())
    assert (wait.waits, wait.kind, wait.mode, wait.pid) == (True, "FLOCK", "WRITE", waiter.pid)
    assert wait.number == held.number
