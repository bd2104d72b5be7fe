"""Checks files for `ctdb-event lint` without reading them: names, permissions, links.

Uses the inspection of a component and file modes; opens nothing.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence

from ctdb_event.lint.report import Check, Finding, Severity
from ctdb_eventd.files import Concern
from ctdb_eventd.inspection import Refusal, RefusedFile, ScriptInspection
from ctdb_eventd.safety import Trusted, Ways

__all__ = ["check_left_behind", "check_numbers", "check_refused", "check_script", "check_unsafe"]

_BACKUP = re.compile(
    r".*(?:~|\.(?:bak|backup|orig|old|save|saved|swp|swo|tmp|rej|disabled|off"
    r"|rpmsave|rpmnew|rpmorig|dpkg-(?:old|new|dist|bak|tmp|remove)|ucf-(?:old|new|dist)))|[.#].*",
    re.DOTALL | re.IGNORECASE,
)
_MEANT = re.compile(r"[.#]*(?:(?P<number>[0-9]+)[-._ ]+)?(?P<rest>.+)", re.DOTALL)
_ENDINGS = re.compile(r"(?:\.(?:script|sh|bash|dash|ksh|py|pl))+$", re.IGNORECASE)
_ANY_EXECUTES = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def check_unsafe(
    scripts: Sequence[ScriptInspection], directory: str, trusted: Trusted, *, refused: bool
) -> Iterator[tuple[str, Finding]]:
    """Reports files and directories that other users could change, each only once, even if many scripts are in them.

    Args:
        scripts: A component's scripts.
        directory: Its directory.
        trusted: Who may change them.
        refused: Whether the daemon refuses scripts that other users can change.
    """
    ways = Ways(trusted)
    unsafe = (script for script in scripts if any(remark.concern is Concern.UNSAFE for remark in script.warnings))
    paths = (directory, *(script.path for script in unsafe))
    for flaw in dict.fromkeys(flaw for path in paths for flaw in ways.flaws(path)):
        if flaw.set_id:
            check, text = Check.SETUID, "events run as root anyway"
        else:
            check, text = Check.UNSAFE, "whoever can change it can run anything as root"
        severity = Severity.ERROR if refused or flaw.everybody else Severity.WARNING
        refusal = ", so it is refused ([eventd] script security)" if refused else ""
        yield flaw.place, Finding(severity, check, f"{flaw}: {text}{refusal}; {flaw.remedy}")


def check_numbers(scripts: Sequence[ScriptInspection]) -> Iterator[tuple[ScriptInspection, Finding]]:
    """Reports scripts with the same two digits as a previous one."""
    first: dict[str, ScriptInspection] = {}
    for script in scripts:
        other = first.setdefault(script.name[:2], script)
        if other is not script:
            text = f"has the same number as {other.name}, which runs first by the rest of its name"
            yield script, Finding(Severity.NOTE, Check.NUMBER, text)


def check_left_behind(events_dir: str) -> Iterator[tuple[str, Finding]]:
    """Reports scripts in `events.d` beside a node's directory of components, which nothing reads."""
    directory = f"{os.path.dirname(events_dir)}/events.d"
    try:
        names = sorted(os.listdir(directory), key=os.fsencode)
    except OSError:
        return
    for name in names:
        meant = _MEANT.fullmatch(name)
        if meant is not None and meant["number"] is not None and not _BACKUP.fullmatch(name):
            text = f"never runs: CTDB looks in {events_dir}/COMPONENT only; remove it, or move it to"
            place = f"{events_dir}/legacy/{_suggest(meant)}"
            yield f"{directory}/{name}", Finding(Severity.WARNING, Check.EVENTS_D, f"{text} {place}")


