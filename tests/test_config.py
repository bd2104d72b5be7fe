"""ctdb.conf: what is taken from it, what is refused and how, and what is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import pytest

from ctdb_eventd.config import LOG_LEVELS, Config, Limits, load, parse
from ctdb_eventd.errors import ConfigError

FULL = """
# a comment
[cluster]
    recovery lock = /clusterfs/.ctdb/reclock

[logging]
    location = syslog:nonblocking
    log level = debug
[event]
    debug script = debug.sh
[eventd]
    script names = suffix
    kill grace = 0.5
    debug timeout = 0
    max output = 64 K
    max packet = 2M
    max scripts = 64
    queue timeout = 12.5
    keep environment = LD_LIBRARY_PATH  PYTHONPATH
[locks]
    serialise = ipset  tc
    command wait = 3
    route-table =
    firewall = 10.interface 50.local
[limits]
    memory legacy = 2 G
    Pids Legacy = 500
    pids legacy = 400
    memory legacy2 = 4096g
"""

BUILT_IN = {"nfs-callout": ("06.nfs", "60.nfs", "60.ganesha"), "route-table": ("13.per_ip_routing",)}
DEFAULTS = Config(locks=BUILT_IN)


def text_of(section: str, key: str, value: str) -> str:
    return f"[{section}]\n  {key} = {value}\n"


def eventd(key: str, value: str) -> Config:
    return parse(text_of("eventd", key, value), "ctdb.conf")


def refused(text: str, path: str = "ctdb.conf") -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, path)
    return str(caught.value)


def test_every_line_that_can_not_be_used_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("[eventd]\nkill grace = soon\nqueue timeout = 3\nmax scripts = 0\n[locks]\na/b = 60.nfs\n", "c")
    lines = [
        'c:2: [eventd] kill grace = "soon": expected seconds, such as 5 or 0.5',
        'c:4: [eventd] max scripts = "0": expected a whole number from 1 to 999999',
        'c:6: [locks] a/b = "60.nfs": expected the name of a lock: letters, digits, dots, dashes and underscores',
    ]
    assert caught.value.texts == tuple(lines)
    assert str(caught.value) == "; ".join(lines)
    assert (caught.value.line, caught.value.key) == (2, "kill grace")


# ---------------------------------------------------------------------- files


def test_a_missing_file_means_the_defaults(tmp_path: Path) -> None:
    config = load(os.fspath(tmp_path / "ctdb.conf"))
    assert config == DEFAULTS
    assert (config.log_location, config.log_level, config.debug_script) == (None, "NOTICE", None)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ctdb.conf"
    path.symlink_to(path)
    with pytest.raises(ConfigError) as caught:
        load(os.fspath(path))
    assert str(caught.value) == f"{path}:0: can't be read: Too many levels of symbolic links"


def test_a_directory_means_the_defaults_as_with_ctdbs_daemon(tmp_path: Path) -> None:
    warning = f"{tmp_path}:0: can't be read: Is a directory; expected a file, and the defaults are used"
    assert load(os.fspath(tmp_path)) == Config(locks=BUILT_IN, warnings=(warning,))


def test_every_key_is_taken(tmp_path: Path) -> None:
    script = tmp_path / "debug.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (tmp_path / "ctdb.conf").write_text(FULL)
    assert load(os.fspath(tmp_path / "ctdb.conf")) == Config(
        log_location="syslog:nonblocking",
        log_level="DEBUG",
        debug_script="debug.sh",
        script_names="suffix",
        kill_grace=0.5,
        debug_timeout=0.0,
        max_output=65536,
        max_packet=2 << 20,
        max_scripts=64,
        queue_timeout=12.5,
        keep_environment=("LD_LIBRARY_PATH", "PYTHONPATH"),
        serialise=("ipset", "tc"),
        command_wait=3.0,
        locks={
            "nfs-callout": ("06.nfs", "60.nfs", "60.ganesha"),
            "route-table": (),
            "firewall": ("10.interface", "50.local"),
        },
        limits={
            "legacy": Limits(memory=2 << 30, pids=400),
            "Legacy": Limits(pids=500),
            "legacy2": Limits(memory=4 << 40),
        },
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "memory legacy = 1023 K",
            'memory legacy = "1023 K": expected bytes from 1048576 to 4096 G, such as 512 M or 2 G',
        ),
        (
            "memory legacy = 4097 G",
            'memory legacy = "4097 G": expected bytes from 1048576 to 4096 G, such as 512 M or 2 G',
        ),
        ("memory legacy = lots", 'memory legacy = "lots": expected bytes from 1048576 to 4096 G, such as 512 M or 2 G'),
        ("pids legacy = 0", 'pids legacy = "0": expected a whole number from 1 to 999999'),
        ("cpu legacy = 1", 'cpu legacy = "1": unknown key, expected "memory COMPONENT" or "pids COMPONENT"'),
        ("pids = 1", 'pids = "1": expected a component, such as pids legacy: '),
        ("pids ../x = 1", 'pids ../x = "1": expected a component, such as pids legacy: '),
    ],
)
def test_a_limit_that_can_not_be_used_is_refused(line: str, why: str) -> None:
    assert refused(f"[limits]\n{line}\n").startswith(f"ctdb.conf:2: [limits] {why}")


def test_bytes_that_are_no_text_reach_the_file_system_unharmed(tmp_path: Path) -> None:
    path = tmp_path / "ctdb.conf"
    path.write_bytes(b"[logging]\nlocation = file:/\xff/log\n")
    location = load(os.fspath(path)).log_location
    assert location is not None
    assert os.fsencode(location) == b"file:/\xff/log"


# ---------------------------------------------------------------------- lines


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# [eventd]\n; kill grace = x\n", "[eventd]\n\t# max packet = 1\n", "[ eventd ]"]
)
def test_text_that_says_nothing_means_the_defaults(text: str) -> None:
    assert parse(text, "ctdb.conf") == DEFAULTS


@pytest.mark.parametrize(
    "line",
    [
        "kill grace = 7",
        "\t  kill grace=7  ",
        "kill   grace  =  7\r",
        "kill\tgrace = 7",
        "kill grace = 1\nkill grace = 7",
    ],
)
def test_blanks_do_not_matter_and_the_last_line_counts(line: str) -> None:
    assert parse(f"[eventd]\n{line}\n", "ctdb.conf").kill_grace == 7


@pytest.mark.parametrize(
    "foreign", ["no equals sign", "= nothing before", "kill grace = soon", "\x00\x01", "key = a = b", "] ["]
)
def test_sections_of_other_daemons_are_skipped_whatever_they_hold(foreign: str) -> None:
    assert eventd_after(f"[database]\n  {foreign}\n").kill_grace == 3


def eventd_after(text: str) -> Config:
    return parse(text + "[eventd]\nkill grace = 3\n", "ctdb.conf")


def test_a_section_may_be_opened_twice() -> None:
    config = eventd_after("[eventd]\nmax output = 4096\n[legacy]\nfoo = bar\n")
    assert (config.max_output, config.kill_grace) == (4096, 3)


def test_a_line_of_ours_that_cannot_be_read_is_refused_with_its_place() -> None:
    assert refused("[eventd]\nkill grace") == 'ctdb.conf:2: [eventd] "kill grace": expected "key = value"'
    assert refused("[locks]\n = 60.nfs") == 'ctdb.conf:2: [locks] "60.nfs": expected "key = value"'


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("\nkill grace = 3", 'ctdb.conf:2: kill grace = "3": ignored: expected a [section] before the first key'),
        ("[event]\nnonsense", 'ctdb.conf:2: [event] "nonsense": ignored: expected "key = value"'),
    ],
)
def test_what_ctdb_passes_over_is_no_error_but_pointed_out(text: str, warning: str) -> None:
    assert parse(text, "ctdb.conf").warnings == (warning,)


def test_sections_and_our_keys_are_known_in_either_case_and_end_at_their_bracket() -> None:
    config = parse("[EventD] # ours\n Kill Grace = 3\n[LOGGING]\nlog level = info\n", "ctdb.conf")
    assert (config.kill_grace, config.log_level, config.warnings) == (3, "INFO", ())


@pytest.mark.parametrize("header", ["[eventd", "[ eventd ]", "[eventd\t] ; x"])
def test_a_section_of_ours_counts_with_blanks_in_its_brackets_and_without_the_second(header: str) -> None:
    assert parse(f"{header}\nkill grace = 3\n", "c").kill_grace == 3


def test_what_makes_ctdbs_daemons_read_nothing_leaves_our_own_sections_in_force() -> None:
    config = parse("[logging]\nlog level = INFO\n[eventd]\nkill grace = 3\n[cluster]\n= x\n", "c")
    assert (config.log_level, config.kill_grace) == ("NOTICE", 3)
    assert [warning.partition(";")[0] for warning in config.warnings] == ['c:6: "= x": expected "key = value"']


def test_warnings_come_in_the_order_of_the_file() -> None:
    text = "[logging]\nfrob = 1\n[evend]\nx = y\n[event]\nfrob = 1\n"
    assert [warning.split(":")[1] for warning in parse(text, "c").warnings] == ["2", "3", "6"]


def test_a_line_that_ends_in_a_backslash_goes_on_in_the_next() -> None:
    text = "[locks]\n table = 10.interface \\\n   60.nfs\n[other]\n x = \\\n[eventd]\n[eventd]\n kil = 3\n"
    assert parse(text.partition("[other]")[0], "c").locks["table"] == ("10.interface", "60.nfs")
    assert refused(text, "c").startswith('c:8: [eventd] kil = "3": unknown key')


# ---------------------------------------------------------------------- keys


def test_an_unknown_key_in_the_section_that_is_ours_alone_is_refused() -> None:
    assert refused("[eventd]\n\n  kil grace = 3") == (
        'ctdb.conf:3: [eventd] kil grace = "3": unknown key, expected one of '
        '"script names", "script security", "kill grace", "upgrade wait", "debug timeout", "max output", "max packet", '
        '"max scripts", "start idle scripts", "queue timeout", "keep environment"'
    )


@pytest.mark.parametrize(
    ("section", "known"), [("logging", '"location", "log level", "format"'), ("event", '"debug script"')]
)
def test_an_unknown_key_in_a_section_that_ctdb_shares_is_a_warning(section: str, known: str) -> None:
    config = parse(text_of(section, "new in 5.0", "yes"), "ctdb.conf")
    assert config.warnings == (
        f'ctdb.conf:2: [{section}] new in 5.0 = "yes": unknown key is ignored; known here: {known}',
    )


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_log_levels_are_taken_in_either_case(level: str) -> None:
    assert parse(text_of("logging", "log level", level.lower()), "c").log_level == level


@pytest.mark.parametrize(
    ("alias", "level"), [("ERR", "ERROR"), ("0", "ERROR"), ("2", "WARNING"), ("4", "NOTICE"), ("10", "DEBUG")]
)
def test_log_levels_have_ctdbs_other_names_too(alias: str, level: str) -> None:
    assert parse(text_of("logging", "log level", alias), "c").log_level == level


@pytest.mark.parametrize("level", ["CRITICAL", "", "11"])
def test_other_log_levels_are_refused(level: str) -> None:
    expected = f'c:2: [logging] log level = "{level}": expected one of ERROR, WARNING, NOTICE, INFO, DEBUG'
    assert refused(text_of("logging", "log level", level), "c") == expected


@pytest.mark.parametrize(
    "location", ["file:", "file:/var/log/x", "syslog", "syslog:nonblocking", "syslog:udp", "syslog:udp-rfc5424"]
)
def test_log_locations(location: str) -> None:
    assert parse(text_of("logging", "location", location), "c").log_location == location


@pytest.mark.parametrize("location", ["", "files", "syslog:tcp", "/var/log/x", "journal"])
def test_other_log_locations_are_refused(location: str) -> None:
    assert refused(text_of("logging", "location", location), "c") == (
        f'c:2: [logging] location = "{location}": expected file:/ABSOLUTE/PATH, file: (standard error), '
        "syslog or syslog:nonblocking|udp|udp-rfc5424"
    )


@pytest.mark.parametrize("form", ["text", "json", "journal", "JSON"])
def test_log_formats(form: str) -> None:
    config = parse(text_of("logging", "format", form), "c")
    assert (config.log_format, config.warnings) == (form.lower(), ())


@pytest.mark.parametrize("form", ["", "xml"])
def test_another_log_format_keeps_no_node_from_starting(form: str) -> None:
    """CTDB's own daemon would start with it."""
    config = parse(text_of("logging", "format", form), "c")
    warning = f'c:2: [logging] format = "{form}": treated as text; expected one of text, json, journal'
    assert (config.log_format, config.warnings) == ("text", (warning,))


