"""How a command line is cut into options and operands. By hand: argparse takes longer than a whole short command."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

__all__ = ["BEHIND", "OPERAND", "tokens"]

OPERAND = "operand"
"""The name of what is no option."""
BEHIND = "behind"
"""The name of an operand behind a `--`."""


def tokens(words: Sequence[str], with_value: Container[str]) -> Iterator[tuple[str, str | None, str]]:
    """Yields name, value and word of each option and operand; options may stand anywhere before a `--`.

    An operand is its own value. An option's value is None if there is none: if it needs one, the words have ended.

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
