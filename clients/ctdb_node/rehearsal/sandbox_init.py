"""The first process of a sandbox, process 1 of its PID namespace.

It assembles the file system, creates the interfaces and installs the stubs, in namespaces of its own. Then it executes
a shell, which runs the pass and reaps orphaned processes. It reads the request from standard input. The machine isn't
changed: all mounts are in a private namespace, and everything that is written stays in memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator

from ctdb_node.errors import NodeError
from ctdb_node.rehearsal.inside import CALLS, CHANGES, PLACE, REQUEST, ROOTS, STATE, STUBS, command_of
from ctdb_node.rehearsal.mounts import Mount, mounts
from ctdb_node.rehearsal.observed import Request, from_json, to_json
from ctdb_node.rehearsal.stubs import ctdb_stub, stubs

__all__ = ["main"]

_WORK = "/sys"
"""Mount point of the file system in memory where the new root is assembled. /sys exists everywhere, and isn't needed
until then.
"""
_ROOT = f"{_WORK}/root"
_COPIED = ("/etc/ctdb", "/etc/iproute2", "/var/lib/ctdb", "/var/lib/nfs", "/var/log/ctdb", "/var/tmp")
"""Directories that get a copy in memory, where scripts may write, if the root can have no overlay."""
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_SHARED_PROC = ("acpi", "bus", "fs", "irq", "mtrr", "sysrq-trigger")
"""Entries of /proc that belong to the whole machine, besides `sys`."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CTDB_TOOL = "/usr/bin/ctdb"
_DROPPED_CAPABILITIES = "-sys_time,-sys_boot,-sys_module,-sys_rawio,-mknod,-wake_alarm,-syslog"
"""Capabilities that affect the whole machine in every namespace."""


def main(arguments: list[str]) -> None:
    """Makes the sandbox and becomes its first process."""
    channel = arguments[0]
    try:
        request = from_json(Request, json.load(sys.stdin))
        _make_root(request)
        _make_network(request)
        _enter()
        _install_stubs(request)
        _become_init(channel)
    except (OSError, NodeError) as error:
        os.write(int(channel), json.dumps({"problem": str(error)}).encode() + b"\n")
        raise SystemExit(2) from None


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise NodeError(f"`{' '.join(words)}`: {done.stderr.strip() or f'exit status {done.returncode}'}")


def _mount(kind: str, place: str, *options: str) -> None:
    os.makedirs(place, exist_ok=True)
    _run("mount", "-t", kind, *options, "rehearsal", place)


def _bind(what: str, place: str, read_only: bool = False) -> None:
    _run("mount", "--bind", what, place)
    if read_only:
        _run("mount", "-o", "remount,bind,ro", place)


# --- files


def _make_root(request: Request) -> None:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        wanted = mounts(file.read())
    directories = list(_directories("/run"))
    _mount("tmpfs", _WORK, "-o", "mode=0755")
    os.mkdir(_ROOT)
    layers, read_only = [], []
    for number, mount in enumerate(wanted):
        layer = _mount_layer(mount, number)
        if layer is not None:
            layers.append((f"{CHANGES}/{number}/upper", mount.path))
        elif os.path.isdir(mount.path):
            read_only.append(mount.path)
    if "/" in read_only:
        layers += [(path, path) for path in _copies()]
    _make_places(directories)
    place = _ROOT + PLACE
    for name in ("changes", "etc", "bin", "state", "outside"):
        os.makedirs(f"{place}/{name}")
    _copy_configuration(request, place)
    os.makedirs(f"{_WORK}/changes", exist_ok=True)
    _bind(f"{_WORK}/changes", _ROOT + CHANGES)
    layers.append(("/run", "/run"))
    _write(_ROOT + ROOTS, json.dumps([layers, read_only]))
    _write(_ROOT + REQUEST, json.dumps(to_json(request)))


