"""A substitute for CTDB's program `ctdb-path`: it prints paths below a test's directory, or misbehaves."""

from __future__ import annotations

from pathlib import Path

__all__ = ["QUESTIONS", "answers_for", "ctdb_path", "write_program"]

QUESTIONS = ("config", "socket eventd", "pidfile eventd", "etcdir", "vardir", "datadir")


def answers_for(base: Path) -> dict[str, str]:
    """Returns what it prints: everything below `base`, with a directory each for sockets and pid files."""
    return {
        "config": f"{base}/etc/node.conf",
        "socket eventd": f"{base}/sockets/eventd.socket",
        "pidfile eventd": f"{base}/pids/eventd.pid",
        "etcdir": f"{base}/etc",
        "vardir": f"{base}/var",
        "datadir": f"{base}/data",
    }


def ctdb_path(directory: Path, answers: dict[str, str], **instead: str) -> Path:
    """Writes a program that answers correctly into a directory of helper programs.

    Args:
        directory: Is created if it doesn't exist.
        answers: A path for each question.
        instead: Shell commands that replace single answers, by the first word of the question.
    """
    cases = "".join(
        f'"{question}") {instead.get(question.split()[0]) or f"echo {answer!r}"} ;;\n'
        for question, answer in answers.items()
    )
    return write_program(directory, f'case "$*" in\n{cases}*) echo "Usage: ctdb-path"; exit 1 ;;\nesac\n')


def write_program(directory: Path, commands: str) -> Path:
    """Writes a program that runs these shell commands for any question."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "ctdb-path"
    program.write_text(f"#!/bin/sh\n{commands}")
    program.chmod(0o755)
    return program
