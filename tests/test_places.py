"""CTDB is asked where its places are: every way in which its program may fail to say, and what is remembered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_ctdb_path import QUESTIONS, answers_for, ctdb_path, write_program

from ctdb_eventd import places
from ctdb_eventd.paths import Paths, PathsError
from ctdb_eventd.places import ask, find

BUILT_IN = Paths({})


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A usual directory of helper programs, and no other; nothing of the machine's own is seen or written."""
    monkeypatch.setattr(places, "HELPER_DIRS", (str(tmp_path / "helpers"), str(tmp_path / "other")))
    monkeypatch.setattr(places, "MEMORY", str(tmp_path / "memory"))
    return tmp_path / "helpers"


def values(paths: Paths) -> dict[str, str | None]:
    return {name: getattr(paths, name) for name in Paths.__slots__ if name != "problem"}


# ---------------------------------------------------------------------- answers


def test_the_places_are_what_ctdb_answers(helpers: Path, tmp_path: Path) -> None:
    ctdb_path(helpers, answers_for(tmp_path))
    for paths in (ask({}), find({})):
        assert paths.problem is None
        assert values(paths) == {
            "config_dir": f"{tmp_path}/etc",
            "config_file": f"{tmp_path}/etc/node.conf",
            "events_dir": f"{tmp_path}/etc/events",
            "log_file": "/var/log/ctdb/log.ctdb",
            "pid_file": f"{tmp_path}/pids/eventd.pid",
            "provided_dir": f"{tmp_path}/data/events",
            "run_dir": f"{tmp_path}/pids",
            "socket": f"{tmp_path}/sockets/eventd.socket",
            "state_dir": f"{tmp_path}/var",
        }


def test_the_directory_can_be_named(helpers: Path, tmp_path: Path) -> None:
    ctdb_path(helpers, answers_for(tmp_path / "usual"))
    ctdb_path(tmp_path / "named", answers_for(tmp_path / "wanted"))
    environ = {"CTDB_HELPER_BINDIR": str(tmp_path / "named")}
    assert find(environ).state_dir == f"{tmp_path}/wanted/var"
    assert ask({}, str(tmp_path / "named")).state_dir == f"{tmp_path}/wanted/var"
    assert ask(environ, str(helpers)).state_dir == f"{tmp_path}/usual/var", "what the starter says goes first"


def test_test_mode_asks_nobody(helpers: Path, tmp_path: Path) -> None:
    write_program(helpers, f"touch {tmp_path}/asked")
    for look in (ask, find):
        assert look({"CTDB_TEST_MODE": "", "CTDB_BASE": "/tmp/node"}).socket == "/tmp/node/run/eventd.socket"
        with pytest.raises(PathsError):
            look({"CTDB_TEST_MODE": ""})
    assert not (tmp_path / "asked").exists()


def test_a_stdout_that_is_closed_harms_nothing(helpers: Path, tmp_path: Path) -> None:
    ctdb_path(helpers, answers_for(tmp_path))
    code = (
        "import os, sys\nfor fd in (0, 1, 2): os.close(fd)\n"
        "from ctdb_eventd.places import ask\nsys.exit(ask(dict(os.environ)).problem is not None)"
    )
    environ = {**os.environ, "CTDB_HELPER_BINDIR": str(helpers)}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=60)


