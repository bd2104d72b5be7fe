"""contrib/systemd: what systemd says of the drop-in for CTDB's unit; the units' own tests are with their programs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

DROP_IN = Path(__file__).parents[2] / "contrib/systemd/ctdb-eventd.conf"
CTDB_UNIT = Path("/lib/systemd/system/ctdb.service")


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.skipif(not CTDB_UNIT.exists(), reason="CTDB's unit is not installed (apt-get install ctdb)")
def test_systemd_finds_nothing_in_the_drop_in(tmp_path: Path) -> None:
    """But for keys that an older systemd passes over."""
    unit = tmp_path / CTDB_UNIT.name
    shutil.copy(CTDB_UNIT, unit)
    drop_in = tmp_path / f"{unit.name}.d" / DROP_IN.name
    drop_in.parent.mkdir()
    shutil.copy(DROP_IN, drop_in)
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if drop_in.name in line and "DelegateSubgroup" not in line]
    assert (done.returncode, said) == (0, [])
