"""The events that a shell script handles: the labels of `case "$1" in`, with their lines. Pure text.

Understands as much of the shell's grammar as it takes to find them: quotes, substitutions, here-documents, functions
(in which $1 is something else) and nested commands. Runs nothing and judges nothing. What it can't follow has no
labels at all: no answer is better than a wrong one.
"""

from __future__ import annotations

import re

import attrs

from ctdb_event.lint.shell_tokens import HERE, OPERATORS, REDIRECTIONS, SEPARATORS, Lost, ShellTokens

__all__ = ["Label", "event_labels"]

_FIRST_ARGUMENT = re.compile(r'"?\$(?:1|\{1(?::?-[^}"]*)?\})"?')
_VARIABLE = re.compile(r'"?\$(?:(\w+)|\{(\w+)(?::?-[^}"]*)?\})"?')
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)

_GO_ON = frozenset({"then", "else", "elif", "do", "!", "time"})
"""Behind them a command begins."""
_DECLARE = frozenset({"export", "readonly", "local", "typeset", "declare"})
_CLOSED_BY = {"{": "}", "if": "fi", "while": "done", "until": "done"}
_LONGEST_LABEL = 255
_LABEL_ENDS = frozenset({";;", ";&", ";;&", "esac"})


@attrs.frozen(kw_only=True)
class Label:
    """One alternative of a label."""

    line: int
    """Where it stands, counted from 1."""
    text: str
    """Without quotes."""
    pattern: str
    """A regular expression for the events that it means."""


def event_labels(text: str) -> list[Label]:
    """Returns the labels in which a shell script compares its first argument, in their order.

    `case "$event" in` counts too if `event="$1"` came before. Labels with substitutions are left out.
    """
    reader = _Reader(text)
    try:
        reader.read()
    except (Lost, IndexError, RecursionError):
        return []
    return [label for line, raw in reader.labels if (label := _read_label(line, raw)) is not None]


def _read_label(line: int, raw: str) -> Label | None:
    """Takes the quotes away; None if what it means is known only when it runs, or it is empty or no name at all."""
    if len(raw) > _LONGEST_LABEL:
        return None
    text, pattern = "", ""
    quote = ""
    rest = iter(raw)
    for letter in rest:
        if quote:
            if letter == quote:
                quote = ""
                continue
        elif letter in "\"'":
            quote = letter
            continue
        elif letter in "*?":
            text, pattern = text + letter, pattern + (".*" if letter == "*" else ".")
            continue
        elif letter in "[(":
            return None  # no event needs them
        if letter in "$`" and quote != "'":
            return None
        if letter == "\\" and quote != "'":
            letter = next(rest, "")
        text, pattern = text + letter, pattern + re.escape(letter)
    return Label(line=line, text=text, pattern=pattern) if text else None