def _mount_layer(mount: Mount, number: int) -> str | None:
    """Mounts a file system below the new root; returns the overlay's upper directory, None if it is read-only."""
    target = _ROOT + mount.path.rstrip("/")
    if not os.path.exists(mount.path) or not os.path.exists(target):
        return None
    if mount.overlaid and os.path.isdir(mount.path) and not set(mount.path) & set(":,\\"):
        layer = f"{_WORK}/changes/{number}"
        os.makedirs(f"{layer}/upper")
        os.mkdir(f"{layer}/work")
        found = os.stat(mount.path)
        os.chown(f"{layer}/upper", found.st_uid, found.st_gid)
        os.chmod(f"{layer}/upper", stat.S_IMODE(found.st_mode))
        options = f"lowerdir={mount.path},upperdir={layer}/upper,workdir={layer}/work"
        with contextlib.suppress(NodeError):
            _run("mount", "-t", "overlay", "-o", options, "rehearsal", target or "/")
            return f"{layer}/upper"
    _bind(mount.path, target, read_only=True)
    return None


def _copies() -> Iterator[str]:
    for path in _COPIED:
        if os.path.isdir(_ROOT + path):
            copy = f"{_WORK}/changes/copy{path.replace('/', '-')}"
            shutil.copytree(_ROOT + path, copy, symlinks=True)
            _bind(copy, _ROOT + path)
            yield path


def _directories(top: str) -> Iterator[tuple[str, int, int, int]]:
    """Yields path, mode, user and group of each directory in `top`."""
    for name in sorted(os.listdir(top)):
        path = os.path.join(top, name)
        if os.path.isdir(path) and not os.path.islink(path):
            found = os.stat(path)
            yield path, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def _make_places(directories: list[tuple[str, int, int, int]]) -> None:
    _mount("tmpfs", f"{_ROOT}/run", "-o", "mode=0755")
    for path, mode, user, group in directories:
        os.mkdir(_ROOT + path)
        os.chown(_ROOT + path, user, group)
        os.chmod(_ROOT + path, mode)
    for name in ("ctdb", "samba/ctdb", "lock"):  # from CTDB 4.25 on the second
        os.makedirs(f"{_ROOT}/run/{name}", exist_ok=True)
    for name in ("volatile", "persistent", "state", "scripts"):  # as ctdbd makes them
        with contextlib.suppress(OSError):
            os.makedirs(f"{_ROOT}/var/lib/ctdb/{name}", exist_ok=True)
    _mount("sysfs", f"{_ROOT}/sys", "-o", "ro")
    _mount("proc", f"{_ROOT}/proc")
    _bind(f"{_ROOT}/proc/sys", f"{_ROOT}/proc/sys", read_only=True)
    _bind(f"{_ROOT}/proc/sys/net", f"{_ROOT}/proc/sys/net")
    _run("mount", "-o", "remount,bind,rw", f"{_ROOT}/proc/sys/net")
    for name in _SHARED_PROC:
        if os.path.exists(f"{_ROOT}/proc/{name}"):
            _bind(f"{_ROOT}/proc/{name}", f"{_ROOT}/proc/{name}", read_only=True)
    _mount("tmpfs", f"{_ROOT}/dev", "-o", "mode=0755")
    for name in _DEVICES:
        _write(f"{_ROOT}/dev/{name}", "")
        _bind(f"/dev/{name}", f"{_ROOT}/dev/{name}")
    _mount("devpts", f"{_ROOT}/dev/pts", "-o", "newinstance,ptmxmode=0666")
    _mount("tmpfs", f"{_ROOT}/dev/shm", "-o", "mode=1777")
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
    for name, target in links.items():
        os.symlink(target, f"{_ROOT}/dev/{name}")


