"""The documentation: what can be checked of it by a machine is true."""

from __future__ import annotations

import ast
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from client_end import Message, decode_reply, encode_request

from ctdb_eventd.config import _KEYS, Config, parse
from ctdb_eventd.errors import RemoteProtocolError
from ctdb_eventd.paths import Paths
from ctdb_eventd.protocol import ctdb
from ctdb_eventd.protocol.connection import Connection
from ctdb_eventd.protocol.messages import Request

TOP = Path(__file__).resolve().parents[2]
DOCS = TOP / "docs"
PAGES = [TOP / "README.md", TOP / "SECURITY.md", TOP / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def without_code_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def one_line(text: str) -> str:
    return " ".join(text.split())


# ---------------------------------------------------------------------- protocol


@attrs.frozen(kw_only=True)
class Example:
    """One block of hexadecimal of the protocol's page."""

    line: int
    """Where it stands."""
    kind: str
    """`request`, `reply` or `refused`."""
    message: str
    """Name of the message's class, empty if it is refused."""
    data: bytes
    fields: tuple[tuple[bytes, str], ...]
    """The bytes of each field, and the value that is stated beside them."""
    meaning: str
    """What the whole is said to be, or the error."""


def read_example(line: int, info: str, body: str) -> Example:
    words = info.split()
    code, _, meaning = body.partition("\n! " if words[0] == "refused" else "\n= ")
    data, pending = b"", b""
    fields: list[tuple[bytes, str]] = []
    for row in code.splitlines():
        digits, _, note = row.partition("#")
        pending += bytes.fromhex(digits)
        if note:
            fields.append((pending, note.rpartition(" = ")[2]))
            data, pending = data + pending, b""
    return Example(
        line=line,
        kind=words[0],
        message=" ".join(words[1:]),
        data=data + pending,
        fields=tuple(fields),
        meaning=one_line(meaning),
    )


def examples() -> Iterator[Example]:
    text = (DOCS / "protocol.md").read_text()
    for found in re.finditer(
        r"^```hex ((?:request|reply|refused)[^\n]*)\n(.*?)\n```$", text, flags=re.MULTILINE | re.DOTALL
    ):
        yield read_example(text.count("\n", 0, found.start()) + 1, found[1], found[2])


EXAMPLES = list(examples())
MESSAGES = [example for example in EXAMPLES if example.kind != "refused"]
REFUSED = [example for example in EXAMPLES if example.kind == "refused"]


def example_id(example: Example) -> str:
    return f"line {example.line}: {example.message or example.kind}"


little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the examples are little-endian")
every_message = pytest.mark.parametrize("example", MESSAGES, ids=example_id)


def decode(example: Example) -> tuple[int, Message]:
    return ctdb.decode_request(example.data) if example.kind == "request" else decode_reply(example.data)


def test_there_is_an_example_of_every_message_and_of_errors() -> None:
    assert {example.message for example in MESSAGES} == {
        f"{command}{kind}" for command in ("Run", "Status", "Script") for kind in ("Request", "Reply")
    }
    assert len(REFUSED) >= 5


@little_endian
@every_message
def test_an_example_means_what_is_said(example: Example) -> None:
    _, message = decode(example)
    assert type(message).__name__ == example.message
    assert repr(message) == example.meaning


@little_endian
@every_message
def test_an_example_is_what_we_would_send(example: Example) -> None:
    request_id, message = decode(example)
    encoded = encode_request(request_id, message) if isinstance(message, Request) else ctdb.encode(request_id, message)
    assert encoded == example.data


@little_endian
@pytest.mark.parametrize("example", EXAMPLES, ids=example_id)
def test_every_field_has_the_value_beside_it(example: Example) -> None:
    assert example.fields
    for data, stated in example.fields:
        if stated.startswith('"'):
            assert data == json.loads(stated).encode() + b"\0"
        else:
            assert int.from_bytes(data, "little", signed=stated.startswith("-")) == int(stated)


@little_endian
@pytest.mark.parametrize("example", REFUSED, ids=example_id)
def test_a_refused_example_is_refused_with_that_error(example: Example) -> None:
    connection = Connection()
    connection.receive_data(example.data)
    with pytest.raises(RemoteProtocolError) as caught:
        connection.next_message()
    assert str(caught.value) == example.meaning


# ---------------------------------------------------------------------- configuration


def documented_keys() -> dict[str, dict[str, str]]:
    """Returns section → key → default, as the page on configuration has them."""
    keys: dict[str, dict[str, str]] = {}
    for part in re.split(r"^### ", (DOCS / "configuration.md").read_text(), flags=re.MULTILINE)[1:]:
        section = part.partition("\n")[0].strip("[]")
        part = part.partition("\n## ")[0]
        keys[section] = dict(re.findall(r"^\| `([a-z ]+)` \| `([^`]+)` \|", part, flags=re.MULTILINE))
    return keys


def test_every_key_is_documented_and_no_other() -> None:
    documented = {section: set(keys) for section, keys in documented_keys().items()}
    assert documented == {section: set(keys) for section, keys in _KEYS.items()}


@pytest.mark.parametrize(("section", "key"), [(section, key) for section, keys in _KEYS.items() for key in keys])
def test_the_documented_default_is_the_default(section: str, key: str) -> None:
    default = getattr(Config(), _KEYS[section][key][0])
    stated = documented_keys()[section][key]
    if key == "location":
        assert default is None
        assert stated == f"file:{Paths({}).log_file}"
    elif stated == "none":
        assert not default
    else:
        assert getattr(parse(f"[{section}]\n{key} = {stated}\n", "ctdb.conf"), _KEYS[section][key][0]) == default


def test_the_locks_that_are_set_are_documented() -> None:
    page = (DOCS / "configuration.md").read_text()
    for lock, scripts in parse("", "ctdb.conf").locks.items():
        assert f"| `{lock}` | {', '.join(f'`{script}`' for script in scripts)} |" in page


# ---------------------------------------------------------------------- messages


def literal_parts(node: ast.expr) -> list[str]:
    """Returns the constant parts of a message: of a format string, or of an f-string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.split(r"%[-+.0-9]*[a-z]", node.value)
    if isinstance(node, ast.JoinedStr):
        return [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
    return []


def is_logged(call: ast.Call, client: bool) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in ("StartupError", "PathsError") or (function.id == "Failure" and client)
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "_log"


def messages() -> list[tuple[str, str]]:
    """Returns where each message is and the longest part of it that never changes."""
    found = []
    for file in sorted([*TOP.glob("ctdb_eventd/**/*.py"), *TOP.glob("clients/**/*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and is_logged(node, "clients" in file.parts):
                parts = [part for argument in node.args for part in literal_parts(argument)]
                longest = max(parts, key=len, default="").strip(" :;,()")
                if len(longest) > 5:
                    found.append((f"{file.relative_to(TOP)}:{node.lineno}", longest))
    return found


def test_every_message_is_explained() -> None:
    page = one_line((DOCS / "troubleshooting.md").read_text()).replace("`", "")
    said = messages()
    assert len(said) > 40
    missing = [f"{where}: {text}" for where, text in said if one_line(text).replace("`", "") not in page]
    assert missing == []


def word_pairs(text: str) -> set[tuple[str, str]]:
    """Returns the neighbouring words; a value and its placeholder, and what isn't a word, separate neighbours."""
    parts = re.split(r"[^\w '-]|'?(?<!\w)(?:[A-Z][A-Z_0-9]*|[0-9]+)(?!\w)'?", text.replace("`", ""))
    return {pair for words in map(str.split, parts) for pair in itertools.pairwise(words)}


def constant_texts(file: Path) -> Iterator[str]:
    """Yields the strings of a program, with a separator for each value."""
    if file.suffix != ".py":
        yield file.read_text()
        return
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\{\w*\}|%[sdr]", "\0", node.value)


# where the programs put the second word, or what follows it, together from values
PUT_TOGETHER = {("s", "as"), ("no", "user"), ("getent", "passwd"), ("for", "read"), ("component", "name")}


def test_every_explained_message_exists() -> None:
    files = [file for name in ("ctdb_eventd", "clients", "contrib") for file in (TOP / name).rglob("*")]
    texts = (
        text for file in files if file.is_file() and file.suffix in (".py", ".sh", "") for text in constant_texts(file)
    )
    known = PUT_TOGETHER.union(*map(word_pairs, texts))
    stale, rows = [], 0
    for number, line in enumerate((DOCS / "troubleshooting.md").read_text().splitlines(), 1):
        if line.startswith("| `"):
            for text in re.findall(r"`([^`]+)`", line[2:].partition(" | ")[0]):
                rows += 1
                stale += [f"line {number}: {' '.join(pair)}: {text}" for pair in word_pairs(text) - known]
    assert rows > 200
    assert stale == []


# ---------------------------------------------------------------------- architecture


_LOADED = """
import sys, ctdb_eventd.cli, ctdb_eventd.daemon, ctdb_event.cli, ctdb_event.cli_events, ctdb_event.cli_scripts
for name, module in sys.modules.items():
    if name.partition(".")[0] in ("ctdb_eventd", "ctdb_event"):
        print(module.__file__)
"""


def test_the_map_shows_what_the_programs_are_made_of() -> None:
    printed = subprocess.run([sys.executable, "-c", _LOADED], check=True, capture_output=True, text=True).stdout
    loaded = {str(Path(line).relative_to(TOP)) for line in printed.splitlines()}
    shown = set(re.findall(r"^\| `([a-z_/]+\.py)` \|", (DOCS / "architecture.md").read_text(), flags=re.MULTILINE))
    assert sorted(loaded - shown - {name for name in loaded if name.endswith("__init__.py")}) == []
    assert [name for name in sorted(shown) if not (TOP / name).is_file()] == []


# ---------------------------------------------------------------------- every page


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", without_code_blocks(page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code_blocks(page.read_text())):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        if not other.exists() or (anchor and anchor not in anchors(other)):
            broken.append(target)
    assert broken == []


@every_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), flags=re.MULTILINE)) <= targets


