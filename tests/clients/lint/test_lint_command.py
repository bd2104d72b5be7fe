"""`ctdb-event lint`: what it looks at, how it says what it found, and its exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ctdb_event import cli
from ctdb_event.lint import command
from ctdb_event.lint.command import EXIT_CLEAN, EXIT_FOUND, EXIT_NOT_LOOKED, lint
from ctdb_eventd.safety import Trusted

GOOD = '#!/bin/sh\ncase "$1" in\nmonitor) exit 0 ;;\nesac\n'
WARNING = GOOD.replace("monitor", "montior")
ERROR = "echo\n"
NOTE = GOOD.replace("monitor", "reconfigure")


class LintNode:
    """A node's directories, and the command on them."""

    def __init__(self, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.base = base
        self.capsys = capsys
        self.environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": str(base)}
        self.directory("events/legacy")

    def directory(self, name: str) -> Path:
        path = self.base / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
        return path

    def script(self, name: str, text: str = GOOD, directory: str = "events/legacy") -> Path:
        path = self.directory(directory) / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Returns the exit status and what was said on stdout and stderr, with the base directory as `BASE`.

        The last line on stderr, how much was looked at, is kept in `closing`.
        """
        code = lint(list(arguments), self.environ)
        said = self.capsys.readouterr()
        err, self.closing = without_closing(said.err)
        return code, said.out.replace(str(self.base), "BASE"), err.replace(str(self.base), "BASE")

    def command(self, *words: str) -> tuple[int, str, str]:
        """The same with a whole command line."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environ.items():
                patch.setenv(name, value)
            code = cli.main(list(words))
        said = self.capsys.readouterr()
        return code, said.out, without_closing(said.err)[0]


def without_closing(err: str) -> tuple[str, str]:
    """Returns what was said on stderr without the last line, how much was looked at, and that line."""
    *rest, last = err.splitlines(keepends=True) or [""]
    is_closing = last.startswith("ctdb-event lint: checked ")
    return ("".join(rest), last) if is_closing else (err, "")


@pytest.fixture
def node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> LintNode:
    return LintNode(tmp_path, capsys)


# ---------------------------------------------------------------------- exit status


def test_nothing_wrong_is_said_with_nothing(node: LintNode) -> None:
    node.script("50.web.script")
    assert node.run() == (EXIT_CLEAN, "", "")


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--plain"]])
def test_at_the_end_people_are_told_how_much_was_looked_at(node: LintNode, arguments: list[str]) -> None:
    node.script("50.web.script", NOTE)
    node.script("60.web.script", ERROR, "events/other")
    node.script("70.web.script", directory="events/other")
    node.run(*arguments)
    counted = "ctdb-event lint: checked 3 scripts in 2 components: 1 error, 0 warnings, 1 note\n"
    assert node.closing == ("" if arguments else counted)


@pytest.mark.parametrize(
    ("text", "code", "strict"),
    [(NOTE, EXIT_CLEAN, EXIT_CLEAN), (WARNING, EXIT_CLEAN, EXIT_FOUND), (ERROR, EXIT_FOUND, EXIT_FOUND)],
)
def test_the_exit_status_is_the_gravest_finding(node: LintNode, text: str, code: int, strict: int) -> None:
    node.script("50.web.script", text)
    assert node.run("legacy")[0] == code
    assert node.run("legacy", "--strict")[0] == strict


def test_findings_are_lines_as_of_compilers(node: LintNode) -> None:
    node.script("50.web.script", WARNING)
    node.script("51-off.script")
    code, said, complaints = node.run("--plain")
    assert (code, complaints) == (EXIT_CLEAN, "")
    assert said.splitlines() == [
        "BASE/events/legacy/50.web.script:3: warning: "
        '"montior" is not one of CTDB\'s events, so this never runs; did you mean "monitor"? [event]',
        "BASE/events/legacy/51-off.script: warning: does not run: its name doesn't start with two digits and a dot; "
        "if it should run, name it 51.off.script [name]",
    ]


# ---------------------------------------------------------------------- what is looked at


def test_without_arguments_every_component_is_looked_at(node: LintNode) -> None:
    node.script("50.a.script", ERROR)
    node.script("50.b.script", ERROR, "events/other")
    node.script("README", "", "events/notification")
    (node.base / "events/file").write_text("")
    files = [line.partition(":")[0] for line in node.run()[1].splitlines()]
    assert files == ["BASE/events/legacy/50.a.script", "BASE/events/other/50.b.script"]
    files = [line.partition(":")[0] for line in node.run("other")[1].splitlines()]
    assert files == ["BASE/events/other/50.b.script"]


def test_a_directory_has_a_slash_or_is_a_dot(node: LintNode, monkeypatch: pytest.MonkeyPatch) -> None:
    node.script("50.a.script", ERROR, "work/legacy")
    monkeypatch.chdir(node.base / "work")
    for argument, shown in (("./legacy", "./legacy"), ("legacy/", "legacy"), (".", "./legacy"), ("./", "./legacy")):
        code, said, _ = node.run(argument)
        assert (code, said.partition(":")[0]) == (EXIT_FOUND, f"{shown}/50.a.script")
    monkeypatch.chdir(node.base / "work/legacy")
    assert node.run(".")[1].startswith("./50.a.script:1: error:")


def test_a_directory_without_scripts_and_without_components_is_looked_at_itself(node: LintNode) -> None:
    node.script("web.script", GOOD, "work")
    node.script("README", "", "work/docs")
    assert node.run(f"{node.base}/work")[1].startswith("BASE/work/web.script: warning:")


def test_a_working_copy_is_its_owners_and_its_groups(node: LintNode) -> None:
    path = node.script("50.a.script", GOOD, "work/legacy")
    path.chmod(0o775)
    path.parent.chmod(0o775)
    assert node.run(str(path.parent)) == (EXIT_CLEAN, "", "")
    path.chmod(0o777)
    assert node.run(str(path.parent))[0] == EXIT_FOUND


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to any group")
def test_on_the_node_the_group_must_not_write(node: LintNode) -> None:
    script = node.script("50.a.script")
    os.chown(script, -1, 1)
    script.chmod(0o775)
    assert node.run("--strict")[0] == EXIT_FOUND
    assert node.run("--strict", f"{node.base}/events/legacy")[0] == EXIT_FOUND
    elsewhere = node.directory("elsewhere")
    (node.base / "events/linked").symlink_to(elsewhere)
    os.chown(elsewhere, -1, 1)
    elsewhere.chmod(0o775)
    assert node.run("--strict", "linked")[0] == EXIT_FOUND


def test_outside_of_test_nodes_only_root_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A node's own directory, by whoever looks: his own files are not safe for root."""
    seen: list[frozenset[int]] = []

    def examine(directory: str, *arguments: object, **_: object) -> None:
        trusted = arguments[3]
        assert isinstance(trusted, Trusted)
        seen.append(trusted.users)
        raise PermissionError(13, "Permission denied", directory)

    monkeypatch.setattr(command, "examine", examine)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    lint(["legacy"], {})
    lint(["legacy"], {"CTDB_TEST_MODE": "1", "CTDB_BASE": str(tmp_path)})
    assert seen == [frozenset({0}), frozenset({0, 4711})]


# ---------------------------------------------------------------------- what depends on the node's CTDB


NEEDS_422 = '#!/bin/sh\n. "${CTDB_BASE}/functions"\nfailcount_init x\n'


def test_the_nodes_own_functions_decide_what_its_scripts_can_call(node: LintNode) -> None:
    node.script("50.web.script", NEEDS_422)
    node.script("50.web.script", NEEDS_422, "elsewhere")
    note = 'BASE/elsewhere/50.web.script:3: note: the function "failcount_init" needs a recent CTDB: '
    assert node.run(f"{node.base}/elsewhere")[1].startswith(note)
    functions = node.base / "functions"
    functions.write_text("ctdb_counter_get ()\n{\n}\n")
    _, said, _ = node.run()
    assert said == (
        'BASE/events/legacy/50.web.script:3: warning: this node\'s CTDB has no function "failcount_init", so the line '
        "fails: CTDB 4.22 has it, 4.17 has not; upgrade CTDB, or do without [function]\n"
    )
    functions.write_text("failcount_init()\n{\n}\n")
    assert node.run() == (EXIT_CLEAN, "", "")


def test_scripts_that_were_left_in_events_d(node: LintNode) -> None:
    for name in ("50.web", "50.web~", "README", "51.db.script"):
        node.script(name, directory="events.d")
    _, said, _ = node.run("legacy")
    text = "warning: never runs: CTDB looks in BASE/events/COMPONENT only; remove it, or move it to BASE/events/legacy"
    assert said == (
        f"BASE/events.d/50.web: {text}/50.web.script [events-d]\n"
        f"BASE/events.d/51.db.script: {text}/51.db.script [events-d]\n"
    )
    node.script("50.web.script", directory="elsewhere")
    assert node.run(f"{node.base}/elsewhere") == (EXIT_CLEAN, "", "")


# ---------------------------------------------------------------------- what can't be looked at


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("nosuch", "BASE/events/nosuch is not a directory"),
        ("BASE/nosuch", "BASE/nosuch is not a directory"),
        ("work", "BASE/events/work is not a directory; the one here is ./work"),
        (
            "BASE/events/legacy/50.a.script",
            "BASE/events/legacy/50.a.script is not a directory; name the one that it is in: BASE/events/legacy/",
        ),
        ("", "component name '' is invalid: it is empty"),
    ],
)
def test_what_is_not_there(node: LintNode, monkeypatch: pytest.MonkeyPatch, argument: str, problem: str) -> None:
    node.directory("work")
    node.script("50.a.script", ERROR)
    monkeypatch.chdir(node.base)
    code, said, complaints = node.run(argument.replace("BASE", str(node.base)), "legacy")
    assert code == EXIT_NOT_LOOKED
    assert "50.a.script:1: error:" in said  # the rest is looked at all the same
    assert complaints.startswith("ctdb-event lint: ")
    assert problem in complaints