def test_children_that_nobody_waits_for_can_answer(helpers: Path, tmp_path: Path) -> None:
    """Whoever starts the command line may have ignored SIGCHLD: then the kernel keeps no exit status."""
    ctdb_path(helpers, answers_for(tmp_path))
    code = (
        "import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from ctdb_eventd.places import ask\nprint(ask(dict(os.environ)).state_dir)"
    )
    environ = {**os.environ, "CTDB_HELPER_BINDIR": str(helpers)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{tmp_path}/var\n", done.stderr


# ---------------------------------------------------------------------- no answers

_MISBEHAVIOUR = {
    "exit 3": "ended with exit status 3",
    "kill -ABRT $$": "was ended by signal 6",
    "echo run/ctdb": "printed 'run/ctdb', and one line with an absolute path was expected",
    "printf '/one\\n/two\\n'": "printed '/one\\n/two', and one line",
    "printf '/run/\\377'": "printed '/run/\\xff', and one line",
    "printf '/run/\\033[2J'": "printed '/run/\\x1b[2J', and one line",
    ":": "printed '', and one line",
    "head -c 300 /dev/zero": "\\x00'…, and one line",
}


@pytest.mark.parametrize("commands", _MISBEHAVIOUR)
def test_each_misbehaviour_is_told_and_the_built_in_places_stand_in(
    helpers: Path, tmp_path: Path, commands: str
) -> None:
    program = ctdb_path(helpers, answers_for(tmp_path), vardir=commands)
    paths = ask({})
    assert paths.problem is not None
    assert f"`{program} vardir` " in paths.problem
    assert _MISBEHAVIOUR[commands] in paths.problem
    assert "install CTDB's package again" in paths.problem
    assert values(paths) == values(BUILT_IN), "all of them: half an answer would be a mixture"
    assert find({}).problem == paths.problem


@pytest.mark.parametrize("commands", ["sleep 1000", "exec >&-; sleep 1000", "cat /dev/zero"])
def test_one_that_hangs_is_ended_with_what_it_started(
    helpers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: str
) -> None:
    monkeypatch.setattr(places, "LIMIT", 0.2)
    program = write_program(helpers, f"{commands}\n")
    assert f"`{program} config` took more than 0.2 s" in (
        ask({"CTDB_PATH_TEST": str(program), "PATH": os.environ["PATH"]}).problem or ""
    )
    while living(str(program)):
        pass  # a killed process may need a moment; for ever, if it was not killed, until the test's time is over


def living(program: str) -> list[str]:
    """Returns the processes in groups that `program` leads or led, as far as they were started with its environment."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            inherited = Path(f"/proc/{name}/environ").read_bytes()
        except OSError:
            continue
        if program.encode() in command or f"CTDB_PATH_TEST={program}".encode() in inherited:
            found.append(name)
    return found


def test_what_it_leaves_running_is_not_waited_for(helpers: Path, tmp_path: Path) -> None:
    ctdb_path(helpers, answers_for(tmp_path), vardir=f"sleep 1000 & echo $! >{tmp_path}/left; echo /var/lib/ctdb")
    try:
        assert ask({}).state_dir == "/var/lib/ctdb"
    finally:
        os.kill(int((tmp_path / "left").read_text()), 9)


def test_one_that_is_no_program(helpers: Path) -> None:
    program = write_program(helpers, "")
    program.write_bytes(b"\x7fELF")
    assert f"{program} can't be started: Exec format error" in (ask({}).problem or "")
    program.chmod(0o644)
    assert f"{program} can't be started: Permission denied" in (ask({}).problem or "")
    program.unlink()
    program.symlink_to("/nonexistent")
    assert f"{program} can't be started: No such file" in (ask({}).problem or "")


def test_where_none_is_a_client_has_nothing_to_complain_of(helpers: Path) -> None:
    assert find({}).problem is None
    problem = ask({}).problem or ""
    assert f"ctdb-path is in none of {helpers}, " in problem
    assert "CTDB_HELPER_BINDIR" in problem
    for paths in (ask({}, "/nonexistent"), find({"CTDB_HELPER_BINDIR": "/nonexistent"})):
        assert paths.problem == "/nonexistent/ctdb-path is missing: install CTDB's package again"
        assert values(paths) == values(BUILT_IN)


def test_of_two_none_is_guessed(helpers: Path, tmp_path: Path) -> None:
    first = ctdb_path(helpers, answers_for(tmp_path / "first"))
    second = ctdb_path(tmp_path / "other", answers_for(tmp_path / "second"))
    assert find({}).problem == f"there are {first} and {second}: name the directory of one in CTDB_HELPER_BINDIR"
    shutil.rmtree(tmp_path / "other")
    (tmp_path / "other").symlink_to(helpers)
    assert find({}).state_dir == f"{tmp_path}/first/var", "one under two names is one"


# ---------------------------------------------------------------------- memory


class Memory:
    """A program that can be remembered, and a note of each time that it runs."""

    def __init__(self, helpers: Path, answers: dict[str, str]) -> None:
        self.helpers = helpers
        self.memory = Path(places.MEMORY)
        self.program = helpers / "ctdb-path"
        self.install(answers)

    def install(self, answers: dict[str, str]) -> None:
        """As a package manager does: another file under the name."""
        ctdb_path(self.helpers / "new", answers).rename(self.program)


@pytest.fixture
def memory(helpers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """As root has it: who runs the tests counts as root, and a shell program as a compiled one."""
    owner, fstat, holds = os.geteuid(), os.fstat, places._holds

    def as_root(fd: int) -> os.stat_result:
        status = list(fstat(fd))
        status[4] = 0 if status[4] == owner else 1
        return os.stat_result(status)

    def holds_answers(program: str, answers: list[str]) -> bool:
        copy = tmp_path / "compiled"
        copy.write_bytes(b"\x7fELF" + Path(program).read_bytes())
        return holds(str(copy), answers)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fstat", as_root)
    monkeypatch.setattr(places, "_holds", holds_answers)
    return Memory(helpers, answers_for(tmp_path / "first"))


def never(*_: object, **__: object) -> None:
    raise AssertionError("it was asked")


def test_what_was_said_is_remembered(memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = find({})
    assert memory.memory.stat().st_mode & 0o777 == 0o644
    monkeypatch.setattr(os, "posix_spawn", never)
    assert values(find({})) == values(first)
    assert first.socket == f"{tmp_path}/first/sockets/eventd.socket"


def test_another_file_is_asked_again(memory: Memory, tmp_path: Path) -> None:
    find({})
    memory.install(answers_for(tmp_path / "second"))
    assert find({}).state_dir == f"{tmp_path}/second/var"
    before = memory.program.stat()
    memory.program.write_text(memory.program.read_text().replace("second", "thirds"))
    os.utime(memory.program, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert find({}).state_dir == f"{tmp_path}/thirds/var", "of the same size and time of change, too"
    memory.program.unlink()
    assert values(find({})) == values(BUILT_IN)


def test_the_daemon_asks_each_time_and_its_word_counts(memory: Memory, tmp_path: Path) -> None:
    find({})
    ctdb_path(tmp_path / "named", answers_for(tmp_path / "named"))
    ask({}, str(tmp_path / "named"))
    assert find({}).state_dir == f"{tmp_path}/named/var", "the daemon knows which CTDB is in use"
    assert find({"CTDB_HELPER_BINDIR": str(memory.helpers)}).state_dir == f"{tmp_path}/first/var"
    ask({}, str(tmp_path / "named"))
    places.forget()
    places.forget()
    assert find({}).state_dir == f"{tmp_path}/first/var"


def test_what_is_remembered_helps_where_asking_fails(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask({})
    monkeypatch.setattr(places, "LIMIT", -1.0)
    monkeypatch.setattr("select.poll", lambda: type("Poll", (), {"register": never_mind, "poll": never_mind})())
    assert ask({}).state_dir == f"{tmp_path}/first/var"
    assert ask({}).problem is None


def never_mind(*_: object) -> None:
    return None


@pytest.mark.parametrize("damage", ["stranger", "writable", "cut", "other form", "a link", "binary"])
def test_only_what_root_wrote_is_believed(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    find({})
    false = memory.memory.read_text().replace(f"{tmp_path}/first", "/tmp/stranger")
    if damage == "stranger":
        memory.memory.write_text(false)
        monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result([0o100644, 1, 1, 1, 1000, 0, 0, 0, 0, 0]))
    elif damage == "writable":
        memory.memory.write_text(false)
        memory.memory.chmod(0o664)
    elif damage == "cut":
        memory.memory.write_text(false[:-5].rpartition("\n")[0])
    elif damage == "other form":
        memory.memory.write_text(false.replace("form 1", "form 2"))
    elif damage == "a link":
        (tmp_path / "false").write_text(false)
        memory.memory.unlink()
        memory.memory.symlink_to(tmp_path / "false")
    else:
        memory.memory.write_bytes(b"\xff\0" * 100)
    assert find({}).state_dir == f"{tmp_path}/first/var"


def test_nobody_but_root_writes_it(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert find({}).problem is None
    assert not memory.memory.exists()


def test_what_computes_its_answers_is_not_remembered(helpers: Path, tmp_path: Path) -> None:
    answers = list(answers_for(tmp_path).values())
    compiled = tmp_path / "compiled"
    compiled.write_bytes(b"\x7fELF" + "\0".join(answers).encode())
    assert places._holds(str(compiled), answers)
    assert not places._holds(str(compiled), [*answers[:-1], "/elsewhere"])
    compiled.write_bytes("\0".join(answers).encode())
    assert not places._holds(str(compiled), answers)


def test_a_place_that_cannot_be_written_is_no_matter(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MEMORY", "/nonexistent/memory")
    assert find({}).problem is None


def test_these_are_all_the_questions() -> None:
    assert places._QUESTIONS == QUESTIONS