@pytest.mark.parametrize("rule", ["both", "suffix", "bare"])
def test_rules_for_script_names(rule: str) -> None:
    assert eventd("script names", rule).script_names == rule


@pytest.mark.parametrize("rule", ["Both", "none", ""])
def test_other_rules_for_script_names_are_refused(rule: str) -> None:
    expected = f'c:2: [eventd] script names = "{rule}": expected one of auto, both, suffix, bare'
    assert refused(text_of("eventd", "script names", rule), "c") == expected


@pytest.mark.parametrize("key", ["kill grace", "debug timeout", "queue timeout"])
@pytest.mark.parametrize("value", ["soon", "-1", "5s", "1e3", "", ".5", "5.", "inf", "nan", "\u0665"])
def test_times_that_are_no_seconds_are_refused(key: str, value: str) -> None:
    expected = f'c:2: [eventd] {key} = "{value}": expected seconds, such as 5 or 0.5'
    assert refused(text_of("eventd", key, value), "c") == expected


def test_times_are_at_most_a_year() -> None:
    assert eventd("kill grace", "31536000").kill_grace == 31536000
    expected = 'c:2: [eventd] kill grace = "31536000.1": expected at most 31536000 seconds, which is a year'
    assert refused(text_of("eventd", "kill grace", "31536000.1"), "c") == expected


