"""What a real systemd-journald makes of the log, in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import Node

pytestmark = pytest.mark.interop

_JOURNALD = Path("/lib/systemd/systemd-journald")
_PROGRAM = """
set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/log
mkdir -p /run/systemd/journal /run/log/journal
%(journald)s & journald=$!
until [ -S /run/systemd/journal/socket ]; do kill -0 $journald; sleep 0.01; done
%(python)s -m ctdb_eventd & daemon=$!
until [ -S "$CTDB_BASE/run/eventd.socket" ]; do kill -0 $daemon; sleep 0.01; done
%(python)s -m ctdb_event run 30 legacy takeip eth0 10.0.0.1 24 || true
kill $daemon; wait $daemon || true
journalctl --directory=/run/log/journal --sync || true
until journalctl --directory=/run/log/journal -t ctdb-eventd -o json | grep -q SIGTERM; do sleep 0.01; done
journalctl --directory=/run/log/journal -t ctdb-eventd -o json > "$CTDB_BASE/entries"
kill $journald; wait $journald || true
"""


@pytest.mark.skipif(not _JOURNALD.exists(), reason="systemd-journald is not installed")
def test_entries_are_found_by_their_fields(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.configure("  format = journal\n")
    node.script("10.bad.script", "echo out of luck; exit 7")
    program = _PROGRAM % {"journald": _JOURNALD, "python": sys.executable}
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", program]
    subprocess.run(command, env=node.environ, check=True, timeout=300, capture_output=True)
    entries = [json.loads(line) for line in (tmp_path / "entries").read_text().splitlines()]
    of_run = [entry for entry in entries if entry.get("CTDB_EVENT_SCRIPT") == "10.bad"]
    assert {entry["CTDB_EVENT_ADDRESS"] for entry in of_run} == {"10.0.0.1"}
    output, failed = [entry for entry in of_run if entry["PRIORITY"] == "3"]
    assert output["MESSAGE"] == "10.bad: out of luck (10.0.0.1)"
    assert (failed["CTDB_EVENT_STATUS"], failed["CTDB_EVENT_OUTCOME"]) == ("7", "failed")
    assert failed["CTDB_EVENT_RUN"] == output["CTDB_EVENT_RUN"] in failed["MESSAGE"]
    assert not os.path.exists(tmp_path / "log")
