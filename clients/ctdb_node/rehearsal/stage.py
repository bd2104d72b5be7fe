"""The first process of a sandbox.

In namespaces of its own it puts the file system together, makes the interfaces, puts stubs in place, and becomes a
shell that waits for the rehearsal itself and buries whoever lost their parents. The request comes on standard input.
Nothing here touches the machine: all mounts are in a private namespace, and what they keep is in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator

from ctdb_node.problems import NodeError
from ctdb_node.rehearsal.inner import command_of
from ctdb_node.rehearsal.mounts import Mount, mounts
from ctdb_node.rehearsal.observed import Request, from_json, to_json
from ctdb_node.rehearsal.place import CALLS, CHANGES, PLACE, REQUEST, ROOTS, STATE, STUBS
from ctdb_node.rehearsal.stubs import ctdb_stub, stubs

__all__ = ["main"]

_STAGE = "/sys"
"""Every machine has it, and it isn't needed while the file system is put together in memory there."""
_ROOT = f"{_STAGE}/root"
_COPIED = ("/etc/ctdb", "/etc/iproute2", "/var/lib/ctdb", "/var/lib/nfs", "/var/log/ctdb", "/var/tmp")
"""Where scripts may write if there can be no overlay: copies in memory."""
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_OF_ALL = ("acpi", "bus", "fs", "irq", "mtrr", "sysrq-trigger")
"""What in /proc is the whole machine's, besides `sys`."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CTDB_TOOL = "/usr/bin/ctdb"
_NO_MORE = "-sys_time,-sys_boot,-sys_module,-sys_rawio,-mknod,-wake_alarm,-syslog"
"""What root can do to the machine whatever namespace it is in."""


def main(arguments: list[str]) -> None:
    """Makes the sandbox and becomes its first process."""
    channel = arguments[0]
    try:
        request = from_json(Request, json.load(sys.stdin))
        _make_root(request)
        _make_network(request)
        _enter()
        _put_stubs_in_place(request)
        _become_first(channel)
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
    _mount("tmpfs", _STAGE, "-o", "mode=0755")
    os.mkdir(_ROOT)
    layers, read_only = [], []
    for number, mount in enumerate(wanted):
        layer = _lay(mount, number)
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
    os.makedirs(f"{_STAGE}/changes", exist_ok=True)
    _bind(f"{_STAGE}/changes", _ROOT + CHANGES)
    layers.append(("/run", "/run"))
    _write(_ROOT + ROOTS, json.dumps([layers, read_only]))
    _write(_ROOT + REQUEST, json.dumps(to_json(request)))


def _lay(mount: Mount, number: int) -> str | None:
    """Puts a file system in its place; returns the directory that gets what is written, None if nothing can be."""
    target = _ROOT + mount.path.rstrip("/")
    if not os.path.exists(mount.path) or not os.path.exists(target):
        return None
    if mount.overlaid and os.path.isdir(mount.path) and not set(mount.path) & set(":,\\"):
        layer = f"{_STAGE}/changes/{number}"
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
            copy = f"{_STAGE}/changes/copy{path.replace('/', '-')}"
            shutil.copytree(_ROOT + path, copy, symlinks=True)
            _bind(copy, _ROOT + path)
            yield path


def _directories(top: str) -> Iterator[tuple[str, int, int, int]]:
    """Yields the directories there and one below, without what is in them."""
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
    for name in ("ctdb", "lock"):
        os.makedirs(f"{_ROOT}/run/{name}", exist_ok=True)
    for name in ("volatile", "persistent", "state", "scripts"):  # as ctdbd makes them
        with contextlib.suppress(OSError):
            os.makedirs(f"{_ROOT}/var/lib/ctdb/{name}", exist_ok=True)
    _mount("sysfs", f"{_ROOT}/sys", "-o", "ro")
    _mount("proc", f"{_ROOT}/proc")
    _bind(f"{_ROOT}/proc/sys", f"{_ROOT}/proc/sys", read_only=True)
    _bind(f"{_ROOT}/proc/sys/net", f"{_ROOT}/proc/sys/net")
    _run("mount", "-o", "remount,bind,rw", f"{_ROOT}/proc/sys/net")
    for name in _OF_ALL:
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
    # what is in /run or /dev is not in the new root, so it comes from the old one, which is still there
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
    _run("pivot_root", ".", f".{PLACE}/outside")
    os.chdir("/")
    _run("umount", "-l", f"{PLACE}/outside")


# --- network and commands


def _make_network(request: Request) -> None:
    _run("ip", "link", "set", "lo", "up")
    for number, name in enumerate(each for each in request.interfaces if each != "lo"):
        # addresses that are the same in every pass: those of IPv6 are made of them
        there = f"rehearsal{number}"
        ends = [f"02:00:00:{end:02x}:{number >> 8:02x}:{number & 255:02x}" for end in (0, 1)]
        link = ("ip", "link", "add", name, "address", ends[0], "type", "veth", "peer", "name", there)
        _run(*link, "address", ends[1])
        _run("ip", "link", "set", name, "up")
        _run("ip", "link", "set", there, "up")


def _put_stubs_in_place(request: Request) -> None:
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
    # they come first in PATH, and stand in the place of those that scripts call by their full names; the former
    # `mount` is needed for that, so it is the last
    known = {os.path.join(path, name): name for path in _PATH.split(":") for name in texts if name != "mount"}
    covered = {os.path.realpath(path): name for path, name in known.items() if os.path.exists(path)}
    for path, name in covered.items():
        # a file that has several names (systemctl, reboot) gets one stub, which looks at how it is called
        _bind(f"{STUBS}/{name}", path)
    mount = shutil.which("mount", path=_PATH)
    if mount is not None and "mount" in texts:
        _bind(f"{STUBS}/mount", os.path.realpath(mount))


def _become_first(channel: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CTDB_")}
    environment["CTDB_BASE"] = "/etc/ctdb"  # as ctdbd has it, for scripts
    environment["PATH"] = f"{STUBS}:{_PATH}"
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    course = command_of("ctdb_node.rehearsal.course", channel)
    limited = ["setpriv", f"--bounding-set={_NO_MORE}", "--inh-caps=-all", *course]
    # not exec'd: as process 1, this shell buries whoever lost their parents while it waits
    os.execvpe("sh", ["sh", "-c", '"$@"; exit $?', "sh", *limited], environment)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
