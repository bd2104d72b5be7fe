"""What a command is: its words, operands, options and texts, as one row of the table.

From the rows come the option parser, `ctdb-event help`, the completions, the man page and docs/cli.md. Plain classes:
`ctdb-event complete` and `ps --plain` run while somebody types, and attrs or typing would double their time.
"""

from __future__ import annotations

__all__ = ["GLOBAL_OPTIONS", "JSON", "PLAIN", "SOCKET", "Command", "Operand", "Option"]


class Operand:
    """What a command is given.

    Attributes:
        name: As it is shown.
        kind: What completes it: `component`, `script`, `event`, `run`, `locks`, `command`, `file`, or nothing if empty.
        purpose: One sentence.
        required: It can't be left out.
        many: Any number of them.
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
        value: Name of its value, empty if it has none.
        kind: What completes the value: as for operands, or `words`.
        words: The values that there are, if it is `words`; several may be joined by commas.
        short: The same in one letter, with its dash.
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
        """Its long name, and its short one if it has one."""
        return (self.name, self.short) if self.short else (self.name,)

    @property
    def shown(self) -> str:
        """Its name, and its value's."""
        return f"{self.name} {self.value}" if self.value else self.name


HELP = Option("--help", "Say what the command does, and end.", short="-h")
SOCKET = Option("--socket", "The daemon's socket, instead of the usual place.", "PATH", "file")
DEBUG = Option("--debug", "Accepted as by CTDB's own program, and of no effect.", "LEVEL", short="-d")
GLOBAL_OPTIONS = (SOCKET, DEBUG, HELP)
"""Those that every command has."""
JSON = Option("--json", "Print JSON.")
PLAIN = Option("--plain", "Print lines for programs: one for each item, columns separated by tabs, no header.")


class Command:
    """One row of the table.

    Attributes:
        words: What selects it.
        purpose: What it does, in one line.
        text: What it does, in paragraphs.
        operands: In order.
        options: Of its own, without those that every command has.
        examples: Command lines, and what each is for.
        statuses: Exit statuses, and what each means.
        columns: Names of the columns of `--plain`, and what each holds.
        json: What `--json` prints.
        group: The heading under which it is listed.
        dropin: CTDB's own program has it too; its usage and messages are CTDB's.
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
        """Its own options and those that every command has."""
        return (*self.options, *GLOBAL_OPTIONS)

    @property
    def takes_command(self) -> bool:
        """Behind `--` stands another program's command line."""
        return any(operand.kind == "command" for operand in self.operands)

    @property
    def plain_operands(self) -> tuple[Operand, ...]:
        """The operands before a `--`."""
        return tuple(operand for operand in self.operands if not operand.kind.startswith("command"))

    @property
    def usage(self) -> str:
        """How it is written, without the options that every command has."""
        options = [f"[{option.shown}]" for option in self.options]
        return " ".join(["ctdb-event", self.words, *options, *self._operands_shown()])

    def _operands_shown(self) -> list[str]:
        shown = []
        for operand in self.operands:
            text = f"-- {operand.name}" if operand.kind == "command" else operand.name
            text += "..." if operand.many else ""
            shown.append(text if operand.required else f"[{text}]")
        return shown