class _Reader:
    """Reads through a script's text once, from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self.labels: list[tuple[int, str]] = []
        self._tokens = ShellTokens(text, self._substitution)
        self._functions = 0
        self._shifted = False
        self._aliases: set[str] = set()

    def read(self) -> None:
        self._commands(frozenset({""}))

    def _substitution(self) -> None:
        self._commands(frozenset({")"}))

    # ------------------------------------------------------------------ commands

    def _commands(self, closings: frozenset[str]) -> str:
        """Reads commands up to one of `closings`, which is returned; the empty one is the end of the text."""
        words: list[str] = []
        while True:
            token = self._tokens.token()
            if token in closings and (token == "" or token in OPERATORS or not words):
                self._finish(words)
                return token
            if token == "":
                raise Lost
            if token in OPERATORS:
                words = self._operator(token, words)
            elif words:
                words.append(token)
            else:
                words = self._first_word(token)

    def _operator(self, token: str, words: list[str]) -> list[str]:
        """Returns the words of the command that is being read."""
        if token in SEPARATORS:
            self._finish(words)
            return []
        if token in HERE:
            self._tokens.here_document(token == "<<-")
        elif token in REDIRECTIONS:
            self._redirect()
        elif token == ")":
            raise Lost
        elif not words:
            self._parenthesis()
        elif len(words) == 1:
            self._tokens.expect(")")
            self._function_body()
            return []
        else:
            raise Lost
        return words

    def _first_word(self, word: str) -> list[str]:
        """Reads a compound command to its end; anything else is a simple one."""
        if word in _CLOSED_BY:
            self._commands(frozenset({_CLOSED_BY[word]}))
        elif word in ("for", "select"):
            self._loop()
        elif word == "case":
            self._case()
        elif word == "function":
            self._tokens.word_token()
            self._function_body()
        elif word == "[[":
            while self._tokens.word_or_operator() != "]]":
                pass
        elif word not in _GO_ON:
            return [word]
        return []

    def _parenthesis(self) -> None:
        if self._tokens.next_is("("):  # arithmetic
            self._tokens.balanced(1)
        else:
            self._commands(frozenset({")"}))

    def _redirect(self) -> None:
        token = self._tokens.word_or_operator()
        if token == "(":  # a process in the place of a file
            self._commands(frozenset({")"}))
        elif token in ("<", ">"):  # such a process behind a blank: `< <(…)`
            self._redirect()
        elif token in OPERATORS:
            raise Lost

    def _loop(self) -> None:
        if self._tokens.word_or_operator() == "(":
            self._tokens.balanced(1)
        token = self._tokens.after_newlines()
        if token == "in":
            while token not in (";", "\n"):
                token = self._tokens.word_or_operator()
        elif token == "do":
            self._commands(frozenset({"done"}))
            return
        self._commands(frozenset({"done"}))

    def _function_body(self) -> None:
        self._functions += 1
        token = self._tokens.after_newlines()
        if token == "(":
            if self._tokens.next_is(")"):  # `function name ()`
                self._tokens.expect(")")
                token = self._tokens.after_newlines()
        if token == "(":
            self._parenthesis()
        elif self._first_word(token):
            raise Lost
        self._functions -= 1

    def _case(self) -> None:
        counts = self._is_event(self._tokens.word_token())
        if self._tokens.after_newlines() != "in":
            raise Lost
        closing = ""
        while closing != "esac":
            token = self._tokens.after_newlines()
            if token == "esac":
                return
            labels = self._alternatives(self._tokens.word_token() if token == "(" else token)
            if counts:
                self.labels += labels
            closing = self._commands(_LABEL_ENDS)

    def _alternatives(self, token: str) -> list[tuple[int, str]]:
        labels = []
        while True:
            if token in OPERATORS:
                raise Lost
            labels.append((self._tokens.line, token))
            token = self._tokens.word_or_operator()
            if token == ")":
                return labels
            if token != "|":
                raise Lost
            token = self._tokens.word_token()

    # ------------------------------------------------------------------ what is known of variables

    def _finish(self, words: list[str]) -> None:
        """Looks at a simple command for what changes the arguments, or takes the first one by another name."""
        command = words[0] if words else ""
        assigns = command in _DECLARE
        for word in words:
            found = _ASSIGNMENT.fullmatch(word)
            if found:
                self._assign(found[1], found[2])
            elif not assigns:
                command = word
                break
        arguments = words[words.index(command) + 1 :] if command in ("shift", "set") else []
        if self._functions == 0 and (command == "shift" or (command == "set" and _sets_arguments(arguments))):
            self._shifted = True

    def _assign(self, name: str, value: str) -> None:
        if self._functions == 0 and not self._shifted and _FIRST_ARGUMENT.fullmatch(value):
            self._aliases.add(name)
        else:
            self._aliases.discard(name)

    def _is_event(self, subject: str) -> bool:
        if self._functions == 0 and not self._shifted and _FIRST_ARGUMENT.fullmatch(subject):
            return True
        variable = _VARIABLE.fullmatch(subject)
        return variable is not None and (variable[1] or variable[2]) in self._aliases


def _sets_arguments(words: list[str]) -> bool:
    rest = iter(words)
    for word in rest:
        if word in ("-o", "+o"):
            next(rest, None)
        elif word in ("-", "--") or word[0] not in "-+":
            return True
    return False
