"""Counts the colours of a PNG file as headless Chromium writes it: 8 bits, RGB or RGBA, not interlaced."""

from __future__ import annotations

import struct
import zlib
from collections import Counter

__all__ = ["colours"]


def colours(data: bytes) -> Counter[str]:
    """Returns how many pixels there are of each colour, such as `#d55e00`."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n"), "not a PNG file"
    place, packed, width, size = 8, b"", 0, 0
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, _, depth, colour_type, *_, interlaced = struct.unpack(">IIBBBBB", body)
            assert (depth, interlaced) == (8, 0)
            size = {2: 3, 6: 4}[colour_type]
        elif kind == b"IDAT":
            packed += body
        place += length + 12
    found: Counter[str] = Counter()
    for line in _lines(zlib.decompress(packed), width * size, size):
        found.update(line[at : at + 3].hex() for at in range(0, len(line), size))
    return Counter({f"#{colour}": count for colour, count in found.items()})


def _lines(raw: bytes, length: int, size: int) -> list[bytes]:
    """Reverses the filters: each byte is the difference from a prediction by its neighbours."""
    lines: list[bytes] = []
    above = bytearray(length)
    for start in range(0, len(raw), length + 1):
        kind, line = raw[start], bytearray(raw[start + 1 : start + 1 + length])
        for at in range(length) if kind else ():
            left, corner = (line[at - size], above[at - size]) if at >= size else (0, 0)
            predicted = (0, left, above[at], (left + above[at]) // 2, _nearest(left, above[at], corner))[kind]
            line[at] = (line[at] + predicted) & 0xFF
        lines.append(bytes(line))
        above = line
    return lines


def _nearest(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))
