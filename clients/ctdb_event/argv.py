"""Splits a command line into options and operands, and parses timeouts.

By hand: argparse takes longer than a whole short command.
"""

from __future__ import annotations

from ctdb_event.console import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

__all__ = ["BEHIND", "MAX_TIMEOUT", "OPERAND", "timeout_of", "tokens"]

OPERAND = "operand"
"""The name of words that are not options."""
BEHIND = "behind"
"""The name of operands after a `--`."""
MAX_TIMEOUT = (1 << 32) - 1
"""Seconds: the maximum of the CTDB dialect, and so of the native one too."""
_BLANKS = " \t\n\r\v\f"


def tokens(words: Sequence[str], with_value: Container[str]) -> Iterator[tuple[str, str | None, str]]:
    """Yields name, value and word of each option and operand; options may be anywhere before a `--`.

    The value of an operand is the operand. The value of an option is None if it takes none, or if the words end before
    it.

    Args:
        words: The command line.
        with_value: Names of the options that take a value, which may be the next word.
    """
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield from ((BEHIND, operand, operand) for operand in rest)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            yield name, value if equals else next(rest, None) if name in with_value else None, word
        elif word.startswith("-") and word != "-":
            for position, letter in enumerate(word[1:], 2):
                name, behind = f"-{letter}", word[position:]
                if name in with_value:
                    yield name, behind or next(rest, None), word
                    break
                if behind.startswith("="):
                    yield name, behind[1:], word
                    break
                yield name, None, word
        else:
            yield OPERAND, word, word


def timeout_of(text: str) -> int:
    """Parses a timeout in seconds.

    Raises:
        Failure: It is invalid.
    """
    digits = text.strip(_BLANKS).removeprefix("+")
    if digits.isascii() and digits.isdigit():
        digits = digits.lstrip("0") or "0"
        # ten digits are enough for the limit, and int() refuses thousands of them
        if len(digits) <= 10 and int(digits) <= MAX_TIMEOUT:
            return int(digits)
    expected = f"a whole number of seconds from 0 (no limit) to {MAX_TIMEOUT} is expected"
    raise Failure(f'timeout "{text}": {expected}', 22)
