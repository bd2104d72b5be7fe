"""What is found in component directories, check by check; and that nothing is found where nothing is wrong."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from ctdb_event.lint import check
from ctdb_event.lint.check import Component, component_findings, examine, lock_findings
from ctdb_event.lint.report import Check, Finding, Severity
from ctdb_eventd.config import parse
from ctdb_eventd.safety import Trusted
from ctdb_eventd.text import nearest

TOP = Path(__file__).resolve().parents[3]
ME = Trusted(users=frozenset({0, os.geteuid()}), groups=frozenset())
GOOD = '#!/bin/sh\ncase "$1" in\nmonitor) exit 0 ;;\nesac\n'


class Directory:
    """A component's directory that nobody else can change."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        path.chmod(0o755)
        self.path = path
        self.rule: str = "both"
        self.trusted = ME
        self.refuse_unsafe = False

    def script(self, name: str, text: str = GOOD, mode: int = 0o755) -> Path:
        file = self.path / name
        file.write_bytes(os.fsencode(text))
        file.chmod(mode)
        return file

    def look(self) -> Component:
        place, rule, refuse = str(self.path), self.rule, self.refuse_unsafe
        return examine(place, "legacy", rule, {}, self.trusted, refuse_unsafe=refuse)  # type: ignore[arg-type]

    def findings(self) -> list[Finding]:
        return component_findings(self.look())

    def found(self) -> list[tuple[str, int | None, str, str]]:
        """Returns file, line, severity and check of each finding."""
        return [
            (os.path.basename(finding.path), finding.line, finding.severity.value, finding.check.value)
            for finding in self.findings()
        ]

    def messages(self) -> list[str]:
        return [finding.message for finding in self.findings()]


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "legacy")


# ---------------------------------------------------------------------- nothing wrong


def test_a_good_script_gives_no_finding(directory: Directory) -> None:
    directory.script("50.web.script")
    assert directory.findings() == []


@pytest.mark.parametrize("name", ["events/legacy", "demo"])
def test_the_projects_own_scripts_are_good(tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(TOP / "contrib" / name, copy)
    copy.chmod(0o755)
    for file in copy.iterdir():
        file.chmod(file.stat().st_mode & ~0o022)
    component = examine(str(copy), "legacy", "both", {}, ME)
    assert [f for f in component_findings(component) if f.severity is not Severity.NOTE] == []
    assert lock_findings([component], parse("", "x").locks, "x") == []


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "proposed"),
    [
        ("5.web.script", "05.web.script"),
        ("050.web.script", "50.web.script"),
        ("50-web.script", "50.web.script"),
        ("50_web", "50.web.script"),
        ("50 web.sh", "50.web.script"),
        ("50.web.sh", "50.web.script"),
        ("50.web.script.sh", "50.web.script"),
        ("web.script", "NN.web.script (NN: two digits that say when it runs)"),
        ("100.web.script", "NN.web.script (NN: two digits that say when it runs)"),
    ],
)
def test_what_was_meant_to_be_a_script_is_named(directory: Directory, name: str, proposed: str) -> None:
    directory.script(name)
    assert directory.found() == [(name, None, "warning", "name")]
    assert directory.messages()[0].endswith(f"if it should run, name it {proposed}")


@pytest.mark.parametrize("name", ["README", "functions", "run.sh", "50", "rules.conf", "2to3", ".gitignore"])
def test_what_was_not_is_left_alone(directory: Directory, name: str) -> None:
    directory.script(name)
    assert directory.found() == []


def test_directories_with_such_names_are_left_alone(directory: Directory) -> None:
    (directory.path / "50.web.d").mkdir()
    assert directory.found() == []


@pytest.mark.parametrize(
    "name",
    [
        *("50.web.script~", "50.web~", "50.web.rpmsave", "50.web.script.dpkg-old", "50.web.script.bak"),
        *(".50.web.script.swp", "#50.web.script#", ".#50.web.script", "50.web.script.disabled", "web.script.orig"),
    ],
)
def test_copies_are_notes(directory: Directory, name: str) -> None:
    directory.script(name)
    assert directory.found() == [(name, None, "note", "backup")]


@pytest.mark.parametrize(("name", "rule"), [("50.web", "suffix"), ("50.web.script", "bare")])
def test_the_configurations_form_of_names(directory: Directory, name: str, rule: str) -> None:
    directory.rule = rule
    directory.script(name)
    assert directory.found() == [(name, None, "warning", "name-form")]
    assert f"[eventd] script names = {rule}" in directory.messages()[0]


