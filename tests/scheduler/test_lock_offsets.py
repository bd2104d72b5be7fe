"""The lock files of commands, without a daemon around them."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

import pytest

_UPTIME = 100 * 365 * 24 * 3600.0
"""A century, in seconds."""


def test_the_offset_that_marks_a_holder_is_accepted_however_long_the_machine_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ext4 refuses offsets of 16 TiB and more."""
    monkeypatch.setattr(time, "monotonic", lambda: _UPTIME)
    monkeypatch.setattr(time, "monotonic_ns", lambda: int(_UPTIME * 1e9))
    spec = importlib.util.find_spec("ctdb_eventd.scheduler.command_locks")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    locks = module.CommandLocks(os.fspath(tmp_path), ["iptables"])
    assert locks.take("owner", ("iptables",), lambda: None)
    descriptor, _, offset = locks.holds(("owner",)).rpartition("/")[2].partition("@")
    assert 1 << 32 < int(offset) < 1 << 44
    assert os.lseek(int(descriptor), 0, os.SEEK_CUR) == int(offset)
    locks.release("owner")
