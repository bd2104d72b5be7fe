"""Both clients before CTDB's own daemon: they find out that it speaks only the CTDB dialect, and say what it can."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from backends import on_both_backends

from ctdb_event import (
    AsyncClient,
    BrokerUnavailable,
    Client,
    EventFailed,
    EventTimedOut,
    InvalidRequest,
    NeverRan,
    NoSuchComponent,
    NoSuchScript,
    NotSupported,
    cli,
    connect,
)
from ctdb_event.commands.connection import DaemonConnection, NotNative

DAEMON = Path("/usr/libexec/ctdb/ctdb-eventd")
TIMEOUT = 20.0
SCRIPT = """#!/bin/sh
case $1 in
fail) echo "from $0"; case $0 in *20.second*) exit 7 ;; esac ;;
hang) echo waiting; exec sleep 60 ;;
esac
exit 0
"""

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not DAEMON.exists(), reason=f"Debian package ctdb missing: no {DAEMON}"),
]


@pytest.fixture
def path(node: Path) -> Iterator[str]:
    """CTDB's own daemon, and where it listens."""
    for name in ("10.first", "20.second", "30.third"):
        script = node / "events" / "one" / f"{name}.script"
        script.write_text(SCRIPT)
        script.chmod(0o755)
    (node / "events" / "one" / "10.a.script").unlink()
    (node / "ctdb.conf").write_text("[logging]\n  location = file:\n")
    reader, writer = os.pipe()
    # it ends its whole process group when it ends
    command = [str(DAEMON), "-S", str(writer)]
    process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL, start_new_session=True)
    os.close(writer)
    try:
        assert os.read(reader, 4) == b"\0\0\0\0"
        yield str(node / "run" / "eventd.socket")
    finally:
        os.close(reader)
        process.terminate()
        process.wait(TIMEOUT)


def test_it_hangs_up_at_the_preface(path: str) -> None:
    with DaemonConnection(path) as connection, pytest.raises(NotNative):
        connection.call("ping")
    with pytest.raises(NotSupported, match="as CTDB's own does"):
        Client(path, dialect="native")


def test_events(path: str) -> None:
    with Client(path) as client:
        assert client.dialect == "ctdb"
        run = client.run("one", "monitor", "eth0", "10.0.0.1", timeout=30)
        assert (run.outcome, run.args) == ("success", ("eth0", "10.0.0.1"))
        with pytest.raises(EventFailed) as failed:
            client.run("one", "fail", timeout=30)
        states = [(script.name, script.state, script.result) for script in failed.value.run.scripts]
        assert states[:2] == [("10.first", "ok", 0), ("20.second", "failed", 7)]
        assert "20.second" in failed.value.run.scripts[1].text
        with pytest.raises(EventTimedOut) as late:
            client.run("one", "hang", timeout=1)
        assert [script.state for script in late.value.run.scripts][:1] == ["timed-out"]
        assert late.value.run.scripts[0].text == "waiting\n"


def test_what_is_not_run(path: str) -> None:
    with Client(path) as client:
        with pytest.raises(NoSuchComponent):
            client.run("nope", "monitor")
        with pytest.raises(InvalidRequest, match="separates arguments by spaces"):
            client.run("one", "monitor", "two words")
        with pytest.raises(NotSupported):
            client.ping()
        with pytest.raises(NotSupported, match="run with stream"):
            list(client.run("one", "monitor", stream=True))
        assert client.run("one", "monitor").outcome == "success"


def test_status(path: str) -> None:
    with Client(path) as client:
        with pytest.raises(NeverRan):
            client.status("one", "monitor")
        with pytest.raises(NoSuchComponent):
            client.status("nope", "monitor")
        client.run("one", "monitor")
        overview = client.status("one", "monitor")
        (run,) = overview.results
        assert (run.outcome, [script.state for script in run.scripts]) == ("success", ["ok"] * 3)
        assert overview.jobs == ()


def test_scripts_are_switched(path: str, node: Path) -> None:
    script = node / "events" / "one" / "20.second.script"
    with Client(path) as client:
        client.disable("one", "20.second")
        assert not os.access(script, os.X_OK) or not script.stat().st_mode & 0o111
        client.run("one", "monitor")
        states = [each.state for each in client.status("one", "monitor").results[0].scripts]
        assert states == ["ok", "disabled", "ok"]
        client.enable("one", "20.second")
        assert script.stat().st_mode & 0o111
        with pytest.raises(NoSuchScript):
            client.enable("one", "99.none")


@on_both_backends
async def test_many_at_once_on_one_connection(path: str) -> None:
    outcomes: list[str] = []

    async def run(client: AsyncClient, number: int) -> None:
        outcomes.append((await client.run("one", "takeip", "eth0", f"10.0.0.{number}", "24")).outcome)

    async with connect(path) as client:
        assert client.dialect == "ctdb"
        async with anyio.create_task_group() as tasks:
            for number in range(1, 6):
                tasks.start_soon(run, client, number)
        assert outcomes == ["success"] * 5
        with pytest.raises(EventFailed) as caught:
            await client.run("one", "fail")
        assert [script.name for script in caught.value.run.failed] == ["20.second"]


@on_both_backends
async def test_a_call_that_is_given_up_leaves_the_connection_usable(path: str) -> None:
    async with connect(path) as client:
        with anyio.move_on_after(0.05):
            await client.run("one", "hang", timeout=1)
        assert (await client.run("one", "startup")).outcome == "success"


def test_the_daemon_ends(path: str, node: Path) -> None:
    with pytest.raises(BrokerUnavailable, match="no broker listens"):
        Client(str(node / "run" / "elsewhere"))


# ---------------------------------------------------------------------- ctdb-event health


def health(path: str, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.main(["health", "--socket", path, *arguments])
    said = capfd.readouterr()
    assert said.err == ""
    return code, said.out


def test_health(path: str, node: Path, capfd: pytest.CaptureFixture[str]) -> None:
    unknown = "UNKNOWN - no monitor event of one has completed since the event daemon started\n"
    assert health(path, capfd, "one") == (2, unknown)
    assert health(path, capfd, "nope")[0] == 2
    with Client(path) as client:
        client.run("one", "monitor", timeout=30)
        code, line = health(path, capfd, "one")
        assert code == 0
        assert line.startswith("OK - one healthy, checked ")
        assert line.endswith("s ago (by CTDB's own event daemon)\n")
        (node / "events" / "one" / "20.second.script").write_text("#!/bin/sh\necho sick\nexit 7\n")
        with pytest.raises(EventFailed):
            client.run("one", "monitor", timeout=30)
    code, line = health(path, capfd, "one")
    assert code == 1
    assert line.startswith("CRITICAL - one unhealthy, checked ")
    assert line.endswith("s ago (by CTDB's own event daemon): 20.second: exit status 7: sick\n")
