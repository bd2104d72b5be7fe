"""The table of commands: whole, consistent with the program, and the help that is made of it; command lines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fake_broker import FakeBroker

from ctdb_event import cli, cli_commands
from ctdb_event.argv import timeout_of
from ctdb_event.commands import arguments
from ctdb_event.commands.arguments import Usage, command_of, parse
from ctdb_event.commands.catalogue import COMMANDS, find
from ctdb_event.commands.explain import overview, pages
from ctdb_event.commands.table import Command
from ctdb_event.console import Failure
from ctdb_eventd.text import nearest

every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
new_command = pytest.mark.parametrize("command", [c for c in COMMANDS if not c.dropin], ids=lambda c: c.words)


def row(words: str) -> Command:
    command = find(words.split())
    assert command is not None
    return command


@every_command
def test_every_row_is_whole(command: Command) -> None:
    assert command.purpose.endswith(".")
    assert command.text.endswith(".")
    assert command.group
    assert command.statuses
    for line, meaning in command.examples:
        assert line.startswith(f"ctdb-event {command.words}")
        assert meaning
    assert command.examples
    assert all(operand.purpose for operand in command.operands)
    names = {option.name for option in command.options}
    assert ("--plain" in names) == bool(command.columns) or command.words == "lint"
    assert ("--json" in names) == bool(command.json)


@every_command
def test_the_examples_are_command_lines(command: Command) -> None:
    for line, _ in command.examples:
        words = re.split(r"[|]", line)[0].replace("'two words'", "two").split()[1:]
        found = command_of(words)
        assert found is command
        parse(words, command)


def test_groups_stand_together() -> None:
    groups = [command.group for command in COMMANDS]
    changes = [group for before, group in zip([None, *groups], groups, strict=False) if before != group]
    assert len(changes) == len(set(groups))


def test_the_usage_shows_exactly_the_commands_of_ctdbs_program() -> None:
    dropin = {" ".join(command.words) for command in cli._COMMANDS}
    assert {command.words for command in COMMANDS if command.dropin} == dropin


@new_command
def test_every_new_command_is_carried_out_by_something(command: Command) -> None:
    if command.words not in ("help", "lint"):
        assert callable(cli_commands._handler(command.words))


@pytest.mark.parametrize("words", [["-h"], ["status", "--help"], [], ["foo"]])
def test_new_commands_do_not_show_in_the_usage(words: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    cli.main(words)
    shown = capfdbinary.readouterr().out.decode()
    assert "watch" not in shown
    assert "--stream" not in shown


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["ps"], True),
        (["--socket", "ps", "status", "a", "b"], False),
        (["-d", "X", "ps"], True),
        (["--debug=X", "--", "ps"], True),
        (["--kinds", "health", "subscribe"], True),
        (["--wait", "lock", "status", "a", "b"], False),
        (["run", "3", "a", "b"], False),
        (["run", "3", "a", "b", "--", "--json"], False),
        (["run", "3", "a", "--json", "b"], True),
        (["--stream", "run", "3", "a", "b"], True),
        (["-"], False),
        (["-x"], False),
    ],
)
def test_what_is_new(words: list[str], new: bool) -> None:
    assert cli._is_new(words) is new


# ---------------------------------------------------------------------- help


def test_overview_names_every_command() -> None:
    shown = overview()
    for command in COMMANDS:
        assert f"  {command.words} " in shown
        assert command.purpose in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


@every_command
def test_a_page_has_all_of_the_row(command: Command) -> None:
    page = pages(command)
    for text in (command.usage, *(option.shown for option in command.all_options)):
        assert text in page
    for name, _ in (*command.columns, *command.statuses):
        assert name.replace("`", "") in page
    assert "`" not in page
    assert "](" not in page
    assert max(len(line) for line in page.splitlines() if not line.startswith(("Usage:", "  ctdb-event"))) <= 84


@pytest.mark.parametrize("words", [["help"], ["--help", "help"], ["help", "lock"], ["lock", "--help"], ["ps", "-h"]])
def test_help_succeeds(words: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(words) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(b"Usage: ctdb-event ")
    assert err == b""


def test_help_of_several_words(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(["help", "script", "list"]) == 0
    assert capfdbinary.readouterr().out.count(b"Usage:") == 1
    assert cli.main(["help", "script"]) == 0
    assert capfdbinary.readouterr().out.count(b"Usage:") == 3


def test_help_of_nothing_known(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(["help", "pss"]) == 1
    expected = b'ctdb-event: unknown command "pss"; did you mean "ps"? ctdb-event help lists all commands\n'
    assert capfdbinary.readouterr().err == expected


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["statuss", "a", "b"], 'unknown command "statuss"; did you mean "status"? '),
        (["script", "enabel", "a"], 'unknown command "script enabel"; did you mean "script enable"? '),
        (["zzz\x1b"], 'unknown command "zzz\\x1b"; '),
    ],
)
def test_an_unknown_command(words: list[str], advice: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(words) == 1
    out, err = capfdbinary.readouterr()
    assert out.decode() == cli._USAGE * 2
    assert err.decode() == f"ctdb-event: {advice}ctdb-event help lists all commands\n"


def test_nothing_near() -> None:
    assert nearest("qqqqq", ["ps", "watch"]) is None
    assert find(["nothing"]) is None


# ---------------------------------------------------------------------- command lines


def test_options_may_stand_anywhere() -> None:
    found = parse(
        ["-h", "results", "--json", "a", "--address=x=y", "--socket", "s", "b", "-dX", "-d", "Y"], row("results")
    )
    assert found.flags == {"--help", "--json"}
    assert found.values == {"--address": "x=y", "--socket": "s", "--debug": "Y"}
    assert found.operands == ["a", "b"]
    assert found.operand(1) == "b"
    assert found.operand(2) is None


def test_two_dashes_end_options() -> None:
    assert parse(["run", "--stream", "3", "a", "b", "--", "-x", "--"], row("run")).operands == [
        "3",
        "a",
        "b",
        "-x",
        "--",
    ]
    found = parse(["lock", "a", "--", "ls", "--", "-l"], row("lock"))
    assert (found.operands, found.behind) == (["a"], ["ls", "--", "-l"])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["cancel"], "RUN is missing"),
        (["cancel", "a", "b\x1b"], "b\\x1b is one argument too many"),
        (["ps", "-"], "- is one argument too many"),
        (["ps", "--jsn"], "unknown option --jsn; did you mean --json?"),
        (["ps", "-x"], "unknown option -x; there are: --json, --plain, --socket, --debug, --help"),
        (["ps", "--json=3"], "option --json takes no value, here it has 3"),
        (["ps", "--socket"], "option --socket needs a value, PATH"),
        (["ps", "--json", "--plain"], "--json and --plain exclude each other"),
        (["history", "--plain", "--export"], "--export and --plain exclude each other"),
        (["lock", "a", "ls"], "ls is one argument too many; COMMAND must follow --"),
        (["lock", "a"], "COMMAND is missing; it must follow --"),
        (["lock", "a", "--"], "COMMAND is missing; it must follow --"),
        (["lock", "--", "ls"], "NAME[,NAME...] is missing"),
    ],
)
def test_wrong_usage(words: list[str], problem: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    command = row(words[0])
    with pytest.raises(Usage) as caught:
        parse(words, command)
    assert str(caught.value).splitlines() == [
        problem,
        f"Usage: {command.usage}",
        f"More: ctdb-event help {command.words}",
    ]
    assert cli.main(words) == (125 if words[0] == "lock" else 1)
    assert capfdbinary.readouterr().err.decode().startswith(f"ctdb-event: {problem}\n")


@pytest.mark.parametrize(("given", "value"), [("0", 0), (" +30 ", 30), ("4294967295", 4294967295)])
def test_timeouts(given: str, value: int) -> None:
    assert timeout_of(given) == value


@pytest.mark.parametrize("given", ["", "x", "-1", "4294967296", "1.5", "9" * 50, "٣"])
def test_what_is_no_timeout(given: str) -> None:
    with pytest.raises(Failure, match="a whole number of seconds from 0") as caught:
        timeout_of(given)
    assert caught.value.code == 22


@pytest.mark.parametrize("given", ["", "x", "-1", "nan", "inf"])
def test_what_are_no_seconds(given: str) -> None:
    with pytest.raises(Failure, match="seconds are expected, such as 10"):
        arguments.seconds("--wait", given)


# ---------------------------------------------------------------------- what goes wrong


def failure(capture: pytest.CaptureFixture[bytes], *words: str) -> tuple[int, str]:
    code = cli.main(list(words))
    out, err = capture.readouterr()
    assert out == b""
    return code, err.decode()


def test_no_daemon(node: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code, said = failure(capfdbinary, "ps")
    assert code == 1
    assert said == (
        f"ctdb-event: no event daemon listens on {node}/run/eventd.socket: No such file or directory; "
        "start CTDB (or ctdb-eventd), or name the daemon's socket with --socket PATH\n"
    )
    assert "AF_UNIX path too long" in failure(capfdbinary, "ps", "--socket", "/" + "x" * 200)[1]


def test_not_root(node: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ctdb_event.commands.session.DaemonConnection", refuse)
    code, said = failure(capfdbinary, "ps")
    assert code == 1
    assert "Permission denied; run this as root, or ask its administrator for `read = " in said


@pytest.mark.parametrize("user", [0, 1000])
def test_ctdbs_own_daemon(
    user: int, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    broker.old = True
    code, said = failure(capfdbinary, "ps")
    assert code == 1
    assert "speaks only CTDB's own dialect" in said
    assert (
        "These commands work with it: run, status, health, script list, script enable, script disable. "
        "ctdb-eventd-install --status" in said
    )
    assert "administrator" not in said, "it waits to be asked, so this user is not refused"


def test_test_mode_without_a_base(node: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> None:
    monkeypatch.delenv("CTDB_BASE")
    assert "CTDB_BASE must name" in failure(capfdbinary, "ps")[1]


def test_the_daemon_goes(broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    broker.reply("hello", {"server": "x", "pid": 1})
    broker.rules["ping"] = lambda asked: broker.hang_up()
    code, said = failure(capfdbinary, "ping")
    assert code == 1
    assert said.startswith("ctdb-event: no answer from the event daemon: connection to ")
    assert said.endswith("see its log for the reason\n")


def test_nonsense_for_an_answer(broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    broker.rules["reload"] = lambda asked: asked.raw(b"\0\0\0\1x")
    assert "does not use the event protocol" in failure(capfdbinary, "reload")[1]


def test_what_cannot_be_said(broker: FakeBroker, capfdbinary: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ctdb_event.commands import problems
    from ctdb_event.errors import InvalidRequest

    assert str(problems.explained("p", InvalidRequest("EINVAL", "too long"))) == "this request can't be sent: too long"


@pytest.mark.parametrize(
    ("kind", "code", "status", "advice"),
    [
        ("NoSuchRun", "ENOENT", 2, "; ctdb-event ps lists what runs and waits"),
        ("NoSuchPastRun", "ENOENT", 2, "; ctdb-event history lists those that are"),
        ("NeverRan", "EINVAL", 22, "; ctdb-event results lists the events that have"),
        ("NoSuchMethod", "ENOSYS", 38, "; the daemon has another version than this program: restart CTDB after an"),
        ("Bug", "EIO", 5, "; the daemon's log has more; please report it"),
        ("OfLater", "EIEIO", 1, "\n"),
    ],
)
def test_refusals(
    kind: str, code: str, status: int, advice: str, broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    broker.refuse("cancel", code, "no\x1b good", kind=kind)
    exit_status, said = failure(capfdbinary, "cancel", "x")
    assert exit_status == status
    assert said.startswith("ctdb-event: no\\x1b good" + advice)


@pytest.mark.parametrize(
    ("components", "advice"),
    [
        ([{"name": "legacy"}, {"name": "x\x1b"}], "there are: legacy, x\\x1b"),
        ([], "there is none: is CTDB's package installed?"),
        (None, "ctdb-event components lists them"),
    ],
)
def test_an_unknown_component(
    components: Any, advice: str, broker: FakeBroker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    broker.refuse("scripts", "ENOENT", "component nope does not exist", kind="NoSuchComponent")
    if components is not None:
        broker.reply("components", components)
    assert failure(capfdbinary, "scripts", "nope") == (
        2,
        f"ctdb-event: component nope does not exist; {advice}\n",
    )


def test_json_of_bytes() -> None:
    from ctdb_event.commands.jsonic import document, line

    assert json.loads(line({"a": b"\xff"})) == json.loads(document({"a": b"\xff"})) == {"a": "\udcff"}
    assert line([1, None]).isascii()
