"""Finds features in shell scripts that not every version of CTDB has: functions, commands of `ctdb`, events.d.

Searches lines by patterns only, so text in quotes and here-documents counts too. The tables are observations of
Debian's packages of CTDB 4.13, 4.17, 4.22, 4.24 and 4.25; tests/interop/test_lint.py compares them with the installed
one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ctdb_event.lint.report import Check, Finding, Severity

__all__ = ["COMMANDS_GONE", "FUNCTIONS_GONE", "FUNCTIONS_LATER", "check_outdated", "code_lines", "defined_functions"]

_STATE_DIR = 'ctdb_setup_state_dir service NAME, and "$script_state_dir"'
_COUNTER = "ctdb_counter_get, and compare what it prints"
_SERVICE = "service_start and service_stop in the script's own startup and shutdown"
_ENABLED = "ctdb event script enable, for the scripts that a node should run"
_NFS = "nfs_callout"

FUNCTIONS_GONE = {
    "loadconfig": "load_script_options",
    "ctdb_setup_service_state_dir": _STATE_DIR,
    "ctdb_check_counter": _COUNTER,
    "ctdb_check_counter_limit": _COUNTER,
    "ctdb_check_counter_equal": _COUNTER,
    "ctdb_start_stop_service": _SERVICE,
    "ctdb_service_start": _SERVICE,
    "ctdb_service_stop": _SERVICE,
    "ctdb_service_check_reconfigure": "ctdb_service_needs_reconfigure and ctdb_service_reconfigure",
    "is_ctdb_managed_service": _ENABLED,
    "is_ctdb_previously_managed_service": _ENABLED,
    "ctdb_service_managed": _ENABLED,
    "ctdb_service_unmanaged": _ENABLED,
    "startstop_nfs": _NFS,
    "startstop_nfslock": _NFS,
    "ctdb_check_rpc": "rpcinfo -T tcp localhost PROGRAM VERSION",
    "nfs_check_rpc_service": "a .check file in nfs-checks.d",
    "ctdb_set_current_debuglevel": '"$CTDB_DEBUGLEVEL"',
    "ctdb_replay_monitor_status": "ctdb event status legacy monitor",
}
"""Functions of earlier versions that 4.13 and later don't have, and their replacements."""

FUNCTIONS_LATER = {
    **dict.fromkeys(
        (
            *("ctdb_counter_exists", "failcount_incr", "failcount_init", "failcount_reset", "get_public_ifaces"),
            *("have_public_addresses", "kill_tcp_summarise", "update_my_public_ip_addresses"),
        ),
        ("4.17", "4.22"),
    ),
    **dict.fromkeys(
        (
            *("detect_platform_style", "failcount_set_warning_interval", "ip_addr_add", "ip_addr_del"),
            "ip_prefix_iface",
        ),
        ("4.24", "4.25"),
    ),
}
"""Functions of later versions: the last observed version without each, and the first one with it."""

COMMANDS_GONE = {
    "eventscript": ("4.13", "ctdb event run TIMEOUT legacy EVENT"),
    "enablescript": ("4.13", "ctdb event script enable legacy SCRIPT"),
    "disablescript": ("4.13", "ctdb event script disable legacy SCRIPT"),
    "getmonmode": ("4.13", "ctdb event status legacy monitor"),
    "setmonmode": ("4.13", "ctdb event script disable legacy SCRIPT, for what should not be monitored"),
    "enablemonitor": ("4.13", "ctdb event script enable legacy SCRIPT"),
    "disablemonitor": ("4.13", "ctdb event script disable legacy SCRIPT"),
    "lvsmaster": ("4.13", "ctdb lvs leader"),
    "natgwlist": ("4.13", "ctdb natgw list"),
    "xpnn": ("4.17", "ctdb pnn"),
    "lvs master": ("4.17", "ctdb lvs leader"),
    "natgw master": ("4.17", "ctdb natgw leader"),
    "recmaster": ("4.17", "ctdb leader"),
    "isnotrecmaster": ("4.17", "ctdb leader, and compare with ctdb pnn"),
    "setrecmasterrole": ("4.17", "ctdb setleaderrole"),
}
"""Commands of `ctdb`: the first observed version without each, and its replacement."""

_FUNCTION_CALLED = re.compile(
    r"(?:^|[;&|(){`!]|\b(?:if|then|elif|else|while|until|do)\s)\s*"
    rf"({'|'.join([*FUNCTIONS_GONE, *FUNCTIONS_LATER])})(?=[\s;&|)`]|$)"
)
_CTDB_CALLED = re.compile(
    r"(?:(?<![\w.-])ctdb|\$\{?CTDB\}?)\"?\s+(?:-\S+\s+(?:(?:all|[0-9,]+)\s+)?)*"
    rf"({'|'.join(COMMANDS_GONE)})(?![\w-])"
)
_EVENTS_D = re.compile(r"/events\.d(?![\w.-])")
_SOURCES_FUNCTIONS = re.compile(r"(?:^|[;&|{]|\bthen\s)\s*(?:\.|source)\s+\S*\bfunctions\b")
_DEFINED = re.compile(r"^\s*(?:function\s+)?([A-Za-z_]\w*)\s*\(\)|^\s*function\s+([A-Za-z_]\w*)", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|\s)#.*")


def code_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a shell script that are not empty, with their numbers, without comments."""
    for number, line in enumerate(text.split("\n"), 1):
        code = _COMMENT.sub("", line).rstrip()
        if code:
            yield number, code


def defined_functions(text: str) -> frozenset[str]:
    """Returns the names of the functions that a shell script defines."""
    return frozenset(found[1] or found[2] for found in _DEFINED.finditer(text))


def check_outdated(text: str, functions: frozenset[str] | None) -> Iterator[Finding]:
    """Finds features that CTDB no longer has, or that only later versions have.

    Args:
        text: The shell script.
        functions: The functions of this node's CTDB; None if the script's node is unknown.
    """
    lines = list(code_lines(text))
    sources = any(_SOURCES_FUNCTIONS.search(line) for _, line in lines)
    known = set(defined_functions(text)) | (functions or set())
    for number, line in lines:
        for name in _FUNCTION_CALLED.findall(line) if sources else ():
            if name not in known:
                known.add(name)  # one finding for each script is enough
                yield _function(name, functions is not None, number)
        for name in _CTDB_CALLED.findall(line):
            version, instead = COMMANDS_GONE[name]
            message = f'ctdb has no command "{name}" from version {version} on at the latest; use {instead}'
            yield Finding(Severity.WARNING, Check.COMMAND, message, number)
        if _EVENTS_D.search(line):
            message = "CTDB doesn't use events.d, but events/COMPONENT, such as events/legacy"
            yield Finding(Severity.WARNING, Check.EVENTS_D, message, number)


def _function(name: str, node_known: bool, line: int) -> Finding:
    if name in FUNCTIONS_GONE:
        message = f'CTDB 4.13 and later have no function "{name}"; use {FUNCTIONS_GONE[name]}'
        return Finding(Severity.WARNING, Check.FUNCTION, message, line)
    before, since = FUNCTIONS_LATER[name]
    versions = f"CTDB {since} has it, {before} has not"
    if node_known:
        message = f'this node\'s CTDB has no function "{name}", so the line fails: {versions}'
        return Finding(Severity.WARNING, Check.FUNCTION, f"{message}; upgrade CTDB, or do without", line)
    return Finding(Severity.NOTE, Check.FUNCTION, f'the function "{name}" needs a recent CTDB: {versions}', line)
