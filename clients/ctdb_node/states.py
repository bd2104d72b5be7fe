"""A node's states, the triggers that end them, and the transitions between them. No I/O."""

from __future__ import annotations

import enum

__all__ = ["ENDS", "EVENTS", "State", "Trigger", "back_off", "next_state"]


class State(enum.Enum):
    """What a node is doing."""

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


class Trigger(enum.Enum):
    """What can end a state."""

    SUCCEEDED = "succeeded"
    """The state's event succeeded."""
    FAILED = "failed"
    """The state's event failed or timed out."""
    WAITED = "waited"
    """The delay before a retry is over."""
    END_REQUESTED = "told to end"
    DAEMON_ENDED = "event daemon ended"


EVENTS = {
    state: state.value
    for state in (State.INIT, State.SETUP, State.STARTRECOVERY, State.RECOVERED, State.STARTUP, State.SHUTDOWN)
}
"""The event that a node runs in a state."""

ENDS = frozenset({State.ENDED, State.FAILED})

_TABLE = {
    (State.INIT, Trigger.SUCCEEDED): State.SETUP,
    (State.INIT, Trigger.FAILED): State.FAILED,
    (State.SETUP, Trigger.SUCCEEDED): State.STARTRECOVERY,
    (State.SETUP, Trigger.FAILED): State.FAILED,
    (State.STARTRECOVERY, Trigger.SUCCEEDED): State.RECOVERED,
    (State.STARTRECOVERY, Trigger.FAILED): State.RECOVERY_WAIT,
    (State.RECOVERED, Trigger.SUCCEEDED): State.STARTUP,
    (State.RECOVERED, Trigger.FAILED): State.RECOVERY_WAIT,
    (State.RECOVERY_WAIT, Trigger.WAITED): State.STARTRECOVERY,
    (State.STARTUP, Trigger.SUCCEEDED): State.RUNNING,
    (State.STARTUP, Trigger.FAILED): State.STARTUP_WAIT,
    (State.STARTUP_WAIT, Trigger.WAITED): State.STARTUP,
    (State.SHUTDOWN, Trigger.SUCCEEDED): State.ENDED,
    (State.SHUTDOWN, Trigger.FAILED): State.ENDED,
    # in every state except the final ones and shutdown
    **{(state, Trigger.END_REQUESTED): State.SHUTDOWN for state in State if state not in ENDS | {State.SHUTDOWN}},
    **{(state, Trigger.DAEMON_ENDED): State.FAILED for state in State if state not in ENDS},
}

_LONGEST_WAIT = 30


def next_state(state: State, trigger: Trigger) -> State | None:
    """Returns the next state; None if the trigger has no effect in this one."""
    return _TABLE.get((state, trigger))


def back_off(failures: int) -> int:
    """Returns the delay after so many consecutive failures, in seconds: 1, 2, 4, and so on up to 30."""
    return min(1 << min(failures - 1, 10), _LONGEST_WAIT)
