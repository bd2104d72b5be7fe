"""Completion for fish."""

from __future__ import annotations

from cli_pages.words import GENERATED, GLOBAL_OPTIONS, first_words, plain_text, single, subcommands, value_options
from ctdb_event.commands.catalogue import COMMANDS
from ctdb_event.commands.table import Command, Option

__all__ = ["completion"]

_FUNCTIONS = r"""
# Prints the words before the cursor that are neither options nor their values, one per line.
function __ctdb_event_words
    set -l skip no
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case --
                return
            case @VALUE_OPTIONS@
                set skip yes
            case '-*'
                continue
            case '*'
                printf '%s\n' $word
        end
    end
end

# Succeeds if these words, and so many operands behind them, stand before the cursor: COUNT WORD...
function __ctdb_event_at
    set -l words (__ctdb_event_words)
    set -l own $argv[2..-1]
    test (count $words) -eq (math (count $own) + $argv[1]); and __ctdb_event_in $own
end

# Succeeds if the command is these words.
function __ctdb_event_in
    set -l words (__ctdb_event_words)
    test (count $words) -ge (count $argv); or return
    for i in (seq (count $argv))
        test "$words[$i]" = "$argv[$i]"; or return
    end
end

# Succeeds if there is no command yet.
function __ctdb_event_none
    test (count (__ctdb_event_words)) -eq 0
end

# Asks the daemon, the one that --socket names; prints nothing if it can't.
function __ctdb_event_ask
    set -l words (commandline -opc)
    set -l socket
    for i in (seq (count $words))
        switch $words[$i]
            case --socket
                test $i -lt (count $words); and set socket --socket $words[(math $i + 1)]
            case '--socket=*'
                set socket $words[$i]
        end
    end
    command $words[1] $socket $argv 2>/dev/null
end

function __ctdb_event_component
    __ctdb_event_ask components --plain | cut -f 1
end

function __ctdb_event_event
    __ctdb_event_ask events --plain | cut -f 1
end

function __ctdb_event_run
    __ctdb_event_ask ps --plain | awk -F '\t' '{ print $1 "\t" $2 " " $3 " " $4 " " $5 }'
end

# Prints the scripts of the component that stands before the cursor; with * or a blank only those in that state.
function __ctdb_event_script
    set -l words (__ctdb_event_words)
    set -l list (__ctdb_event_ask script list $words[3])
    or set list '  '(__ctdb_event_ask scripts --plain $words[3] | awk -F '\t' '$2 != "refused" { print $1 }')
    for line in $list
        set -l state (string sub -l 1 -- $line)
        test "$state" = "$argv[1]" -o -z "$argv[1]"; and string sub -s 3 -- $line
    end
end

# Offers each of the lines behind what stands before the last comma.
function __ctdb_event_list
    set -l before (commandline -ct | string replace -r '^--[a-z]+=' '' | string match -r '^.*,')
    while read -l line
        printf '%s%s\n' "$before" $line
    end
end

# Prints the locks that are held or waited for, and those that scripts declare.
function __ctdb_event_all_locks
    __ctdb_event_ask locks --plain | awk -F '\t' '$2 == "named" { print $1 }'
    for component in (__ctdb_event_component)
        __ctdb_event_ask scripts --plain -- $component | cut -f 4 | tr ' ' '\n'
    end
end

function __ctdb_event_locks
    __ctdb_event_all_locks | sort -u | awk NF | __ctdb_event_list
end

complete -c ctdb-event -f
"""


def completion() -> str:
    """Returns the whole file."""
    names = [name for option in value_options() for name in (option.name, option.short) if name]
    lines = [f"# Completion of ctdb-event for fish. {GENERATED}", "# SPDX-License-Identifier: Apache-2.0"]
    lines.append(_FUNCTIONS.replace("@VALUE_OPTIONS@", " ".join(names)))
    for word, purpose in first_words().items():
        lines.append(f"{_start('__ctdb_event_none')} -a {word} -d {_quoted(purpose)}")
    for option in GLOBAL_OPTIONS:
        lines.append(f"complete -c ctdb-event{_option(option)}")
    for first, commands in subcommands().items():
        condition = _start(f"__ctdb_event_at 0 {first}")
        lines += [f"{condition} -a {c.words.split()[1]} -d {_quoted(c.purpose)}" for c in commands]
    for command in COMMANDS:
        lines += _of_command(command)
    return "\n".join(lines) + "\n"


def _start(condition: str) -> str:
    return f"complete -c ctdb-event -n {_quoted(condition)}"


def _quoted(text: str) -> str:
    text = plain_text(text).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _of_command(command: Command) -> list[str]:
    lines = [_start(f"__ctdb_event_in {command.words}") + _option(option) for option in command.options]
    for position, operand in enumerate(command.operands):
        condition = _start(f"__ctdb_event_at {position} {command.words}")
        if operand.kind == "command":
            lines.append(f"{condition} -a '(__fish_complete_subcommand --fcs-skip=3)'")
        elif operand.kind == "help":
            lines.append(f"{condition} -a {_quoted(' '.join([c.words for c in single()] + list(subcommands())))}")
        elif operand.kind in ("component", "event", "run", "script", "locks"):
            lines.append(f"{condition} -a {_quoted(f'(__ctdb_event_{operand.kind}{_state(command)})')}")
    return lines


def _state(command: Command) -> str:
    return {"script enable": ' " "', "script disable": ' "*"'}.get(command.words, "")


def _option(option: Option) -> str:
    text = f" -l {option.name[2:]}"
    text += f" -s {option.short[1:]}" if option.short else ""
    text += f" -d {_quoted(option.purpose)}"
    if option.kind == "file":
        return text + " -r -F"
    if option.kind == "words":
        listed = f'(printf "%s\\n" {" ".join(option.words)} | __ctdb_event_list)'
        return f"{text} -x -a {_quoted(listed)}"
    if option.kind:
        return text + f" -x -a '(__ctdb_event_{option.kind})'"
    return text + (" -x" if option.value else "")
