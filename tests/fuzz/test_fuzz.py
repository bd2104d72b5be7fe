"""A short attack, everything that has found a fault before, and that the model notices what is wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from eventd_fuzz.campaign import CORPUS, Campaign, MiB, check_corpus, daemon_under_attack
from eventd_fuzz.configuration import check_configuration
from eventd_fuzz.conversation import Wrong, judge
from eventd_fuzz.model import Answer, End, read

from ctdb_eventd.protocol import frames, packet


def test_what_has_found_a_fault_before_finds_none(tmp_path: Path) -> None:
    inputs = sorted(CORPUS.iterdir())
    assert inputs
    with daemon_under_attack(tmp_path) as daemon:
        for path in inputs:
            check_corpus(daemon, path)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_short_attack_finds_no_fault(tmp_path: Path, seed: int) -> None:
    with daemon_under_attack(tmp_path) as daemon:
        # what is loaded, cached and counted at first is no leak, and is more where the daemon's coverage is measured
        Campaign(daemon, 100 + seed).run(packets=3000, seconds=None)
        figures = Campaign(daemon, seed).run(packets=3000, seconds=None)
        assert daemon.process.poll() is None
    assert figures.packets >= 3000
    assert figures.descriptors[0] == figures.descriptors[1]
    assert figures.memory[1] - figures.memory[0] < 8 * MiB, figures
    assert "seed" in str(figures)


def asked(*requests: bytes) -> bytes:
    return frames.PREFACE + b"".join(requests)


PING, RUN = frames.request(1, "ping", {}), frames.request(2, "run", {"component": "legacy", "event": ".."})
REFUSED: Answer = ("error", ("InvalidName", "EINVAL"))


@pytest.mark.parametrize(
    ("data", "answers"),
    [
        (asked(PING) + b"\0\0", []),
        (asked(PING) + b"\0\0", [(1, ("result", {"more": 1}))]),
        (asked(PING) + b"\0\0", [(1, ("result", {})), (1, ("result", {}))]),
        (asked(PING) + b"\0\0", [(1, ("result", {})), (2, ("result", {}))]),
        (asked(RUN) + b"\0\0", [(2, ("result", {}))]),
        (asked(RUN) + b"\0\0", [(2, ("error", ("Bug", "EIO")))]),
        (asked(RUN) + b"\0\0", [(2, ("error", ("InvalidName", "ENOENT")))]),
        (asked()[:-1] + b"\x02", []),
        (packet.status_request(3, b"..", b"x"), [(3, ("reply", (2, 2)))]),
        (packet.status_request(3, b"..", b"x"), [(3, ("reply", (1, 22)))]),
        (packet.status_request(3, b"..", b"x"), []),
    ],
)
def test_a_wrong_answer_is_noticed(data: bytes, answers: list[tuple[int, Answer]]) -> None:
    with pytest.raises(Wrong):
        judge(read(data), answers, set(), 100)


def test_notes_that_nobody_asked_for_are_noticed() -> None:
    with pytest.raises(Wrong, match="notes about"):
        judge(read(asked(PING) + b"\0"), [(1, ("result", {}))], {1}, 100)


def test_right_answers_are_not() -> None:
    data = asked(PING, RUN) + b"\0"
    assert judge(read(data), [(2, REFUSED), (1, ("result", {}))], set(), 100) == 1


@pytest.mark.parametrize(
    ("data", "end", "requests"),
    [
        (b"", End.OPEN, 0),
        (b"\xff", End.PARTIAL, 0),
        (asked()[:6], End.PARTIAL, 0),
        (asked(PING), End.OPEN, 1),
        (asked(PING) + PING[:-1], End.PARTIAL, 1),
        (asked(PING, frames.frame(b"\xc1"), PING), End.BROKEN, 1),
        (asked() + struct.pack(">I", 1 << 20), End.BROKEN, 0),
        (b"\xffCTDxxxx", End.BROKEN, 0),
        (asked()[:-1] + b"\x09", End.VERSION, 0),
        (struct.pack("=I", 11), End.BROKEN, 0),
        (packet.frame(1, b""), End.BROKEN, 0),
        (packet.script_request(1, b"a", b"b", True) * 2, End.OPEN, 2),
    ],
)
def test_the_model_knows_where_a_stream_ends(data: bytes, end: End, requests: int) -> None:
    stream = read(data)
    assert (stream.end, len(stream.requests)) == (end, requests)


def test_a_configuration_is_good_or_says_where_it_is_not() -> None:
    assert check_configuration(b"[logging]\n log level = NOTICE\n")
    assert not check_configuration(b"[eventd]\n max packet = many\n")