@pytest.mark.parametrize(
    ("value", "size"),
    [("65536", 65536), ("64K", 65536), ("64 k", 65536), ("1 M", 1 << 20), ("1024 M", 1 << 30), ("4096", 4096)],
)
def test_sizes(value: str, size: int) -> None:
    assert eventd("max packet", value).max_packet == size
    assert eventd("max output", value).max_output == size


@pytest.mark.parametrize(("key", "minimum"), [("max output", 1024), ("max packet", 4096)])
@pytest.mark.parametrize("value", ["", "0", "-1", "1023", "2 G", "1025 M", "1  K", "big", "1 \u212a", "9" * 5000])
def test_sizes_out_of_bounds_and_no_sizes_are_refused(key: str, minimum: int, value: str) -> None:
    assert refused(text_of("eventd", key, value), "c") == (
        f'c:2: [eventd] {key} = "{value}": expected bytes from {minimum} to 1024 M, such as 65536, 64 K or 1 M'
    )


@pytest.mark.parametrize(("value", "limit"), [("0", None), ("0.0", None), ("0.5", 0.5), ("30", 30.0)])
def test_a_queue_timeout_of_zero_is_no_limit(value: str, limit: float | None) -> None:
    assert eventd("queue timeout", value).queue_timeout == limit


@pytest.mark.parametrize("value", ["1", "256", "999999", "007"])
def test_numbers_of_scripts(value: str) -> None:
    assert eventd("max scripts", value).max_scripts == int(value)


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "1000000", "many", "\u0665", "4 K"])
def test_numbers_of_scripts_out_of_bounds_are_refused(value: str) -> None:
    expected = f'c:2: [eventd] max scripts = "{value}": expected a whole number from 1 to 999999'
    assert refused(text_of("eventd", "max scripts", value), "c") == expected