def _copy_configuration(request: Request, place: str) -> None:
    # copied from the old root, which is still mounted: the new one has no files in /run and /dev
    copy = f"{place}/etc"
    shutil.copytree(request.config_dir, copy, symlinks=True, dirs_exist_ok=True)
    if os.path.realpath(request.config_dir) != "/etc/ctdb":
        for directory, _, files in os.walk(copy):
            for path in (directory, *(os.path.join(directory, name) for name in files)):
                os.chown(path, 0, 0, follow_symlinks=False)
                if not os.path.islink(path):
                    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) & ~0o022)
    scripts = f"{copy}/events/legacy"
    os.makedirs(scripts, exist_ok=True)
    for path in request.scripts:
        target = os.path.join(scripts, os.path.basename(path))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)
        shutil.copyfile(path, target)
        os.chmod(target, 0o755)
    if request.addresses:
        lines = [f"{each.address}/{each.bits} {','.join(each.interfaces)}\n" for each in request.addresses]
        _write(f"{copy}/public_addresses", "".join(lines))
    if request.locks:
        with open(f"{copy}/ctdb.conf", "a", encoding="utf-8") as file:
            file.write("\n[locks]\n" + "".join(f"{lock} = {script}\n" for script, lock in request.locks.items()))
    os.makedirs(f"{_ROOT}/etc/ctdb", exist_ok=True)
    _bind(copy, f"{_ROOT}/etc/ctdb")


def _enter() -> None:
    os.chdir(_ROOT)
    # the program of that name is in a package that not every machine has, the function is in every C library
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.pivot_root(b".", f".{PLACE}/outside".encode()):
        raise NodeError(f"can't make {_ROOT} the root: {os.strerror(ctypes.get_errno())}")
    os.chdir("/")
    _run("umount", "-l", f"{PLACE}/outside")


# --- network and commands


def _make_network(request: Request) -> None:
    _run("ip", "link", "set", "lo", "up")
    for number, name in enumerate(each for each in request.interfaces if each != "lo"):
        # fixed hardware addresses: IPv6 addresses are derived from them, and must be the same in every pass
        there = f"rehearsal{number}"
        ends = [f"02:00:00:{end:02x}:{number >> 8:02x}:{number & 255:02x}" for end in (0, 1)]
        link = ("ip", "link", "add", name, "address", ends[0], "type", "veth", "peer", "name", there)
        _run(*link, "address", ends[1])
        _run("ip", "link", "set", name, "up")
        _run("ip", "link", "set", there, "up")


def _install_stubs(request: Request) -> None:
    texts = stubs(CALLS, request.real)
    if "ctdb" not in request.real:
        texts["ctdb"] = ctdb_stub(STATE)
    for name, text in texts.items():
        _write(f"{STUBS}/{name}", text)
        os.chmod(f"{STUBS}/{name}", 0o755)
    _write(f"{STATE}/public", "".join(f"{each.address} {','.join(each.interfaces)}\n" for each in request.addresses))
    for name in ("hosted", "unanswered"):
        _write(f"{STATE}/{name}", "")
    _write(CALLS, "")
    # stubs come first in PATH, and are mounted over the commands too, as scripts may call these by their full paths;
    # the stub of `mount` is the last, since the real one is needed for this
    known = {os.path.join(path, name): name for path in _PATH.split(":") for name in texts if name != "mount"}
    covered = {os.path.realpath(path): name for path, name in known.items() if os.path.exists(path)}
    for path, name in covered.items():
        # a file that has several names (systemctl, reboot) gets one stub, which looks at how it is called
        _bind(f"{STUBS}/{name}", path)
    mount = shutil.which("mount", path=_PATH)
    if mount is not None and "mount" in texts:
        _bind(f"{STUBS}/mount", os.path.realpath(mount))


def _become_init(channel: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CTDB_")}
    environment["CTDB_BASE"] = "/etc/ctdb"  # as ctdbd has it, for scripts
    environment["PATH"] = f"{STUBS}:{_PATH}"
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    course = command_of("ctdb_node.rehearsal.observer", channel)
    limited = ["setpriv", f"--bounding-set={_DROPPED_CAPABILITIES}", "--inh-caps=-all", *course]
    # not exec'd: this shell is process 1, and reaps orphaned processes while it waits
    os.execvpe("sh", ["sh", "-c", '"$@"; exit $?', "sh", *limited], environment)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
