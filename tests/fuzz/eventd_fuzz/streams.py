"""Makes what a client sends on one connection: valid messages, and what mutations make of them."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

from eventd_fuzz.values import encode, mutate

__all__ = ["PREFACE", "change_bytes", "ctdb_stream", "native_frame", "native_stream"]

PREFACE = b"\xffCTDBEV\x01"

# So many times each, that a script is started, or the configuration read, now and then only.
_CALLS: tuple[tuple[int, str, dict[str, Any]], ...] = (
    (4, "ping", {}),
    (2, "hello", {"client": "fuzz 1"}),
    (8, "run", {"component": "legacy", "event": "startup", "args": ["a b", ""], "timeout": 30, "run_all": True}),
    (4, "run", {"component": "legacy", "event": "takeip", "args": ["eth0", "10.0.0.31", "24"], "stream": True}),
    (2, "run", {"component": "legacy", "event": "monitor", "detach": True, "stream": False}),
    (1, "run", {"component": "quick", "event": "monitor", "stream": True}),
    (6, "cancel", {"run": "mb3k9x2f-17"}),
    (4, "cancel", {"call": 3}),
    (8, "status", {"component": "legacy", "event": "startup"}),
    (2, "status", {"component": "quick", "address": "10.0.0.31", "addresses": True, "output": True}),
    (2, "components", {}),
    (2, "scripts", {"component": "quick"}),
    (4, "events", {}),
    (1, "enable", {"component": "other", "script": "10.script"}),
    (1, "disable", {"component": "other", "script": "10.script"}),
    (2, "locks", {}),
    (8, "lock", {"names": ["a", "b"], "wait": 0}),
    (4, "lock", {"names": ["a"], "wait": None}),
    (6, "unlock", {"lock": 1}),
    (4, "subscribe", {"kinds": ["started", "health"], "component": "legacy", "event": None, "run": None}),
    (2, "stats", {}),
    (1, "history", {"view": "slow", "component": "legacy", "since": 1.5, "failed": False, "uid": 0, "limit": 20}),
    (1, "history", {"view": "run", "run": "mb3k9x2f-17"}),
    (1, "history", {"view": "ended", "run": "mb3k9x2f-17", "limit": 100}),
    (6, "subscribe", {"kinds": ["finished"], "address": "10.0.0.1", "report": True}),
    (4, "fly", {"to": "the moon"}),
)
_DRAWN = [(method, params) for times, method, params in _CALLS for _ in range(times * 10)]
_DRAWN.append(("reload", {}))


def native_frame(random: Random, number: int) -> bytes:
    """Returns one frame of a request; two of three were changed."""
    method, params = random.choice(_DRAWN)
    value: Any = {"id": number, "method": method, "params": params}
    changed = random.random()
    if changed < 0.55:
        value["params"] = mutate(params, random)
    elif changed < 0.62:
        value = mutate(value, random)
    body = encode(value)
    if changed > 0.98:
        body = change_bytes(body, random)
    return struct.pack(">I", _length(len(body), random)) + body


def _length(size: int, random: Random) -> int:
    if random.random() > 0.005:
        return size
    return random.choice((0, 1, max(size - 1, 0), size + 1, 2 * size, (1 << 20) - 4, (1 << 20) - 3, 0xFFFFFFFF))


def native_stream(random: Random) -> bytes:
    """Returns a preface and some frames."""
    preface = PREFACE
    if random.random() < 0.01:
        preface = random.choice(
            (PREFACE[:7] + b"\x02", PREFACE[:7] + b"\0", PREFACE[:5], change_bytes(PREFACE, random))
        )
    frames = [native_frame(random, number) for number in range(1, random.randrange(2, 120))]
    return _joined(preface, frames, random)


def _joined(head: bytes, parts: list[bytes], random: Random) -> bytes:
    if random.random() < 0.02:
        parts.insert(random.randrange(len(parts) + 1), random.choice(parts))
    data = head + b"".join(parts)
    return data[: random.randrange(len(data))] if random.random() < 0.02 else data


# ---------------------------------------------------------------------- the CTDB dialect

_NAMES = (b"legacy", b"legacy", b"legacy", b"nowhere", b"..", b"", b"a/b", b"x" * 256, b"caf\xe9", b"a\0b")
_EVENTS = (b"startup", b"monitor", b"ipreallocated", b"takeip", b".", b"\xe2\x80\xae")
_ARGS = (b"eth0 10.0.0.31 24", b"", b"  a  b ", b"a\0b", b"x" * 5000, b" " * 100)


def _string(value: bytes | None, random: Random) -> bytes:
    if value is None or random.random() < 0.03:
        return struct.pack("=I", 0)
    size, end = len(value) + 1, b"\0"
    changed = random.random()
    if changed < 0.005:
        end = b"x"
    elif changed < 0.015:
        size = random.choice((size - 1, size + 1, 2 * size, 0xFFFFFFFF, 1 << 31))
    return struct.pack("=I", size) + value + end


def _packet(random: Random, number: int) -> bytes:
    command = random.choice((1, 1, 1, 1, 2, 2, 2, 3))
    names = random.choice(_NAMES) if random.random() < 0.3 else b"legacy"
    event = random.choice(_EVENTS)
    if command == 1:
        numbers = struct.pack("=II", random.choice((0, 30, 0xFFFFFFFF)), random.choice((0, 1, 2, 0xFFFFFFFF)))
        body = _string(names, random) + _string(event, random) + _string(random.choice(_ARGS), random) + numbers
    elif command == 2:
        body = _string(names, random) + _string(event, random)
    else:
        component = b"other" if names == b"legacy" else names
        action = random.choice((0, 1, 1, 0, 2)) if random.random() < 0.05 else random.randrange(2)
        script = random.choice((b"10.script", b"99.none", b"none", b"..", b""))
        body = _string(component, random) + _string(script, random) + struct.pack("=I", action)
    if random.random() < 0.005:
        command = random.choice((0, 4, 0xFFFFFFFF))
    body = struct.pack("=I", command) + body
    changed = random.random()
    if changed < 0.01:
        body = change_bytes(body, random)
    elif changed < 0.02:
        body += b"more"
    length = 12 + len(body)
    if random.random() < 0.005:
        length = random.choice((0, 11, 12, length - 1, length + 1, 1 << 20, (1 << 20) + 1, 0xFFFFFFFF))
    return struct.pack("=III", length, random.choice((0, 7)), number) + body


def ctdb_stream(random: Random) -> bytes:
    """Returns some packets."""
    return _joined(b"", [_packet(random, number) for number in range(1, random.randrange(2, 120))], random)


def change_bytes(data: bytes, random: Random) -> bytes:
    """Changes, removes, repeats or inserts a few bytes."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        place = random.randrange(len(changed) + 1)
        choice = random.randrange(4)
        if choice == 0 and place < len(changed):
            changed[place] = random.randrange(256)
        elif choice == 1:
            del changed[place : place + random.randrange(1, 9)]
        elif choice == 2:
            changed[place:place] = changed[place : place + random.randrange(1, 30)]
        else:
            changed[place:place] = random.randbytes(random.randrange(1, 9))
    return bytes(changed)
