"""The lab's benchmark: what it refuses before it has measured for minutes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import lab

TOP = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def kept_handlers() -> Iterator[None]:
    """What the benchmark's start does to this process's signals is undone."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_file_that_can_not_be_written_is_refused_at_once(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.main([option, str(tmp_path / "missing/file")]) == 1
    assert "can't be written: there is no directory" in capsys.readouterr().err
    assert lab.main([option, str(tmp_path)]) == 1
    assert "can't be written" in capsys.readouterr().err


def test_without_a_case_there_is_nothing_to_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab, "missing_requirements", lambda eventd, samba=False: "")
    monkeypatch.setattr(lab, "lacking", lambda: "")
    monkeypatch.setattr(lab, "_measure", lambda *_: iter(()))
    assert lab.main(["--plot", str(tmp_path / "plot.svg")]) == 0
    assert "no failover of both sides was measured to its end" in capsys.readouterr().err


def test_a_termination_leaves_no_files(tmp_path: Path) -> None:
    """Nor labs, which go down on any exception's way out; here something that only waits stands for them."""
    program = (
        "import sys, time\n"
        "from benchmarks import lab\n"
        "lab.missing_requirements = lambda eventd, samba=False: ''\n"
        "lab._measure = lambda *_: print('measuring', flush=True) or time.sleep(1000)\n"
        "sys.exit(lab.main([]))\n"
    )
    environ = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(TOP)}
    with subprocess.Popen([sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "measuring\n" in iter(process.stdout.readline, "")
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
