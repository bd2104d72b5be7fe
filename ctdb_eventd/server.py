"""The Unix listener: takes over a stale socket, checks who connects, and makes a session of each connection."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import pwd
import resource
import socket
import stat
import struct
import sys
from typing import TYPE_CHECKING, Any

from ctdb_eventd.access import unknown_id
from ctdb_eventd.access_control import AccessControl
from ctdb_eventd.descriptors import raise_limit, room_for_clients
from ctdb_eventd.dispatcher.peer import Peer
from ctdb_eventd.dispatcher.requests import Dispatcher
from ctdb_eventd.errors import StartupError
from ctdb_eventd.logs import NOTICE
from ctdb_eventd.session import Session
from ctdb_eventd.traffic import MOST_CONNECTIONS, Traffic

if TYPE_CHECKING:
    from ctdb_eventd.handover import SavedClient, State

__all__ = ["Server"]

_log = logging.getLogger(__name__)

_BACKLOG = 128
_ACCEPT_PAUSE = 1.0
"""Seconds until accepting is tried again when descriptors are short; the end of a session ends the pause too."""
_SO_PEERGROUPS = 59
"""Since Linux 4.13; the socket module doesn't have it."""
_MOST_GROUPS = 256
"""As many as the socket module has room for."""
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Server:
    """Listens on a Unix socket.

    Attributes:
        max_packet: Longest request packet, in bytes, for sessions that start from now on.
    """

    def __init__(
        self, path: str, dispatcher: Dispatcher, control: AccessControl, traffic: Traffic, *, max_packet: int
    ) -> None:
        """Prepares to listen on `path`; `control` decides which clients may connect, `traffic` counts them."""
        self.max_packet = max_packet
        self._traffic = traffic
        self._path = path
        self._dispatcher = dispatcher
        self._control = control
        self._sessions: set[Session] = set()
        self._listener: socket.socket | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._shortage_logged = False

    def startup(self) -> None:
        """Listens from here on.

        The caller holds the pid file's lock, so an existing socket is no longer in use.

        Raises:
            StartupError: The socket can't be made.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._bind(listener)
        except OSError as error:
            listener.close()
            raise StartupError(f"can't listen on {self._path}: {error.strerror or error}") from error
        listener.setblocking(False)
        self._listen(listener)
        _log.log(NOTICE, "listening on %s", self._path)

    def _listen(self, listener: socket.socket) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(listener, self._on_connection)

    def saved_state(self) -> dict[str, Any]:
        """Returns the state of listener and sessions for another program: fields of `handover.State`."""
        assert self._listener is not None
        clients = tuple(session.saved_state() for session in self._sessions)
        return {"listener": self._listener.fileno(), "bound": self._bound, "clients": clients}

    def restore(self, state: State) -> list[tuple[Session, SavedClient]]:
        """Restores listener and sessions of a former program; nothing is read before `Session.resume_reading`.

        Raises:
            OSError: A descriptor is not that of a socket.
        """
        listener = socket.socket(fileno=state.listener)
        self._bound = state.bound
        found = [(socket.socket(fileno=saved.descriptor), saved) for saved in state.clients]
        self._listen(listener)
        resumed = []
        for client, saved in found:
            session = self._serve(client, self._peer(client))
            session.peer.program = saved.program
            session.restore(saved)
            resumed.append((session, saved))
        return resumed

    def _bind(self, listener: socket.socket) -> None:
        try:
            if stat.S_ISSOCK(os.lstat(self._path).st_mode):
                os.unlink(self._path)
        except FileNotFoundError:
            pass
        # The mode has to be right from the first moment, not after a chmod.
        mask = os.umask(0o111 if self._control.access.is_open else 0o077)
        try:
            listener.bind(self._path)
        finally:
            os.umask(mask)
        self._bound = self._file()
        self._warn_of_directories()
        listener.listen(_BACKLOG)

    def use_access(self) -> None:
        """Applies changed access rules: to the socket's mode, and by closing sessions that are not allowed any more."""
        with contextlib.suppress(FileNotFoundError):
            if self._is_ours():
                os.chmod(self._path, 0o666 if self._control.access.is_open else 0o700)
        self._warn_of_directories()
        for session in list(self._sessions):
            if not self._control.may_read(session.peer):
                _log.log(NOTICE, "%s: has no rights any more, connection closed", session.name)
                session.close()

    def _warn_of_directories(self) -> None:
        place = os.path.abspath(self._path)
        while self._control.access.is_open and place != "/":
            place = os.path.dirname(place)
            status = os.stat(place)
            # a group other than root's may enter: the administrator has chosen it for the clients
            if not status.st_mode & stat.S_IXOTH and (not status.st_mode & stat.S_IXGRP or status.st_gid == 0):
                _log.warning(
                    "users of [access] can't reach %s: %s has mode %04o, expected one that everybody may pass "
                    "(chmod o+x %s), or a group of theirs (chgrp)",
                    *(self._path, place, stat.S_IMODE(status.st_mode), place),
                )

    def shutdown(self) -> None:
        """Stops listening, removes the socket and ends every session. Idempotent."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._stop_accepting(listener)
            listener.close()
            with contextlib.suppress(FileNotFoundError):
                if self._is_ours():
                    os.unlink(self._path)
        for session in list(self._sessions):
            session.close()

    def _is_ours(self) -> bool:
        """Returns whether the socket's file is still this daemon's: another one may have made its own.

        Raises:
            FileNotFoundError: There is none.
        """
        return self._file() == self._bound

    def _file(self) -> tuple[int, int]:
        status = os.lstat(self._path)
        return status.st_dev, status.st_ino

    def _stop_accepting(self, listener: socket.socket) -> None:
        self._loop.remove_reader(listener)
        if self._pause is not None:
            self._pause.cancel()

    def _on_connection(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in _OUT_OF_RESOURCES:
                _log.error("can't accept a connection: %s", error)
            elif error.errno != errno.EMFILE or not raise_limit():
                self._pause_accept(error.strerror)
            return  # if the limit was raised, the event loop calls this again at once
        client.setblocking(False)
        if self._has_room(client.fileno()):
            self._shortage_logged = False
        else:
            self._pause_accept(f"the rest of {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} is for scripts")
        peer = self._peer(client)
        if not self._control.may_read(peer):
            self._control.log_refusal(peer, "it may neither read nor operate")
            client.close()
            return
        if not self._control.may_all(peer.uid) and self._connections_of(peer.uid) >= MOST_CONNECTIONS:
            self._control.log_refusal(peer, f"its user has {MOST_CONNECTIONS} connections, and may have no more")
            client.close()
            return
        self._serve(client, peer)

    def _serve(self, client: socket.socket, peer: Peer) -> Session:
        session = Session(
            *(client, self._dispatcher, self._traffic, peer), max_packet=self.max_packet, on_close=self._on_close
        )
        self._sessions.add(session)
        self._traffic.clients = len(self._sessions)
        return session

    def _connections_of(self, uid: int) -> int:
        return sum(session.peer.uid == uid for session in self._sessions)

    def _peer(self, client: socket.socket) -> Peer:
        """Returns the client's process, user and groups at the time of connect(), as seen in our namespaces."""
        pid, uid, gid = struct.unpack("=iII", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return Peer(pid, uid, frozenset() if self._control.may_all(uid) else _groups(client, uid, gid))

    def _has_room(self, descriptor: int) -> bool:
        """Returns whether enough descriptors are left for scripts if a client has this one.

        Raises the limit step by step, only as far as needed: scripts inherit it, and some old program may still use
        select().
        """
        while descriptor >= room_for_clients(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
            if not raise_limit():
                return False
        return True

    def _pause_accept(self, why: str | None) -> None:
        """Leaves connections in the kernel's queue for a while: the loop would call back for them without end."""
        if not self._shortage_logged:
            self._shortage_logged = True
            _log.error(
                "no descriptor for another client: %s. %d clients are connected, new ones wait; see `ulimit -Hn`",
                *(why, len(self._sessions)),
            )
        assert self._listener is not None
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(_ACCEPT_PAUSE, self._retry_accept)

    def _retry_accept(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._listener is None:
            return
        try:
            os.close(lowest := os.dup(self._listener.fileno()))
        except OSError:
            lowest = sys.maxsize
        if not self._sessions or self._has_room(lowest):
            self._loop.add_reader(self._listener, self._on_connection)
        else:
            self._pause = self._loop.call_later(_ACCEPT_PAUSE, self._retry_accept)

    def _on_close(self, session: Session) -> None:
        self._sessions.discard(session)
        self._traffic.clients = len(self._sessions)
        if self._pause is not None:
            self._retry_accept()


def _groups(client: socket.socket, uid: int, gid: int) -> frozenset[int]:
    """Returns the groups of the process that connected, by number, without the overflow id of unknown ones.

    If there are more than fit, the group database is read, which may be slow.
    """
    try:
        data = client.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
        groups = [gid, *struct.unpack(f"={len(data) // 4}I", data)]
    except OSError:
        try:
            groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
        except (KeyError, OSError):
            groups = [gid]
    return frozenset(groups) - {unknown_id("gid")}
