"""The classes of the table of commands: a row has a command's words, operands, options and texts.

The option parser, `ctdb-event help`, the completions, the man page and docs/cli.md are made from the rows. Plain
classes: `ctdb-event complete` runs at each Tab, and attrs or typing would double the time that it and `ps --plain`
take.
"""

from __future__ import annotations

__all__ = ["GLOBAL_OPTIONS", "JSON", "PLAIN", "SOCKET", "Command", "Operand", "Option"]


class Operand:
    """An operand of a command.

    Attributes:
        name: As shown to users.
        kind: Selects the completion: `component`, `script`, `event`, `run`, `locks`, `command`, `file`, or empty for
            none.
        purpose: One sentence.
        required: Whether it is mandatory.
        many: Whether it may be repeated.
    """

    __slots__ = ("kind", "many", "name", "purpose", "required")

    def __init__(self, name: str, kind: str, purpose: str, *, required: bool = True, many: bool = False) -> None:
        self.name = name
        self.kind = kind
        self.purpose = purpose
        self.required = required
        self.many = many


class Option:
    """A long option.

    Attributes:
        name: With its dashes.
        purpose: One sentence.
        value: Name of its value, empty if it takes none.
        kind: Selects the completion of the value: as for operands, or `words`.
        words: The allowed values, if `kind` is `words`; several may be joined by commas.
        short: The short form, with its dash.
    """

    __slots__ = ("kind", "name", "purpose", "short", "value", "words")

    def __init__(
        self, name: str, purpose: str, value: str = "", kind: str = "", words: tuple[str, ...] = (), short: str = ""
    ) -> None:
        self.name = name
        self.purpose = purpose
        self.value = value
        self.kind = kind
        self.words = words
        self.short = short

    @property
    def names(self) -> tuple[str, ...]:
        """Its long name, and its short one if there is one."""
        return (self.name, self.short) if self.short else (self.name,)

    @property
    def shown(self) -> str:
        """Its name, and its value's name."""
        return f"{self.name} {self.value}" if self.value else self.name


HELP = Option("--help", "Print help for the command, and exit.", short="-h")
SOCKET = Option("--socket", "The daemon's socket, if it is not the usual one.", "PATH", "file")
DEBUG = Option("--debug", "Accepted for compatibility with CTDB's own program; has no effect.", "LEVEL", short="-d")
GLOBAL_OPTIONS = (SOCKET, DEBUG, HELP)
"""The options of every command."""
JSON = Option("--json", "Print JSON.")
PLAIN = Option("--plain", "Print lines for programs: one for each item, columns separated by tabs, no header.")


class Command:
    """One row of the table.

    Attributes:
        words: The words that select it.
        purpose: What it does, in one line.
        text: What it does, in paragraphs.
        operands: Its operands, in order.
        options: Its own options, without those of every command.
        examples: Command lines, and the purpose of each.
        statuses: Exit statuses, and their meanings.
        columns: Names of the columns of `--plain`, and their contents.
        json: What `--json` prints.
        group: The heading under which it is listed.
        dropin: Whether CTDB's own program has it too; then its usage and messages are CTDB's.
    """

    __slots__ = (
        *("columns", "dropin", "examples", "group", "json", "operands", "options", "purpose", "statuses", "text"),
        "words",
    )

    def __init__(
        self,
        words: str,
        purpose: str,
        text: str,
        *,
        group: str,
        operands: tuple[Operand, ...] = (),
        options: tuple[Option, ...] = (),
        examples: tuple[tuple[str, str], ...] = (),
        statuses: tuple[tuple[str, str], ...] = (),
        columns: tuple[tuple[str, str], ...] = (),
        json: str = "",
        dropin: bool = False,
    ) -> None:
        self.words = words
        self.purpose = purpose
        self.text = text
        self.group = group
        self.operands = operands
        self.options = options
        self.examples = examples
        self.statuses = statuses
        self.columns = columns
        self.json = json
        self.dropin = dropin

    @property
    def all_options(self) -> tuple[Option, ...]:
        """Its own options and those of every command."""
        return (*self.options, *GLOBAL_OPTIONS)

    @property
    def takes_command(self) -> bool:
        """Whether another program's command line follows after `--`."""
        return any(operand.kind == "command" for operand in self.operands)

    @property
    def plain_operands(self) -> tuple[Operand, ...]:
        """The operands before a `--`."""
        return tuple(operand for operand in self.operands if not operand.kind.startswith("command"))

    @property
    def usage(self) -> str:
        """Its usage line, without the options of every command."""
        options = [f"[{option.shown}]" for option in self.options]
        return " ".join(["ctdb-event", self.words, *options, *self._operands_shown()])

    def _operands_shown(self) -> list[str]:
        shown = []
        for operand in self.operands:
            text = f"-- {operand.name}" if operand.kind == "command" else operand.name
            text += "..." if operand.many else ""
            shown.append(text if operand.required else f"[{text}]")
        return shown
