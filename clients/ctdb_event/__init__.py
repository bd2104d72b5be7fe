"""Client library and command line of the event broker.

    async with ctdb_event.connect() as client:          # asyncio or trio
        run = await client.run("legacy", "monitor", timeout=30)

    with ctdb_event.Client() as client:                 # blocking
        run = client.run("legacy", "monitor", timeout=30)

Names are loaded when they are first used: the command line imports this package too, and has to start fast.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctdb_event.aio.client import AsyncClient, connect
    from ctdb_event.aio.streams import HeldLock, RunStream, Subscription
    from ctdb_event.broker import Hello, Limits, Slots, Stats
    from ctdb_event.errors import (
        AddressHeld,
        BrokerError,
        BrokerUnavailable,
        ConfigRejected,
        EventCancelled,
        EventError,
        EventFailed,
        EventTimedOut,
        InvalidRequest,
        LockTimeout,
        MalformedAnswer,
        NeverRan,
        NoSuchComponent,
        NoSuchRun,
        NoSuchScript,
        NotAllowed,
        NotSupported,
        QueueTimeout,
        WouldDeadlock,
    )
    from ctdb_event.inventory import Component, EventInfo, Lock, Owner, RefusedFile, ScriptFile, ScriptFiles, Upgrade
    from ctdb_event.opening import default_path
    from ctdb_event.past import PastRun, TimeSpent, Wait, Which
    from ctdb_event.results import ComponentHealth, Hung, HungProcess, Job, LastRun, LeftOut, Overview, Run, Script
    from ctdb_event.sync.client import Client
    from ctdb_event.sync.streams import BlockingHeldLock, BlockingRunStream, BlockingSubscription
    from ctdb_event.updates import (
        Finished,
        Gap,
        Health,
        LockAcquired,
        LockWaiting,
        Output,
        Queued,
        ScriptFinished,
        ScriptStarted,
        Started,
        Unknown,
        Update,
        Upgraded,
    )
    from ctdb_event.words import Kind, Outcome, ScriptState

__all__ = [
    "AddressHeld",
    "AsyncClient",
    "BlockingHeldLock",
    "BlockingRunStream",
    "BlockingSubscription",
    "BrokerError",
    "BrokerUnavailable",
    "Client",
    "Component",
    "ComponentHealth",
    "ConfigRejected",
    "EventCancelled",
    "EventError",
    "EventFailed",
    "EventInfo",
    "EventTimedOut",
    "Finished",
    "Gap",
    "Health",
    "HeldLock",
    "Hello",
    "Hung",
    "HungProcess",
    "InvalidRequest",
    "Job",
    "Kind",
    "LastRun",
    "LeftOut",
    "Limits",
    "Lock",
    "LockAcquired",
    "LockTimeout",
    "LockWaiting",
    "MalformedAnswer",
    "NeverRan",
    "NoSuchComponent",
    "NoSuchRun",
    "NoSuchScript",
    "NotAllowed",
    "NotSupported",
    "Outcome",
    "Output",
    "Overview",
    "Owner",
    "PastRun",
    "QueueTimeout",
    "Queued",
    "RefusedFile",
    "Run",
    "RunStream",
    "Script",
    "ScriptFile",
    "ScriptFiles",
    "ScriptFinished",
    "ScriptStarted",
    "ScriptState",
    "Slots",
    "Started",
    "Stats",
    "Subscription",
    "TimeSpent",
    "Unknown",
    "Update",
    "Upgrade",
    "Upgraded",
    "Wait",
    "Which",
    "WouldDeadlock",
    "connect",
    "default_path",
]

# which module has which names
_PLACES = {
    "aio.client": "AsyncClient connect",
    "aio.streams": "HeldLock RunStream Subscription",
    "broker": "Hello Limits Slots Stats",
    "errors": (
        "AddressHeld BrokerError BrokerUnavailable ConfigRejected EventCancelled EventError EventFailed EventTimedOut "
        "InvalidRequest LockTimeout MalformedAnswer NeverRan NoSuchComponent NoSuchRun NoSuchScript NotAllowed "
        "NotSupported QueueTimeout WouldDeadlock"
    ),
    "inventory": "Component EventInfo Lock Owner RefusedFile ScriptFile ScriptFiles Upgrade",
    "opening": "default_path",
    "past": "PastRun TimeSpent Wait Which",
    "results": "ComponentHealth Hung HungProcess Job LastRun LeftOut Overview Run Script",
    "sync.client": "Client",
    "sync.streams": "BlockingHeldLock BlockingRunStream BlockingSubscription",
    "updates": (
        "Finished Gap Health LockAcquired LockWaiting Output Queued ScriptFinished ScriptStarted Started Unknown "
        "Update Upgraded"
    ),
    "words": "Kind Outcome ScriptState",
}


def __getattr__(name: str) -> object:
    for module, names in _PLACES.items():
        if name in names.split():
            from importlib import import_module

            value: object = getattr(import_module(f"ctdb_event.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'ctdb_event' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
