"""The context of a command: its arguments, the daemon's socket, and the output."""

from __future__ import annotations

from ctdb_event.cli_places import find_socket, no_daemon
from ctdb_event.commands.arguments import Arguments
from ctdb_event.commands.connection import DaemonConnection
from ctdb_event.commands.screen import Screen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["Session"]


class Session:
    """The context of one command.

    Attributes:
        arguments: The parsed command line.
        environ: Selects the daemon.
        screen: Standard output.
        json: Whether JSON is requested.
        is_plain: Whether lines for programs are requested.
    """

    __slots__ = ("arguments", "environ", "is_plain", "json", "screen")

    def __init__(self, arguments: Arguments, environ: Mapping[str, str]) -> None:
        self.arguments = arguments
        self.environ = environ
        self.screen = Screen(environ)
        self.json = "--json" in arguments.flags
        self.is_plain = "--plain" in arguments.flags

    @property
    def path(self) -> str:
        """The daemon's socket.

        Raises:
            Failure: Neither the environment nor CTDB has the path.
        """
        return find_socket(self.arguments.values.get("--socket"), self.environ)

    def connect(self) -> DaemonConnection:
        """Connects.

        Raises:
            Failure: No daemon listens.
        """
        path = self.path
        try:
            return DaemonConnection(path)
        except OSError as error:
            raise no_daemon(path, error) from None

    def ask(self, method: str, /, **params: Any) -> Any:
        """Sends one request on a separate connection, and returns the result."""
        with self.connect() as connection:
            return connection.call(method, **params)

    def print_json(self, value: Any) -> None:
        """Prints one JSON document on several lines."""
        from ctdb_event.commands.jsonic import document

        self.screen.write(document(value))

    def print_plain(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Prints a line for each item, with the columns of the command's row."""
        names = [name for name, _ in self.arguments.command.columns]
        for item in items:
            self.screen.plain(item.get(name) for name in names)
