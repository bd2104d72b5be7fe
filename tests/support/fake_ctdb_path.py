"""A program in the place of CTDB's `ctdb-path`: it answers for a directory of a test's own, or misbehaves."""

from __future__ import annotations

from pathlib import Path

__all__ = ["QUESTIONS", "answers_for", "ctdb_path", "write_program"]

QUESTIONS = ("config", "socket eventd", "pidfile eventd", "etcdir", "vardir", "datadir")


def answers_for(base: Path) -> dict[str, str]:
    """Returns what it answers: every place below `base`, and sockets and pid files apart."""
    return {
        "config": f"{base}/etc/node.conf",
        "socket eventd": f"{base}/sockets/eventd.socket",
        "pidfile eventd": f"{base}/pids/eventd.pid",
        "etcdir": f"{base}/etc",
        "vardir": f"{base}/var",
        "datadir": f"{base}/data",
    }


def ctdb_path(directory: Path, answers: dict[str, str], **instead: str) -> Path:
    """Writes a well-behaved one into a directory of helper programs.

    Args:
        directory: Is made if it isn't there.
        answers: A path for each question.
        instead: Shell commands for single questions, by their first word.
    """
    cases = "".join(
        f'"{question}") {instead.get(question.split()[0]) or f"echo {answer!r}"} ;;\n'
        for question, answer in answers.items()
    )
    return write_program(directory, f'case "$*" in\n{cases}*) echo "Usage: ctdb-path"; exit 1 ;;\nesac\n')


def write_program(directory: Path, commands: str) -> Path:
    """Writes one that runs these shell commands, whatever it is asked."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "ctdb-path"
    program.write_text(f"#!/bin/sh\n{commands}")
    program.chmod(0o755)
    return program
