# Completion of ctdb-event for bash, which asks `ctdb-event complete`. Needs nothing of the package bash-completion.
# SPDX-License-Identifier: Apache-2.0

# Candidates come from file names. So they are compared and quoted here, and never given to compgen -W, which expands
# what looks like a variable or a command in them.
_ctdb_event()
{
	local cur="${COMP_WORDS[COMP_CWORD]}" line word
	COMPREPLY=()
	[[ $cur == = ]] && cur="" # of the three words that bash makes of --socket=PATH
	while IFS= read -r line; do
		case "$line" in
		$'\tcommand '"$COMP_CWORD") mapfile -t COMPREPLY < <(compgen -c -- "$cur" | sort -u) ;;
		$'\t'*)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			;;
		"$cur"*)
			printf -v word '%q' "${line%%$'\t'*}"
			[[ $word == *= ]] && compopt -o nospace 2>/dev/null
			COMPREPLY+=("${word//\\,/,}")
			;;
		esac
	done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$cur" 2>/dev/null)
}

complete -F _ctdb_event ctdb-event
