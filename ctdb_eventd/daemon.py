"""The composition root: makes every part, gives each what it needs of the others, starts and stops them in order.

The only module that imports all parts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import struct
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
import attrs
from anyio.abc import TaskGroup

from ctdb_eventd import environment
from ctdb_eventd.access import look_up
from ctdb_eventd.access_control import AccessControl
from ctdb_eventd.broker import Broker
from ctdb_eventd.config import Config, load
from ctdb_eventd.descriptors import room_for_scripts
from ctdb_eventd.dispatcher.requests import Dispatcher
from ctdb_eventd.dispatcher.values import run_value
from ctdb_eventd.errors import ConfigError, EventdError, StartupError
from ctdb_eventd.feed import Feed
from ctdb_eventd.history.recorder import History
from ctdb_eventd.history.records import Bounds, Examined, RunFilter, history_file
from ctdb_eventd.logs import NOTICE, Log
from ctdb_eventd.notify.notifier import Notifier
from ctdb_eventd.paths import Paths, test_mode
from ctdb_eventd.pidfile import PidFile
from ctdb_eventd.private import own_directory, own_file
from ctdb_eventd.runner import leftovers
from ctdb_eventd.runner.cgroups import Cgroups, NoCgroups, base_for
from ctdb_eventd.runner.debug import Debugger
from ctdb_eventd.runner.event import EventRunner
from ctdb_eventd.runner.guardian import Guardian, own_session
from ctdb_eventd.runner.process import SpawnContext
from ctdb_eventd.runner.wrappers import Wrappers
from ctdb_eventd.safety import Ways
from ctdb_eventd.scheduler.admission import Admission
from ctdb_eventd.scheduler.command_locks import CommandLocks
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.load import LoadReader, processors
from ctdb_eventd.scheduler.service import Scheduler
from ctdb_eventd.scheduler.snapshot import describe
from ctdb_eventd.server import Server
from ctdb_eventd.traffic import Traffic
from ctdb_eventd.transfer import Transfer

if TYPE_CHECKING:
    from ctdb_eventd.upgrade import Former

__all__ = ["Daemon", "Options", "load_the_rest"]

_log = logging.getLogger(__name__)

_SHUTDOWN_MARGIN = 1.0
"""Seconds after the grace period: neither the debug script nor a process that can't be killed may delay the end."""
_FORMER_GRACE = 5.0
"""Seconds at the most between TERM and KILL for scripts of a former daemon: ctdbd gives one ten seconds to start."""
_OWN_SLOTS = 1
"""Scripts of each component that run whatever hangs in others."""
_COMPLETION_DELAY = 1.0
"""Seconds from the start to the imports that were postponed: by then the first clients have been served."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Options:
    """The daemon's command-line options."""

    watched_pid: int | None = None
    """The daemon ends when this process does; None if no process is watched."""
    startup_fd: int | None = None
    """Written to when the daemon listens, and kept open until it ends; None if there is none."""
    helper_dir: str | None = None
    """CTDB's directory of helper programs; None if that wasn't given."""


def load_the_rest() -> None:
    """Imports the modules that a fast start postpones: an upgrade may replace the files of the running daemon."""
    import hashlib  # noqa: F401
    import shutil  # noqa: F401

    import ctdb_eventd.history.file
    import ctdb_eventd.history.reader
    import ctdb_eventd.inspection
    import ctdb_eventd.processes
    import ctdb_eventd.upgrade  # noqa: F401
    from ctdb_eventd.handled import provided

    provided()