def test_a_copy_beside_other_forms_of_names(directory: Directory) -> None:
    directory.rule = "auto"
    directory.script("10.net-orig")
    assert directory.found() == [("10.net-orig", None, "note", "name-bare")]
    directory.script("10.net.script")
    assert directory.found() == [("10.net-orig", None, "warning", "name-form")]
    (message,) = directory.messages()
    assert "with [eventd] script names = auto only those run; if it should run, name it 10.net-orig.script" in message


def test_a_name_with_and_without_script(directory: Directory) -> None:
    directory.script("50.web")
    directory.script("50.web.script")
    assert directory.found() == [("50.web", None, "warning", "name-hidden")]


def test_a_bare_name_is_a_note(directory: Directory) -> None:
    directory.script("50.web")
    assert directory.found() == [("50.web", None, "note", "name-bare")]


def test_scripts_with_one_number(directory: Directory) -> None:
    for name in ("50.a.script", "50.b.script", "50.c.script", "51.d.script"):
        directory.script(name)
    assert directory.found() == [("50.b.script", None, "note", "number"), ("50.c.script", None, "note", "number")]
    assert "same number as 50.a, which runs first" in directory.messages()[1]


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize(("mode", "severity"), [(0o757, "error"), (0o775, "warning"), (0o777, "error")])
def test_files_that_others_can_change(directory: Directory, mode: int, severity: str) -> None:
    directory.script("50.web.script", mode=mode)
    assert directory.found() == [("50.web.script", None, severity, "unsafe")]
    assert "run anything as root; chmod go-w" in directory.messages()[0]
    directory.refuse_unsafe = True
    assert directory.found() == [("50.web.script", None, "error", "unsafe")]
    assert "so it is refused ([eventd] script security); chmod go-w" in directory.messages()[0]


def test_each_unsafe_place_is_told_once(directory: Directory, tmp_path: Path) -> None:
    stock = Directory(tmp_path / "stock")
    for name in ("50.a.script", "51.b.script"):
        (directory.path / name).symlink_to(stock.script(name))
    stock.path.chmod(0o777)
    directory.path.chmod(0o775)
    assert directory.found() == [("legacy", None, "warning", "unsafe"), ("stock", None, "error", "unsafe")]
    assert {finding.script for finding in directory.findings()} == {None}


def test_strangers_are_named(directory: Directory) -> None:
    directory.trusted = Trusted(users=frozenset({-1}))
    directory.script("50.web.script")
    assert [found[0] for found in directory.found()][-2:] == ["legacy", "50.web.script"]
    assert directory.messages()[-1].startswith(f"owned by user {os.geteuid()}, not root: whoever")


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_set_user_id_is_of_no_use(directory: Directory, mode: int) -> None:
    directory.script("50.web.script", mode=mode)
    assert directory.found() == [("50.web.script", None, "warning", "setuid")]


def test_disabled_scripts(directory: Directory) -> None:
    directory.script("50.off.script", mode=0o644)
    directory.script("51.half.script", mode=0o611)
    (directory.path / "52.gone.script").symlink_to("/nonexistent/x")
    (directory.path / "53.round.script").symlink_to("53.round.script")
    (directory.path / "54.dir.script").mkdir()
    os.mkfifo(directory.path / "55.pipe.script", 0o644)
    assert directory.found() == [
        ("50.off.script", None, "note", "disabled"),
        ("51.half.script", None, "warning", "execute"),
        ("52.gone.script", None, "error", "dangling"),
        ("53.round.script", None, "error", "dangling"),
        ("54.dir.script", None, "warning", "not-a-file"),
        ("55.pipe.script", None, "warning", "not-a-file"),
    ]
    gone, circle = directory.messages()[2:4]
    assert gone == ("dangling link to /nonexistent/x; events skip it; remove the link, or install what it leads to")
    assert circle.startswith("every event fails: link to 53.round.script that is part of a loop")


@pytest.mark.parametrize("target", ["50.file.script/x", "x" * 300])
def test_links_that_can_not_be_followed(directory: Directory, target: str) -> None:
    directory.script("50.file.script")
    (directory.path / "52.odd.script").symlink_to(target)
    assert directory.found() == [("52.odd.script", None, "error", "dangling")]


def test_a_disabled_script_is_looked_into(directory: Directory) -> None:
    directory.script("50.off.script", "echo\n", mode=0o644)
    assert [found[3] for found in directory.found()] == ["disabled", "shebang"]


