"""What is made of the command line's table is up to date and well formed, and the completions complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import Node, running_daemon

from ctdb_event.commands.catalogue import COMMANDS

TOP = Path(__file__).resolve().parents[2]
COMPLETION = TOP / "contrib/completion"
PAGES = sorted((TOP / "contrib/man").iterdir())

PROGRAM = """#!/bin/sh
exec {python} -m {module} "$@"
"""
BASH = """
source {file}
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
{function}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def needs(program: str) -> pytest.MarkDecorator:
    """Skips a test, with the reason, where a program is not installed."""
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"{program} is not installed: apt install {program}"
    )


def test_the_generated_files_are_up_to_date() -> None:
    command = [sys.executable, "contrib/tools/generate.py", "--check"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stdout


def test_the_generator_refuses_what_it_does_not_know() -> None:
    done = subprocess.run([sys.executable, "contrib/tools/generate.py", "--chekc"], cwd=TOP, capture_output=True)
    assert done.returncode == 2


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_command_is_in_the_reference(command: object) -> None:
    words = command.words  # type: ignore[attr-defined]
    assert f"\n#### {words}\n" in (TOP / "docs/cli.md").read_text()


def test_the_daemons_page_has_its_options() -> None:
    shown = subprocess.run([sys.executable, "-m", "ctdb_eventd", "--help"], capture_output=True, text=True, check=True)
    page = (TOP / "contrib/man/ctdb-eventd.8").read_text().replace("\\", "")
    options = set(re.findall(r"--[a-z-]+", shown.stdout))
    assert options
    assert {option for option in options if option not in page} == set()


@pytest.mark.interop
@needs("mandoc")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing(page: Path) -> None:
    shown = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True).stdout
    assert [line for line in shown.splitlines() if "missing date" not in line] == []


@pytest.mark.interop
@needs("groff")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_formats_it_without_a_warning(page: Path) -> None:
    done = subprocess.run(["groff", "-man", "-Tutf8", "-P-cbu", "-ww", page], capture_output=True, text=True)
    assert done.stderr == ""
    assert "SEE ALSO" in done.stdout


# ---------------------------------------------------------------------- completion


def node_of(tmp_path: Path) -> Node:
    """A node with two components, a hostile name among them, and the program in its own directory."""
    node = Node(tmp_path)
    node.script("00.one.script", "# ctdb-eventd-locks: route-table\nread x <$CTDB_BASE/fifo")
    node.script("50.two.script", "exit 0", mode=0o644)
    node.script("10.x.script", "exit 0", component="$(touch pwned)")
    (tmp_path / "bin").mkdir()
    for name in ("ctdb-event", "ctdb-node"):
        program = tmp_path / "bin" / name
        program.write_text(PROGRAM.format(python=sys.executable, module=name.replace("-", "_")))
        program.chmod(0o755)
    return node


def environ(node: Node) -> dict[str, str]:
    return {**node.environ, "PATH": f"{node.base}/bin:{os.environ['PATH']}", "HOME": str(node.base)}