@every_page
def test_nothing_points_outside_of_the_project(page: Path) -> None:
    outside = r"/work\b|\.\./shared|\bissues? #?\d|issue #|/root/|/tmp/"
    assert re.findall(outside, page.read_text(), flags=re.IGNORECASE) == []


@every_page
def test_lines_are_of_a_readable_length(page: Path) -> None:
    """Tables and code can't be broken; everything else is."""
    lines = without_code_blocks(page.read_text()).splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


# ---------------------------------------------------------------------- proofs


def named_tests(page: str, own: str) -> set[tuple[str, str]]:
    """The tests that a page names: file and function; those without a file are of `own`."""
    found = re.findall(r"`(?:(tests/[\w/]+\.py)::)?(test_\w+)`", page)
    return {(file or own, function) for file, function in found}


def check_named_tests(file_name: Path, own: str) -> tuple[set[str], set[str]]:
    """Checks that each test and file that a page names exists; returns which of `own` it names, and which there are."""
    page = " ".join(without_code_blocks(file_name.read_text()).split())
    named = named_tests(page, own)
    there: dict[str, set[str]] = {}
    for file in {own, *(file for file, _ in named)}:
        tree = ast.parse((TOP / file).read_text())
        there[file] = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        }
        asked = {function for its_file, function in named if its_file == file}
        assert asked <= there[file], f"{file} has no {asked - there[file]}"
    assert all((TOP / file).is_file() for file in re.findall(r"`(tests/[\w/]+\.py)`", page))
    return {function for file, function in named if file == own}, there[own]


def test_the_events_page_names_tests_that_exist_and_every_one_of_its_own() -> None:
    named, there = check_named_tests(DOCS / "events.md", "tests/lab/test_events.py")
    assert named == there, f"docs/events.md doesn't speak of {there - named}"


def test_the_security_page_names_tests_that_exist() -> None:
    named, _ = check_named_tests(TOP / "SECURITY.md", "tests/acceptance/test_who_may_ask.py")
    assert named


def test_the_walks_through_the_daemon_name_functions_that_are_there() -> None:
    page = (DOCS / "architecture.md").read_text()
    walks = re.findall(r"function by function\n(.*?)\n##", page, flags=re.DOTALL)
    named = {name for walk in walks for name in re.findall(r"`([A-Z]\w*\.\w+)`", walk)}
    assert len(named) > 20
    trees = [ast.parse(file.read_text()) for file in TOP.glob("ctdb_eventd/**/*.py")]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    there = {f"{one.name}.{part.name}" for one in classes for part in one.body if isinstance(part, functions)}
    assert sorted(named - there) == []
