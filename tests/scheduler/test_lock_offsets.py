"""The locks of wrapped commands: what doesn't need a daemon. With one: tests/acceptance/test_command_locks.py."""

from __future__ import annotations

import subprocess
import sys

_LARGEST_OFFSET_OF_EXT4 = (1 << 44) - 4096
_AFTER_TEN_YEARS = """
import time
time.monotonic_ns = lambda: 10 * 365 * 86_400 * 10**9
from ctdb_eventd.scheduler.command_locks import _FIRST_OFFSET
print(_FIRST_OFFSET)
"""


def test_the_offsets_are_possible_on_every_file_system_however_long_the_machine_is_up() -> None:
    command = [sys.executable, "-c", _AFTER_TEN_YEARS]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert 1 << 32 < int(printed) < _LARGEST_OFFSET_OF_EXT4