@pytest.mark.parametrize(
    ("value", "names"),
    [("", ()), ("ENV", ("ENV",)), ("LD_PRELOAD\tBASH_FUNC_ip%%", ("LD_PRELOAD", "BASH_FUNC_ip%%"))],
)
def test_variables_to_be_kept(value: str, names: tuple[str, ...]) -> None:
    assert eventd("keep environment", value).keep_environment == names


@pytest.mark.parametrize("name", ["PYTHONPATH,", "LD_*", "$ENV", "ENV=x", "1ENV", "\u00e9", "*"])
def test_what_is_no_name_of_a_variable_is_refused(name: str) -> None:
    assert refused(text_of("eventd", "keep environment", f"ENV {name}"), "c") == (
        f'c:2: [eventd] keep environment = "ENV {name}": expected names of variables, separated by blanks: not "{name}"'
    )


@pytest.mark.parametrize("name", ["PYHTONPATH", "PATH", "HOME", "env", "LD"])
def test_a_variable_that_scripts_get_anyway_is_refused_since_it_may_be_misspelt(name: str) -> None:
    text = refused(text_of("eventd", "keep environment", name), "c")
    assert text.startswith(f'c:2: [eventd] keep environment = "{name}": scripts get {name} anyway; expected names of ')
    assert ", LD_*, LISTEN_*, " in text


