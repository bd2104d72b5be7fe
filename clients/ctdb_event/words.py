"""The words that stand in results and requests, as types: a type checker finds the one that is misspelt.

A later broker may send others; they are passed on as they are.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["Kind", "Outcome", "ScriptState"]

Outcome = Literal["success", "failed", "timed-out", "cancelled", "interrupted"]
"""How a run ended; `interrupted`, as the daemon was killed meanwhile, stands in the history only."""
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
