"""Samba in a lab: each node's own configuration and state, one share that all have, and whether smbd runs."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CLIENT_FILE", "SHARE", "create", "create_node"]

SHARE = "lab"
"""The share's name."""
CLIENT_FILE = "client/smb.conf"
"""Below the lab's directory: smbclient's configuration."""
_FILES = "share"
"""Below the lab's directory: the share's files, which all nodes have in common as a cluster's file system."""
_OWN = ("etc", "var/lib/private", "var/cache", "var/log")
"""What each node has of its own, as hold-node.sh mounts it; /run/samba is in its /run anyway."""

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
    """Makes what the nodes have in common, and what a client outside of them needs."""
    (directory / _FILES).mkdir()
    client = directory / CLIENT_FILE
    client.parent.mkdir()
    client.write_text(_CLIENT.format(directory=client.parent))


def create_node(directory: Path, node: Path, socket: Path) -> None:
    """Makes a node's own configuration and state.

    Args:
        directory: The lab's.
        node: The node's.
        socket: That of ctdbd, as the node sees it.
    """
    for place in _OWN:
        (node / "samba" / place).mkdir(mode=0o700, parents=True)
    server = _SERVER.format(socket=socket, share=SHARE, files=directory / _FILES)
    (node / "samba/etc/smb.conf").write_text(server)
    (node / "run/samba").mkdir()
