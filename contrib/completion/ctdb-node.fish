# Completion of ctdb-node for fish, which asks `ctdb-node complete`.
# SPDX-License-Identifier: Apache-2.0

function __ctdb_node_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (command $words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case \tfiles
                set -l option (string match -r '^--[^=]*=' -- $current)
                printf '%s\n' $option(__fish_complete_path (string replace -r '^--[^=]*=' '' -- "$current"))
            case \t'command *'
                set -l behind (string split ' ' -- $line)[2]
                complete -C (string join ' ' -- (string escape -- $words[(math $behind + 1)..-1]) $current)
            case '*'
                echo $line
        end
    end
end

complete -c ctdb-node -f -a '(__ctdb_node_complete)'
