"""The files of a lab, which each node has as /etc/ctdb, /var/lib/ctdb, /run and /var/log/ctdb."""

from __future__ import annotations

import shutil
from pathlib import Path

from ctdb_lab import samba
from ctdb_lab.errors import LabError
from ctdb_lab.places import ask_ctdb, run_here
from ctdb_lab.plan import PROVIDED_SCRIPTS, Plan

__all__ = ["MARK", "create", "remove"]

MARK = ".ctdb-lab"
"""A file in every directory that was created for a lab: other directories are never removed."""

# Directories over which hold-node.sh mounts others.
_HIDDEN = ("/run", "/proc", "/etc/ctdb", "/var/lib/ctdb", "/var/log/ctdb")
_EMPTY = ("run/lock", "var/persistent", "var/volatile", "var/state", "log")
_CONFIGURATION = """[logging]
	location = file:/var/log/ctdb/log.ctdb
	log level = NOTICE
[cluster]
	cluster lock = {lock}
[event]
	debug script = debug-hung-script.sh
"""


def create(directory: Path, plan: Plan) -> None:
    """Writes all files of a lab into a new directory.

    Raises:
        LabError: The directory exists already, or can't be created.
    """
    hidden = next((place for place in _HIDDEN if directory.is_relative_to(place)), None)
    if hidden:
        raise LabError(f"a lab can't be in {directory}: its nodes have a {hidden} of their own; choose another LAB")
    absent = next((name for name in plan.provided if not Path(PROVIDED_SCRIPTS, f"{name}.script").exists()), None)
    if absent:
        raise LabError(f"CTDB has no script {absent} in {PROVIDED_SCRIPTS}")
    if not directory.parent.is_dir():
        raise LabError(f"{directory.parent} is not a directory: choose a LAB that is below one")
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        raise LabError(f"{directory} is there already: a lab that runs (make lab-status), or its remains") from None
    (directory / MARK).touch()
    plan.save(directory / "plan.json")
    if plan.samba:
        samba.create(directory)
    # each node has its own empty /run; on a real node systemd creates CTDB's directories there
    files = [ask_ctdb(run_here, kind, daemon) for kind in ("socket", "pidfile") for daemon in ("ctdbd", "eventd")]
    socket = files[0]
    places = sorted({str(file.parent.relative_to("/")) for file in files})
    for number in range(plan.nodes):
        node = _create_node(directory, plan, number, places)
        if plan.samba:
            samba.create_node(directory, node, socket)


def remove(directory: Path) -> None:
    """Removes a lab's directory; does nothing if it doesn't exist.

    Raises:
        LabError: It was not created for a lab.
    """
    if not directory.exists():
        return
    if not directory.is_dir():
        raise LabError(f"{directory} is not a directory, so not that of a lab; it is not removed")
    if not (directory / MARK).exists() and any(directory.iterdir()):
        raise LabError(f"{directory} is not the directory of a lab; it is not removed")
    shutil.rmtree(directory)


def _create_node(directory: Path, plan: Plan, number: int, places: list[str]) -> Path:
    node = directory / f"node{number}"
    node.mkdir()
    for name in (*_EMPTY, *places):
        (node / name).mkdir(parents=True)
    (node / "address").write_text(f"{plan.node_addresses[number]}/24\n")
    (node / "eventd").write_text(plan.eventd)
    _create_configuration(node, directory, plan)
    return node


def _create_configuration(node: Path, directory: Path, plan: Plan) -> None:
    etc = node / "etc"
    shutil.copytree("/etc/ctdb", etc, symlinks=True)
    # on the shared file system of a real cluster
    configuration = _CONFIGURATION.format(lock=directory / "cluster-lock") + plan.configuration
    (etc / "ctdb.conf").write_text(configuration.replace("@NODE@", str(node)))
    (etc / "ctdb.tunables").write_text("".join(f"{name}={value}\n" for name, value in plan.all_tunables.items()))
    (etc / "nodes").write_text("".join(f"{address}\n" for address in plan.node_addresses))
    (etc / "public_addresses").write_text("".join(f"{address.line}\n" for address in plan.public_addresses))
    scripts = etc / "events" / "legacy"
    shutil.rmtree(scripts, ignore_errors=True)
    scripts.mkdir(parents=True)
    for name in plan.enabled:
        (scripts / f"{name}.script").symlink_to(f"{PROVIDED_SCRIPTS}/{name}.script")
    for name, text in plan.scripts.items():
        script = scripts / f"{name}.script"
        script.write_text(text.replace("@NODE@", str(node)))
        script.chmod(0o755)
