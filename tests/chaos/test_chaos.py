"""A few seconds of chaos, and of a soak: minutes of both are for `make chaos` and `make soak`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent


@pytest.mark.parametrize("kind", ["chaos", "soak"])
def test_nothing_is_wrong_after_a_few_seconds(kind: str) -> None:
    paths = os.pathsep.join(map(os.fspath, (_HERE, _HERE.parent / "support")))
    done = subprocess.run(
        [sys.executable, "-m", "eventd_chaos", kind, "--seconds", "6", "--per-minute", "200", "--seed", "7"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("\n0 faults\n")
    for what in ("runs success", "runs cancelled", "scripts started"):
        assert re.search(rf"^ *[1-9]\d*  {what}$", done.stdout, re.MULTILINE), done.stdout
