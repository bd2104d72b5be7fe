"""Encodes values as msgpack, wrong ones too, and changes them at random."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import msgpack

__all__ = ["Pairs", "Raw", "any_value", "encode", "mutate"]

_packer = msgpack.Packer(unicode_errors="surrogateescape", use_bin_type=True)


class Raw(bytes):
    """Encoded already, or nothing that an encoder would say."""


class Pairs(list[tuple[Any, Any]]):
    """A map whose keys may come twice, or be anything."""


def encode(value: Any) -> bytes:
    """Returns a value in msgpack."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, dict):
        value = Pairs(value.items())
    if isinstance(value, Pairs):
        head = _packer.pack_map_header(len(value))
        return bytes(head) + b"".join(encode(key) + encode(item) for key, item in value)
    if isinstance(value, (list, tuple)):
        return bytes(_packer.pack_array_header(len(value))) + b"".join(map(encode, value))
    return bytes(_packer.pack(value))


_NUMBERS = (0, 1, -1, 127, 255, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63)
_TEXTS = ("", ".", "..", "a/b", "\0", "a\0b", "legacy", "monitor", "x" * 255, "x" * 256, "\u202e", "caf\udce9", "1.0")
_RAW = (
    *(
        b"\xc1",
        b"\xa3\xff\xfeA",
        b"\xd9\x05\xc3\x28",
        b"\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\0\0\0\2",
    ),
    *(b"\xc7\x03\x05abc", b"\xd6\xff\0\0\0\1", b"\xd4\x01\x02", b"\xc4\x03\0\1\2", b"\xca\x7f\xc0\0\0"),
    *(b"\xcb" + struct.pack(">d", number) for number in (float("inf"), float("nan"), -0.0, 1e308)),
)


def any_value(random: Random) -> Any:
    """Returns a value that is likely to be at the edge of something."""
    choice = random.randrange(12)
    if choice < 3:
        return random.choice(_NUMBERS)
    if choice < 6:
        return random.choice(_TEXTS)
    if choice == 6:
        return random.choice((None, True, False, 0.5, -1.5, b"", b"ab"))
    if choice == 7:
        return Raw(random.choice(_RAW))
    if choice == 8:
        return [any_value(random) for _ in range(random.randrange(4))]
    if choice == 9:
        return Pairs((any_value(random), any_value(random)) for _ in range(random.randrange(4)))
    if choice == 10:
        return random.choice(_TEXTS) * random.choice((1, 10, 1000)) if random.random() < 0.1 else "y" * 20
    return _nested(random)


def _nested(random: Random) -> Raw:
    """Nested as deep as Python, or msgpack, can follow, or deeper."""
    depth = random.choice((2, 5, 50, 200)) if random.random() < 0.9 else random.randrange(900, 1100)
    return Raw(random.choice((b"\x91", b"\x81\xa1a", b"\x81\x01", b"\x92\xc0")) * depth + b"\xc0")


def mutate(value: Any, random: Random) -> Any:
    """Returns a copy in which something is another, left out, double, wrapped, or in another order."""
    if isinstance(value, dict):
        return _mutate_map(Pairs(value.items()), random)
    if isinstance(value, Pairs):
        return _mutate_map(Pairs(value), random)
    if isinstance(value, (list, tuple)) and value and random.random() < 0.7:
        items = list(value)
        index = random.randrange(len(items))
        items[index] = mutate(items[index], random)
        return items
    if isinstance(value, str) and random.random() < 0.5:
        return _mutate_text(value, random)
    return any_value(random)


def _mutate_map(pairs: Pairs, random: Random) -> Any:
    choice = random.randrange(10)
    if choice == 0 or not pairs:
        pairs.insert(random.randrange(len(pairs) + 1), (any_value(random), any_value(random)))
        return pairs
    index = random.randrange(len(pairs))
    key, value = pairs[index]
    if choice == 1:
        del pairs[index]
    elif choice == 2:
        pairs.append((key, any_value(random)))
    elif choice == 3:
        pairs[index] = (mutate(key, random), value)
    elif choice == 4:
        random.shuffle(pairs)
    elif choice == 5:
        return random.choice(([pairs], Pairs([("id", pairs)]), list(pairs)))
    else:
        pairs[index] = (key, mutate(value, random))
    return pairs


def _mutate_text(text: str, random: Random) -> str:
    place = random.randrange(len(text) + 1)
    return text[:place] + random.choice(("", *_TEXTS)) + text[place + random.randrange(2) :]
