"""The captured conversation, and more, in all pairings of command line and daemon: same output, same exit status.

CTDB's command line with CTDB's daemon is the control: it proves that the scripts here are those behind the captures.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import attrs
import pytest

from .deviations import DEVIATIONS, expected, through_ctdb_tool
from .private_base import Base, Outcome, running_daemon
from .programs import CTDB_TOOL, Maker
from .steps import CAPTURED, STEPS, Step, masked

pytestmark = pytest.mark.interop


@attrs.frozen
class Pairing:
    """A way to ask, and a daemon to ask."""

    daemon: Maker
    cli: Maker
    by_ctdb_tool: bool = False
    """The command line is started by the `ctdb` tool."""

    @property
    def argv(self) -> list[str]:
        """What a command starts with."""
        return [CTDB_TOOL, "event"] if self.by_ctdb_tool else [self.cli.cli]

    @property
    def name(self) -> str:
        """For people."""
        asker = "ctdb-tool" if self.by_ctdb_tool else f"{self.cli.name}-cli"
        return f"{asker}-with-{self.daemon.name}-daemon"


PAIRINGS = [
    *(Pairing(daemon, cli) for daemon in Maker for cli in Maker),
    *(Pairing(daemon, Maker.CTDB, by_ctdb_tool=True) for daemon in Maker),
]


@attrs.frozen
class Conversation:
    """What one pairing answered, step by step."""

    pairing: Pairing
    base: Base
    outcomes: tuple[Outcome, ...]


@pytest.fixture(scope="module", params=PAIRINGS, ids=lambda pairing: pairing.name)
def conversation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conversation]:
    """The whole conversation, once for each pairing: later steps depend on what earlier ones left."""
    pairing: Pairing = request.param
    base = Base.create(tmp_path_factory.mktemp("base"))
    with running_daemon(pairing.daemon.daemon, base):
        outcomes = [_say(base, pairing, step) for step in STEPS[:CAPTURED]]
        base.provide("40.given")
        outcomes += [_say(base, pairing, step) for step in STEPS[CAPTURED:]]
        yield Conversation(pairing, base, tuple(outcomes))


def _say(base: Base, pairing: Pairing, step: Step) -> Outcome:
    extra = {"CTDB_EVENT_RUN_ALL": "1"} if step.run_all else {}
    return base.command(*pairing.argv, *shlex.split(step.command), extra=extra)


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[step.name or "no arguments" for step in STEPS])
def test_step(conversation: Conversation, number: int) -> None:
    """Each step prints and returns what the captures or the table of deviations say."""
    pairing = conversation.pairing
    want = expected(STEPS[number], pairing.daemon, pairing.cli)
    if pairing.by_ctdb_tool:
        want = through_ctdb_tool(want)
    outcome = conversation.outcomes[number]
    assert masked(outcome.stdout) == want.stdout
    assert outcome.exit == want.exit
    if want.stderr is not None:
        assert want.stderr in outcome.stderr
        assert bool(want.stderr) == bool(outcome.stderr), outcome.stderr


@pytest.mark.parametrize("event", ["monitor", "takeip", "fail", "hang", "sig", "x64", "nosuch"])
def test_scriptstatus_shows_what_status_shows(conversation: Conversation, event: str) -> None:
    """The ctdb tool's older name for the same, with the same text; it never fails for a script's sake."""
    base = conversation.base
    status = base.command(Maker.CTDB.cli, "status", "legacy", event)
    scriptstatus = base.command(CTDB_TOOL, "scriptstatus", event)
    assert status.stdout
    assert scriptstatus.stdout == status.stdout
    assert scriptstatus.exit == 0


def test_every_deviation_names_a_step_and_changes_it() -> None:
    """A row whose step is gone, or that says nothing new, would only look like a difference."""
    steps = {step.name: step for step in STEPS}
    for deviation in DEVIATIONS:
        assert deviation.why
        for name in deviation.steps:
            assert deviation.expected != steps[name].expected


def test_no_row_is_about_ctdbs_own_pair_of_the_captures() -> None:
    """With none of ours taking part, only a later version differs."""
    for deviation in DEVIATIONS:
        mine = Maker.OURS in (deviation.daemon, deviation.cli)
        assert mine or deviation.since is not None, deviation
