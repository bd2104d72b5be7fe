"""What is pointed out about script files: names, links to nothing, and events that run nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctdb_eventd import scripts
from ctdb_eventd.model import EventSpec
from ctdb_eventd.runner.notices import Notices


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level("DEBUG", "ctdb_eventd"):
        yield


@pytest.fixture
def notices(directory: Path) -> Notices:
    return Notices(os.fspath(directory.parent))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A component's directory."""
    path = tmp_path / "legacy"
    path.mkdir()
    return path


def make(directory: Path, *names: str, mode: int = 0o755) -> None:
    for name in names:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(mode)


def look(notices: Notices, directory: Path, rule: scripts.NameRule = "both") -> None:
    notices.look_at(directory.name, scripts.discover(os.fspath(directory), directory.name, rule))


# ---------------------------------------------------------------------- names


def test_a_bare_name_that_runs_is_pointed_out_once(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(directory, "10.bare", "20.usual.script")
    look(notices, directory)
    look(notices, directory)
    assert caplog.messages == [
        f"{directory}/10.bare runs here, but not under CTDB's own event daemon: that requires the name 10.bare.script"
    ]
    assert caplog.records[0].levelname == "WARNING"


@pytest.mark.parametrize("rule", ["auto", "both"])
def test_a_hidden_bare_name_is_pointed_out_once(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture, rule: scripts.NameRule
) -> None:
    make(directory, "10.both", "10.both.script")
    look(notices, directory, rule)
    look(notices, directory, rule)
    path = directory / "10.both"
    assert caplog.messages == [f"{path} is ignored: {path}.script has the same name and takes precedence"]


def test_a_bare_name_that_is_left_out_is_pointed_out_once(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(directory, "10.net-orig", "10.net.script", "README")
    make(directory, "11.off", mode=0o644)
    look(notices, directory, "auto")
    look(notices, directory, "auto")
    assert caplog.messages == [
        f"{directory}/10.net-orig does not run: if any script is named NN.name.script, only scripts named so run; "
        "if it is not a copy, rename it to 10.net-orig.script, or set [eventd] script names = both"
    ]
    assert caplog.records[0].levelname == "WARNING"


def test_with_auto_bare_names_that_run_are_pointed_out(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(directory, "10.net")
    look(notices, directory, "auto")
    assert [text.split(",")[0] for text in caplog.messages] == [f"{directory}/10.net runs here"]


@pytest.mark.parametrize("rule", ["auto", "suffix", "both"])
def test_usual_names_are_not_worth_a_word(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture, rule: scripts.NameRule
) -> None:
    make(directory, "10.usual.script", "README")
    look(notices, directory, rule)
    assert caplog.messages == []


def test_a_bare_name_is_pointed_out_once_it_is_enabled(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(directory, "10.bare", mode=0o644)
    look(notices, directory)
    assert caplog.messages == []
    make(directory, "10.bare")
    look(notices, directory)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("rule", ["auto", "both"])
def test_a_bare_name_that_was_hidden_is_pointed_out_when_it_runs(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture, rule: scripts.NameRule
) -> None:
    make(directory, "10.both", "10.both.script")
    look(notices, directory, rule)
    (directory / "10.both.script").unlink()
    look(notices, directory, rule)
    assert ["is ignored" in text for text in caplog.messages] == [True, False]


# ---------------------------------------------------------------------- links to nothing


def run(notices: Notices, directory: Path) -> None:
    """Does what an event does with the scripts that it comes to."""
    for script in scripts.discover(os.fspath(directory), directory.name).scripts:
        if script.look() is None:
            notices.passed_over(script)
        else:
            notices.found(script)


def test_a_dangling_link_is_pointed_out_once(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = directory.parent / "target"
    (directory / "10.gone.script").symlink_to(target)
    run(notices, directory)
    run(notices, directory)
    assert caplog.messages == [
        f"{directory}/10.gone.script is ignored: it is a dangling link to {os.path.realpath(target)}; "
        "remove the link, or install what it leads to"
    ]
    assert caplog.records[0].levelname == "WARNING"


def test_a_dangling_link_that_led_somewhere_meanwhile_is_pointed_out_again(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (directory / "10.gone.script").symlink_to("../target")
    run(notices, directory)
    for mode in (0o755, 0o644):
        make(directory.parent, "target", mode=mode)
        run(notices, directory)
        (directory.parent / "target").unlink()
        run(notices, directory)
    assert len(caplog.messages) == 3


def test_a_dangling_link_that_went_and_came_back_is_pointed_out_again(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = directory.parent / "other"
    other.mkdir()
    (other / "10.gone.script").symlink_to("/nonexistent")
    link = directory / "10.gone.script"
    link.symlink_to("/nonexistent")
    for _ in range(2):
        run(notices, other)
        run(notices, directory)
    link.unlink()
    look(notices, directory)
    link.symlink_to("/nonexistent")
    look(notices, directory)
    run(notices, other)
    run(notices, directory)
    assert [text.split()[0] for text in caplog.messages] == [f"{other}/10.gone.script", str(link), str(link)]


def test_what_was_disabled_on_purpose_is_not_worth_a_word(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(directory, "10.off.script", mode=0o644)
    make(directory.parent, "target", mode=0o644)
    (directory / "20.off.script").symlink_to("../target")
    (directory / "30.dir.script").mkdir()
    run(notices, directory)
    notices.passed_over(scripts.Script("40.vanished", f"{directory}/40.vanished.script", bare=False))
    assert caplog.messages == []


# ---------------------------------------------------------------------- events that run nothing


def spec(event: str, component: str = "legacy") -> EventSpec:
    return EventSpec(component=component, event=event, args=(), timeout=30, run_all=False)


@pytest.mark.parametrize("event", ["monitor", "takeip", "releaseip", "updateip"])
def test_an_event_without_an_enabled_script_is_pointed_out_once(
    notices: Notices, directory: Path, caplog: pytest.LogCaptureFixture, event: str
) -> None:
    for name in (event, "monitor", event):
        notices.completed(spec(name), ran=False)
    assert caplog.messages == [
        f"legacy {event}: no script ran: none is enabled in {directory}. The event counts as a success, so the node "
        "looks healthy and nothing is checked or configured; enable scripts: ctdb event script enable legacy NAME "
        "(ctdb event script list legacy shows their names)"
    ]
    assert caplog.records[0].levelname == "WARNING"


def test_it_is_pointed_out_again_after_a_script_has_run(notices: Notices, caplog: pytest.LogCaptureFixture) -> None:
    for component, ran in (("a", False), ("b", False), ("a", True), ("b", False), ("a", False)):
        notices.completed(spec("monitor", component), ran=ran)
    assert [text.split()[0] for text in caplog.messages] == ["a", "b", "a"]


@pytest.mark.parametrize("event", ["init", "startup", "ipreallocated", "shutdown", "a-site's own"])
def test_other_events_may_run_nothing(notices: Notices, caplog: pytest.LogCaptureFixture, event: str) -> None:
    notices.completed(spec(event), ran=False)
    assert caplog.messages == []
