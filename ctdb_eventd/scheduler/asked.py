"""What somebody's script or command asked for, and waits for: nearly always nothing. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import chain
from typing import Generic, TypeVar

from ctdb_eventd.scheduler.steps import Asked, Entry

__all__ = ["AskedFor"]

J = TypeVar("J", bound=Hashable)


class AskedFor(Generic[J]):
    """Knows which jobs and claims were asked for. False if none was.

    Attributes:
        claims: Who asked for the locks of a claimant.
    """

    def __init__(self, jobs: Mapping[J, Entry[J]]) -> None:
        """Starts with nothing; `jobs` has who asked for each job, and is changed by its owner."""
        self._jobs = jobs
        self._all: set[Hashable] = set()
        self.claims: dict[Hashable, Asked[J]] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def add_job(self, job: J) -> None:
        """Takes note of a new job."""
        if self._jobs[job].waiters:
            self._all.add(job)

    def add_claim(self, claimant: Hashable, asked: Asked[J]) -> None:
        """Takes note of a new claim that somebody asked for."""
        self._all.add(claimant)
        self.claims[claimant] = asked

    def forget(self, one: Hashable) -> None:
        """Takes note that a job or a claim is over."""
        self._all.discard(one)
        self.claims.pop(one, None)

    def script_over(self, job: J) -> None:
        """Takes note that nobody waits any more for what a job's script asked for and left behind."""
        for one, asked in chain(self._jobs.items(), self.claims.items()):
            if asked.asker == job:
                asked.asker = None
                if not asked.behind:
                    self._all.discard(one)
