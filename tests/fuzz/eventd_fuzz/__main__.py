"""`python -m eventd_fuzz`: the corpus, then an attack; FUZZ_SEED, FUZZ_SECONDS and FUZZ_PACKETS say which."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from eventd_fuzz.campaign import CORPUS, Campaign, MiB, check_corpus, daemon_under_attack
from eventd_fuzz.conversation import Wrong

_SECONDS = 300.0


def _number(name: str) -> int | None:
    text = os.environ.get(name, "")
    if text and not text.isdigit():
        sys.exit(f"{name} is {text!r}, a whole number was expected")
    return int(text) if text else None


def main() -> int:
    """Attacks, and returns 1 if anything is wrong."""
    seed, packets, seconds = _number("FUZZ_SEED"), _number("FUZZ_PACKETS"), _number("FUZZ_SECONDS")
    seed = int(time.time()) if seed is None else seed
    limit = seconds if seconds is not None else None if packets is not None else _SECONDS
    sys.stderr.write(f"FUZZ_SEED={seed}: {packets or 'any number of'} packets, {limit or 'any number of'} seconds\n")
    with tempfile.TemporaryDirectory(prefix="eventd-fuzz-") as base, daemon_under_attack(Path(base)) as daemon:
        try:
            for path in sorted(CORPUS.iterdir()):
                check_corpus(daemon, path)
            figures = Campaign(daemon, seed).run(packets, limit)
        except Wrong as wrong:
            sys.stderr.write(f"FUZZ_SEED={seed}: wrong: {wrong}\n")
            return 1
    sys.stdout.write(f"{figures}\n")
    grown = figures.memory[1] - figures.memory[0]
    return int(grown > 8 * MiB or figures.descriptors[0] != figures.descriptors[1])


if __name__ == "__main__":
    sys.exit(main())
