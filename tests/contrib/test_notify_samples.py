"""The sample programs for `[notify] command`, with stand-ins for sendmail and Nagios."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "contrib/notify"
NOTICE = {
    "kind": "failed",
    "summary": 'legacy monitor: 50."x|y"\\ failed with exit status 1',
    "arguments": ["summary", '"a"'],
    "status": 1,
    "outcome": "failed",
    "node": "node1",
    "count": 2,
    "command": "ctdb-event show r-1",
}
SENTENCE = str(NOTICE["summary"])


def stub(base: Path, name: str) -> Path:
    """Makes a program that keeps its arguments and its standard input; returns where."""
    kept = base / f"{name}.kept"
    program = base / name
    program.write_text(f'#!/bin/sh\necho "$*" >{kept}\ncat >>{kept}\n')
    program.chmod(0o755)
    return kept


def run(base: Path, sample: Path, **changes: object) -> None:
    subprocess.run(
        [sample],
        input=json.dumps(NOTICE | changes, indent=1).encode(),
        env={"PATH": f"{base}:{os.environ['PATH']}"},
        check=True,
        timeout=60,
    )


def test_a_mail_has_the_sentence_in_its_subject_and_the_command(tmp_path: Path) -> None:
    kept = stub(tmp_path, "sendmail")
    run(tmp_path, SAMPLES / "notify-mail")
    lines = kept.read_text().splitlines()
    assert lines[:3] == ["-oi -- root", "To: root", f"Subject: CTDB on node1: {SENTENCE}"]
    assert "On node1, 2 such since the last message." in lines
    assert "The rest is shown there by: ctdb-event show r-1" in lines


@pytest.mark.parametrize(
    ("changes", "service", "state"),
    [
        ({}, "CTDB events", 2),
        ({"kind": "waited", "outcome": "success"}, "CTDB events", 1),
        ({"kind": "stuck", "outcome": None}, "CTDB events", 2),
        ({"kind": "health", "outcome": "unhealthy"}, "CTDB health", 2),
        ({"kind": "health", "outcome": "healthy"}, "CTDB health", 0),
    ],
)
def test_nagios_gets_the_result_of_a_check(
    tmp_path: Path, changes: dict[str, object], service: str, state: int
) -> None:
    text = f"{SENTENCE.replace('|', '/')} (ctdb-event show r-1)"
    kept = stub(tmp_path, "send_nsca")
    run(tmp_path, SAMPLES / "notify-nagios", **changes)
    assert kept.read_text() == f"-H nagios\nnode1\t{service}\t{state}\t{text}\n"

    pipe = tmp_path / "nagios.cmd"
    os.mkfifo(pipe)
    local = tmp_path / "local"
    local.write_text((SAMPLES / "notify-nagios").read_text().replace("/var/lib/nagios4/rw/nagios.cmd", str(pipe)))
    local.chmod(0o755)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        run(tmp_path, local, **changes)
        line = os.read(reader, 4096).decode()
    finally:
        os.close(reader)
    assert line.partition("] ")[2] == f"PROCESS_SERVICE_CHECK_RESULT;node1;{service};{state};{text}\n"
