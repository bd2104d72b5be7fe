"""What the command line shares with the daemon starts fast: it loads nothing that costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ctdb_eventd

EXPENSIVE = set(
    "anyio argparse asyncio attr attrs collections dataclasses enum functools inspect json logging msgpack pathlib re "
    "selectors shutil signal socket subprocess tempfile threading traceback typing".split()
)
# -I -S: neither the environment nor the site directory may load anything first
REPORT = "import sys; sys.path.insert(0, {root!r}); import {module}; print(*sys.modules)"


@pytest.mark.parametrize(
    "module",
    [f"ctdb_eventd.{name}" for name in ("protocol.packet", "paths", "places", "scripts", "errors")],
)
def test_the_module_loads_nothing_that_costs(module: str) -> None:
    root = str(Path(ctdb_eventd.__file__).parent.parent)
    command = [sys.executable, "-I", "-S", "-c", REPORT.format(root=root, module=module)]
    loaded = subprocess.run(command, env={}, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert module in loaded
    assert EXPENSIVE & set(loaded) == set()
