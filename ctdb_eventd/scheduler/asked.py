"""What somebody's script or command asked for, and waits for: nearly always nothing. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from ctdb_eventd.scheduler.steps import Asked, Entry

__all__ = ["AskedFor"]

J = TypeVar("J", bound=Hashable)


class AskedFor(Generic[J]):
    """Knows which jobs and claims were asked for, and by whom. False if none was."""

    def __init__(self, jobs: Mapping[J, Entry[J]]) -> None:
        """Starts with nothing; `jobs` has who asked for each job, and is changed by its owner."""
        self._jobs = jobs
        self._claims: dict[Hashable, Asked[J]] = {}
        self._by: dict[Hashable, dict[Hashable, Asked[J]]] = {}

    def __bool__(self) -> bool:
        return bool(self._by)

    def by(self, waiter: Hashable) -> Iterable[Hashable]:
        """Returns the jobs and claims for which a job's script, or a claimant's command, has asked, and waits."""
        return self._by.get(waiter, ())

    def add_job(self, job: J) -> None:
        """Takes note of a new job."""
        self._add(job, self._jobs[job])

    def add_claim(self, claimant: Hashable, asked: Asked[J]) -> None:
        """Takes note of a new claim that somebody asked for."""
        self._claims[claimant] = asked
        self._add(claimant, asked)

    def _add(self, one: Hashable, asked: Asked[J]) -> None:
        for waiter in asked.waiters:
            self._by.setdefault(waiter, {})[one] = asked

    def forget(self, one: Any) -> None:
        """Takes note that a job, which is still known, or a claim is over."""
        if not self._by:
            return
        asked = self._claims.pop(one, None) or self._jobs.get(one)
        for waiter in () if asked is None else asked.waiters:
            del self._by[waiter][one]
            if not self._by[waiter]:
                del self._by[waiter]

    def script_over(self, job: J) -> None:
        """Takes note that nobody waits any more for what a job's script asked for and left behind."""
        for asked in self._by.pop(job, {}).values():
            asked.asker = None
