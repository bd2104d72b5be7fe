"""The man pages ctdb-event(1) and ctdb-eventd(8)."""

from __future__ import annotations

from collections.abc import Iterable

from cli_pages import texts
from cli_pages.roff import continued, head, paragraphs, section, subsection, tagged
from cli_pages.words import GENERATED, GLOBAL_OPTIONS, groups
from ctdb_event.commands.catalogue import COMMANDS
from ctdb_event.commands.table import Command, Option

__all__ = ["ctdb_event", "ctdb_eventd"]


def ctdb_event() -> str:
    """Returns the page of the command line."""
    parts = [head("ctdb-event", 1, "ask the event daemon of a CTDB node", GENERATED), section("SYNOPSIS")]
    parts.append("\\fBctdb\\-event\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n")
    parts += [section("DESCRIPTION"), paragraphs(texts.DESCRIPTION), section("OPTIONS")]
    parts += [_option(option) for option in GLOBAL_OPTIONS]
    parts.append(section("COMMANDS"))
    for group, commands in groups().items():
        parts.append(subsection(group))
        parts += [_command(command) for command in commands]
    parts += [section("OUTPUT"), paragraphs(texts.OUTPUT), section('"EXIT STATUS"'), paragraphs(texts.EXIT)]
    parts += [section("ENVIRONMENT"), _list(texts.ENVIRONMENT), section("FILES"), _list(texts.FILES)]
    parts += [section("EXAMPLES"), *(_list(command.examples) for command in COMMANDS)]
    parts += [section('"SEE ALSO"'), "\\fBctdb\\-eventd\\fR(8), \\fBctdb\\fR(1), \\fBctdbd\\fR(1)\n"]
    return "".join(parts)


def ctdb_eventd() -> str:
    """Returns the page of the daemon."""
    parts = [head("ctdb-eventd", 8, "event daemon of a CTDB node", GENERATED), section("SYNOPSIS")]
    parts.append("\\fBctdb\\-eventd\\fR [\\fB\\-P\\fR \\fIPID\\fR] [\\fB\\-S\\fR \\fIFD\\fR]\n")
    parts += [section("DESCRIPTION"), paragraphs(texts.DAEMON), section("OPTIONS"), _list(texts.DAEMON_OPTIONS)]
    parts += [section("SIGNALS"), _list(texts.SIGNALS), section('"EXIT STATUS"'), _list(texts.DAEMON_EXIT)]
    parts += [section("ENVIRONMENT"), _list(texts.DAEMON_ENVIRONMENT), section("FILES"), _list(texts.DAEMON_FILES)]
    parts += [section('"SEE ALSO"'), "\\fBctdb\\-event\\fR(1), \\fBctdbd\\fR(1), \\fBctdb.conf\\fR(5)\n"]
    return "".join(parts)


def _list(entries: Iterable[tuple[str, str]]) -> str:
    return "".join(tagged(name, text) for name, text in entries)


def _option(option: Option) -> str:
    return tagged(f"{option.short}, {option.shown}" if option.short else option.shown, option.purpose)


def _command(command: Command) -> str:
    parts = [tagged(command.usage.removeprefix("ctdb-event "), command.purpose)]
    parts += [continued(text) for text in command.text.split("\n\n")]
    parts += _nested("", [(option.shown, option.purpose) for option in command.options])
    parts += _nested("Columns of --plain:", command.columns)
    if command.json:
        parts.append(continued(f"`--json`: {command.json}"))
    parts += _nested("Exit status:", command.statuses)
    return "".join(parts)


def _nested(title: str, entries: Iterable[tuple[str, str]]) -> list[str]:
    listed = list(entries)
    if not listed:
        return []
    begin = [continued(title)] if title else []
    return [*begin, ".RS\n", _list(listed), ".RE\n"]
