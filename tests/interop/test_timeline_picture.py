"""What a browser makes of a failover's page: its picture, and that nothing in it is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from failovers import exported_failover
from nodes import Node
from png import colours

pytestmark = pytest.mark.interop

_RUN, _SCRIPT, _FAILED = "#0072b2", "#56b4e9", "#d55e00"
_LIGHT, _DARK = "#ffffff", "#16161a"


@pytest.fixture
def chromium() -> str:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    return path


@pytest.fixture
async def page(tmp_path: Path) -> Path:
    """The page of a node's failover, whose scripts print what would be a program in a page."""
    node = Node(tmp_path / "node")
    node.script("05.hostile", "echo '</title><script>document.title = \"run\"</script><img src=x onerror=alert(1)>'")
    export = tmp_path / "node1.jsonl"
    export.write_text(await exported_failover(node, "node1", fails=True))
    page = tmp_path / "page.html"
    command = [sys.executable, "-m", "ctdb_event", "timeline", "--html", os.fspath(page), os.fspath(export)]
    subprocess.run(command, env=node.environ, check=True)
    return page


def browse(chromium: str, page: Path, *options: str) -> str:
    home = f"--user-data-dir={page.parent}/profile"
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", home)
    command = [chromium, *quiet, *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def photograph(chromium: str, page: Path, *options: str) -> Counter[str]:
    picture = page.with_suffix(".png")
    browse(chromium, page, f"--screenshot={picture}", "--window-size=1300,1100", *options)
    return colours(picture.read_bytes())


def test_bars_and_failures_are_seen_on_a_light_and_on_a_dark_screen(chromium: str, page: Path) -> None:
    light = photograph(chromium, page)
    dark = photograph(chromium, page, "--blink-settings=preferredColorScheme=0")
    assert light[_LIGHT] > 500_000
    assert dark[_DARK] > 500_000
    for seen in (light, dark):
        assert seen[_RUN] > 10_000
        assert seen[_SCRIPT] > 2_000
        assert seen[_FAILED] > 1_000


def test_what_a_script_printed_is_not_run(chromium: str, page: Path) -> None:
    shown = browse(chromium, page, "--dump-dom")
    assert "<title>run</title>" not in shown
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;document.title" in shown
