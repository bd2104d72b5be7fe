"""Notifies subscribers: filtered, numbered, and in batches. Pure except for its timer.

Publishing only queues a notification; it is filtered and encoded with the next batch, so that subscribers don't slow
down a failover. Subscribers with the same filter share one channel, and with it the notes and their encoding. Channels
are indexed by run, component and event, so subscribers to something else cost nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, product
from operator import attrgetter
from typing import Any

import attrs

from ctdb_eventd.model import MOST_ARGUMENTS, RunRecord, shortened
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
    "upgraded",
)
"""Every kind of notification."""

_DELAY = 0.05
"""Seconds until a batch is sent: too short for a person, long enough for several notifications."""
_DELAY_EACH = 0.002
"""The same for each subscriber, if there are many: each one takes some 10 microseconds, here and in the client."""
_LONGEST_DELAY = 0.25
"""However many there are."""
_MOST_PENDING = 1000
"""Notifications that are queued until then."""
_MOST_BYTES = 1 << 16
"""Bytes of scripts' output, and of arguments, that are queued until then."""

Timer = Callable[[float, Callable[[], None]], object]
"""Calls back after so many seconds, as an event loop's `call_later` does."""

Describe = Callable[[RunRecord], Mapping[str, Any]]
"""Returns a run as the map that clients get."""

_About = tuple[str | None, str | None, str | None]


@attrs.frozen(kw_only=True, repr=False)
class Filter:
    """What a subscriber wants to be notified of. None means all."""

    kinds: frozenset[str]
    component: str | None = None
    event: str | None = None
    run: str | None = None
    outcomes: frozenset[str] | None = None
    """Only notes with one of these outcomes; only `finished` has one."""
    address: str | None = None
    """Only notes about this address, in canonical form."""
    report: bool = False
    """`finished` contains the whole run."""

    def wants(self, kind: str, data: Mapping[str, Any]) -> bool:
        """Returns whether a note is wanted whose run, component and event match."""
        return (
            kind in self.kinds
            and (self.outcomes is None or data.get("outcome") in self.outcomes)
            and (self.address is None or data.get("address") == self.address)
        )

    @property
    def about(self) -> _About:
        """Run, component and event."""
        return self.run, self.component, self.event


@attrs.frozen(eq=False, repr=False)
class _Notification:
    kind: str
    about: _About
    data: Mapping[str, Any]
    record: RunRecord | None
    """The run, of `finished`."""


class _Channel:
    """The subscribers with the same filter."""

    __slots__ = ("filter", "number", "subscriptions")

    def __init__(self, its_filter: Filter) -> None:
        self.filter = its_filter
        self.number = 0
        self.subscriptions: dict[Subscription, None] = {}

    def notes(self, chosen: list[_Notification], describe: Describe) -> Notes:
        first, self.number = self.number, self.number + len(chosen)
        return Notes(
            tuple(Note(note.kind, number, self._data(note, describe)) for number, note in enumerate(chosen, first))
        )

    def _data(self, note: _Notification, describe: Describe) -> Mapping[str, Any]:
        if not self.filter.report or note.record is None:
            return note.data
        return {**note.data, "report": describe(note.record)}


class Subscription:
    """One subscriber; ended by `drop` or `end`.

    Attributes:
        delivered: How many notes it was sent.
    """

    __slots__ = ("_feed", "channel", "deliver", "delivered")

    def __init__(self, feed: Feed, channel: _Channel, deliver: Callable[[Notes], None]) -> None:
        self._feed = feed
        self.channel = channel
        self.deliver = deliver
        self.delivered = 0

    @property
    def position(self) -> tuple[int, int]:
        """The number of the next note, and how many were delivered."""
        return self.channel.number, self.delivered

    def go_on_from(self, number: int, delivered: int) -> None:
        """Restores the `position` of the same subscription in a former program; to be called before any note."""
        self.channel.number, self.delivered = number, delivered

    def drop(self) -> None:
        """Ends it at once, without sending queued notifications. Idempotent."""
        self._feed.unsubscribe(self)

    def end(self) -> None:
        """Ends it after sending queued notifications. Idempotent."""
        self._feed.flush()
        self._feed.unsubscribe(self)


