"""Runs, jobs, locks and errors as the maps that the native dialect sends. Pure.

A run is encoded once, however often it is sent.
"""

from __future__ import annotations

import errno
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from ctdb_eventd.errors import EventdError, RequestError
from ctdb_eventd.model import RunRecord, ScriptReport
from ctdb_eventd.protocol import frames
from ctdb_eventd.protocol.messages import Failure
from ctdb_eventd.scheduler.snapshot import JobSnapshot, LeftOut, LockSnapshot, QueueSnapshot

__all__ = ["failure_of", "job_value", "left_out_value", "lock_value", "packed_run", "queue_value", "run_value"]


def run_value(record: RunRecord, *, output: bool = True) -> dict[str, Any]:
    """Returns a run as a map, with or without what its scripts printed."""
    spec, report = record.spec, record.report
    return {
        "run": record.run,
        "component": spec.component,
        "event": spec.event,
        "args": spec.args,
        "address": record.address,
        "outcome": record.outcome.word,
        "summary": report.summary,
        "queued": record.queued,
        "waited": record.waited,
        "seconds": record.seconds,
        "scripts": [_script_value(script, output) for script in report.scripts],
        "script_waits": record.script_waits,
        "former": record.former,
    }


def _script_value(script: ScriptReport, output: bool) -> dict[str, Any]:
    return {
        "name": script.name,
        "state": script.state,
        "result": script.result,
        "started": script.started,
        "seconds": (script.end - script.begin) / 1e6,
        "output": script.output if output else b"",
        "known_from": script.known_from,
        "last": None if script.last is None else attrs.asdict(script.last),
    }


_packed: tuple[WeakKeyDictionary[RunRecord, bytes], ...] = (WeakKeyDictionary(), WeakKeyDictionary())


def packed_run(record: RunRecord, *, output: bool) -> bytes:
    """Returns a run in its encoded form, cached for the lifetime of the record."""
    known = _packed[output]
    data = known.get(record)
    if data is None:
        data = known[record] = frames.packed(run_value(record, output=output))
    return data


def job_value(job: JobSnapshot) -> dict[str, Any]:
    """Returns a job as a map."""
    return attrs.asdict(job, recurse=False)


def left_out_value(left_out: LeftOut) -> dict[str, Any]:
    """Returns how many jobs are left out as a map."""
    return attrs.asdict(left_out, recurse=False)


def lock_value(lock: LockSnapshot) -> dict[str, Any]:
    """Returns a lock as a map, its owners too."""
    return attrs.asdict(lock)


def queue_value(queue: QueueSnapshot) -> dict[str, Any]:
    """Returns how many runs wait and run, and the slots, as a map."""
    slots = attrs.asdict(queue.slots, filter=lambda field, _: field.name != "held_back")
    return {"queued": queue.queued, "running": queue.running, "slots": slots}


def failure_of(error: EventdError | OSError | None) -> Failure:
    """Returns the reply to a call that failed; None stands for a bug in the daemon."""
    if error is None:
        return Failure("EIO", "this is a bug in ctdb-eventd, its log says more; please report it", {"kind": "Bug"})
    if isinstance(error, OSError):
        data: dict[str, Any] = {"kind": "OSError"}
        if isinstance(error.filename, str):
            data["path"] = error.filename
        return Failure(_code(error.errno or errno.EIO), str(error), data)
    number = error.errno if isinstance(error, RequestError) else errno.EINVAL  # a configuration that can't be used
    return Failure(_code(number), str(error), _data(error))


# Some numbers have two names, and which of them errorcode has is undocumented.
_CODES = {**errno.errorcode, errno.EDEADLK: "EDEADLK", errno.EAGAIN: "EAGAIN", errno.EOPNOTSUPP: "EOPNOTSUPP"}


def _code(number: int) -> str:
    return _CODES.get(number, "EIO")


def _data(error: EventdError) -> dict[str, Any]:
    values = {name: attrs.asdict(value) if attrs.has(type(value)) else value for name, value in vars(error).items()}
    plain = {name: value for name, value in values.items() if isinstance(value, str | int | float | tuple | dict)}
    return {**plain, "kind": type(error).__name__}
