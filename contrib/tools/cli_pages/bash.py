"""Completion for bash. Needs nothing of the package bash-completion."""

from __future__ import annotations

from cli_pages.words import GENERATED, GLOBAL_OPTIONS, first_words, single, subcommands, value_options
from ctdb_event.commands.table import Command, Option

__all__ = ["completion"]

_HEAD = f"""\
# Completion of ctdb-event for bash. {GENERATED}
# SPDX-License-Identifier: Apache-2.0
"""

# Names come from file names. So they are compared and quoted here, and never given to compgen -W, which expands what
# looks like a variable or a command in them.
_FUNCTIONS = r"""
# Asks the daemon, the one that --socket names; prints nothing if it can't.
_ctdb_event_ask()
{
	"${COMP_WORDS[0]}" "${socket[@]}" "$@" 2>/dev/null
}

# Offers the lines of standard input that begin like the current word.
_ctdb_event_offer()
{
	local candidate quoted
	while IFS= read -r candidate; do
		if [[ $candidate == "$cur"* ]]; then
			printf -v quoted '%q' "$candidate"
			COMPREPLY+=("$prefix$quoted")
		fi
	done
}

# Offers words, which are this file's own.
_ctdb_event_offer_words()
{
	_ctdb_event_offer < <(printf '%s\n' "$@")
}

# Leaves what stands before the last comma alone.
_ctdb_event_last_of_list()
{
	if [[ $cur == *,* ]]; then
		prefix="${cur%,*},"
		cur="${cur##*,}"
	fi
}

# Prints a component's scripts; with a state (* or a blank) only those. Falls back on the daemon's list.
_ctdb_event_scripts()
{
	local line
	if ! line="$(_ctdb_event_ask script list "$1")"; then
		_ctdb_event_ask scripts --plain "$1" | awk -F '\t' '$2 != "refused" { print $1 }'
		return
	fi
	while IFS= read -r line; do
		[[ ${line:1:1} == " " && ${line:0:1} == "${2:-${line:0:1}}" ]] && printf '%s\n' "${line:2}"
	done <<<"$line"
}

# Prints the locks that are held or waited for, and those that scripts declare.
_ctdb_event_locks()
{
	local component
	_ctdb_event_ask locks --plain | awk -F '\t' '$2 == "named" { print $1 }'
	while IFS= read -r component; do
		_ctdb_event_ask scripts --plain -- "$component" | cut -f 4 | tr ' ' '\n'
	done < <(_ctdb_event_ask components --plain | cut -f 1)
}

_ctdb_event_files()
{
	compopt -o filenames 2>/dev/null
	local file
	while IFS= read -r file; do
		COMPREPLY+=("$file")
	done < <(compgen -f -- "$cur")
}

# Completes the current word as what it is.
_ctdb_event_complete()
{
	local prefix=""
	case "$1" in
	component) _ctdb_event_offer < <(_ctdb_event_ask components --plain | cut -f 1) ;;
	event) _ctdb_event_offer < <(_ctdb_event_ask events --plain | cut -f 1) ;;
	run) _ctdb_event_offer < <(_ctdb_event_ask ps --plain | cut -f 1) ;;
	script) _ctdb_event_offer < <(_ctdb_event_scripts "${operands[0]}") ;;
	script-on) _ctdb_event_offer < <(_ctdb_event_scripts "${operands[0]}" "*") ;;
	script-off) _ctdb_event_offer < <(_ctdb_event_scripts "${operands[0]}" " ") ;;
	locks)
		_ctdb_event_last_of_list
		_ctdb_event_offer < <(_ctdb_event_locks | sort -u | awk NF)
		;;
	words)
		_ctdb_event_last_of_list
		_ctdb_event_offer_words "${@:2}"
		;;
	help) _ctdb_event_offer_words @COMMANDS@ ;;
	file) _ctdb_event_files ;;
	command) _ctdb_event_offer < <(compgen -c -- "$cur" | sort -u) ;;
	esac
}
"""

