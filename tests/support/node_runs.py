"""`ctdb-node run` as a process, for tests."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from nodes import TIMEOUT, Node, children_of, command_of


class Run:
    """A running node that touches no real interfaces."""

    def __init__(self, node: Node, *prefix: str, **environ: str) -> None:
        """Starts it: with `prefix` before the command, and `environ` added to its environment."""
        self.node = node
        self.errors = node.base / "errors"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "ctdb_node", "run", "--no-interfaces"],
                env={**node.environ, **environ},
                stderr=errors,
            )

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ctdb_node", *words]
        return subprocess.run(command, env=self.node.environ, capture_output=True, text=True, timeout=TIMEOUT)

    def status(self) -> dict[str, Any]:
        done = self.command("--json", "status")
        return json.loads(done.stdout) if done.returncode == 0 else {"state": None}

    @property
    def trace(self) -> list[str]:
        return self.node.read("trace").splitlines()

    @property
    def said(self) -> str:
        return self.errors.read_text()

    def daemon(self) -> int:
        return next(pid for pid in children_of(self.process.pid) if "ctdb_eventd" in command_of(pid))

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)

    def over(self) -> None:
        """Kills it if it still runs, and checks that it reported no exception."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIMEOUT)
        assert "Traceback" not in self.said
