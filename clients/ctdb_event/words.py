"""The values of string fields in results and requests, as types, so that a type checker finds misspelt ones.

A later broker may send other values; they are passed on unchanged.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["Kind", "Outcome", "ScriptState"]

Outcome = Literal["success", "failed", "timed-out", "cancelled", "interrupted"]
"""How a run ended; `interrupted` (the daemon was killed during the run) is used in the history only."""
ScriptState = Literal["ok", "failed", "killed", "timed-out", "disabled", "not-reached", "not-handled", "not-started"]
"""How a script of a run ended, or why it didn't run."""
Kind = Literal[
    "queued",
    "started",
    "script-started",
    "output",
    "script-finished",
    "finished",
    "lock-waiting",
    "lock-acquired",
    "health",
    "upgraded",
]
"""What a subscription can ask for."""
