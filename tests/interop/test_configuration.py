"""What CTDB's own event daemon makes of unusual lines in ctdb.conf, and that ours starts wherever it does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from config_facts import FACTS, Fact
from nodes import TIMEOUT, Node

from .programs import CTDB_HELPERS, Maker

pytestmark = pytest.mark.interop


class Attempt:
    """A daemon that was started on a configuration, and ended as soon as it listened."""

    def __init__(self, maker: Maker, node: Node, **extra: str) -> None:
        reading, writing = os.pipe()
        with open(node.base / "stderr", "wb") as errors:
            process = subprocess.Popen(
                [maker.daemon, f"--startup-fd={writing}"],
                pass_fds=[writing],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={**environ(node), **extra},
                cwd=node.base,
            )
        os.close(writing)
        try:
            # four bytes when it listens; the end of the pipe when it has ended
            self.started = os.read(reading, 4) == bytes(4)
            if self.started:
                process.terminate()
            process.wait(TIMEOUT)
        finally:
            process.kill()
            process.wait()
            os.close(reading)
        self.errors = (node.base / "stderr").read_text(errors="surrogateescape")


def environ(node: Node) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "CTDB_TEST_MODE": "1", "CTDB_BASE": os.fspath(node.base)}


@pytest.fixture(params=FACTS)
def fact(request: pytest.FixtureRequest) -> Fact:
    return FACTS[request.param]


@pytest.fixture
def node(fact: Fact, tmp_path: Path) -> Node:
    laid_out = Node(tmp_path)
    fact.lay_out(tmp_path)
    return laid_out


@pytest.mark.parametrize("maker", Maker)
def test_the_daemon_starts_or_does_not(maker: Maker, fact: Fact, node: Node) -> None:
    # the default of CTDB's daemon is the machine's own log, in test mode too
    extra = {} if fact.location or not fact.starts else {"CTDB_INTERACTIVE": "1"}
    attempt = Attempt(maker, node, **extra)
    starts = fact.starts if maker is Maker.CTDB else fact.starts or fact.error is None
    assert attempt.started == starts, attempt.errors
    path = (fact.location or "").replace("@", os.fspath(node.base)).removeprefix("file:")
    if path.startswith("/") and not fact.log_fails:
        assert os.path.isfile(path), attempt.errors
    if fact.log_fails:
        assert path in attempt.errors


def test_ctdb_validates_it_or_does_not(fact: Fact, node: Node) -> None:
    result = subprocess.run(
        [f"{CTDB_HELPERS}/ctdb-config", "validate"],
        env=environ(node),
        cwd=node.base,
        capture_output=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert (result.returncode == 0) == fact.validates, result.stderr


@pytest.mark.parametrize("maker", Maker)
def test_the_level_decides_whether_the_start_is_logged(maker: Maker, fact: Fact, node: Node) -> None:
    """A start is logged at NOTICE."""
    if fact.level is None or fact.location is not None:
        return
    config = node.base / "ctdb.conf"
    location = f"\n[logging]\nlocation = file:{node.base}/log\n"
    config.write_bytes(config.read_bytes() + os.fsencode(location))
    Attempt(maker, node)
    text = (node.base / "log").read_text()
    assert ("daemon started" in text) == (fact.level not in ("ERROR", "WARNING"))
