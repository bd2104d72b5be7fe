"""Which of a machine's file systems get a layer."""

from __future__ import annotations

from ctdb_node.rehearsal.mounts import Mount, mounts

_MOUNTINFO = r"""21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:5 / /proc rw shared:2 - proc proc rw
23 21 0:6 / /dev rw - devtmpfs udev rw
24 23 0:7 / /dev/shm rw - tmpfs tmpfs rw
25 21 0:8 / /run rw - tmpfs tmpfs rw
26 21 0:9 / /sys rw - sysfs sysfs rw
27 21 8:2 / /srv/with\040blank rw - xfs /dev/sda2 rw
28 21 0:10 / /cluster rw - ceph mon:/ rw
29 21 8:3 / /var rw - ext4 /dev/sda3 rw
30 29 0:11 / /var/lib/nfs/rpc_pipefs rw - rpc_pipefs sunrpc rw
31 21 8:4 / /running rw - ext4 /dev/sda4 rw
32 21 0:12 / /srv/with\040blank rw - nfs4 host:/ rw
"""


def test_each_file_system_but_those_that_a_rehearsal_has_of_its_own() -> None:
    assert mounts(_MOUNTINFO) == (
        Mount("/", True),
        Mount("/cluster", False),
        Mount("/running", True),
        Mount("/srv/with blank", False),  # the last one is what is seen
        Mount("/var", True),
        Mount("/var/lib/nfs/rpc_pipefs", False),
    )