def check_refused(file: RefusedFile) -> Iterator[Finding]:
    """Checks a file that is not a script: it may be intended as one."""
    name = os.path.basename(file.path)
    meant = _MEANT.fullmatch(name)
    is_meant = meant is not None and (meant["number"] is not None or _stem(name).endswith(".script"))
    if not is_meant or os.path.isdir(file.path):
        return
    if file.refusal is Refusal.HIDDEN:
        advice = "never runs; remove one of them, or rename it"
        yield Finding(Severity.WARNING, Check.NAME_HIDDEN, f"{file.reason}: it {advice}")
    elif _BACKUP.fullmatch(name):
        yield Finding(Severity.NOTE, Check.BACKUP, f"is not a script, but a copy: {file.reason}")
    elif file.refusal is Refusal.LEFT_OUT:
        text = f"does not run: {file.reason}; if it should run, name it {name}.script"
        yield Finding(Severity.WARNING, Check.NAME_FORM, text)
    elif file.refusal is Refusal.WRONG_FORM:
        yield Finding(Severity.WARNING, Check.NAME_FORM, f"does not run: {file.reason}")
    else:
        advice = f"{file.reason}; if it should run, name it {_suggest(meant)}"
        yield Finding(Severity.WARNING, Check.NAME, f"does not run: {advice}")


def _stem(name: str) -> str:
    """Returns a name without the suffix of a copy."""
    return re.sub(r"(?:~|\.[A-Za-z-]+)$", "", name) if _BACKUP.fullmatch(name) else name


def _suggest(meant: re.Match[str] | None) -> str:
    number = meant["number"] if meant else None
    rest = meant["rest"] if meant else "name"
    digits = f"{int(number):02}" if number and len(number) < 9 and int(number) < 100 else "NN"
    example = " (NN: two digits that say when it runs)" if digits == "NN" else ""
    return f"{digits}.{_ENDINGS.sub('', rest)}.script{example}"


def check_script(script: ScriptInspection) -> Iterator[Finding]:
    """Checks a script's name, mode and link."""
    for remark in script.warnings:
        if remark.concern is Concern.ONLY_HERE:
            yield Finding(Severity.NOTE, Check.NAME_BARE, remark.text)
        elif remark.concern is Concern.UNREADABLE:
            yield Finding(Severity.WARNING, Check.UNREADABLE, f"{remark}: nothing inside was checked; run this as root")
    try:
        mode = os.stat(script.path).st_mode
        is_noexec = bool(os.statvfs(script.path).f_flag & os.ST_NOEXEC)
    except OSError as error:
        yield _not_there(script, error)
        return
    if script.reason is not None:
        yield _disabled(script.reason, mode)
    elif is_noexec:
        place = _mount_point(script.path)
        text = f"can't be executed, so its events fail (CTDB's own daemon skips it): {place} is mounted noexec"
        yield Finding(Severity.ERROR, Check.NOEXEC, f"{text}; keep scripts elsewhere, or mount -o remount,exec {place}")


def _mount_point(path: str) -> str:
    place = os.path.realpath(path)
    while not os.path.ismount(place):
        place = os.path.dirname(place)
    return place


def _not_there(script: ScriptInspection, error: OSError) -> Finding:
    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
        text = f"can't be examined ({error.strerror}): whether it would run is not known, and nothing inside was"
        return Finding(Severity.WARNING, Check.UNREADABLE, f"{text} checked; run this as root")
    remark = next((r for r in script.warnings if r.concern in (Concern.DANGLING, Concern.BROKEN)), None)
    if remark is None:
        return Finding(Severity.NOTE, Check.DISABLED, "disabled: vanished")
    text = "; ".join(filter(None, (script.reason, remark.text)))
    return Finding(Severity.ERROR, Check.DANGLING, text)


def _disabled(reason: str, mode: int) -> Finding:
    if not stat.S_ISREG(mode):
        return Finding(Severity.WARNING, Check.NOT_A_FILE, f"has the name of a script, but is {reason}")
    if mode & _ANY_EXECUTES:
        advice = "others may execute it; chmod a+x to enable it, a-x to disable it"
        return Finding(Severity.WARNING, Check.EXECUTE, f"disabled: {reason}, though {advice}")
    return Finding(Severity.NOTE, Check.DISABLED, f"disabled: {reason}")
