"""`timeline`: which runs are drawn, and where to."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from past_runs import T, exported_line, past_run, script

from ctdb_event import cli
from ctdb_eventd.history.recorder import History
from ctdb_eventd.history.records import Bounds, Ended, Started, history_file


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CTDB_TEST_MODE", "1")
    monkeypatch.setenv("CTDB_BASE", os.fspath(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def history(node: Path) -> None:
    """Two runs: one of long ago, one of a minute ago."""
    path = history_file(os.fspath(node / "var"))
    os.makedirs(os.path.dirname(path))
    history = History(path, Bounds(days=1e9))
    history.startup()
    for run, queued, outcome in (("a-1", T, "success"), ("a-2", time.time() - 60, "failed")):
        event: dict[str, Any] = {"component": "legacy", "event": "monitor", "args": (), "address": None}
        history.record(Started(run=run, queued=queued, **event))
        history.record(Ended(run=run, outcome=outcome, summary=0, waited=0.0, seconds=1.0))
    history.close()


@pytest.fixture
def exports(node: Path) -> list[str]:
    """Files of three nodes."""
    paths = []
    for number in (1, 2, 3):
        path = node / f"node{number}.jsonl"
        run = past_run("a", number, 0, 1, scripts=(script("10.a", number, 1, output=b"\xffsaid"),))
        path.write_text(exported_line(f"node{number}", run))
        paths.append(os.fspath(path))
    return paths


def say(capture: pytest.CaptureFixture[bytes], *arguments: str) -> str:
    assert cli.main(["timeline", *arguments]) == 0
    out, err = capture.readouterr()
    assert err == b""
    return out.decode()


def refuse(capture: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, str]:
    status = cli.main(["timeline", *arguments])
    out, err = capture.readouterr()
    assert out == b""
    return status, err.decode().removeprefix("ctdb-event: ").rstrip("\n")


@pytest.mark.parametrize(
    ("which", "begin"),
    [
        (["a-1"], "2023-11-14 22:13:20.000"),
        (["a-1", "failed"], "2023-11-14 22:13:20.000"),
        (["--until", "2023-11-15"], "2023-11-14 22:13:20.000"),
        (["--since", "2023-11-14"], "2023-11-14 22:13:20.000"),
        (["failed"], time.strftime("%Y-", time.gmtime())),
        ([], time.strftime("%Y-", time.gmtime())),
    ],
)
def test_which_runs(history: None, capfdbinary: pytest.CaptureFixture[bytes], which: list[str], begin: str) -> None:
    lines = say(capfdbinary, *which).splitlines()
    assert lines[0].startswith(begin)
    assert lines[1] == os.uname().nodename
    assert lines[2].startswith("legacy monitor ")


def test_three_nodes_stand_below_one_another(exports: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    lines = say(capfdbinary, *exports).splitlines()
    assert lines[0] == "2023-11-14 22:13:21.000 to 22:13:24.000, 3.0s"
    assert [line for line in lines if line.startswith("node")] == ["node1", "node2", "node3"]


def test_files_are_written_and_nothing_is_printed(
    exports: list[str], node: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    html, svg, perfetto = (os.fspath(node / f"picture.{name}") for name in ("html", "svg", "json"))
    assert say(capfdbinary, "--html", html, "--svg", svg, "--perfetto", perfetto, *exports) == ""
    assert Path(html).read_text().startswith("<!DOCTYPE html>")
    assert "\\xffsaid</title>" in Path(svg).read_text()
    assert json.loads(Path(perfetto).read_text())["traceEvents"]


GOOD = json.loads(exported_line("node1", past_run("a", 0, 0, 1, scripts=(script("10.a", 0, 1),))))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no JSON",
        "[]",
        "[" * 100_000,
        json.dumps({name: value for name, value in GOOD.items() if name != "node"}),
        json.dumps({name: value for name, value in GOOD.items() if name != "scripts"}),
        *(json.dumps(GOOD | {"queued": value}) for value in ("x", None, -1, 1e300, 10**400)),
        json.dumps(GOOD | {"seconds": float("nan")}),
        json.dumps(GOOD | {"scripts": [None]}),
        json.dumps(GOOD | {"scripts": [GOOD["scripts"][0] | {"output": 7}]}),
        json.dumps(GOOD | {"scripts": [GOOD["scripts"][0] | {"output": "\ud800"}]}),
    ],
)
def test_a_line_that_is_no_run_is_named(node: Path, capfdbinary: pytest.CaptureFixture[bytes], line: str) -> None:
    path = node / "bad.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n")
    said = f"{path}, line 2: not a run; expected the output of `ctdb-event history --export`"
    assert refuse(capfdbinary, os.fspath(path)) == (22, said)


def test_what_can_not_be_done_is_said(history: None, node: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    nowhere = os.fspath(node / "none" / "x.jsonl")
    for arguments, status, said in (
        ([nowhere], 1, f"can't read {nowhere}: No such file or directory"),
        (["a-1", "--svg", nowhere], 1, f"can't write {nowhere}: No such file or directory"),
        (["a-9"], 2, "the history has no run a-9; `ctdb-event history` lists them"),
        (
            ["--component", "x"],
            2,
            "there is no such run to draw; `ctdb-event history` lists those that there are",
        ),
        (
            ["a-1", "--since", "10m"],
            22,
            "--since can't be combined with runs or files: give it to `ctdb-event history --export`",
        ),
    ):
        assert refuse(capfdbinary, *arguments) == (status, said)