class Feed:
    """Notifies subscribers.

    Attributes:
        active: There are subscribers; if not, publishing has no effect.
        subscribers: How many there are.
        muted: Publishing has no effect: repeated requests were published before.
    """

    def __init__(self, timer: Timer, describe: Describe = attrs.asdict) -> None:
        """Starts without subscribers.

        Args:
            timer: Sets a timer.
            describe: Returns the `report` in a note about a run.
        """
        self._describe = describe
        self.active = False
        self.muted = False
        self._timer = timer
        self.subscribers = 0
        self._channels: dict[_About, dict[Filter, _Channel]] = {}
        self._pending: list[_Notification] = []
        self._size = 0
        self._timer_runs = False
        self._delay = _DELAY

    def subscribe(self, its_filter: Filter, deliver: Callable[[Notes], None]) -> Subscription:
        """Adds a subscriber, which is notified from now on by calls of `deliver`."""
        self.flush()
        channels = self._channels.setdefault(its_filter.about, {})
        channel = channels.get(its_filter)
        if channel is None:
            channel = channels[its_filter] = _Channel(its_filter)
        subscription = Subscription(self, channel, deliver)
        channel.subscriptions[subscription] = None
        self._changed(1)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Removes a subscriber. Idempotent."""
        channel = subscription.channel
        if subscription not in channel.subscriptions:
            return
        del channel.subscriptions[subscription]
        if not channel.subscriptions:
            channels = self._channels[channel.filter.about]
            del channels[channel.filter]
            if not channels:
                del self._channels[channel.filter.about]
        self._changed(-1)

    def _changed(self, by: int) -> None:
        self.subscribers += by
        self.active = self.subscribers > 0
        self._delay = min(max(_DELAY, self.subscribers * _DELAY_EACH), _LONGEST_DELAY)

    def wants_output(self, run: str, component: str, event: str) -> bool:
        """Returns whether any subscriber wants the output of this run's scripts."""
        return self.active and any(
            "output" in channel.filter.kinds for channel in self._interested((run, component, event))
        )

    def _interested(self, about: _About) -> Iterator[_Channel]:
        run, component, event = ({None: None, one: None} for one in about)
        for wanted in product(run, component, event):
            yield from self._channels.get(wanted, {}).values()

    def publish(
        self,
        kind: str,
        run: str | None,
        component: str | None,
        event: str | None,
        args: tuple[str, ...],
        data: dict[str, Any],
        *,
        address: str | None = None,
        record: RunRecord | None = None,
    ) -> None:
        """Queues a notification for the next batch; `data` belongs to the feed from then on.

        Args:
            kind: One of KINDS.
            run, component, event, args: Its subject; None or empty if not applicable.
            data: Its other fields.
            address: Of an address event, in canonical form.
            record: The run, if it has ended.
        """
        if not self.active or self.muted:
            return
        args = shortened(args, MOST_ARGUMENTS)
        data |= {"time": time.time(), "run": run, "component": component, "event": event, "args": args}
        data["address"] = address
        self._pending.append(_Notification(kind, (run, component, event), data, record))
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
        """Sends queued notifications."""
        if not self._pending:
            return
        pending, self._pending, self._size = self._pending, [], 0
        chosen: dict[_Channel, list[_Notification]] = {}
        for about, group in groupby(pending, key=attrgetter("about")):
            queued = tuple(group)
            for channel in self._interested(about):
                its = [one for one in queued if channel.filter.wants(one.kind, one.data)]
                if its:
                    chosen.setdefault(channel, []).extend(its)
        for channel, notifications in chosen.items():
            notes = channel.notes(notifications, self._describe)
            for subscription in tuple(channel.subscriptions):
                if subscription not in channel.subscriptions:
                    continue  # the delivery to another one has ended it
                subscription.delivered += len(notes.notes)
                subscription.deliver(notes)