def test_scripts_on_a_mount_without_exec(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.script("50.web.script")
    directory.script("51.off.script", mode=0o644)

    class Mounted:
        f_flag = os.ST_NOEXEC | os.ST_NOSUID

    monkeypatch.setattr(os, "statvfs", lambda _: Mounted)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(directory.path.parent))
    assert directory.found() == [
        ("50.web.script", None, "error", "noexec"),
        ("51.off.script", None, "note", "disabled"),
    ]
    assert f"{directory.path.parent} is mounted noexec; " in directory.messages()[0]


def test_a_script_that_vanishes_meanwhile(directory: Directory) -> None:
    path = directory.script("50.web.script")
    component = directory.look()
    path.unlink()
    assert [(f.severity, f.check) for f in component_findings(component)] == [(Severity.NOTE, Check.DISABLED)]


def test_what_can_not_be_read_is_said(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.script("50.web.script", "no shell at all")

    def refuse(name: str, *_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("builtins.open", refuse)
    assert directory.found() == [("50.web.script", None, "warning", "unreadable")]
    assert directory.messages()[0].startswith("can't be read (Permission denied): nothing inside was checked")


def test_what_can_not_even_be_looked_at_is_said(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(directory.script("50.web.script"))
    look = os.stat

    def refuse(name: str, **options: bool) -> os.stat_result:
        if name == path:
            raise PermissionError(13, "Permission denied", name)
        return look(name, **options)

    monkeypatch.setattr(os, "stat", refuse)
    assert directory.found() == [("50.web.script", None, "warning", "unreadable")]


def test_a_very_long_script_is_looked_at_in_part(directory: Directory) -> None:
    directory.script("50.web.script", GOOD + "# filler\n" * 200_000)
    assert directory.found() == [("50.web.script", None, "note", "partly")]


# ---------------------------------------------------------------------- first line and line ends


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("echo\n", "so the kernel can't run it"),
        ("", "it is empty"),
        ("\ufeff#!/bin/sh\n", "a byte order mark"),
        ("\n#!/bin/sh\n", "blanks or empty lines precede"),
    ],
)
def test_without_an_interpreter_it_does_not_run(directory: Directory, text: str, hint: str) -> None:
    directory.script("50.web.script", text)
    assert directory.found() == [("50.web.script", 1, "error", "shebang")]
    assert hint in directory.messages()[0]


def test_the_kernel_cuts_long_lines_off(directory: Directory) -> None:
    directory.script("50.web.script", f"#!/usr/bin/perl{' ' * 300}-w\n")
    assert ("50.web.script", 1, "error", "shebang") in directory.found()


def test_machine_code_is_not_looked_into(directory: Directory) -> None:
    directory.script("50.web.script", "\x7fELF\r\n# ctdb-eventd-lock: x\n")
    assert directory.found() == []


@pytest.mark.parametrize(
    ("line", "severity", "text"),
    [
        ("#!/nonexistent/sh", "error", "its interpreter '/nonexistent/sh' does not exist"),
        ("#!/bin/sh -e -u", "error", '"-e -u" reaches /bin/sh as one argument'),
        ("#!/usr/bin/env sh -e", "error", '"sh -e"'),
        ("#!/usr/bin/env no-such-shell", "warning", "finds no program 'no-such-shell'"),
    ],
)
def test_interpreters_that_do_not_work(directory: Directory, line: str, severity: str, text: str) -> None:
    directory.script("50.web.script", f"{line}\ntrue\n")
    assert directory.found() == [("50.web.script", 1, severity, "interpreter")]
    assert text in directory.messages()[0]


def test_windows_line_ends(directory: Directory) -> None:
    directory.script("50.all.script", GOOD.replace("\n", "\r\n"))
    directory.script("51.first.script", "#!/bin/sh -e\r\ntrue\n")
    directory.script("52.some.script", "#!/bin/sh\n" + "true\n" * 9 + "true\r\n")
    assert directory.found() == [
        ("50.all.script", 1, "error", "line-ends"),
        ("50.all.script", 2, "error", "line-ends"),
        ("51.first.script", 1, "error", "line-ends"),
        ("52.some.script", 11, "warning", "line-ends"),
    ]
    assert directory.messages()[0].startswith("the interpreter line ends in a carriage return, which becomes part of")


# ---------------------------------------------------------------------- syntax and events


def test_the_shells_opinion_has_its_line(directory: Directory) -> None:
    directory.script("50.web.script", '#!/bin/sh\ncase "$1" in\nmonitor)\n\tif true\n\t;;\nesac\n')
    assert directory.found() == [("50.web.script", 5, "error", "syntax")]
    assert directory.messages()[0].startswith("sh says: ")


def test_a_shell_that_is_not_run_is_a_note(directory: Directory, tmp_path: Path) -> None:
    shell = tmp_path / "sh"
    shell.write_text("#!/bin/sh\nexit 1\n")
    shell.chmod(0o777)
    directory.script("50.web.script", f"#!{shell}\ntrue\n")
    assert directory.found() == [("50.web.script", None, "note", "syntax-unchecked")]


@pytest.mark.parametrize(
    ("label", "severity", "text"),
    [
        (
            "relaseip",
            "warning",
            '"relaseip" is not one of CTDB\'s events, so this never runs; did you mean "releaseip"?',
        ),
        ('"Monitor"', "warning", '"monitor"?'),
        ("montior", "warning", '"monitor"?'),
        ("ipreallocate", "warning", '"ipreallocated"?'),
        ("recovery", "warning", '"recovered"?'),
        ("takeips*", "warning", '"takeip"?'),
        ("reconfigure", "note", "CTDB never requests it, only `ctdb-event run` or the script itself can"),
        ("stop", "note", "CTDB never requests it"),
    ],
)
def test_events_that_do_not_exist(directory: Directory, label: str, severity: str, text: str) -> None:
    directory.script("50.web.script", f'#!/bin/sh\ncase "$1" in\nmonitor|{label}) ;;\n-h|--help) ;;\n*) ;;\nesac\n')
    assert directory.found() == [("50.web.script", 3, severity, "event")]
    assert directory.messages()[0].endswith(text) or text in directory.messages()[0]


def test_a_script_in_python_is_compiled_and_has_no_labels(directory: Directory) -> None:
    if not os.access("/usr/bin/python3", os.X_OK):
        pytest.skip("there is no /usr/bin/python3")
    directory.script("50.good.script", "#!/usr/bin/python3\nx = 'case $1 in relaseip) ;; esac'\r\n")
    directory.script("51.bad.script", "#!/usr/bin/env python3\n\nif x\n    pass\n")
    assert directory.found() == [("51.bad.script", 3, "error", "syntax")]


# ---------------------------------------------------------------------- the last line


@pytest.mark.parametrize(
    "end",
    [
        '[ "$1" = monitor ] && check',
        "[[ $1 == monitor ]] && check && exit 0",
        'test "$1" = monitor && check  # the only one',
        '[ "$1" = monitor ] && {\n\tcheck\n}',
        '[ "$1" = monitor ] &&\n\tcheck\n\n# the end',
    ],
)
def test_a_test_at_the_end_fails_the_other_events(directory: Directory, end: str) -> None:
    directory.script("50.web.script", f"#!/bin/bash\ncheck() (true)\n\n{end}\n")
    assert directory.found() == [("50.web.script", 4, "warning", "last-line")]
    assert directory.messages()[0].endswith("add a last line: exit 0")


@pytest.mark.parametrize(
    "end",
    [
        '[ "$1" = monitor ] && check\nexit 0',
        '[ "$1" = monitor ] && check; exit 0',
        '[ "$1" = monitor ] && check || true',
        '[ "$1" = monitor ] && check ||\n\ttrue',
        '[ "$1" = monitor ] || exit 0',
        '[ "$1" = monitor ]',
        'if true; then\n[ "$1" = monitor ] && check\nfi',
        '[ "$1" = monitor ] && check\nmore() {\n\t:\n}',
        "\techo 1",
    ],
)
def test_other_last_lines_are_good(directory: Directory, end: str) -> None:
    directory.script("50.web.script", f"#!/bin/bash\n{end}\n")
    assert directory.findings() == []


# ---------------------------------------------------------------------- locks


def test_lines_that_declare_no_lock(directory: Directory) -> None:
    text = (
        "#!/bin/sh\n# ctdb-eventd-locks: good bad/name\n# ctdb-eventd-locks:\n#ctdb-eventd-locks: x\n"
        "# ctdb-eventd-lock: x\n# CTDB_eventd locks = x\n# ctdb-eventd-locks are described elsewhere\n"
    )
    directory.script("50.web.script", text + "#\n" * 2100 + "# ctdb-eventd-locks: late\n")
    assert directory.found() == [
        ("50.web.script", 2, "error", "lock-name"),
        ("50.web.script", 3, "warning", "lock-line"),
        ("50.web.script", 4, "warning", "lock-line"),
        ("50.web.script", 5, "warning", "lock-line"),
        ("50.web.script", 6, "warning", "lock-line"),
        ("50.web.script", 2108, "warning", "lock-line"),
    ]
    assert '"late" is not declared: only the first 4096 bytes' in directory.messages()[-1]


def locks_of(directory: Directory, configuration: str = "") -> list[tuple[str, int | None, str]]:
    file = directory.path.parent / "ctdb.conf"
    file.write_text(configuration)
    found = lock_findings([directory.look()], parse(configuration, str(file)).locks, str(file))
    assert {finding.check for finding in found} <= {Check.LOCK_UNKNOWN}
    return [(os.path.basename(finding.path), finding.line, finding.message) for finding in found]


def declare(directory: Directory, name: str, *locks: str) -> None:
    directory.script(name, f"#!/bin/sh\n# ctdb-eventd-locks: {' '.join(locks)}\n")


def test_a_lock_like_one_that_is_set_from_the_beginning(directory: Directory) -> None:
    declare(directory, "50.web.script", "own", "nfs-calout")
    text = 'no other script declares a lock "nfs-calout", so it excludes no other script; did you mean "nfs-callout"?'
    assert locks_of(directory) == [("50.web.script", 2, text)]


def test_a_lock_like_one_of_the_configuration_or_of_two_scripts(directory: Directory) -> None:
    declare(directory, "50.a.script", "database", "storrage")
    declare(directory, "51.b.script", "database", "wrong/name")
    declare(directory, "52.c.script", "databse", "unlike")
    found = locks_of(directory, "[locks]\nstorage = 50.x\n")
    assert [(name, message.rpartition("; ")[2]) for name, _, message in found] == [
        ("52.c.script", 'did you mean "database"?'),
        ("50.a.script", 'did you mean "storage"?'),
    ]


def test_a_lock_of_the_configuration_like_another(directory: Directory) -> None:
    declare(directory, "50.a.script", "database")
    declare(directory, "51.b.script", "database")
    found = locks_of(
        directory, "[locks]\n  databases = 60.x\n  route-tabel = 13.y\n  own = 5.z\n".replace("5.z", "05.z")
    )
    assert [(name, line) for name, line, _ in found] == [("ctdb.conf", 2), ("ctdb.conf", 3)]


def test_numbered_locks_are_no_slips(directory: Directory) -> None:
    declare(directory, "50.a.script", "disk1")
    declare(directory, "51.b.script", "disk1")
    declare(directory, "52.c.script", "disk2")
    assert locks_of(directory) == []


def test_a_script_that_is_linked_twice_is_one(directory: Directory) -> None:
    declare(directory, "50.a.script", "database")
    (directory.path / "51.b.script").symlink_to("50.a.script")
    declare(directory, "52.c.script", "databse")
    assert locks_of(directory) == []


def test_a_configuration_that_vanishes_has_no_lines(directory: Directory, tmp_path: Path) -> None:
    (finding,) = lock_findings([directory.look()], ["route-tabel"], str(tmp_path / "none"))
    assert finding.line is None


@pytest.mark.parametrize(
    ("word", "near"),
    [("ab", "abc"), ("abdcx", "abcdx"), ("xyz", None), ("", None), ("ABC", "abc"), ("abcdefg", None)],
)
def test_what_is_near(word: str, near: str | None) -> None:
    assert nearest(word, ["abc", "abcdx", "abcdefghijk"], similarity=0.8) == near


# ---------------------------------------------------------------------- documentation


def test_every_check_is_documented_and_no_other() -> None:
    page = (TOP / "docs" / "lint.md").read_text()
    part = page.partition("## Checks")[2].partition("## JSON")[0]
    documented = re.findall(r"^\| `([a-z-]+)` \|", part, flags=re.MULTILINE)
    assert sorted(documented) == sorted(check.value for check in Check)


def test_the_limits_are_what_is_documented() -> None:
    assert check._MOST_READ == 1 << 20
    assert "longer than 1 MiB" in (TOP / "docs" / "lint.md").read_text()


# ---------------------------------------------------------------------- declared events


def test_events_that_are_declared_otherwise_than_handled(directory: Directory) -> None:
    head = "#!/bin/sh\n# ctdb-eventd-events: monitor takeip\n# ctdb-eventd-event: x\n"
    directory.script("50.web.script", head + 'case "$1" in\nmonitor) : ;;\nreleaseip) : ;;\nesac\nexit 0\n')
    assert directory.found() == [
        ("50.web.script", 2, "warning", "event-declared"),
        ("50.web.script", 3, "warning", "event-line"),
        ("50.web.script", 6, "warning", "event-declared"),
    ]
