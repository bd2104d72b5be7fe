"""Takes typed values out of the maps that come over the wire. Unknown keys are nobody's business.

An error says which value of which map it is about: `script.seconds`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from ctdb_event.errors import MalformedAnswer
from ctdb_eventd.text import shown

__all__ = ["Fields", "listed"]

T = TypeVar("T")


class Fields:
    """The keys of one map. Every method raises MalformedAnswer for a key that is missing or of another type."""

    __slots__ = ("_map", "_where")

    def __init__(self, value: object, where: str) -> None:
        """Reads `value`, which is called `where` in errors.

        Raises:
            MalformedAnswer: It is no map.
        """
        if not isinstance(value, dict):
            raise MalformedAnswer(f"{where} in the broker's answer is {shown(value)}, a map was expected")
        self._map = value
        self._where = where

    def text(self, key: str) -> str:
        """Takes a text."""
        return self._take(key, str, "text")

    def binary(self, key: str) -> bytes:
        """Takes bytes."""
        return self._take(key, bytes, "bytes")

    def flag(self, key: str) -> bool:
        """Takes true or false."""
        return self._take(key, bool, "true or false")

    def whole(self, key: str) -> int:
        """Takes a whole number."""
        value = self._take(key, int, "a whole number")
        if isinstance(value, bool):
            self._refuse(key, "a whole number")
        return value

    def number(self, key: str) -> float:
        """Takes a point in time or a duration, in seconds."""
        value = self._map.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._refuse(key, "a number")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Takes a list of text."""
        values = self._take(key, list, "a list of text")
        if not all(isinstance(item, str) for item in values):
            self._refuse(key, "a list of text")
        return tuple(values)

    def counts(self, key: str) -> dict[str, int]:
        """Takes a map of whole numbers."""
        counted = Fields(self._map.get(key), self._name(key))
        return {name: counted.whole(name) for name in counted._map}

    def maybe(self, take: Callable[[str], T], key: str) -> T | None:
        """Takes a value with one of the other methods, or None if it is nil; it must be there all the same."""
        return None if key in self._map and self._map[key] is None else take(key)

    def later(self, take: Callable[[str], T], key: str, before: T) -> T:
        """Takes a value with one of the other methods, or `before` from a broker that is too old to have it."""
        return take(key) if key in self._map else before

    def part(self, key: str, build: Callable[[object], T]) -> T:
        """Takes a map as what `build` makes of it."""
        if key not in self._map:
            self._refuse(key, "a map")
        return build(self._map[key])

    def parts(self, key: str, build: Callable[[object], T]) -> tuple[T, ...]:
        """Takes a list of maps, each as what `build` makes of it."""
        return listed(self._map.get(key), self._name(key), build)

    def _take(self, key: str, kind: type[T], expected: str) -> T:
        value = self._map.get(key)
        if not isinstance(value, kind):
            self._refuse(key, expected)
        return value

    def _refuse(self, key: str, expected: str) -> NoReturn:
        found = f"is {shown(self._map[key])}" if key in self._map else "is missing"
        raise MalformedAnswer(f"{self._name(key)} in the broker's answer {found}, {expected} was expected")

    def _name(self, key: str) -> str:
        return f"{self._where}.{key}"


def listed(value: object, where: str, build: Callable[[object], T]) -> tuple[T, ...]:
    """Reads a list of maps, each as what `build` makes of it.

    Raises:
        MalformedAnswer: It is no list.
    """
    if not isinstance(value, list):
        raise MalformedAnswer(f"{where} in the broker's answer is {shown(value)}, a list was expected")
    return tuple(build(item) for item in value)
