"""The stages of a job: only legal transitions happen."""

from __future__ import annotations

import pytest

from ctdb_eventd.events import Mode, Plan
from ctdb_eventd.scheduler.admission import Admission
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.states import Entry, Stage

LEGAL = {
    (Stage.QUEUED, Stage.LOCKING),
    (Stage.QUEUED, Stage.RUNNING),
    (Stage.QUEUED, Stage.FORGOTTEN),
    (Stage.LOCKING, Stage.RUNNING),
    (Stage.LOCKING, Stage.FORGOTTEN),
    (Stage.RUNNING, Stage.RELEASED),
    (Stage.RELEASED, Stage.FORGOTTEN),
}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("next_one", Stage)
def test_only_legal_transitions_are_made(stage: Stage, next_one: Stage) -> None:
    entry = Entry(component="legacy", plan=Plan(Mode.EXCLUSIVE), stage=stage)
    if (stage, next_one) in LEGAL:
        entry.move(next_one)
        assert entry.stage is next_one
    else:
        with pytest.raises(RuntimeError, match=f"a job that is {stage.value} can't become {next_one.value}, only: "):
            entry.move(next_one)
        assert entry.stage is stage


def test_the_core_makes_no_others() -> None:
    core: Core[str] = Core(Admission(processors=1, limit=1))
    for job in ("runs", "waits"):
        core.submit(job, "legacy", Plan(Mode.EXCLUSIVE))
    with pytest.raises(RuntimeError, match=r"^a job that is queued can't become released, only: locking, running, f"):
        core.released("waits")
    core.released("runs")
    with pytest.raises(RuntimeError, match=r"^a job that is released can't become released, only: forgotten$"):
        core.released("runs")
