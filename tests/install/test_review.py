"""What the installer finds out about a node before it changes anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_ctdb_path import write_program

from ctdb_eventd.config import Config
from ctdb_eventd_install import cli
from ctdb_eventd_install.places import NodePlaces, find_places
from ctdb_eventd_install.review import (
    Finding,
    Severity,
    review,
    review_configuration,
    review_places,
    review_program,
    review_scripts,
    review_version,
)

from .tree import PROGRAM, FakeNode

LEGACY = "/etc/ctdb/events/legacy"


def places_of(node: FakeNode) -> NodePlaces:
    return find_places(str(node.root))


def warnings(node: FakeNode, config: Config | None = None) -> list[str]:
    findings = review_scripts(places_of(node), config or Config())
    return [finding.text for finding in findings if finding.severity is not Severity.GOOD]


# ---------------------------------------------------------------------- versions


@pytest.mark.parametrize(
    ("version", "severity", "text"),
    [
        ("4.17.12-Debian", Severity.GOOD, "CTDB 4.17.12-Debian"),
        ("4.22.11", Severity.GOOD, "4.22.11"),
        ("CTDB version: 4.24.0", Severity.GOOD, "4.24.0"),
        ("4.25.1-Debian-4.25.1+dfsg-1", Severity.GOOD, "4.25.1"),
        ("4.9.1", Severity.WARNING, "was tested with 4.17, 4.22, 4.24, 4.25, and not with this one"),
        ("4.23.0", Severity.WARNING, "and not with this one"),
        ("5.0", Severity.WARNING, "and not with this one"),
        ("4.8.12", Severity.ERROR, "too old: 4.9 is the first"),
        ("nonsense", Severity.WARNING, "version is unknown"),
        (None, Severity.WARNING, "version is unknown"),
    ],
)
def test_the_version_is_judged(version: str | None, severity: Severity, text: str) -> None:
    (finding,) = review_version(version)
    assert finding.severity is severity
    assert text in finding.text


def test_the_version_is_what_ctdbs_tool_says(rpm_node: FakeNode) -> None:
    places = places_of(rpm_node)
    assert places.ctdb_version() == "4.17.12-Debian"
    rpm_node.file("usr/bin/ctdb", "#!/bin/sh\nexit 1\n")
    assert places.ctdb_version() is None
    (rpm_node.root / "usr/bin/ctdb").unlink()
    assert places.ctdb_version() is None


# ---------------------------------------------------------------------- places


def test_of_a_node_the_places_are_asked_and_named(rpm_node: FakeNode) -> None:
    rpm_node.answer()
    places = find_places("/", str(rpm_node.helpers))
    assert places.node.socket == f"{rpm_node.root}/node/sockets/eventd.socket"
    (finding,) = review_places(places)
    assert finding.severity is Severity.GOOD
    assert f"{rpm_node.helpers}/ctdb-path prints them: socket {places.node.socket}, pid file" in finding.text


def test_without_an_answer_nothing_is_installed(rpm_node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    write_program(rpm_node.helpers, "exit 1")
    (finding,) = review_places(find_places("/", str(rpm_node.helpers)))
    assert finding.severity is Severity.ERROR
    assert "where our daemon has to listen can't be found out from CTDB: " in finding.text
    program = rpm_node.root / PROGRAM.lstrip("/")
    arguments = ["--helper-dir", str(rpm_node.helpers), "--program", str(program)]
    assert cli.main(arguments) == cli.EXIT_ERROR
    assert "ended with exit status 1" in capsys.readouterr().out
    assert not rpm_node.kept.exists()


def test_programs_of_an_image_are_not_started(rpm_node: FakeNode) -> None:
    write_program(rpm_node.helpers, f"touch {rpm_node.root}/started")
    (finding,) = review_places(places_of(rpm_node))
    assert finding.severity is Severity.WARNING
    assert f"was not run for CTDB's paths: it is below {rpm_node.root}; the shell file asks" in finding.text
    assert not (rpm_node.root / "started").exists()


# ---------------------------------------------------------------------- configuration


def test_a_good_configuration(rpm_node: FakeNode) -> None:
    config, findings = review_configuration(places_of(rpm_node))
    assert config.log_location == "syslog"
    assert findings == [Finding(Severity.GOOD, "configuration /etc/ctdb/ctdb.conf")]


def test_an_error_in_the_configuration_keeps_ours_out(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.file("etc/ctdb/ctdb.conf", "[eventd]\n  kill grace = soon\n")
    before = node.snapshot()
    assert node.run() == cli.EXIT_ERROR
    said = capsys.readouterr()
    assert 'ctdb.conf:2: [eventd] kill grace = "soon": expected seconds' in said.out
    assert "nothing was changed: correct the error above" in said.err
    assert node.run("--dry-run") == cli.EXIT_ERROR
    assert node.snapshot() == before


def test_a_warning_about_the_configuration_does_not(rpm_node: FakeNode) -> None:
    rpm_node.file("etc/ctdb/ctdb.conf", "[logging]\n  colour = blue\n")
    _, (finding,) = review_configuration(places_of(rpm_node))
    assert finding.severity is Severity.WARNING
    assert "unknown key is ignored" in finding.text
    assert rpm_node.run() == 0


# ---------------------------------------------------------------------- scripts


def test_ctdbs_own_scripts_are_nothing_to_speak_of(rpm_node: FakeNode) -> None:
    (rpm_node.root / "etc/ctdb/events/notification").mkdir()
    rpm_node.file("etc/ctdb/events/README", "")
    assert [finding.text for finding in review_scripts(places_of(rpm_node), Config())] == [
        f"{LEGACY}: 1 enabled of 1 event scripts",
        "/etc/ctdb/events/notification: 0 enabled of 0 event scripts",
    ]


def test_a_bare_name_runs_with_ours_only(rpm_node: FakeNode) -> None:
    rpm_node.script("60.site")
    rpm_node.script("61.disabled", mode=0o644)
    (text,) = warnings(rpm_node, Config(script_names="both"))
    assert text.startswith(
        f"{LEGACY}/60.site: runs with ours, not with CTDB's daemon (that requires {LEGACY}/60.site.script"
    )
    assert warnings(rpm_node, Config(script_names="suffix")) == []


def test_beside_other_names_a_bare_name_runs_with_neither(rpm_node: FakeNode) -> None:
    rpm_node.script("60.site-orig")
    rpm_node.script("61.disabled", mode=0o644)
    assert warnings(rpm_node) == [
        f"{LEGACY}/60.site-orig: runs with neither daemon, for others here end in .script (script names = auto)"
    ]


def test_without_other_names_a_bare_name_runs_with_ours(rpm_node: FakeNode) -> None:
    (rpm_node.root / "etc/ctdb/events/site").mkdir()
    path = rpm_node.script("60.site")
    path.rename(rpm_node.root / "etc/ctdb/events/site/60.site")
    (text,) = warnings(rpm_node)
    assert "60.site: runs with ours, not with CTDB's daemon" in text


def test_links_that_lead_to_no_script_are_named(rpm_node: FakeNode) -> None:
    rpm_node.link("62.dangling.script", "/nonexistent")
    rpm_node.link("63.circle.script", "63.circle.script")
    dangling, circle = warnings(rpm_node)
    assert dangling == (
        f"{LEGACY}/62.dangling.script: dangling link to /nonexistent: events skip it; "
        "remove the link, or install what it leads to (CTDB 4.17 fails the event)"
    )
    assert circle == (
        f"{LEGACY}/63.circle.script: every event fails: link to 63.circle.script that is part of a "
        "loop, or of a chain of more than 40; remove it"
    )


def test_a_node_without_an_enabled_script_is_warned_of(rpm_node: FakeNode) -> None:
    (rpm_node.root / f"{LEGACY}/00.ctdb.script".lstrip("/")).unlink()
    assert warnings(rpm_node) == [
        f"{LEGACY}: 0 enabled of 0 event scripts: the node would look healthy and do nothing; "
        "`ctdb event script enable legacy NAME` enables one"
    ]


def test_a_hidden_name_runs_with_neither(rpm_node: FakeNode) -> None:
    rpm_node.script("60.site")
    rpm_node.script("60.site.script")
    assert warnings(rpm_node) == [
        f"{LEGACY}/60.site: runs with neither daemon, {LEGACY}/60.site.script takes precedence"
    ]


def test_with_bare_names_alone_ctdbs_scripts_are_left_out(rpm_node: FakeNode) -> None:
    rpm_node.script("61.disabled.script", mode=0o644)
    rpm_node.script("62.bare")
    left_out, bare = warnings(rpm_node, Config(script_names="bare"))
    assert left_out == (f"{LEGACY}/00.ctdb.script: runs with CTDB's daemon, not with ours (script names = bare)")
    assert bare.startswith(f"{LEGACY}/62.bare: runs with ours, not with CTDB's daemon")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("echo no first line\n", "is not a program, its first line does not name an interpreter"),
        ("#!\n", "is not a program, its first line does not name an interpreter"),
        ("", "is not a program"),
        ("#!/bin/sh\r\n", r"its interpreter '/bin/sh\r' does not exist"),
        ("#!/usr/bin/perl -w\n", "its interpreter '/usr/bin/perl' does not exist"),
    ],
)
def test_what_is_no_program_fails_with_ours(rpm_node: FakeNode, text: str, fault: str) -> None:
    rpm_node.script("60.site.script", text)
    (warning,) = warnings(rpm_node)
    assert warning.startswith(f"{LEGACY}/60.site.script: {fault}")
    assert "CTDB's daemon may skip it" in warning


def test_machine_code_is_a_program(rpm_node: FakeNode) -> None:
    rpm_node.script("60.site.script", "\x7fELF")
    assert warnings(rpm_node) == []


REFUSED = "our daemon would refuse scripts: {}, or set [eventd] script security = warn"


def test_scripts_that_others_can_change_keep_from_installing(rpm_node: FakeNode) -> None:
    path = f"{LEGACY}/60.site.script"
    rpm_node.script("60.site.script").chmod(0o757)
    finding = list(review_scripts(places_of(rpm_node), Config()))[-1]
    flaw = f"{path} is writable by everybody; chmod go-w {path}"
    assert finding == Finding(Severity.ERROR, REFUSED.format(flaw))
    finding = list(review_scripts(places_of(rpm_node), Config(script_security="warn")))[-1]
    assert finding == Finding(Severity.WARNING, f"scripts run although others can change them: {flaw}")


def test_what_is_unsafe_may_have_other_faults(rpm_node: FakeNode) -> None:
    rpm_node.script("60.site").chmod(0o757)
    only_ours, unsafe = warnings(rpm_node, Config(script_names="both"))
    assert unsafe.startswith(f"our daemon would refuse scripts: {LEGACY}/60.site is ")
    assert only_ours.startswith(f"{LEGACY}/60.site: runs with ours, not with CTDB's daemon")


def test_a_links_target_counts_and_every_directory_above_it(rpm_node: FakeNode) -> None:
    rpm_node.file("srv/scripts/tool", "#!/bin/sh\n")
    (rpm_node.root / "srv").chmod(0o757)
    rpm_node.link("60.site.script", "/srv/scripts/tool")
    assert warnings(rpm_node) == [REFUSED.format("/srv is writable by everybody; chmod go-w /srv")]


def test_the_scripts_directory_counts_once(rpm_node: FakeNode) -> None:
    rpm_node.script("60.site.script")
    rpm_node.script("61.site.script")
    (rpm_node.root / "etc/ctdb/events/legacy").chmod(0o757)
    assert warnings(rpm_node) == [REFUSED.format(f"{LEGACY} is writable by everybody; chmod go-w {LEGACY}")]


def test_a_configuration_that_others_can_change_keeps_from_installing(rpm_node: FakeNode) -> None:
    (rpm_node.root / "etc/ctdb/ctdb.conf").chmod(0o646)
    _, (finding,) = review_configuration(places_of(rpm_node))
    assert finding.severity is Severity.ERROR
    assert finding.text.endswith("/etc/ctdb/ctdb.conf is writable by everybody; chmod go-w /etc/ctdb/ctdb.conf")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_stranger_as_owner_is_named(rpm_node: FakeNode) -> None:
    os.chown(rpm_node.script("60.site.script"), 12345, -1)
    (text,) = warnings(rpm_node)
    assert f"{LEGACY}/60.site.script is owned by user 12345, not root; chown -h root: " in text


def test_without_a_directory_of_scripts_that_is_said(tmp_path: Path) -> None:
    (finding,) = review_scripts(NodePlaces(root=str(tmp_path), helper_dir="/usr/libexec/ctdb"), Config())
    assert finding.text == "/etc/ctdb/events can't be read: No such file or directory"


def test_a_script_that_vanishes_meanwhile_harms_nothing(rpm_node: FakeNode) -> None:
    """Between the listing and each look at the file."""
    findings = [*review(places_of(rpm_node)), *review_program(places_of(rpm_node), "/nonexistent/program")]
    findings.remove(*review_places(places_of(rpm_node)))  # an image's places are never known
    assert all(finding.severity is Severity.GOOD for finding in findings)


# ---------------------------------------------------------------------- our own program


def test_a_program_that_others_can_change_is_named(rpm_node: FakeNode) -> None:
    places = places_of(rpm_node)
    assert list(review_program(places, PROGRAM)) == []
    (rpm_node.root / "opt/eventd").chmod(0o757)
    (finding,) = review_program(places, PROGRAM, PROGRAM)
    assert finding.text.startswith("/opt/eventd is writable by everybody")
    (rpm_node.root / "opt/eventd").chmod(0o1777)
    assert list(review_program(places, PROGRAM)) == []
