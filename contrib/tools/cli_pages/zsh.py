"""Completion for zsh."""

from __future__ import annotations

from cli_pages.words import GENERATED, GLOBAL_OPTIONS, first_words, plain_text, single, subcommands
from ctdb_event.commands.table import Command, Operand, Option

__all__ = ["completion"]

_HEAD = f"""\
#compdef ctdb-event
# Completion of ctdb-event for zsh. {GENERATED}
# SPDX-License-Identifier: Apache-2.0
"""

_FUNCTIONS = r"""
# Asks the daemon, the one that --socket names; prints nothing if it can't.
_ctdb-event_ask() {
  command $_ctdb_event_program $_ctdb_event_socket "$@" 2>/dev/null
}

_ctdb-event_component() {
  local -a names=(${(f)"$(_ctdb-event_ask components --plain | cut -f 1)"})
  compadd "$@" -a names
}

_ctdb-event_event() {
  local -a names=(${(f)"$(_ctdb-event_ask events --plain | cut -f 1)"})
  compadd "$@" -a names
}

_ctdb-event_run() {
  local -a names=(${(f)"$(_ctdb-event_ask ps --plain | cut -f 1)"})
  compadd "$@" -a names
}

# The scripts of the component that was given; the last argument says which: any, on, or off.
_ctdb-event_script() {
  local state=$argv[-1] listed component="${${(@)words:#-*}[2]}"
  local -a names
  if listed=$(_ctdb-event_ask script list "$component"); then
    names=(${(f)listed})
    case $state in
      on) names=(${(M)names:#\**}) ;;
      off) names=(${(M)names:# *}) ;;
    esac
    names=(${names#??})
  else
    names=(${(f)"$(_ctdb-event_ask scripts --plain "$component" | awk -F '\t' '$2 != "refused" { print $1 }')"})
  fi
  compadd "${(@)argv[1,-2]}" -a names
}

# The locks that are held or waited for, and those that scripts declare.
_ctdb-event_locks() {
  local component
  local -a components=(${(f)"$(_ctdb-event_ask components --plain | cut -f 1)"})
  local -a names=(${(f)"$(_ctdb-event_ask locks --plain | awk -F '\t' '$2 == "named" { print $1 }')"})
  for component in $components; do
    names+=(${=$(_ctdb-event_ask scripts --plain -- "$component" | cut -f 4)})
  done
  names=(${(ou)names})
  (( $#names )) && _values -s , lock $names
}

_ctdb-event_help() {
  local -a names=(@COMMANDS@)
  compadd "$@" -a names
}
"""

_MAIN = r"""
_ctdb-event() {
  local curcontext="$curcontext" state state_descr line ret=1
  local -A opt_args
  local _ctdb_event_program=$words[1]
  local -a _ctdb_event_socket
  local at=${words[(i)--socket*]}
  if (( at < CURRENT )); then
    case $words[at] in
      --socket=*) _ctdb_event_socket=("$words[at]") ;;
      --socket) _ctdb_event_socket=(--socket "$words[at+1]") ;;
    esac
  fi
  _arguments -C -S \
@GLOBAL_OPTIONS@
    '1: :->command' \
    '*:: :->arguments' && ret=0
  case $state in
    command)
      local -a commands=(
@DESCRIBED@
      )
      _describe -t commands command commands && ret=0
      ;;
    arguments)
      case $words[1] in
@CASES@
      esac
      ;;
  esac
  return ret
}

# Both as an autoloaded function and when it is read by `source`.
if [[ $funcstack[1] == _ctdb-event ]]; then
  _ctdb-event "$@"
else
  compdef _ctdb-event ctdb-event
fi
"""


def completion() -> str:
    """Returns the whole file."""
    options = "\n".join(f"    {_option(option)} \\" for option in GLOBAL_OPTIONS)
    described = "\n".join(f"        {_quoted(word + ':' + purpose)}" for word, purpose in first_words().items())
    main = _MAIN.replace("@GLOBAL_OPTIONS@", options).replace("@DESCRIBED@", described)
    functions = _FUNCTIONS.replace("@COMMANDS@", " ".join(first_words()))
    return _HEAD + functions + main.replace("@CASES@", "\n".join(_cases()))


def _cases() -> list[str]:
    lines = []
    for command in single():
        lines += [f"        {command.words})", *_arguments(command, "          "), "          ;;"]
    for first, commands in subcommands().items():
        described = " ".join(_quoted(f"{c.words.split()[1]}:{plain_text(c.purpose)}") for c in commands)
        lines += [f"        {first})", "          if (( CURRENT == 2 )); then"]
        lines += [f"            local -a commands=({described})"]
        lines += ["            _describe -t commands command commands && ret=0", "          else"]
        lines += ["            shift words", "            (( CURRENT-- ))", "            case $words[1] in"]
        for command in commands:
            lines += [f"              {command.words.split()[1]})", *_arguments(command, " " * 16), f"{' ' * 16};;"]
        lines += ["            esac", "          fi", "          ;;"]
    return lines


def _arguments(command: Command, indent: str) -> list[str]:
    specs = [_option(option) for option in command.all_options]
    specs += [_operand(command, position, operand) for position, operand in enumerate(command.plain_operands, 1)]
    if command.takes_command:
        return _with_command(specs, indent)
    return _call(specs, indent)


def _with_command(specs: list[str], indent: str) -> list[str]:
    """What stands behind `--` is completed as if it stood alone."""
    lines = ["local dashes=${words[(i)--]}", "if (( dashes < CURRENT )); then", "  shift $dashes words"]
    lines += ["  (( CURRENT -= dashes ))", "  _normal && ret=0", "else"]
    return [indent + line for line in lines] + _call(specs, indent + "  ") + [f"{indent}fi"]


def _call(specs: list[str], indent: str) -> list[str]:
    lines = [f"{indent}_arguments -S \\"] + [f"{indent}  {spec} \\" for spec in specs]
    return [*lines[:-1], f"{lines[-1].removesuffix(' ' + chr(92))} && ret=0"]


def _operand(command: Command, position: int, operand: Operand) -> str:
    name = operand.name.replace("[", "").replace("]", "").replace("...", "").replace(":", "")
    where = "*" if operand.many else str(position)
    return f"'{where}:{name}:{_action(command, operand.kind)}'"


def _action(command: Command, kind: str) -> str:
    if kind == "script":
        state = {"script enable": "off", "script disable": "on"}.get(command.words, "any")
        return f"_ctdb-event_script {state}"
    return f"_ctdb-event_{kind}" if kind else " "


def _option(option: Option) -> str:
    purpose = plain_text(option.purpose).rstrip(".").replace("[", "\\[").replace("]", "\\]").replace("'", "'\\''")
    value = ""
    if option.value:
        name = option.value.partition("[")[0]
        value = f":{name}:{_value_action(option)}"
    if option.short:
        both = f"{{{option.short},{option.name}}}"
        return f"'({option.short} {option.name})'{both}'[{purpose}]{value}'"
    equals = "=" if option.value else ""
    return f"'{option.name}{equals}[{purpose}]{value}'"


def _value_action(option: Option) -> str:
    if option.kind == "file":
        return "_files"
    if option.kind == "words":
        return f"_values -s , kind {' '.join(option.words)}"
    return f"_ctdb-event_{option.kind}" if option.kind else " "


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
