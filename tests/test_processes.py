"""How ends of connections are written."""

from __future__ import annotations

import sys

import pytest

from ctdb_eventd.processes import _end


@pytest.mark.skipif(sys.byteorder != "little", reason="the examples are from a machine with little-endian words")
@pytest.mark.parametrize(
    ("kernels", "peoples"),
    [
        ("0100007F:01BD", "127.0.0.1:445"),
        ("0700000A:8294", "10.0.0.7:33428"),
        ("00000000000000000000000001000000:01BD", "[::1]:445"),
        ("B80D01200000000000000000F1C10000:0801", "[2001:db8::c1f1]:2049"),
    ],
)
def test_an_end_of_a_connection(kernels: str, peoples: str) -> None:
    assert _end(kernels) == peoples