def test_a_node_without_components(node: LintNode) -> None:
    (node.base / "events/legacy").rmdir()
    (node.base / "events").rmdir()
    code, _, complaints = node.run()
    assert code == EXIT_NOT_LOOKED
    assert complaints == "ctdb-event lint: BASE/events can't be read: No such file or directory\n"


def test_a_directory_that_must_not_be_read(node: LintNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    code, _, complaints = node.run("legacy", f"{node.base}/events/legacy")
    assert code == EXIT_NOT_LOOKED
    assert complaints == 2 * "ctdb-event lint: BASE/events/legacy can't be read: Permission denied\n"


def test_a_layout_that_is_not_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint([], {"CTDB_TEST_MODE": "1"}) == EXIT_NOT_LOOKED
    assert "CTDB_BASE" in capsys.readouterr().err


# ---------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--colour"], "unknown option --colour"),
        (["-x\x1b"], "unknown option -x\\x1b"),
        (["--json", "--plain"], "--json and --plain exclude each other"),
        (["--socket"], "option --socket needs a value, PATH"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_options_that_can_not_be_understood(node: LintNode, arguments: list[str], problem: str, before: bool) -> None:
    code, said, complaints = node.command(
        *([*arguments, "lint"] if before and "needs a value" not in problem else ["lint", *arguments])
    )
    assert (code, said) == (EXIT_NOT_LOOKED, "")
    assert complaints.startswith(f"ctdb-event: {problem}")
    assert "\nUsage: ctdb-event lint " in complaints


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("before", [True, False])
def test_help(node: LintNode, option: str, before: bool) -> None:
    code, said, _ = node.command(*([option, "lint"] if before else ["lint", option]))
    assert (code, said.partition(" [")[0]) == (EXIT_CLEAN, "Usage: ctdb-event lint")


def test_options_count_wherever_they_stand(node: LintNode) -> None:
    node.script("50.web.script", WARNING)
    for words in (["--strict", "lint", "legacy"], ["lint", "--strict", "legacy"], ["lint", "legacy", "--strict"]):
        assert node.command(*words)[0] == EXIT_FOUND, words
    assert json.loads(node.command("--json", "lint")[1])["warnings"] == 1


def test_options_of_every_command_are_its_own_too(node: LintNode) -> None:
    for words in (
        ["--socket", "lint", "lint"],
        ["lint", "--socket=x"],
        ["lint", "--debug", "INFO"],
        ["-d", "X", "lint"],
    ):
        assert node.command(*words) == (EXIT_CLEAN, "", ""), words


def test_behind_two_dashes_nothing_is_an_option(node: LintNode) -> None:
    node.script("50.a.script", WARNING, "events/--json")
    code, said, _ = node.run("--strict", "--", "--json")
    assert code == EXIT_FOUND
    assert said.startswith("BASE/events/--json/50.a.script:3: warning:")


# ---------------------------------------------------------------------- configuration


def test_a_broken_configuration_is_a_finding(node: LintNode) -> None:
    (node.base / "ctdb.conf").write_text("[eventd]\n  script names = any\n")
    node.script("50.a")
    code, said, _ = node.run()
    assert code == EXIT_FOUND
    assert said.startswith('BASE/ctdb.conf:2: error: [eventd] script names = "any": expected one of')
    assert "[configuration]\n" in said
    assert "[name-bare]\n" in said


@pytest.mark.parametrize(
    ("misspelt", "meant"), [("lock", "locks"), ("evend", "eventd"), ("eventscript", "event"), ("loging", "logging")]
)
def test_a_misspelt_section_is_a_finding_with_the_nearest_right_name(node: LintNode, misspelt: str, meant: str) -> None:
    (node.base / "ctdb.conf").write_text(f"[cluster]\n[{misspelt}]\n  x = 1\n")
    node.script("50.a.script", GOOD)
    warning = f'"[{misspelt}]": the unknown section is ignored; did you mean [{meant}]?'
    assert node.run() == (EXIT_CLEAN, f"BASE/ctdb.conf:2: warning: {warning} [configuration]\n", "")


def test_the_configurations_rule_and_locks_count(node: LintNode) -> None:
    (node.base / "ctdb.conf").write_text("[eventd]\n  script names = suffix\n[locks]\n  route-tabel = 50.b\n")
    node.script("50.a")
    said = node.run()[1]
    assert "BASE/events/legacy/50.a: warning: does not run: its name doesn't end in .script" in said
    assert 'BASE/ctdb.conf:4: warning: no other script declares a lock "route-tabel"' in said
    node.script("50.a.script", GOOD, "work")
    assert node.run(f"{node.base}/work") == (EXIT_CLEAN, "", "")


# ---------------------------------------------------------------------- JSON


def test_json(node: LintNode) -> None:
    node.script("50.a.script", WARNING)
    node.script("51.b.script").chmod(0o644)
    code, said, _ = node.run("--json", "legacy", "nosuch")
    assert code == EXIT_NOT_LOOKED
    assert json.loads(said) == {
        "format": 1,
        "errors": 0,
        "warnings": 1,
        "notes": 1,
        "components": [{"component": "legacy", "directory": "BASE/events/legacy", "scripts": 2, "enabled": 1}],
        "findings": [
            {
                "file": "BASE/events/legacy/50.a.script",
                "line": 3,
                "severity": "warning",
                "check": "event",
                "message": '"montior" is not one of CTDB\'s events, so this never runs; did you mean "monitor"?',
                "component": "legacy",
                "script": "50.a",
            },
            {
                "file": "BASE/events/legacy/51.b.script",
                "line": None,
                "severity": "note",
                "check": "disabled",
                "message": "disabled: not executable by its owner (mode 0644)",
                "component": "legacy",
                "script": "51.b",
            },
        ],
        "problems": ["BASE/events/nosuch is not a directory"],
    }


def test_the_keys_of_the_json_are_documented(node: LintNode) -> None:
    node.script("50.a.script", WARNING)
    document = json.loads(node.run("--json")[1])
    page = (Path(__file__).resolve().parents[3] / "docs" / "lint.md").read_text().partition("## JSON")[2]
    for key in (*document, *document["components"][0], *document["findings"][0]):
        assert f"`{key}`" in page


# ---------------------------------------------------------------------- odd names

ODD = os.fsdecode(b"50-\x1b[31m\xff\n.script")


def run_apart(node: LintNode, stdout: int) -> subprocess.CompletedProcess[bytes]:
    code = f"import sys; from ctdb_event.lint.command import lint; sys.exit(lint([], {node.environ!r}))"
    return subprocess.run([sys.executable, "-c", code], stdout=stdout, stderr=subprocess.PIPE, check=False)


def test_each_finding_is_one_line_and_its_bytes_are_left(node: LintNode) -> None:
    node.script(ODD)
    (line,) = run_apart(node, subprocess.PIPE).stdout.splitlines()
    assert b"/50-\x1b[31m\xff\\n.script: warning:" in line


def test_a_terminal_gets_no_control_bytes(node: LintNode) -> None:
    node.script(ODD)
    controller, terminal = pty.openpty()
    done = run_apart(node, terminal)
    os.close(terminal)
    said = os.read(controller, 1 << 16)
    os.close(controller)
    assert (done.returncode, without_closing(done.stderr.decode())[0]) == (EXIT_CLEAN, "")
    assert b"/50-\\x1b[31m\\xff" in said
    assert b"\x1b" not in said


# ---------------------------------------------------------------------- the project's own scripts


def test_the_projects_own_scripts_are_clean(node: LintNode) -> None:
    code, said, complaints = node.run("--strict", f"{Path(__file__).resolve().parents[3]}/contrib/events")
    assert (code, complaints) == (EXIT_CLEAN, ""), said
    assert re.match(r"ctdb-event lint: checked [1-9]\d* scripts in 1 component: 0 errors, 0 warnings", node.closing)


def test_what_the_configurations_reader_passes_over_is_a_warning(node: LintNode) -> None:
    config = node.base / "ctdb.conf"
    config.write_text("garbage\n[logging]\nlog level\n")
    code, said, _ = node.run()
    lines = [line for line in said.splitlines() if "[configuration]" in line]
    assert code == EXIT_CLEAN
    assert len(lines) == 2
    for line, number in zip(lines, (1, 3), strict=True):
        assert f"ctdb.conf:{number}: warning: " in line
    assert node.run("--strict")[0] == EXIT_FOUND


def test_configured_events_are_compared_with_the_scripts(node: LintNode) -> None:
    (node.base / "ctdb.conf").write_text(
        "[events]\n  50.web = takeip monitor\n  60.all = all\n  70.nfs = monitor\n  80.wbe = monitor\n"
    )
    for name in ("50.web", "60.all", "80.web"):
        node.script(f"{name}.script", GOOD.replace("monitor", "monitor | releaseip"))
    node.script("70.nfs.script", '#!/bin/sh\n[ "$1" = monitor ] || exit 0\nexit 1\n')
    code, said, _ = node.run("--strict")
    assert (code, said.splitlines()) == (
        EXIT_FOUND,
        [
            'BASE/events/legacy/50.web.script: warning: BASE/ctdb.conf:2 names "takeip", but no case label matches '
            "it: the script is started for it needlessly [event-declared]",
            'BASE/events/legacy/50.web.script:3: warning: "releaseip" is not among the events of BASE/ctdb.conf:2, so '
            "this never runs [event-declared]",
            'BASE/ctdb.conf:5: warning: no component has a script "80.wbe"; "80.web"? [event-declared]',
        ],
    )
    assert node.run("--strict", "legacy") == (EXIT_CLEAN, "", "")
