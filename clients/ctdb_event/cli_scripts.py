"""`ctdb-event script list|enable|disable`: works on the file system, without a daemon."""

from __future__ import annotations

import errno
import os

from ctdb_event.cli_places import node_paths
from ctdb_event.console import Failure, complain, show
from ctdb_eventd import scripts
from ctdb_eventd.errors import ConfigError, InvalidName, NoSuchComponent, NoSuchScript, NotAFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctdb_eventd.paths import Paths
    from ctdb_eventd.scripts import NameRule

__all__ = ["listed", "name_rule", "run_script_command"]


def run_script_command(action: str, arguments: list[str], environ: Mapping[str, str]) -> int:
    """Lists, enables or disables event scripts.

    Args:
        action: `list`, `enable` or `disable`.
        arguments: The component, and for `enable` and `disable` the script.
        environ: Selects the directories of scripts and configuration.

    Raises:
        Failure: A name is invalid, or the file system refuses.
    """
    try:
        paths = node_paths(environ)
        rule = name_rule(paths)
        if action == "list":
            return _list(paths, arguments[0], rule)
        return _switch(paths, action, arguments[0], arguments[1], rule)
    except InvalidName as error:
        raise Failure(str(error), error.errno) from None
    except OSError as error:
        raise Failure(_os_error_text(error), error.errno or 1) from None


def name_rule(paths: Paths) -> NameRule:
    """Reads from the configuration which files are scripts; prints an error on stderr if it uses the default."""
    # imported here: the configuration's module takes longer than everything else here
    from ctdb_eventd.config import Config, load

    try:
        return load(paths.config_file).script_names
    except ConfigError as error:
        # Disabling a script that causes problems must work, whatever else is wrong on this node.
        rule = Config().script_names
        complain(f"ctdb-event: {error}; using the default, [eventd] script names = {rule}")
        return rule


def _os_error_text(error: OSError) -> str:
    name = error.filename2 or error.filename
    return f"{os.fsdecode(name)}: {error.strerror}" if name else str(error.strerror)


def _list(paths: Paths, component: str, rule: NameRule) -> int:
    try:
        provided, local = listed(paths, component, rule)
    except NoSuchComponent as error:
        if error.directory != scripts.component_directory(paths.provided_dir, component):
            raise Failure(str(error), error.errno) from None
        # the same line as CTDB's, to the byte
        complain(f"Unable to find event script installation directory: {error.directory}")
        return errno.ENOENT
    for lines in (provided, local):
        if lines is local and provided and local:
            show("\n")
        for script, enabled in lines:
            show(f"{'*' if enabled else ' '} {script.name}\n")
    _warn_of_unsafe(sorted(_enabled(paths, component, rule)))
    return 0


def _warn_of_unsafe(paths: list[str]) -> None:
    """Warns on stderr of enabled scripts that the daemon may refuse; stdout is the same as CTDB's, to the byte."""
    from ctdb_eventd.safety import Trusted, Ways

    ways = Ways(Trusted.by_us())
    for path in paths:
        if (flaw := ways.flaw(path)) is not None:
            complain(
                f"ctdb-event: warning: {path}: others can change it, and the daemon may refuse it: {flaw.sentence}"
            )


def listed(paths: Paths, component: str, rule: NameRule) -> tuple[list[tuple[scripts.Script, bool]], ...]:
    """Returns the provided scripts and the others, each with whether it is enabled.

    Raises:
        NoSuchComponent: One of the component's two directories is missing.
        OSError: A directory can't be read.
    """
    provided_directory = scripts.component_directory(paths.provided_dir, component)
    directory = scripts.component_directory(paths.events_dir, component)
    provided = scripts.discover(provided_directory, component, rule).scripts
    local = scripts.discover(directory, component, rule).scripts
    real = os.path.realpath(provided_directory)
    names = {os.path.basename(script.path) for script in provided}
    linked = {name for name in names if _link_target(f"{directory}/{name}") == f"{real}/{name}"}
    return (
        [(script, os.path.basename(script.path) in linked) for script in provided],
        [(script, _would_run(script)) for script in local if os.path.basename(script.path) not in linked],
    )


def _would_run(script: scripts.Script) -> bool:
    try:
        return script.look() is not None
    except OSError:
        return False  # such as a link loop: its events fail


def _link_target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None  # not a link, or it doesn't exist


def _switch(paths: Paths, action: str, component: str, name: str, rule: NameRule) -> int:
    before = _enabled(paths, component, rule)
    code = _carry_out(paths, action, component, name, rule)
    after = _enabled(paths, component, rule)
    # with `auto`, the first name with .script that appears, or the last that goes, decides whether bare names are
    # scripts
    if action == "enable" and (lost := " ".join(sorted(map(os.path.basename, before - after)))):
        why = "if any script is named NN.name.script, only scripts named so run; rename it to end in .script"
        complain(f"ctdb-event: warning: does not run any more: {lost}: {why}, or set [eventd] script names = both")
    if action == "disable" and (new := " ".join(sorted(map(os.path.basename, after - before)))):
        why = "no script is named NN.name.script any more, so those without .script run"
        complain(f"ctdb-event: warning: runs from now on: {new}: {why}, unless you set [eventd] script names = suffix")
    if action == "enable" and code == 0:
        _check_link(scripts.find(scripts.component_directory(paths.events_dir, component), name, rule))
    return code


def _check_link(script: scripts.Script | None) -> None:
    """Warns if the enabled script is a dangling link: `enable` leaves links as they are."""
    if script is not None and os.path.islink(script.path) and not os.path.exists(script.path):
        target = _link_target(script.path)
        advice = f"remove it (rm {script.path}) and enable the script again"
        complain(f"ctdb-event: warning: {script.path} is a link to {target}, whose target does not exist: {advice}")


def _enabled(paths: Paths, component: str, rule: NameRule) -> set[str]:
    directory = scripts.component_directory(paths.events_dir, component)
    try:
        found = scripts.discover(directory, component, rule).scripts
    except (NoSuchComponent, OSError):
        return set()
    return {script.path for script in found if script.enabled()}


def _carry_out(paths: Paths, action: str, component: str, name: str, rule: NameRule) -> int:
    try:
        if action == "enable":
            scripts.enable(paths.events_dir, paths.provided_dir, component, name, rule)
        else:
            scripts.disable(paths.events_dir, component, name, rule)
    except InvalidName as error:
        if error.kind != "script":
            raise
        show(f"Script {name} is invalid in {component}\n")
        return error.errno
    except NoSuchScript as error:
        show(f"Script {name} does not exist in {component}\n")
        return error.errno
    except NotAFile as error:
        show(f"Script {error.path} is not a file or a link\n")
        return error.errno
    except OSError as error:
        return _link_failed(error)
    return 0


def _link_failed(error: OSError) -> int:
    """Reports a link that couldn't be created or removed as CTDB's program does, with the reason on stderr.

    Raises:
        OSError: The error, if it wasn't about a link.
    """
    if error.filename2 is not None:
        show(f"Failed to create symlink {os.fsdecode(error.filename2)}\n")
    elif error.filename is not None and os.path.islink(error.filename):
        show(f"Failed to remove symlink {os.fsdecode(error.filename)}\n")
    else:
        raise error
    complain(f"ctdb-event: {_os_error_text(error)}")
    return errno.EIO
