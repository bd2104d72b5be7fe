"""What happens, told to those who want to know: filtered, numbered, and a few at a time. Pure but for its timer.

What happens is only noted down where it happens; nothing is filtered or encoded there, so that a failover doesn't pay
for those who watch it. Whoever subscribes to the same shares one channel, and with it the notes and their encoding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ctdb_eventd.protocol.messages import Note, Notes

__all__ = ["KINDS", "Feed", "Filter", "Subscription"]

KINDS = (
    "queued",
    "started",
    "script-started",
    "output",
    "script-finished",
    "finished",
    "lock-waiting",
    "lock-acquired",
    "health",
)
"""Everything that is told."""

_DELAY = 0.05
"""Seconds until what happened is told: too short for a person, long enough to tell it in one piece."""
_DELAY_EACH = 0.002
"""The same for each subscriber, if there are many: telling one takes some 10 microseconds, here and there."""
_LONGEST_DELAY = 0.25
"""However many there are."""
_MOST_PENDING = 1000
"""Happenings that are kept until then."""
_MOST_BYTES = 1 << 16
"""Bytes of scripts' output, and of arguments, that are kept until then."""

Timer = Callable[[float, Callable[[], None]], object]
"""Calls back after so many seconds, as an event loop's `call_later` does."""


@attrs.frozen(kw_only=True)
class Filter:
    """What somebody wants to know. None means all."""

    kinds: frozenset[str]
    component: str | None = None
    event: str | None = None
    run: str | None = None

    def concerns(self, run: str | None, component: str | None, event: str | None) -> bool:
        """Tells whether something about this run is wanted, if the kind is."""
        return (
            (self.run is None or self.run == run)
            and (self.component is None or self.component == component)
            and (self.event is None or self.event == event)
        )


@attrs.frozen
class _Happening:
    kind: str
    run: str | None
    component: str | None
    event: str | None
    data: Mapping[str, Any]


class _Channel:
    """Everybody who wants to know the same."""

    __slots__ = ("filter", "number", "subscriptions")

    def __init__(self, its_filter: Filter) -> None:
        self.filter = its_filter
        self.number = 0
        self.subscriptions: dict[Subscription, None] = {}

    def notes(self, pending: list[_Happening]) -> Notes | None:
        chosen = [
            note
            for note in pending
            if note.kind in self.filter.kinds and self.filter.concerns(note.run, note.component, note.event)
        ]
        if not chosen:
            return None
        first, self.number = self.number, self.number + len(chosen)
        return Notes(tuple(Note(note.kind, number, note.data) for number, note in enumerate(chosen, first)))


class Subscription:
    """Somebody who is told; `end` it when he has gone.

    Attributes:
        told: How many notes he was told.
    """

    __slots__ = ("_feed", "channel", "tell", "told")

    def __init__(self, feed: Feed, channel: _Channel, tell: Callable[[Notes], None]) -> None:
        self._feed = feed
        self.channel = channel
        self.tell = tell
        self.told = 0

    def drop(self) -> None:
        """Tells nothing any more, not what happened already either. Idempotent."""
        self._feed.unsubscribe(self)

    def end(self) -> None:
        """Tells nothing from here on; what happened up to now is told first. Idempotent."""
        self._feed.flush()
        self._feed.unsubscribe(self)


class Feed:
    """Tells subscribers what happens.

    Attributes:
        active: Somebody wants to know something. Whoever has something to tell may look here first.
    """

    def __init__(self, timer: Timer) -> None:
        """Starts without subscribers."""
        self.active = False
        self._timer = timer
        self._channels: dict[Filter, _Channel] = {}
        self._pending: list[_Happening] = []
        self._size = 0
        self._timer_runs = False
        self._delay = _DELAY

    @property
    def subscribers(self) -> int:
        """How many there are."""
        return sum(len(channel.subscriptions) for channel in self._channels.values())

    def subscribe(self, its_filter: Filter, tell: Callable[[Notes], None]) -> Subscription:
        """Tells somebody what happens from now on, by calls of `tell`."""
        self.flush()
        channel = self._channels.get(its_filter)
        if channel is None:
            channel = self._channels[its_filter] = _Channel(its_filter)
        subscription = Subscription(self, channel, tell)
        channel.subscriptions[subscription] = None
        self._changed()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forgets a subscriber. Idempotent."""
        channel = subscription.channel
        channel.subscriptions.pop(subscription, None)
        # by now another channel may have the same filter
        if not channel.subscriptions and self._channels.get(channel.filter) is channel:
            del self._channels[channel.filter]
        self._changed()

    def _changed(self) -> None:
        self.active = bool(self._channels)
        self._delay = min(max(_DELAY, self.subscribers * _DELAY_EACH), _LONGEST_DELAY)

    def wants_output(self, run: str, component: str, event: str) -> bool:
        """Tells whether somebody wants to see what this run's scripts print."""
        return self.active and any(
            "output" in wanted.kinds and wanted.concerns(run, component, event) for wanted in self._channels
        )

    def tell(
        self,
        kind: str,
        run: str | None,
        component: str | None,
        event: str | None,
        args: tuple[str, ...],
        data: dict[str, Any],
    ) -> None:
        """Notes down that something happened, to be told in a moment."""
        if not self.active:
            return
        data |= {"time": time.time(), "run": run, "component": component, "event": event, "args": args}
        self._pending.append(_Happening(kind, run, component, event, data))
        self._size += sum(map(len, args))
        if kind == "output":
            self._size += len(data["output"])
        if len(self._pending) >= _MOST_PENDING or self._size >= _MOST_BYTES:
            self.flush()
        elif not self._timer_runs:
            self._timer_runs = True
            self._timer(self._delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer_runs = False
        self.flush()

    def flush(self) -> None:
        """Tells everything that happened up to now."""
        if not self._pending:
            return
        pending, self._pending, self._size = self._pending, [], 0
        for channel in tuple(self._channels.values()):
            notes = channel.notes(pending)
            if notes is None:
                continue
            for subscription in tuple(channel.subscriptions):
                if subscription not in channel.subscriptions:
                    continue  # it was ended by what another one was told
                subscription.told += len(notes.notes)
                subscription.tell(notes)
