"""Samba in a lab: each node's own configuration and state, one common share, and whether smbd runs."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CLIENT_FILE", "SHARE", "create", "create_node"]

SHARE = "lab"
"""The share's name."""
CLIENT_FILE = "client/smb.conf"
"""Path of smbclient's configuration, below the lab's directory."""
_FILES = "share"
"""Path of the share's files, below the lab's directory; all nodes share them like a cluster file system."""
_OWN = ("etc", "var/lib/private", "var/cache", "var/log")
"""Each node's own directories, which hold-node.sh mounts; /run/samba is in the node's /run anyway."""

_SERVER = """[global]
	netbios name = LAB
	server role = standalone server
	clustering = yes
	ctdbd socket = {socket}
	smb ports = 445
	disable netbios = yes
	disable spoolss = yes
	load printers = no
	logging = file
	log file = /var/log/samba/log.smbd
	map to guest = Bad User
[{share}]
	path = {files}
	guest ok = yes
	read only = no
	# the lab's directory is root's alone
	force user = root
"""
_CLIENT = """[global]
	client min protocol = SMB2
	name resolve order = host
	private dir = {directory}
	lock directory = {directory}
	state directory = {directory}
	cache directory = {directory}
"""


def create(directory: Path) -> None:
    """Creates the files that all nodes share, and those for a client outside of the nodes."""
    (directory / _FILES).mkdir()
    client = directory / CLIENT_FILE
    client.parent.mkdir()
    client.write_text(_CLIENT.format(directory=client.parent))


def create_node(directory: Path, node: Path, socket: Path) -> None:
    """Creates a node's own configuration and state.

    Args:
        directory: The lab's directory.
        node: The node's directory.
        socket: The socket of ctdbd, as a path on the node.
    """
    for place in _OWN:
        (node / "samba" / place).mkdir(mode=0o700, parents=True)
    server = _SERVER.format(socket=socket, share=SHARE, files=directory / _FILES)
    (node / "samba/etc/smb.conf").write_text(server)
    (node / "run/samba").mkdir()
