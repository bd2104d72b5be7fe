"""One file of a node: where links lead, whether it runs, who else could change it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ctdb_eventd.files import Concern, Tree, shebang, why_broken, why_disabled, why_no_program

OWN = Tree()
ME = frozenset({0, os.geteuid()})


def write(path: Path, text: str = "#!/bin/sh\n", mode: int = 0o755) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


# ---------------------------------------------------------------------- trees


def test_our_own_tree_is_what_the_kernel_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "file")
    (tmp_path / "link").symlink_to("file")
    assert OWN.below("relative/name") == "relative/name"
    assert OWN.resolve(str(tmp_path / "link")) == os.path.realpath(file)
    assert OWN.target(str(tmp_path / "link")) == "file"
    assert OWN.target(file) is None
    monkeypatch.chdir(tmp_path)
    assert OWN.status("link").st_ino == os.stat(file).st_ino


def test_links_of_another_tree_stay_in_it(tmp_path: Path) -> None:
    tree = Tree(root=str(tmp_path))
    write(tmp_path / "usr/bin/dash")
    (tmp_path / "usr/bin/sh").symlink_to("dash")
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/shell").symlink_to("/bin/sh")
    (tmp_path / "etc/up").symlink_to("../../../../usr/./bin//dash")
    for path in ("/bin/sh", "/etc/shell", "/etc/up", "bin/../bin/sh"):
        assert tree.resolve(path) == "/usr/bin/dash"
        assert tree.status(path).st_ino == (tmp_path / "usr/bin/dash").stat().st_ino
    assert tree.resolve("/etc/nothing") == "/etc/nothing"


def test_circles_in_another_tree_never_leave_it(tmp_path: Path) -> None:
    tree = Tree(root=str(tmp_path / "root"))
    (tmp_path / "root").mkdir()
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "root" / elsewhere.relative_to("/").parent).mkdir(parents=True)
    # for the kernel this link leads out of the tree, to a file; in the tree it leads to itself
    write(elsewhere)
    inside = tmp_path / "root" / elsewhere.relative_to("/")
    inside.symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"):
        tree.status(str(elsewhere))
    assert why_disabled(tree, str(elsewhere)) is None
    assert broken(tree, str(elsewhere)) == (
        Concern.BROKEN,
        f"every event fails: link to {elsewhere} that is part of a loop, or of a chain of more than 40; remove it",
    )


def broken(tree: Tree, path: str) -> tuple[Concern, str] | None:
    remark = why_broken(tree, path)
    return None if remark is None else (remark.concern, remark.text)


# ---------------------------------------------------------------------- disabled


def test_an_executable_file_is_enabled(tmp_path: Path) -> None:
    assert why_disabled(OWN, write(tmp_path / "a", mode=0o100)) is None
    (tmp_path / "link").symlink_to("a")
    assert why_disabled(OWN, str(tmp_path / "link")) is None


def test_reasons_for_being_disabled(tmp_path: Path) -> None:
    assert why_disabled(OWN, write(tmp_path / "a", mode=0o644)) == "not executable by its owner (mode 0644)"
    assert why_disabled(OWN, write(tmp_path / "b", mode=0o4611)) == "not executable by its owner (mode 4611)"
    assert why_disabled(OWN, str(tmp_path / "none")) == "vanished"
    (tmp_path / "directory").mkdir()
    assert why_disabled(OWN, str(tmp_path / "directory")) == "not a regular file but a directory"
    os.mkfifo(tmp_path / "pipe")
    assert why_disabled(OWN, str(tmp_path / "pipe")) == "not a regular file but a named pipe"
    assert why_disabled(OWN, "/dev/null") == "not a regular file but a device"


def test_a_socket_is_no_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    assert why_disabled(OWN, "socket") == "not a regular file but a socket"


DANGLING = (Concern.DANGLING, "events skip it; remove the link, or install what it leads to")


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("three")
    assert why_disabled(OWN, str(tmp_path / "one")) == f"dangling link to {os.path.realpath(tmp_path)}/three"
    assert broken(OWN, str(tmp_path / "one")) == DANGLING
    tree = Tree(root=str(tmp_path))
    assert (why_disabled(tree, "/one"), broken(tree, "/one")) == ("dangling link to /three", DANGLING)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("circle", "link to circle that is part of a loop, or of a chain of more than 40; remove it"),
        ("file/x", "link to file/x, which can't be followed (Not a directory); remove it, or correct where it leads"),
        (
            "a" * 300,
            f"link to {'a' * 300}, which can't be followed (File name too long); remove it, or correct where it leads",
        ),
    ],
)
def test_links_that_can_not_be_followed_are_not_disabled(tmp_path: Path, target: str, text: str) -> None:
    write(tmp_path / "file")
    (tmp_path / "circle").symlink_to(target)
    for tree, path in ((OWN, str(tmp_path / "circle")), (Tree(root=str(tmp_path)), "/circle")):
        assert why_disabled(tree, path) is None
        assert broken(tree, path) == (Concern.BROKEN, f"every event fails: {text}")


def test_nothing_is_broken_about_files_and_what_has_vanished(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(write(tmp_path / "file", mode=0o644))
    for name in ("file", "link", "vanished"):
        assert broken(OWN, str(tmp_path / name)) is None


def test_what_must_not_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "link").symlink_to("there")
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        found = [why_disabled(OWN, str(tmp_path / name)) for name in ("file", "link")]
        remarks = [broken(OWN, str(tmp_path / name)) for name in ("file", "link")]
    assert found == [None, None]
    link = "link to there, which can't be followed (Permission denied); remove it, or correct where it leads"
    assert remarks == [
        (Concern.BROKEN, "every event fails: can't be examined (Permission denied)"),
        (Concern.BROKEN, f"every event fails: {link}"),
    ]


# ---------------------------------------------------------------------- programs


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (b"#!/bin/sh\n", ("/bin/sh", "")),
        (b"#! \t/bin/sh \t-e  -u \n", ("/bin/sh", "-e  -u")),
        (b"#!/bin/sh\r\n", ("/bin/sh\r", "")),
        (b"#!\n", ("", "")),
        (b" #!/bin/sh\n", ("", "")),
    ],
)
def test_the_interpreter_line_is_read_as_the_kernel_does(line: bytes, read: tuple[str, str]) -> None:
    assert shebang(line) == read


@pytest.mark.parametrize(
    ("text", "concern", "fault"),
    [
        (
            "echo\n",
            Concern.NO_INTERPRETER,
            "is not a program, its first line does not name an interpreter (such as #!/bin/sh)",
        ),
        (
            "",
            Concern.NO_INTERPRETER,
            "is not a program, its first line does not name an interpreter (such as #!/bin/sh)",
        ),
        ("#!/no/where\n", Concern.NO_SUCH_INTERPRETER, "its interpreter '/no/where' does not exist"),
        ("#!sh\n", Concern.NO_SUCH_INTERPRETER, "its interpreter 'sh' is not an absolute path"),
        ("#!/bin\n", Concern.NO_SUCH_INTERPRETER, "its interpreter '/bin' is not an executable file"),
        ("#!/etc/passwd\n", Concern.NO_SUCH_INTERPRETER, "its interpreter '/etc/passwd' is not an executable file"),
    ],
)
def test_what_the_kernel_would_not_run(tmp_path: Path, text: str, concern: Concern, fault: str) -> None:
    path = write(tmp_path / "a", text)
    remark = why_no_program(OWN, path)
    assert remark is not None
    assert (remark.concern, remark.place, str(remark)) == (concern, path, fault)


def test_programs(tmp_path: Path) -> None:
    assert why_no_program(OWN, write(tmp_path / "a")) is None
    assert why_no_program(OWN, write(tmp_path / "b", "\x7fELF")) is None
    remark = why_no_program(OWN, str(tmp_path / "gone"))
    assert remark is not None
    assert (remark.concern, remark.text) == (Concern.UNREADABLE, "can't be read (No such file or directory)")