class Daemon:
    """One event daemon: `startup`, `serve`, `shutdown`, in this order, by `run`."""

    def __init__(
        self, options: Options, environ: Mapping[str, str], paths: Paths, former: Former | None = None
    ) -> None:
        """Prepares; nothing is opened yet.

        Args:
            options: Those of the command line.
            environ: The environment.
            paths: Where every file is.
            former: The program that this one replaces in its process; None if there is none.
        """
        self._options = options
        self._former = former
        self._paths = paths
        self._is_test = test_mode(environ)
        self._log = Log(environ, paths)
        self._config = Config()
        self._traffic = Traffic()
        self._control = AccessControl(paths.config_file, options.watched_pid)
        self._wrappers = Wrappers(state_dir=paths.state_dir, run_dir=paths.run_dir)
        self._stop = asyncio.Event()
        self._watched: int | None = None
        """Descriptor of the process with which the daemon ends; None if there is none."""
        # Released at the end, also after an error, in the reverse order of acquisition.
        self._resources = AsyncExitStack()

    async def run(self) -> None:
        """Runs the daemon from start to end.

        Raises:
            EventdError: It can't start here; in an exception group.
        """
        try:
            async with anyio.create_task_group() as tasks:
                await self._startup_or_log(tasks)
                await self.serve()
                await self.shutdown(tasks)
        finally:
            with anyio.CancelScope(shield=True):
                await self._resources.aclose()

    # ------------------------------------------------------------------ startup

    async def _startup_or_log(self, tasks: TaskGroup) -> None:
        try:
            await self.startup(tasks)
        except Exception as error:
            # It goes to standard error as well, but only ctdbd reads that.
            if self._log.is_open and isinstance(error, EventdError):
                _log.error("can't start: %s", error)
            if self._former is not None:
                self._former.go_back(error)
            raise

    async def startup(self, tasks: TaskGroup) -> None:
        """Starts every part; when this returns, requests are served.

        Raises:
            EventdError: A part can't start.
        """
        self._config = self.load_config()
        self._log.startup(self._config)
        self._control.access = look_up(self._config.access)
        self._log_places()
        self._log_warnings()
        self._check_places()
        if self._former is None:
            self._pid_file = PidFile(self._paths.pid_file)
            _log.log(NOTICE, "daemon started, pid=%d", os.getpid())
        else:
            self._pid_file = PidFile.taken_up(self._paths.pid_file, self._former.state.pid_file)
        self._resources.callback(self._pid_file.remove)
        self._handle_signals()
        self._watch_process()
        await self._end_former_scripts()
        self._build(tasks)
        if self._former is None:
            _log.log(NOTICE, "startup completed successfully")
            self._server.startup()
            self._notify_starter()
        else:
            self._transfer.restore(self._former)
        self._guardian.startup(self._config.kill_grace)
        asyncio.get_running_loop().call_later(_COMPLETION_DELAY, self._complete)

    def _complete(self) -> None:
        load_the_rest()
        if self._history is not None:
            self._history.startup()
            if self._former is None:
                self._history.read("latest", RunFilter(), None, self._broker.carry)

    def load_config(self) -> Config:
        """Reads the configuration. Nobody else may be able to change it: it could allow unsafe scripts.

        A test node may be anywhere, so there that is a warning only.

        Raises:
            ConfigError: It can't be used, or others can change it.
        """
        path = self._paths.config_file
        flaw = Ways().flaw(path)
        if flaw is None:
            return load(path)
        error = ConfigError(path, 0, f"others can change it: {flaw.sentence}")
        if not self._is_test:
            raise error
        config = load(path)
        return attrs.evolve(config, warnings=(*config.warnings, str(error)))

    def _log_places(self) -> None:
        paths = self._paths
        if paths.problem:
            places = f"{paths.socket}, {paths.config_file}, {paths.events_dir}"
            _log.warning("can't get CTDB's paths: %s", paths.problem)
            _log.warning("using the built-in paths, which may be wrong: %s", places)

    def _log_warnings(self) -> None:
        for warning in self._config.warnings:
            _log.warning("%s", warning)

    async def _end_former_scripts(self) -> None:
        path = os.path.join(self._paths.run_dir, "eventd.scripts")
        table = own_file(path, "table of scripts")
        former = leftovers.ScriptTable(os.pread(table, os.fstat(table).st_size, 0))
        os.close(table)
        if former.left():
            _log.log(NOTICE, "scripts of the former daemon, which was killed, still run: ending them")
            try:
                for pause in leftovers.ending(former, min(self._config.kill_grace, _FORMER_GRACE)):
                    await anyio.sleep(pause)
            except leftovers.Unended as error:
                pids = " ".join(map(str, error.args))
                _log.error("scripts of the former daemon still run, the kernel doesn't end them; processes: %s", pids)
        leftovers.remove_empty(former.cgroups)
        # another file: the former daemon's guardian may still read its own, and must not find our scripts in it
        os.unlink(path)
        self._table = own_file(path, "table of scripts")
        self._resources.callback(os.close, self._table)

    def _check_places(self) -> None:
        """Makes sure that nobody else can replace the programs and files that are written below these directories.

        A test node may be anywhere, so there that is a warning only.

        Raises:
            StartupError: Others can change one of them.
        """
        ways = Ways()
        for path in (self._paths.state_dir, self._paths.run_dir):
            flaw = ways.flaw(path)
            if flaw is not None:
                text = f"others can change what is in {path}: {flaw.sentence}"
                if not self._is_test:
                    raise StartupError(text)
                _log.warning("%s", text)

    def _keep_hung(self, run: str, script: str, hung: Mapping[str, object]) -> None:
        if self._history is not None:
            self._history.record(Examined(run=run, script=script, hung=hung))

    def _build(self, tasks: TaskGroup) -> None:
        command_locks = CommandLocks(self._wrappers.locks, self._wrappers.write(self._config))
        self._resources.callback(self._wrappers.remove)
        cgroups = self._find_cgroups()
        cgroups.limit(self._config.limits)
        self._resources.callback(cgroups.remove)
        try:
            self._guardian = Guardian(self._table, own_session(), cgroups)
        except OSError as error:
            where = self._paths.run_dir
            raise StartupError(f"can't write the table of scripts in {where}: {error.strerror}") from error
        self._resources.push_async_callback(self._guardian.shutdown)
        former = environment.spare_from_oom()
        oom_score_adj = former if self._former is None else self._former.state.oom_score_adj
        stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        spawn = SpawnContext(
            environ=self._script_environment(),
            stdin=stdin,
            guardian=self._guardian,
            cgroups=cgroups,
            oom_score_adj=oom_score_adj,
        )
        self._history = self._make_history()
        self._debugger = Debugger(config_dir=self._paths.config_dir, spawn=spawn, keep=self._keep_hung)
        self._runner = EventRunner(
            config=self._config,
            events_dir=self._paths.events_dir,
            tasks=tasks,
            spawn=spawn,
            debugger=self._debugger,
        )
        self._notifier = Notifier(config=self._config, spawn=spawn, node=self._log.host)
        self._notifier.check()
        tasks.start_soon(self._notifier.serve)
        feed = Feed(asyncio.get_running_loop().call_later, run_value)
        self._broker = Broker(
            paths=self._paths,
            config=self._config,
            control=self._control,
            feed=feed,
            traffic=self._traffic,
            history=self._history,
            notifier=self._notifier,
            reload=self._reload,
            upgrade=lambda done, cancel: (self._transfer.cancel if cancel else self._transfer.begin)(done),
        )
        load = LoadReader()
        self._resources.callback(load.close)
        self._scheduler = Scheduler(
            core=Core(Admission(processors=processors(), limit=self._most_scripts(), own=_OWN_SLOTS)),
            start=self._runner.start,
            trivial_result=self._runner.trivial_result,
            record=self._broker.record,
            begun=self._broker.begun,
            ended=self._broker.ended,
            stuck=self._notifier.stuck,
            load=load,
            feed=feed,
            command_locks=command_locks,
            queue_timeout=self._config.queue_timeout,
        )
        self._broker.connect(self._scheduler)
        self._server = Server(
            *(self._paths.socket, Dispatcher(self._broker), self._control, self._traffic),
            max_packet=self._config.max_packet,
        )
        self._resources.callback(self._server.shutdown)
        self._transfer = Transfer(
            tasks=tasks,
            broker=self._broker,
            server=self._server,
            scheduler=self._scheduler,
            runner=self._runner,
            guardian=self._guardian,
            notifier=self._notifier,
            history=self._history,
            log=self._log,
            stopping=self._stop.is_set,
            helper_dir=self._options.helper_dir,
            socket=self._paths.socket,
            pid_file=self._pid_file.descriptor,
            watched=self._watched,
            startup_fd=self._options.startup_fd,
            oom_score_adj=oom_score_adj,
        )

    def _make_history(self) -> History | None:
        bounds = _history_bounds(self._config)
        if bounds is None:
            return None
        path = history_file(self._paths.state_dir)
        own_directory(os.path.dirname(path))
        history = History(path, bounds, goes_on=self._former is not None)
        self._resources.callback(history.close)
        return history

    def _find_cgroups(self) -> Cgroups:
        try:
            return Cgroups(base_for(os.getpid()))
        except NoCgroups as error:
            _log.info("no cgroups: %s; what leaves the process group of a script is not ended with its event", error)
            return Cgroups(None)

    def _script_environment(self) -> dict[bytes, bytes]:
        keep = self._config.keep_environment
        return environment.script_environment(os.environb, first_in_path=self._wrappers.directory, keep=keep)

    def _most_scripts(self) -> int:
        wanted, most = self._config.max_scripts, room_for_scripts()
        if wanted > most:
            text = "at most %d scripts run at once, not %d ([eventd] max scripts): no descriptors for more (ulimit -Hn)"
            _log.log(NOTICE, text, most, wanted)
        return min(wanted, most)

    def _watch_process(self) -> None:
        pid = self._options.watched_pid
        if pid is None:
            return
        try:
            if self._former is not None and self._former.state.watched is not None:
                self._watched = self._former.state.watched
            else:
                self._watched = os.pidfd_open(pid)
        except OSError as error:
            raise StartupError(f"can't watch process {pid} (option --pid): {error.strerror}") from error
        asyncio.get_running_loop().add_reader(self._watched, self._on_watched_exit, self._watched, pid)

    def _notify_starter(self) -> None:
        fd = self._options.startup_fd
        if fd is None:
            return
        try:
            # It stays open until this process ends: ctdbd takes its closing for the death of the event daemon.
            os.set_inheritable(fd, False)
            os.write(fd, struct.pack("=I", 0))
        except OSError as error:
            raise StartupError(f"can't write to descriptor {fd} (option --startup-fd): {error.strerror}") from error

    # ------------------------------------------------------------------ serve

    async def serve(self) -> None:
        """Serves until a signal, or the end of the watched process, requests the stop."""
        await self._stop.wait()

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_reopen)
        loop.add_signal_handler(signal.SIGUSR1, self._on_reload)
        loop.add_signal_handler(signal.SIGUSR2, self._on_show)
        loop.add_signal_handler(environment.UPGRADE_SIGNAL, self._on_upgrade_signal)
        if self._former is not None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, environment.HANDLED_SIGNALS)

    def _on_stop_signal(self, number: signal.Signals) -> None:
        _log.log(NOTICE, "received %s, shutting down", number.name)
        self._stop.set()

    def _on_watched_exit(self, watched: int, pid: int) -> None:
        asyncio.get_running_loop().remove_reader(watched)
        _log.log(NOTICE, "process %d has ended, shutting down", pid)
        self._stop.set()

    def _on_reopen(self) -> None:
        self._log.reopen()
        _log.log(NOTICE, "log reopened")

    def _on_reload(self) -> None:
        _log.log(NOTICE, "SIGUSR1 requested: reload")
        try:
            self._reload()
        except EventdError:
            pass  # the log has it

    def _reload(self) -> list[str]:
        try:
            config = self.load_config()
            access = look_up(config.access)
            with self._log.prepared(config) as use_log:
                self._scheduler.command_locks.names = self._wrappers.write(config)
                use_log()
        except EventdError as error:
            _log.error("configuration not reloaded, the former one stays in effect: %s", error)
            raise
        self._config = self._runner.config = self._broker.config = self._notifier.config = config
        spawn = attrs.evolve(self._runner.spawn, environ=self._script_environment())
        self._runner.spawn = self._debugger.spawn = self._notifier.spawn = spawn
        self._server.max_packet = config.max_packet
        self._control.access = access
        spawn.cgroups.limit(config.limits)
        bounds = _history_bounds(config)
        if self._history is not None and bounds is not None:
            self._history.bounds = bounds
        self._server.use_access()
        self._scheduler.queue_timers.limit = config.queue_timeout
        self._scheduler.set_limit(self._most_scripts())
        self._log_warnings()
        self._notifier.check()
        _log.log(NOTICE, "configuration reloaded")
        return list(config.warnings)

    def _on_upgrade_signal(self) -> None:
        _log.log(NOTICE, "SIGRTMIN+1 requested: upgrade")
        self._transfer.begin(lambda outcome: None)

    def _on_show(self) -> None:
        for line in describe(self._scheduler.core):
            _log.log(NOTICE, "state: %s", line)

    # ------------------------------------------------------------------ shutdown

    async def shutdown(self, tasks: TaskGroup) -> None:
        """Stops every part, in an order in which a stopped part gets no new work."""
        # 1. No event is started and no lock is granted any more; every running event gets TERM, and KILL after the
        #    grace period.
        idle = asyncio.Event()
        self._scheduler.shut_down(idle.set)
        # 2. No new clients are accepted, and all sessions are closed, in the same step.
        self._server.shutdown()
        with anyio.move_on_after(self._config.kill_grace + _SHUTDOWN_MARGIN):
            await idle.wait()
        # 3. Only a debug script can be left, or a process that the kernel can't kill: don't wait for them.
        tasks.cancel_scope.cancel()
        # 4. When all tasks have ended, `run` releases the resources: guardian, then pid file.


def _history_bounds(config: Config) -> Bounds | None:
    """Returns how much history is kept; None if none is."""
    if not config.history_days:
        return None
    return Bounds(
        days=config.history_days,
        runs=config.history_runs,
        size=config.history_size,
        output=config.history_output,
    )
