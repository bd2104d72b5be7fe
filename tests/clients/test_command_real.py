"""The new commands as processes, against a real daemon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nodes import TIMEOUT, Node, running_daemon, until

PROGRAM = [sys.executable, "-m", "ctdb_event"]


@pytest.fixture
def real(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("00.say.script", 'echo "$# $*"; [ "$1" != bad ]')
    node.script("50.wait.script", '# ctdb-eventd-locks: door\n[ "$1" != hold ] || read x <$CTDB_BASE/fifo; echo end')
    node.script("60.off.script", "exit 0", mode=0o644)
    os.mkfifo(tmp_path / "fifo")
    return node


def call(node: Node, *arguments: str, code: int = 0) -> str:
    done = subprocess.run([*PROGRAM, *arguments], env=node.environ, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == code, done
    return done.stdout


def start(node: Node, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *arguments], env=node.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def jobs(node: Node) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call(node, "ps", "--json"))
    return found


async def test_lists(real: Node) -> None:
    async with running_daemon(real):
        assert call(real, "ps") == "Nothing runs or waits.\n"
        assert call(real, "components", "--plain") == f"legacy\t3\t2\t{real.base}/events/legacy\t\n"
        assert call(real, "scripts", "legacy", "--plain").splitlines()[1].split("\t")[:4] == [
            "50.wait",
            "enabled",
            "",
            "door",
        ]
        assert "not executable" in call(real, "scripts", "legacy").splitlines()[3]
        assert call(real, "events", "--plain").splitlines()[7].startswith("takeip\taddress\tinterface address")
        assert call(real, "locks") == "No lock is held.\n"
        assert call(real, "results") == "No event has completed since the daemon started.\n"
        assert call(real, "reload") == "The configuration was reloaded.\n"
        assert call(real, "ping").startswith("ctdb-eventd ")
        figures = dict(line.split("\t") for line in call(real, "stats", "--plain").splitlines())
        assert figures["runs.success"] == "0"
        real.configure("[eventd]\n  kill grace = soon\n")
        call(real, "reload", code=22)


async def test_runs(real: Node) -> None:
    async with running_daemon(real):
        assert call(real, "run", "--stream", "30", "legacy", "say", "two words", "x") == "3 say two words x\nend\n"
        assert json.loads(call(real, "run", "--json", "30", "legacy", "bad", code=8))["outcome"] == "failed"
        call(real, "run", "--json", "30", "nope", "bad", code=2)
        lines = [json.loads(line) for line in call(real, "run", "--stream", "--json", "30", "legacy", "x").splitlines()]
        assert lines[-1]["result"]["outcome"] == "success"
        assert {"started", "script-started", "output", "script-finished", "finished"} <= {
            line.get("note") for line in lines
        }
        assert "00.say: exit status 1" in call(real, "results")
        assert "  00.say               exit status 1" in call(real, "results", "legacy", "bad")
        call(real, "results", "legacy", "never", code=22)


async def test_cancel_and_ctrl_c(real: Node) -> None:
    async with running_daemon(real):
        run = call(real, "run", "--detach", "30", "legacy", "hold").strip()
        assert [job["run"] for job in jobs(real)] == [run]
        assert call(real, "cancel", run).startswith(f"{run} is cancelled, it was ")
        await until(lambda: not jobs(real), "the end of what was cancelled")
        call(real, "cancel", run, code=2)
        with start(real, "run", "--stream", "30", "legacy", "hold") as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "50.wait: started" in line:
                    break
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait(TIMEOUT) == 130
        assert "ctdb-event: Ctrl-C: run" in said
        assert "was cancelled" in said
        await until(lambda: not jobs(real), "the end of what was cancelled")


async def test_locks(real: Node) -> None:
    async with running_daemon(real) as daemon:
        holder = start(real, "lock", "door", "--", "sh", "-c", "echo held; read x <$CTDB_BASE/fifo; exit 9")
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert call(real, "locks", "--plain").startswith("door\tnamed\tholder\t\t")
        call(real, "lock", "--wait", "0", "door", "--", "true", code=124)
        call(real, "lock", "a b", "--", "true", code=125)
        with start(real, "run", "--stream", "30", "legacy", "say") as waiting:
            assert waiting.stderr is not None
            assert any("waits for door" in line for line in waiting.stderr)
            assert jobs(real)[0]["waits_for"] == ["door"]
            Path(real.base / "fifo").write_text("\n")
            waiting.stderr.read()
            assert waiting.wait(TIMEOUT) == 0
        _, err = holder.communicate(timeout=TIMEOUT)
        assert (holder.returncode, err) == (9, "")
        with start(real, "lock", "door", "--", "sh", "-c", "echo held; read x <$CTDB_BASE/fifo; exit 9") as loser:
            assert loser.stdout is not None
            assert loser.stderr is not None
            loser.stdout.readline()
            daemon.stop()
            assert "lock door lost; the command continues without" in loser.stderr.readline()
            Path(real.base / "fifo").write_text("\n")
            assert loser.wait(TIMEOUT) == 9


async def test_locks_last_as_long_as_the_command(real: Node) -> None:
    """If its keeper is killed too; but not as long as what it leaves running."""
    async with running_daemon(real):
        command = ["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!; exec >&-; read -r _"]
        for how in ("end", "kill"):
            keeper = subprocess.Popen(
                [*PROGRAM, "lock", "routes", "--", *command],
                env=real.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert keeper.stdout is not None
            assert keeper.stdin is not None
            left = int(keeper.stdout.readline())
            if how == "kill":
                keeper.kill()
                keeper.wait()
            call(real, "lock", "--wait", "0", "routes", "--", "true", code=124)
            keeper.stdin.close()
            if how == "kill":
                os.kill(left, signal.SIGKILL)
            call(real, "lock", "--wait", "60", "routes", "--", "true")
            if how == "end":
                os.kill(left, signal.SIGKILL)
            keeper.stdout.close()
            keeper.wait()


@pytest.mark.parametrize("command", [["subscribe"], ["subscribe", "--output"], ["watch"]], ids=" ".join)
async def test_notes(command: list[str], real: Node) -> None:
    async with running_daemon(real):
        with start(real, *command) as process:
            await until(lambda: "\nsubscribers\t1\n" in call(real, "stats", "--plain"), "the subscription")
            call(real, "run", "--json", "30", "legacy", "say", "x")
            assert process.stdout is not None
            seen = []
            for line in process.stdout:
                seen.append(line[13:])
                if "success after" in line:
                    break
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130
        assert seen[0].startswith("legacy say x: started (")
        assert ("legacy say x: 00.say: 2 say x\n" in seen) is (command[-1] == "--output")
