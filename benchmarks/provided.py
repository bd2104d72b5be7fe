"""The cost of CTDB's own scripts, with all enabled that run without their service: most have nothing to do."""

from __future__ import annotations

import socket
import statistics
from collections.abc import Callable, Iterator
from contextlib import closing

import attrs

from benchmarks.addresses import IN_NAMESPACE, INTERFACE, PROVIDED, lacking, provide
from benchmarks.client import burst, check_results, run_packet
from benchmarks.daemons import Daemon, node, running
from benchmarks.results import Figure, Unit, compared
from benchmarks.setting import Programs, Setting

__all__ = ["NEED_SERVICE", "measure", "scripts_but"]

_COUNT = 60
_MONITORS = 5
_NEED_NFS = ("06.nfs", "60.nfs")
NEED_SERVICE = (
    *_NEED_NFS,
    "31.clamd",
    "46.update-keytabs",
    "47.samba-dcerpcd",
    "48.netbios",
    "49.winbind",
    "50.samba",
)
"""They fail without the service, above all in monitor; for other scripts a stub reports that their port is open."""


@attrs.frozen(kw_only=True)
class Times:
    """Seconds that one daemon took."""

    take: float
    """Until the last takeip was answered, all asked for at once."""
    release: float
    """The same for releaseip."""
    monitor: float
    """A monitor event."""


def measure(setting: Setting) -> Iterator[Figure]:
    """Measures takeip, releaseip and monitor with the provided scripts, both daemons in turn."""
    names = f"{_COUNT} IPv4 {{}} at once, {len(scripts_but(_NEED_NFS))} of CTDB's scripts enabled"
    if why := lacking():
        yield Figure(name=names.format("takeip"), unit=Unit.SECONDS, note=why)
        return
    theirs: list[Times] = []
    ours: list[Times] = []
    for number in range(setting.rounds):
        sides = [(setting.theirs, theirs), (setting.ours, ours)]
        for programs, times in sides if number % 2 == 0 else reversed(sides):
            times.append(_run(programs))

    def samples(of: Callable[[Times], float]) -> list[list[float]]:
        return [[of(times) for times in side] for side in (theirs, ours)]

    yield compared(names.format("takeip"), samples(lambda times: times.take), at_most=0.3)
    yield compared("  the same for releaseip", samples(lambda times: times.release), at_most=0.42)
    name = f"  a monitor event with the {len(scripts_but(NEED_SERVICE))} of them that need no service"
    # most of the time is that of 05.system and 10.interface, one after the other, with either daemon
    yield compared(name, samples(lambda times: times.monitor), at_most=1.0)


def scripts_but(without: tuple[str, ...]) -> list[str]:
    """Returns the names of CTDB's own scripts, except these, with `.script`."""
    return [file.name for file in sorted(PROVIDED.glob("*.script")) if file.name.removesuffix(".script") not in without]


def _run(programs: Programs) -> Times:
    addresses = [f"10.77.0.{number}" for number in range(1, _COUNT + 1)]
    arguments = [f"{INTERFACE} {address} 24" for address in addresses]
    with node({"legacy": {}}) as on:
        provide(on, [f"{address}/24" for address in addresses], scripts_but(_NEED_NFS))
        on.settle("legacy")
        with running(programs, on, IN_NAMESPACE) as daemon, closing(daemon.connect()) as connection:
            take, release = (
                _events(
                    daemon, connection, [run_packet("legacy", event, words, n) for n, words in enumerate(arguments)]
                )
                for event in ("takeip", "releaseip")
            )
            for name in set(scripts_but(_NEED_NFS)) - set(scripts_but(NEED_SERVICE)):
                (on.base / "events/legacy" / name).unlink()
            on.settle("legacy")
            monitor = [_events(daemon, connection, [run_packet("legacy", "monitor")]) for _ in range(_MONITORS)]
    return Times(take=take, release=release, monitor=statistics.median(monitor))


def _events(daemon: Daemon, connection: socket.socket, packets: list[bytes]) -> float:
    seconds, results = burst(connection, packets)
    check_results(daemon, results.values())
    return seconds
