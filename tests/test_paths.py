"""Where things lie, in the test layout and outside it."""

from __future__ import annotations

import pytest

from ctdb_eventd.paths import Paths, PathsError
from ctdb_eventd.paths import test_mode as in_test_mode


def test_usual_places() -> None:
    paths = Paths({"CTDB_BASE": "/etc/elsewhere"})  # ctdbd sets it for scripts; the daemon's places don't move
    assert {name: getattr(paths, name) for name in Paths.__slots__ if name != "problem"} == {
        "config_dir": "/etc/ctdb",
        "config_file": "/etc/ctdb/ctdb.conf",
        "events_dir": "/etc/ctdb/events",
        "log_file": "/var/log/ctdb/log.ctdb",
        "pid_file": "/run/ctdb/eventd.pid",
        "provided_dir": "/usr/share/ctdb/events",
        "run_dir": "/run/ctdb",
        "socket": "/run/ctdb/eventd.socket",
        "state_dir": "/var/lib/ctdb",
    }


@pytest.mark.parametrize("value", ["", "0", "1"])
def test_test_layout_hangs_off_its_base(value: str) -> None:
    paths = Paths({"CTDB_TEST_MODE": value, "CTDB_BASE": "/tmp/node"})
    assert {name: getattr(paths, name) for name in Paths.__slots__ if name != "problem"} == {
        "config_dir": "/tmp/node",
        "config_file": "/tmp/node/ctdb.conf",
        "events_dir": "/tmp/node/events",
        "log_file": "/tmp/node/log.ctdb",
        "pid_file": "/tmp/node/run/eventd.pid",
        "provided_dir": "/tmp/node/share/events",
        "run_dir": "/tmp/node/run",
        "socket": "/tmp/node/run/eventd.socket",
        "state_dir": "/tmp/node/var",
    }


@pytest.mark.parametrize("environ", [{"CTDB_TEST_MODE": "1"}, {"CTDB_TEST_MODE": "1", "CTDB_BASE": ""}])
def test_test_layout_without_a_base(environ: dict[str, str]) -> None:
    with pytest.raises(PathsError, match="CTDB_BASE must name the directory"):
        Paths(environ)


@pytest.mark.parametrize(
    ("environ", "asked"), [({}, False), ({"CTDB_TEST_MODE": ""}, True), ({"CTDB_BASE": "/"}, False)]
)
def test_test_mode_is_any_value(environ: dict[str, str], asked: bool) -> None:
    assert in_test_mode(environ) is asked