def in_bash(node: Node, *words: str) -> list[str]:
    program = words[0]
    script = BASH.format(file=COMPLETION / f"{program}.bash", function=f"_{program.replace('-', '_')}")
    command = ["bash", "--norc", "-c", script, "bash", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environ(node), cwd=node.base, check=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if done.stdout != "\n" else []


def in_fish(node: Node, *words: str) -> list[str]:
    line = " ".join(words)
    script = f"source {COMPLETION}/{words[0]}.fish; complete -C '{line}'"
    command = ["fish", "--no-config", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environ(node), cwd=node.base, check=True)
    assert done.stderr == ""
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


STATIC = [
    (["--so"], {"--socket"}),
    (["script", ""], {"list", "enable", "disable"}),
    (["ca"], {"cancel"}),
    (["cancel", "--j"], {"--json"}),
    (["subscribe", "--kinds", "queued,fi"], {"queued,finished"}),
    (["help", "lo"], {"lock", "locks"}),
    (["lock", "x", "--", "mkfif"], {"mkfifo"}),
    (["run", ""], set()),
    (["--socket", "/nonexistent", "components"], {"components"}),
    (["--socket", "/nonexistent", "scripts", ""], set()),
]


def test_bash_completes_what_is_always_there(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    everything = set(in_bash(node, "ctdb-event", ""))
    assert everything == {command.words.split()[0] for command in COMMANDS}
    for words, expected in STATIC:
        assert set(in_bash(node, "ctdb-event", *words)) == expected, words
    assert in_bash(node, "ctdb-event", "subscribe", "--kinds", "=", "fi") == ["finished"]
    assert in_bash(node, "ctdb-event", "--socket", "=", "/nonexistent", "cancel", "") == []
    assert in_bash(node, "ctdb-event", "--socket", str(tmp_path / "bi")) == [str(tmp_path / "bin")]
    assert in_bash(node, "ctdb-event", "nonsense", "") == []
    assert in_bash(node, "ctdb-event", "run", "--", "--js") == []


COMMANDS_OF_NODE = set("run status health addresses reallocate stop continue recover shutdown set".split())
OF_NODE = [
    (["he"], {"health"}),
    (["--js"], {"--json"}),
    (["--socket", "x", "sh"], {"shutdown"}),
    (["run", "--no"], {"--no-interfaces"}),
    (["set", "Mon"], {"MonitorInterval=", "MonitorTimeoutCount="}),
    (["set", "MonitorInterval=1", ""], set()),
    (["shutdown", ""], set()),
    (["nonsense", ""], set()),
]


def test_bash_completes_ctdb_node(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    assert set(in_bash(node, "ctdb-node", "")) >= COMMANDS_OF_NODE
    for words, expected in OF_NODE:
        assert set(in_bash(node, "ctdb-node", *words)) == expected, words
    for words in (["--socket", str(tmp_path / "bi")], ["--socket", "=", str(tmp_path / "bi")]):
        assert in_bash(node, "ctdb-node", *words) == [str(tmp_path / "bin")]


@pytest.mark.interop
@needs("fish")
def test_fish_completes_ctdb_node(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    assert set(in_fish(node, "ctdb-node", "")) >= COMMANDS_OF_NODE
    for words, expected in OF_NODE:
        assert set(in_fish(node, "ctdb-node", *words)) == expected, words


@pytest.mark.interop
@needs("zsh")
def test_zsh_completes_ctdb_node(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    for typed, expected in (
        ("heal", "health "),
        ("run --no", "run --no-interfaces "),
        ("set MonitorI", "set MonitorInterval="),
        ("--socket=bi", "--socket=bin/"),
    ):
        assert in_zsh(node, COMPLETION / "_ctdb-node", f"ctdb-node {typed}") == f"ctdb-node {expected}", typed


def test_the_man_page_of_ctdb_node_has_every_command_and_option() -> None:
    page = (TOP / "contrib/man/ctdb-node.1").read_text().replace("\\", "")
    for words in ([], ["run"]):
        command = [sys.executable, "-m", "ctdb_node", *words, "--help"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"--[a-z-]+", shown)) - {"--help"}
        assert {option for option in options if option not in page} == set()
    assert {name for name in COMMANDS_OF_NODE if f"\n.TP\nfB{name}" not in page} == set()


async def test_bash_completes_from_the_daemon(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    async with running_daemon(node) as daemon, daemon.client() as client:
        client.start("monitor")
        asked = client.start("init", component="legacy")
        assert asked
        runs = ran(node)
        hostile = "\\$\\(touch\\ pwned\\)"
        for words, expected in (
            (["cancel", ""], runs),
            (["run", "30", ""], {"legacy", hostile}),
            (["run", "30", "legacy", "take"], {"takeip"}),
            (["--socket", node.socket, "scripts", "le"], {"legacy"}),
            (["script", "enable", "legacy", ""], {"50.two"}),
            (["script", "disable", "legacy", ""], {"00.one"}),
            (["subscribe", "--component", "l"], {"legacy"}),
            (["lock", ""], {"route-table"}),
        ):
            assert set(in_bash(node, "ctdb-event", *words)) == expected, words
        (tmp_path / "fifo").write_text("\n")
    assert not (tmp_path / "pwned").exists()


def ran(node: Node) -> set[str]:
    command = [sys.executable, "-m", "ctdb_event", "ps", "--plain"]
    shown = subprocess.run(command, env=node.environ, capture_output=True, text=True, check=True).stdout
    return {line.partition("\t")[0] for line in shown.splitlines()}


@pytest.mark.interop
@needs("fish")
async def test_fish_completes(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    assert set(in_fish(node, "ctdb-event", "")) == {command.words.split()[0] for command in COMMANDS}
    for words, expected in STATIC:
        assert set(in_fish(node, "ctdb-event", *words)) == expected, words
    async with running_daemon(node):
        assert set(in_fish(node, "ctdb-event", "run", "30", "")) == {"legacy", "$(touch pwned)"}
        assert in_fish(node, "ctdb-event", "script", "enable", "legacy", "") == ["50.two"]
        assert in_fish(node, "ctdb-event", "lock", "") == ["route-table"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.interop
@needs("zsh")
def test_zsh_can_read_it() -> None:
    subprocess.run(["zsh", "-n", COMPLETION / "_ctdb-event"], check=True)
    script = f"autoload -Uz compinit; compinit -D -u; source {COMPLETION}/_ctdb-event; print $_comps[ctdb-event]"
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("_ctdb-event\n", "")


@pytest.mark.interop
@needs("zsh")
def test_zsh_completes(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    (tmp_path / "with blank").write_text("")
    file = COMPLETION / "_ctdb-event"
    for typed, expected in (
        ("canc", "cancel"),
        ("script en", "script enable"),
        ("script enable legacy ", "script enable legacy 50.two"),
        ("script disable '$(touch pwned)' ", "script disable '$(touch pwned)'"),
        ("subscribe --kinds queued,fi", "subscribe --kinds queued,finished"),
        ("subscribe --kinds=fi", "subscribe --kinds=finished"),
        ("help lock", "help lock"),
        ("lock x -- mkfif", "lock x -- mkfifo"),
        ("--socket wit", "--socket with\\ blank"),
        ("--socket=wit", "--socket=with\\ blank"),
    ):
        assert in_zsh(node, file, f"ctdb-event {typed}").strip() == f"ctdb-event {expected}", typed
    assert not (tmp_path / "pwned").exists()


def in_zsh(node: Node, file: Path, typed: str) -> str:
    """Returns the line that zsh makes of what is typed, and the tabulator behind it."""
    master, slave = os.openpty()
    start = f"autoload -Uz compinit; compinit -D -u; source {file}; unsetopt zle_bracketed_paste prompt_sp; PS1=READY"
    widget = "show() { print -r -- \"LINE:${BUFFER}:END\" >&3; zle send-break; }; zle -N show; bindkey '^X' show"
    with open(node.base / "shown", "w+") as shown:
        command = ["zsh", "-f", "-i"]
        shell = subprocess.Popen(
            ["sh", "-c", 'exec 3>>shown; exec "$@"', "sh", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environ(node), "TERM": "vt100"},
            cwd=node.base,
            start_new_session=True,
        )
        os.close(slave)
        os.write(master, f"{start}; {widget}\n".encode())
        os.write(master, f"{typed}\t\x18".encode())
        text = ""
        while ":END" not in text:
            os.read(master, 4096)
            text += shown.read()
        shell.kill()
        shell.wait()
        os.close(master)
    return text.partition("LINE:")[2].partition(":END")[0]
