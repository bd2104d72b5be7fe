"""A queue as it is at one moment, with who waits for whom in it. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import attrs

__all__ = ["Line"]

J = TypeVar("J", bound=Hashable)


@attrs.frozen
class Line(Generic[J]):
    """Who stands in it, in order. Each one waits for the first so many: that is told in the space of one number."""

    members: Sequence[J]
    ahead: Mapping[J, int]
    """How many of the members each one waits for."""
