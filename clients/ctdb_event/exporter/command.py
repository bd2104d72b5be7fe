"""`ctdb-event exporter`: parses its options, and selects HTTP or files."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial

from ctdb_event.commands.arguments import seconds
from ctdb_event.console import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctdb_event.commands.session import Session

__all__ = ["export"]

_LISTEN = "127.0.0.1:9725"
_NO_PACKAGE = "the exporter needs the Python package prometheus-client: {} -m pip install prometheus-client"
_EINVAL = 22


def export(session: Session) -> int:
    """Serves or writes metrics; returns only if they are written once.

    Raises:
        Failure: That is impossible.
    """
    values = session.arguments.values
    file, every, listen = values.get("--textfile"), values.get("--every"), values.get("--listen")
    if file is None and every is not None:
        raise Failure("--every requires --textfile FILE", _EINVAL)
    if file is not None and listen is not None:
        raise Failure("--listen and --textfile exclude each other", _EINVAL)
    host, port = _address(listen or _LISTEN)
    pause = None if every is None else seconds("--every", every)
    if pause == 0:
        raise Failure('--every "0": more than 0 seconds are expected, such as 15', _EINVAL)
    if importlib.util.find_spec("prometheus_client") is None:
        raise Failure(_NO_PACKAGE.format(sys.executable))
    import anyio

    from ctdb_event.exporter import service

    if file is None:
        work = partial(service.serve, session.path, host, port)
    elif pause is None:
        work = partial(service.write_once, session.path, file)
    else:
        work = partial(service.write_often, session.path, file, pause)
    try:
        anyio.run(work)
    except* Failure as group:
        raise _first(group) from None
    return 0


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Returns the first exception of a nested group."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise Failure(f'--listen "{text}": HOST:PORT is expected, such as {_LISTEN} or [::1]:9725', _EINVAL)
    return host.removeprefix("[").removesuffix("]"), int(port)
