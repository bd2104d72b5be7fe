"""Signal handling and fixtures for all tests."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

import pytest

# nohup ignores SIGHUP, and a shell's background job SIGINT; what is ignored stays so in every child, sh included, which
# then can't even trap it. Tests send both.
for _number, _handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Restores the root logger after a test that set up the daemon's log: its handlers are closed."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in root.handlers[:]:
        if type(handler).__module__.startswith("ctdb_eventd."):
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
