"""Ways of measuring: sides in turn, on one processor to exclude wake-ups, as processes."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["in_turn", "one_processor", "spawn_many", "spawn_one"]


def in_turn(rounds: int, *sides: Callable[[], float], warm_up: bool = True) -> list[list[float]]:
    """Measures each side once a round, and returns the samples of each side.

    The speed of a machine changes while a benchmark runs, by other load and other clock rates. Samples of one round are
    close in time, so their ratio is meaningful where the numbers alone are not. Every other round has the reverse
    order, so that no side has an advantage from what runs before it.

    Args:
        rounds: Samples of each side.
        sides: Each does some work and returns how long it took, in seconds.
        warm_up: Do one more round first and discard it.
    """
    samples: list[list[float]] = [[] for _ in sides]
    if warm_up:
        for side in sides:
            side()
    order = list(zip(sides, samples, strict=True))
    for _ in range(rounds):
        for side, taken in order:
            taken.append(side())
        order.reverse()
    return samples


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Keeps this process, and what it starts meanwhile, on one processor.

    A round trip of 20 µs between two processors is mostly the time that an idle processor takes to wake up, and this
    varies by a factor of two or three with the scheduler and the hypervisor. On one processor client and daemon switch
    directly: what remains is the work, in which the programs differ.
    """
    allowed = os.sched_getaffinity(0)
    # not the first one, where most machines handle their interrupts
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def spawn_one(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Runs a program without its output and returns the seconds from before the spawn until it was reaped.

    Raises:
        ChildProcessError: It failed.
    """
    begin = time.perf_counter()
    pid = _spawn(command, environment)
    _, status = os.waitpid(pid, 0)
    end = time.perf_counter()
    if status != 0:
        raise ChildProcessError(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    return end - begin


def spawn_many(command: Sequence[str], count: int) -> float:
    """Runs a program many times, some at once, and returns the seconds until all are reaped.

    This is the cost of the processes themselves, with any parent.
    """
    # enough to keep every processor busy while we wait for one, not so many that they compete
    at_once = 4 * len(os.sched_getaffinity(0))
    environment = dict(os.environ)
    running: deque[int] = deque()
    begin = time.perf_counter()
    for _ in range(count):
        if len(running) == at_once:
            os.waitpid(running.popleft(), 0)
        running.append(_spawn(command, environment))
    while running:
        os.waitpid(running.popleft(), 0)
    return time.perf_counter() - begin


def _spawn(command: Sequence[str], environment: Mapping[str, str]) -> int:
    silence = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    return os.posix_spawn(command[0], list(command), environment, file_actions=silence)
