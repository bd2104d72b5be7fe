"""The life of a node as a table: in which state it is, what happened there, which state is next. No I/O."""

from __future__ import annotations

import enum

__all__ = ["ENDS", "EVENTS", "Happening", "State", "back_off", "following"]


class State(enum.Enum):
    """What a node does at the moment."""

    INIT = "init"
    SETUP = "setup"
    STARTRECOVERY = "startrecovery"
    RECOVERED = "recovered"
    RECOVERY_WAIT = "waiting to recover again"
    STARTUP = "startup"
    STARTUP_WAIT = "waiting to try startup again"
    RUNNING = "running"
    SHUTDOWN = "shutdown"
    ENDED = "ended"
    FAILED = "failed"


class Happening(enum.Enum):
    """What can end a state."""

    SUCCEEDED = "succeeded"
    """Its event did."""
    FAILED = "failed"
    """Its event did, or timed out."""
    WAITED = "waited"
    """Its time is over."""
    TOLD_TO_END = "told to end"
    DAEMON_ENDED = "event daemon ended"


EVENTS = {
    state: state.value
    for state in (State.INIT, State.SETUP, State.STARTRECOVERY, State.RECOVERED, State.STARTUP, State.SHUTDOWN)
}
"""The event that is run in a state."""

ENDS = frozenset({State.ENDED, State.FAILED})

_TABLE = {
    (State.INIT, Happening.SUCCEEDED): State.SETUP,
    (State.INIT, Happening.FAILED): State.FAILED,
    (State.SETUP, Happening.SUCCEEDED): State.STARTRECOVERY,
    (State.SETUP, Happening.FAILED): State.FAILED,
    (State.STARTRECOVERY, Happening.SUCCEEDED): State.RECOVERED,
    (State.STARTRECOVERY, Happening.FAILED): State.RECOVERY_WAIT,
    (State.RECOVERED, Happening.SUCCEEDED): State.STARTUP,
    (State.RECOVERED, Happening.FAILED): State.RECOVERY_WAIT,
    (State.RECOVERY_WAIT, Happening.WAITED): State.STARTRECOVERY,
    (State.STARTUP, Happening.SUCCEEDED): State.RUNNING,
    (State.STARTUP, Happening.FAILED): State.STARTUP_WAIT,
    (State.STARTUP_WAIT, Happening.WAITED): State.STARTUP,
    (State.SHUTDOWN, Happening.SUCCEEDED): State.ENDED,
    (State.SHUTDOWN, Happening.FAILED): State.ENDED,
    # whatever the node does, but for shutting down already
    **{(state, Happening.TOLD_TO_END): State.SHUTDOWN for state in State if state not in ENDS | {State.SHUTDOWN}},
    **{(state, Happening.DAEMON_ENDED): State.FAILED for state in State if state not in ENDS},
}

_LONGEST_WAIT = 30


def following(state: State, happening: Happening) -> State | None:
    """The next state; None if what happened is nothing to this one, which goes on."""
    return _TABLE.get((state, happening))


def back_off(failures: int) -> int:
    """Seconds to wait after so many failures in a row: 1, 2, 4, and so on up to 30."""
    return min(1 << min(failures - 1, 10), _LONGEST_WAIT)
