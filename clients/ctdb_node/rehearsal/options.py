"""The options of `ctdb-node rehearse`; imports nothing that takes time."""

from __future__ import annotations

import argparse

__all__ = ["add_arguments"]

_MAX_ADDRESSES = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `ctdb-node rehearse`."""
    parser.add_argument("--config-dir", metavar="DIR", help="the configuration directory (/etc/ctdb)")
    parser.add_argument(
        "--addresses",
        type=_number(_MAX_ADDRESSES),
        metavar="N",
        help="number of addresses: those of public_addresses, then made-up ones",
    )
    parser.add_argument(
        "--script", action="extend", nargs="+", default=[], metavar="FILE", help="an event script to add or replace"
    )
    parser.add_argument(
        "--real",
        action="extend",
        nargs="+",
        default=[],
        metavar="COMMAND",
        help="a command that is not replaced by a stub",
    )
    parser.add_argument("--rounds", type=_number(1000), default=3, metavar="N", help="rounds of each kind (default 3)")
    parser.add_argument(
        "--against", metavar="DAEMON", help="rehearse with this event daemon too: a path, or ctdb for CTDB's own"
    )
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def _number(most: int) -> type[int]:
    class Number(int):
        def __new__(cls, text: str) -> Number:
            if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
                raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 to {most} is expected")
            return super().__new__(cls, text)

    return Number
