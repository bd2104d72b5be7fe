"""A shell script's text cut into words and operators. Pure text.

Knows quotes, substitutions, here-documents and comments, but no commands: what is between the parentheses of a
substitution is for the reader of commands to go through.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["HERE", "OPERATORS", "REDIRECTIONS", "SEPARATORS", "Lost", "ShellTokens"]

REDIRECTIONS = frozenset("< > <& >& >> >| <> &>> &> <<<".split())
"""Operators before the name of a file, or the like."""
HERE = frozenset({"<<", "<<-"})
"""Operators before the end mark of a here-document."""
SEPARATORS = frozenset("; & && || | |& \n ;; ;& ;;&".split(" "))
"""Operators behind which a command begins."""
OPERATORS = REDIRECTIONS | HERE | SEPARATORS | {"(", ")"}

_OPERATOR = re.compile(r";;&|;;|;&|&&|\|\||\|&|<<<|<<-|<<|<&|>&|>>|>\||<>|&>>|&>|[;&|()<>\n]")
_BLANKS = re.compile(r"(?:[ \t]|\\\n)+")
_PLAIN = re.compile(r"""[^ \t\n;&|()<>"'`$\\]+""")
_DOUBLE_PLAIN = re.compile(r'[^"`$\\]+')
_EXTENDED_PATTERN = "?*+@!="
"""Before a parenthesis that belongs to the word: a pattern of bash or ksh, or an array."""


class Lost(Exception):
    """The text isn't what it was taken for."""


class ShellTokens:
    """Goes through a script's text once, from its beginning to its end."""

    def __init__(self, text: str, substitute: Callable[[], None]) -> None:
        """Starts at the beginning.

        Args:
            text: The script.
            substitute: Reads the commands of a substitution, and the parenthesis that closes it.
        """
        self._text = text
        self._at = 0
        self._here: list[tuple[str, bool]] = []
        self._counted = (0, 1)
        self._substitute = substitute

    @property
    def line(self) -> int:
        """The line that is being read, counted from 1."""
        counted, line = self._counted
        self._counted = (self._at, line + self._text.count("\n", counted, self._at))
        return self._counted[1]

    def next_is(self, letter: str) -> bool:
        """Tells whether that letter comes next, with nothing between."""
        return self._text.startswith(letter, self._at)

    def here_document(self, strips_tabs: bool) -> None:
        """Reads the end mark of a here-document, which begins behind the line."""
        self._here.append((re.sub(r"[\"'\\]", "", self.word_token()), strips_tabs))

    def token(self) -> str:
        """Returns the next word as it stands there, or operator; empty at the end.

        Raises:
            Lost, IndexError: A quotation or substitution has no end.
        """
        while found := _BLANKS.match(self._text, self._at):
            self._at = found.end()
        if self._text.startswith("#", self._at):
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            return self._word()
        self._at = operator.end()
        if operator[0] == "\n":
            self._skip_here_documents()
        return operator[0]

    def word_or_operator(self) -> str:
        """Returns the next token; the end of the text is too early.

        Raises:
            Lost: It is the end.
        """
        token = self.token()
        if token == "":
            raise Lost
        return token

    def word_token(self) -> str:
        """Returns the next token, which must be a word.

        Raises:
            Lost: It is none.
        """
        token = self.word_or_operator()
        if token in OPERATORS:
            raise Lost
        return token

    def after_newlines(self) -> str:
        """Returns the next token that is no newline.

        Raises:
            Lost: There is none.
        """
        while (token := self.word_or_operator()) == "\n":
            pass
        return token

    def expect(self, expected: str) -> None:
        """Reads one token.

        Raises:
            Lost: It is another one.
        """
        if self.token() != expected:
            raise Lost

    def _skip_here_documents(self) -> None:
        for end, strips_tabs in self._here:
            while self._at < len(self._text):
                newline = self._text.find("\n", self._at)
                newline = len(self._text) if newline < 0 else newline
                line = self._text[self._at : newline]
                self._at = newline + 1
                if (line.lstrip("\t") if strips_tabs else line) == end:
                    break
        self._here.clear()

    def _word(self) -> str:
        start = self._at
        while self._at < len(self._text):
            letter = self._text[self._at]
            plain = _PLAIN.match(self._text, self._at)
            if plain:
                self._at = plain.end()
            elif letter == "(" and self._at > start and self._text[self._at - 1] in _EXTENDED_PATTERN:
                self._at += 1
                self.balanced(1)
            elif letter in " \t\n;&|()<>":
                break
            else:
                self._quoted()
        return self._text[start : self._at]

    def _quoted(self, in_double: bool = False) -> None:
        """Goes behind a quotation or substitution that begins here, perhaps between double quotes."""
        letter = self._text[self._at]
        self._at += 1
        if letter == "\\":
            self._at += 1
        elif letter == "'":
            self._behind("'")
        elif letter == '"':
            self._double()
        elif letter == "`":
            self._backquoted()
        elif self._text.startswith("((", self._at):
            self._at += 2
            self.balanced(2)
        elif self._text.startswith("(", self._at):
            self._at += 1
            self._substitute()
        elif self._text.startswith("{", self._at):
            self._at += 1
            self._braces(in_double)

    def _behind(self, mark: str) -> None:
        end = self._text.find(mark, self._at)
        if end < 0:
            raise Lost
        self._at = end + 1

    def _double(self) -> None:
        while self._text[self._at] != '"':
            plain = _DOUBLE_PLAIN.match(self._text, self._at)
            if plain:
                self._at = plain.end()
            else:
                self._quoted(in_double=True)
        self._at += 1

    def _backquoted(self) -> None:
        while (letter := self._text[self._at]) != "`":
            self._at += 2 if letter == "\\" else 1
        self._at += 1

    def _braces(self, in_double: bool) -> None:
        quotes = '$`\\"' if in_double else "$`\\\"'"
        while (letter := self._text[self._at]) != "}":
            if letter in quotes:
                self._quoted(in_double)
            else:
                self._at += 1
        self._at += 1

    def balanced(self, depth: int) -> None:
        """Goes behind the parenthesis that closes the outermost of `depth`.

        Raises:
            IndexError: The text ends before.
        """
        while depth:
            letter = self._text[self._at]
            if letter in "$`\\\"'":
                self._quoted()
                continue
            depth += (letter == "(") - (letter == ")")
            self._at += 1