def test_what_the_wrappers_say_to_each_other_is_never_kept() -> None:
    assert refused(text_of("eventd", "keep environment", "CTDB_EVENTD_HOLDS"), "c") == (
        'c:2: [eventd] keep environment = "CTDB_EVENTD_HOLDS": '
        "expected variables that may be kept: CTDB_EVENTD_HOLDS is for command wrappers alone"
    )


# ---------------------------------------------------------------------- locks


def locks(key: str, value: str) -> Config:
    return parse(text_of("locks", key, value), "c")


def test_the_locks_of_the_provided_scripts_are_there_without_any_configuration() -> None:
    assert DEFAULTS.locks == BUILT_IN
    assert (DEFAULTS.serialise, DEFAULTS.command_wait, DEFAULTS.max_scripts) == ((), 30.0, 256)


def test_a_lock_of_ones_own_is_added_to_them() -> None:
    assert locks("mine", "50.a 60.b").locks == {**BUILT_IN, "mine": ("50.a", "60.b")}


def test_a_lock_that_is_configured_replaces_the_one_that_is_built_in() -> None:
    assert locks("nfs-callout", "60.nfs").locks["nfs-callout"] == ("60.nfs",)


def test_a_lock_with_nothing_behind_it_is_done_away_with() -> None:
    assert locks("nfs-callout", "").locks["nfs-callout"] == ()


@pytest.mark.parametrize("name", ["a b", "a/b", "a:b", "\u00e9", "comand wait"])
def test_what_cannot_be_the_name_of_a_lock_is_refused(name: str) -> None:
    assert refused(text_of("locks", name, "60.nfs"), "c") == (
        f'c:2: [locks] {name} = "60.nfs": expected the name of a lock: letters, digits, dots, dashes and underscores'
    )


@pytest.mark.parametrize("script", ["nfs", "60.nfs.script", "60.nfs,", "/60.nfs", "6.nfs"])
def test_locks_are_for_scripts_by_their_shown_names(script: str) -> None:
    text = refused(text_of("locks", "mine", f"10.interface {script}"), "c")
    assert text == (
        f'c:2: [locks] mine = "10.interface {script}": '
        f'expected names of scripts as they are shown, such as 60.nfs: not "{script}"'
    )


# ---------------------------------------------------------------------- events of scripts


@pytest.mark.parametrize(("value", "meant"), [("yes", True), ("no", False)])
def test_idle_scripts_are_started_or_not(value: str, meant: bool) -> None:
    assert eventd("start idle scripts", value).start_idle_scripts is meant
    assert DEFAULTS.start_idle_scripts is False


def test_anything_else_is_refused_for_idle_scripts() -> None:
    expected = 'c:2: [eventd] start idle scripts = "true": expected one of yes, no'
    assert refused(text_of("eventd", "start idle scripts", "true"), "c") == expected


@pytest.mark.parametrize(
    ("value", "events"),
    [("takeip", ("takeip",)), (" made-up\ttakeip made-up", ("made-up", "takeip")), ("all", ("all",))],
)
def test_a_script_is_configured_to_handle_events(value: str, events: tuple[str, ...]) -> None:
    assert parse(text_of("events", "60.nfs", value), "c").events == {"60.nfs": events}


@pytest.mark.parametrize("script", ["nfs", "60.nfs.script", "60.nfs,", "/60.nfs", "kill grace"])
def test_events_are_for_scripts_by_their_shown_names(script: str) -> None:
    expected = "expected the name of a script as it is shown, such as 60.nfs"
    assert refused(text_of("events", script, "takeip"), "c") == f'c:2: [events] {script} = "takeip": {expected}'


