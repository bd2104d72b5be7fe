"""`ctdb-event complete`: candidates for a word of a command line, for the completions of shells.

Prints a line for each candidate: the whole word, a tab, and its description. A line that begins with a tab is an
instruction for the shell: `files` to complete file names, or `command N` to complete another program's command line
after N words. The shell removes candidates that don't begin with the given word.
"""

from __future__ import annotations

from ctdb_event.argv import BEHIND, OPERAND, tokens
from ctdb_event.commands.arguments import Arguments, text
from ctdb_event.commands.catalogue import COMMANDS, VALUE_OPTIONS, find
from ctdb_event.commands.table import GLOBAL_OPTIONS, SOCKET, Command, Option
from ctdb_event.console import say
from ctdb_eventd.text import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

__all__ = ["complete"]

_FILES = [("", "files")]


def complete(words: list[str], environ: Mapping[str, str]) -> int:
    """Prints the candidates for the last of these words; the others are the words between it and the program's name."""
    line = _Line([text(word) for word in words[:-1]])
    for word, purpose in line.candidates(text(words[-1]) if words else "", environ):
        if word == escaped(word):  # skip names with control characters
            say(f"{word}\t{escaped(purpose)}\n".encode())
    return 0


class _Line:
    """The words before the one to complete."""

    def __init__(self, words: list[str]) -> None:
        self._dashes = words.index("--") + 1 if "--" in words else 0
        self._operands: list[str] = []
        self._pending: Option | None = None
        self._socket: str | None = None
        # bash splits --socket=PATH into three words
        joined = [word for before, word in zip(["", *words], words, strict=False) if word != "=" or before[:1] != "-"]
        for name, value, word in tokens(joined, VALUE_OPTIONS):
            if name in (OPERAND, BEHIND):
                self._operands.append(word)
            elif name == SOCKET.name:
                self._socket = value
            self._pending = VALUE_OPTIONS.get(name) if value is None else None

    def candidates(self, word: str, environ: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        """Returns the candidates for a word, and their descriptions."""
        command = find(self._operands)
        own = self._operands[len(command.words.split()) :] if command else self._operands
        source = _Candidates(command or COMMANDS[-1], own, self._socket, environ)
        option, prefix = self._pending, ""
        if option is None and not self._dashes and word.startswith("-"):
            name, equals, value = word.partition("=")
            if not equals:
                options = command.all_options if command else GLOBAL_OPTIONS
                return [(option.name, _plain(option.purpose)) for option in options]
            if name not in VALUE_OPTIONS:
                return []
            option, prefix, word = VALUE_OPTIONS[name], f"{name}=", value
        if option is not None:
            kind = option.kind
            return _prefixed(kind, prefix, word, source.values(kind, option.words))
        if command is None:
            return _commands(self._operands)
        if command.takes_command and self._dashes:
            return [("", f"command {self._dashes + 1}")]
        kind = _kind(command, len(own))
        return _prefixed(kind, "", word, source.values(kind))


def _kind(command: Command, position: int) -> str:
    operands = command.plain_operands
    if position < len(operands):
        return operands[position].kind
    return operands[-1].kind if operands and operands[-1].many else ""


def _prefixed(kind: str, prefix: str, word: str, values: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Prepends to each value the part of the word that stays: the option's name, and the text up to the last comma."""
    if kind == "file":
        return _FILES
    if kind in ("locks", "words") and "," in word:
        prefix += word.rpartition(",")[0] + ","
    return [(prefix + value, purpose) for value, purpose in values]


def _commands(words: list[str]) -> list[tuple[str, str]]:
    """Returns the words that may follow as part of a command."""
    found = {}
    for row in COMMANDS:
        own = row.words.split()
        if own[: len(words)] == words and len(own) > len(words):
            last = len(own) == len(words) + 1
            found[own[len(words)]] = _plain(row.purpose) if last else "List, enable or disable event scripts."
    return list(found.items())


def _plain(purpose: str) -> str:
    return purpose.replace("`", "")


class _Candidates:
    """Finds the existing names of a kind; none, if the daemon doesn't answer."""

    def __init__(self, command: Command, operands: list[str], socket: str | None, environ: Mapping[str, str]) -> None:
        self._command = command
        self._operands = operands
        self._socket = socket
        self._environ = environ

    def values(self, kind: str, words: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        if kind in ("component", "event"):
            yield from ((item["name"], "") for item in self._ask(f"{kind}s"))
        elif kind == "run":
            yield from self._runs()
        elif kind == "script":
            yield from ((name, "") for name in self._scripts())
        elif kind == "locks":
            yield from ((name, "") for name in sorted(set(self._locks())))
        elif kind == "words":
            yield from ((word, "") for word in words)
        elif kind == "help":
            yield from _commands(self._operands)

    def _ask(self, method: str, key: str = "", **params: str) -> list[Any]:
        from ctdb_event.commands.session import Session  # imported here: most words are completed without the daemon

        arguments = Arguments(self._command)
        if self._socket is not None:
            arguments.values[SOCKET.name] = self._socket
        try:
            found = Session(arguments, self._environ).ask(method, **params)
        except Exception:  # no error may appear in the middle of a command line
            return []
        items: list[Any] = found[key] if key else found
        return items

    def _runs(self) -> Iterator[tuple[str, str]]:
        from ctdb_event.commands.lists import event_shown

        for job in self._ask("status", "jobs"):
            yield job["run"], f"{job['state']} {event_shown(job)}"

    def _scripts(self) -> Iterator[str]:
        """Yields the scripts that can be enabled or disabled; from the daemon's list if its files are elsewhere."""
        from ctdb_event.cli_places import node_paths
        from ctdb_event.cli_scripts import listed, name_rule

        component = self._operands[0]
        found: list[tuple[str, bool | None]]
        wanted = {"script enable": False, "script disable": True}.get(self._command.words)
        try:
            paths = node_paths(self._environ)
            found = [(script.name, on) for part in listed(paths, component, name_rule(paths)) for script, on in part]
        except Exception:
            found = [(script["name"], wanted) for script in self._ask("scripts", "scripts", component=component)]
        return (name for name, enabled in found if wanted in (None, enabled))

    def _locks(self) -> Iterator[str]:
        """Yields the locks that are held or have waiters, and those that scripts declare."""
        yield from (lock["name"] for lock in self._ask("locks") if lock["kind"] == "named")
        for component in self._ask("components"):
            for script in self._ask("scripts", "scripts", component=component["name"]):
                yield from script["locks"]
