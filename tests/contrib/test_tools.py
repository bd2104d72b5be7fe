"""contrib/tools: what people and CI run beside make."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "contrib" / "tools"


def side_by_side(command: str, *words: str) -> tuple[int, str]:
    done = subprocess.run([TOOLS / "side-by-side.sh", command, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_side_by_side_succeeds_only_if_all_do() -> None:
    assert side_by_side("true", "a", "b", "c")[0] == 0
    assert side_by_side('[ "$WORD" != b ]', "a", "b", "c")[0] != 0


def test_side_by_side_shows_the_end_of_what_passed_and_all_of_what_failed() -> None:
    _, said = side_by_side('seq -f "$WORD%.0f" 100; [ "$WORD" = good ]', "good", "bad")
    lines = said.splitlines()
    assert [line for line in lines if line.startswith("good")] == ["good98", "good99", "good100"]
    assert [line for line in lines if line.startswith("bad")] == [f"bad{number}" for number in range(1, 101)]
    assert any(line.startswith("--- good: passed after ") for line in lines)
    assert any(line.startswith("--- bad: FAILED after ") for line in lines)


def test_side_by_side_runs_two_at_a_time(tmp_path: Path) -> None:
    """Each waits for the other's file, which it would never see if they ran one after the other."""
    meet = (
        f'cd {tmp_path}; : >"$WORD"; for try in $(seq 500); do [ -e a ] && [ -e b ] && exit 0; sleep 0.02; done; exit 1'
    )
    assert side_by_side(meet, "a", "b")[0] == 0


@pytest.mark.parametrize("name", ["side-by-side.sh", "in-root.sh", "try-fresh.sh", "try-upgrade.sh"])
def test_a_wrong_call_says_what_was_expected(name: str) -> None:
    done = subprocess.run([TOOLS / name], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "root" in done.stderr or "expected" in done.stderr