@pytest.mark.parametrize(
    ("value", "found"), [("", ""), ("all takeip", ""), ("takeip, monitor", ': not "takeip,"'), ("a/b", ': not "a/b"')]
)
def test_what_can_not_be_events_is_refused(value: str, found: str) -> None:
    expected = f'expected names of events, separated by blanks, or "all" alone{found}'
    assert refused(text_of("events", "60.nfs", value), "c") == f'c:2: [events] 60.nfs = "{value}": {expected}'


@pytest.mark.parametrize(
    ("value", "names"),
    [("", ()), ("ipset", ("ipset",)), ("  ipset\ttc_2  mkfs.x g++ ", ("ipset", "tc_2", "mkfs.x", "g++"))],
)
def test_commands_to_be_serialised(value: str, names: tuple[str, ...]) -> None:
    assert locks("serialise", value).serialise == names


@pytest.mark.parametrize("name", ["/sbin/ipset", "..", ".x", "-x", "a;b", "a'b", "$x", "\u00e9", "a\0b"])
def test_what_is_no_plain_name_of_a_command_is_refused(name: str) -> None:
    expected = f'expected names of commands, separated by blanks, without their directory: not "{name}"'
    assert refused(text_of("locks", "serialise", f"ipset {name}"), "c") == (
        f'c:2: [locks] serialise = "ipset {name}": {expected}'
    )


def test_the_wait_for_a_command_is_in_seconds() -> None:
    assert locks("command wait", "0.5").command_wait == 0.5
    assert refused(text_of("locks", "command wait", "long"), "c") == (
        'c:2: [locks] command wait = "long": expected seconds, such as 5 or 0.5'
    )


# ---------------------------------------------------------------------- the debug script


def debug_script(directory: Path, value: str) -> Config:
    return parse(text_of("event", "debug script", value), f"{directory}/ctdb.conf")


def debug_script_refused(directory: Path, value: str) -> str:
    prefix = f'{directory}/ctdb.conf:2: [event] debug script = "{value}": expected '
    text = refused(text_of("event", "debug script", value), f"{directory}/ctdb.conf")
    assert text.startswith(prefix)
    return text.removeprefix(prefix)


def test_an_empty_debug_script_is_none(tmp_path: Path) -> None:
    assert debug_script(tmp_path, "").debug_script is None


def test_a_debug_script_with_a_slash_is_looked_for_by_its_base_name(tmp_path: Path) -> None:
    text = f"an executable file, but {tmp_path}/debug.sh does not exist or is not a file"
    assert debug_script_refused(tmp_path, "../debug.sh") == text


def test_a_debug_script_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    text = f"an executable file, but {tmp_path}/debug.sh does not exist or is not a file"
    assert debug_script_refused(tmp_path, "debug.sh") == text


def test_a_directory_is_no_debug_script(tmp_path: Path) -> None:
    (tmp_path / "debug.d").mkdir()
    assert debug_script_refused(tmp_path, "debug.d").endswith("does not exist or is not a file")


def test_a_debug_script_that_is_not_executable_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "debug.sh").write_text("#!/bin/sh\n")
    path = tmp_path / "debug.sh"
    text = f"an executable file, but {path} is not executable (chmod +x {path})"
    assert debug_script_refused(tmp_path, "debug.sh") == text


def test_what_an_administrator_is_notified_of(tmp_path: Path) -> None:
    program = tmp_path / "notify"
    program.touch(0o755)
    config = parse(f"[notify]\ncommand = {program}\non = Stuck health\ntimeout = 3\nlong wait = 0.5\n", "ctdb.conf")
    assert config == attrs.evolve(
        DEFAULTS,
        notify_command=str(program),
        notify_on=("stuck", "health"),
        notify_timeout=3.0,
        notify_long_wait=0.5,
    )


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("command", "notify", "expected the absolute path of a program, without arguments"),
        (
            "on",
            "failed ill",
            'expected some of failed, timed-out, health, stuck, waited, separated by blanks: not "ill"',
        ),
        ("on", "", "expected some of failed, timed-out, health, stuck, waited, separated by blanks"),
        ("timeout", "0", "expected more than 0 seconds, such as 10"),
    ],
)
def test_mistakes_about_notices(key: str, value: str, why: str) -> None:
    assert refused(text_of("notify", key, value)) == f'ctdb.conf:2: [notify] {key} = "{value}": {why}'