_MAIN = r"""
_ctdb_event()
{
	local cur="${COMP_WORDS[COMP_CWORD]}" word value="" dashes="" i options kinds kind behind=0
	local -a socket=() given=() operands=()
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word="${COMP_WORDS[i]}"
		if [[ -n $dashes ]]; then
			behind=$((behind + 1))
		elif [[ -n $value ]]; then
			# bash makes three words of --socket=PATH
			[[ $word == = ]] && continue
			[[ $value == --socket ]] && socket=(--socket "$word")
			value=""
		else
			case "$word" in
			--) dashes=yes ;;
			@VALUE_OPTIONS@) value="$word" ;;
			-*) ;;
			*) given+=("$word") ;;
			esac
		fi
	done
	[[ $cur == = ]] && cur=""
	case "$value" in
	"") ;;
@VALUES@
	*) return ;;
	esac
	case "${given[0]-}" in
	"")
		if [[ $cur == -* ]]; then
			_ctdb_event_complete words @GLOBAL_OPTIONS@
		else
			_ctdb_event_complete words @COMMANDS@
		fi
		return
		;;
@CASES@
	*) return ;;
	esac
	if [[ -z $dashes && $cur == -* ]]; then
		_ctdb_event_complete words $options
	elif [[ -n $dashes && $kinds == *command* ]]; then
		kind=file
		[[ $behind -eq 0 ]] && kind=command
		_ctdb_event_complete "$kind"
	else
		# shellcheck disable=SC2206 # words of this file's own
		kinds=($kinds)
		_ctdb_event_complete "${kinds[${#operands[@]} + behind]-}"
	fi
}

complete -F _ctdb_event ctdb-event
"""


def completion() -> str:
    """Returns the whole file."""
    commands = " ".join(first_words())
    main = _MAIN.replace("@CASES@", "\n".join(_cases())).replace("@VALUES@", "\n".join(_values()))
    names = [name for option in value_options() for name in (option.name, option.short) if name]
    main = main.replace("@VALUE_OPTIONS@", " | ".join(names))
    main = main.replace("@GLOBAL_OPTIONS@", _names(GLOBAL_OPTIONS))
    return _HEAD + (_FUNCTIONS + main).replace("@COMMANDS@", commands)


def _names(options: tuple[Option, ...]) -> str:
    return " ".join(option.name for option in options)


def _values() -> list[str]:
    lines = []
    for option in value_options():
        if option.kind:
            words = "".join(f" {word}" for word in option.words)
            lines += [f"\t{option.name})", f"\t\t_ctdb_event_complete {option.kind}{words}", "\t\treturn", "\t\t;;"]
    return lines


def _cases() -> list[str]:
    lines = [line for command in single() for line in _case(command, command.words, 1, "\t")]
    for first, commands in subcommands().items():
        seconds = [command.words.split()[1] for command in commands]
        lines += [f"\t{first})", '\t\tcase "${given[1]-}" in', '\t\t"")']
        lines += [f"\t\t\t_ctdb_event_complete words {' '.join(seconds)}", "\t\t\treturn", "\t\t\t;;"]
        for command, second in zip(commands, seconds, strict=True):
            lines += _case(command, second, 2, "\t\t")
        lines += ["\t\t*) return ;;", "\t\tesac", "\t\t;;"]
    return lines


def _case(command: Command, word: str, words: int, indent: str) -> list[str]:
    kinds = [_kind(command, operand.kind) for operand in command.operands]
    return [
        f"{indent}{word})",
        f'{indent}\toperands=("${{given[@]:{words}}}")',
        f'{indent}\toptions="{_names(command.all_options)}"',
        f'{indent}\tkinds="{" ".join(kinds)}"',
        f"{indent}\t;;",
    ]


def _kind(command: Command, kind: str) -> str:
    """Names what completes an operand: only scripts that are off can be enabled, and the other way round."""
    if kind == "script":
        return {"script enable": "script-off", "script disable": "script-on"}.get(command.words, kind)
    return kind or "nothing"
