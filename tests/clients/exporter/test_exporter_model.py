"""What the exporter counts."""

from __future__ import annotations

import attrs
import pytest

from ctdb_event.exporter.model import BOUNDS, OTHER, Counts, Durations, Metrics
from ctdb_event.results import Overview, Run
from ctdb_event.updates import Finished, Gap, LockAcquired, ScriptFinished
from ctdb_event.words import Outcome

TAKE = ("eth0", "10.0.0.1", "24")
FINISHED = Finished(
    number=0,
    time=1.0,
    run="r-1",
    component="legacy",
    event="takeip",
    args=TAKE,
    outcome="success",
    summary=0,
    waited=0.25,
    seconds=1.5,
)
SCRIPT = ScriptFinished(
    number=0,
    time=1.0,
    run="r-1",
    component="legacy",
    event="takeip",
    args=TAKE,
    script="10.interface",
    state="ok",
    result=0,
    seconds=0.05,
)
LOCK = LockAcquired(
    number=0, time=1.0, run=None, component=None, event=None, args=(), locks=(), lock=1, text="", seconds=3.0
)
HELD = ("legacy", "10.0.0.1")


def counted(durations: Durations) -> dict[tuple[str, ...], tuple[int, float]]:
    return {labels: (sum(spread.counts), spread.seconds) for labels, spread in durations.rows.items()}


def test_a_run_that_ended() -> None:
    model = Metrics()
    model.apply(FINISHED)
    assert counted(model.runs) == {("legacy", "takeip"): (1, 1.5)}
    assert counted(model.waits) == {("legacy", "takeip"): (1, 0.25)}
    assert model.outcomes.rows == {("legacy", "takeip", "success"): 1}
    model.apply(attrs.evolve(FINISHED, outcome="cancelled", seconds=0.0))
    assert counted(model.runs) == {("legacy", "takeip"): (1, 1.5)}, "it never started"
    assert counted(model.waits) == {("legacy", "takeip"): (2, 0.5)}


def test_a_bucket_includes_its_upper_end() -> None:
    durations = Durations()
    for seconds in (0.0, 0.05, 0.06, 300.0, 301.0):
        durations.add(seconds, "x")
    assert durations.rows["x",].counts == [2, 1, *[0] * (len(BOUNDS) - 3), 1, 1]


def test_scripts_that_ran_and_those_that_failed() -> None:
    model = Metrics()
    for state in ("ok", "failed", "killed", "timed-out", "disabled", "not-reached", "not-handled", "not-started"):
        model.apply(attrs.evolve(SCRIPT, state=state))
    about = ("legacy", "takeip", "10.interface")
    assert counted(model.scripts)[about][0] == 4
    assert model.script_failures.rows == {
        (*about, state): 1 for state in ("failed", "killed", "timed-out", "not-started")
    }


def test_an_event_that_ctdb_does_not_have_is_another() -> None:
    model = Metrics()
    for event in ("a", "b"):
        model.apply(attrs.evolve(FINISHED, event=event))
    assert model.outcomes.rows == {("legacy", OTHER, "success"): 2}


def test_labels_that_anybody_can_make_up_are_bounded() -> None:
    counts, durations = Counts(), Durations()
    for number in range(2000):
        counts.add(str(number), "x")
        durations.add(1.0, str(number))
    for rows in (counts.rows, durations.rows):
        assert len(rows) == 501
    assert counts.rows[OTHER, OTHER] == 1500
    assert counts.rows["499", "x"] == 1
    counts.add("499", "x")
    assert counts.rows["499", "x"] == 2, "what has a row keeps it"


def test_locks_of_addresses_count_together() -> None:
    model = Metrics()
    for locks in (("address:10.0.0.1",), ("address:10.0.0.2",), ("iptables", "route-table")):
        model.apply(attrs.evolve(LOCK, locks=locks))
    assert counted(model.lock_waits) == {("address",): (2, 6.0), ("iptables",): (1, 3.0), ("route-table",): (1, 3.0)}


def test_updates_that_were_lost() -> None:
    model = Metrics()
    model.apply(Gap(number=0, time=1.0, run=None, component=None, event=None, args=(), lost=7))
    assert model.updates_lost == 7


@pytest.mark.parametrize(("event", "outcome", "held"), [("releaseip", "success", False), ("releaseip", "failed", True)])
def test_an_address_is_held_until_it_was_released(event: str, outcome: Outcome, held: bool) -> None:
    model = Metrics()
    model.apply(FINISHED)
    assert model.addresses == {HELD}
    model.apply(attrs.evolve(FINISHED, event=event, outcome=outcome))
    assert model.addresses == ({HELD} if held else set())


def test_an_address_that_could_not_be_taken_is_not_held() -> None:
    model = Metrics()
    model.apply(attrs.evolve(FINISHED, outcome="failed"))
    model.apply(attrs.evolve(FINISHED, args=("eth0", "nonsense", "24")))
    model.apply(attrs.evolve(FINISHED, event="updateip", args=("eth0", "eth1", "10.0.0.1", "24")))
    assert model.addresses == set()


def result(event: str, address: str, queued: float, outcome: Outcome = "success") -> Run:
    return Run(
        run="r",
        component="legacy",
        event=event,
        args=(),
        address=address,
        outcome=outcome,
        summary=0,
        queued=queued,
        waited=0.0,
        seconds=1.0,
        scripts=(),
    )


def test_addresses_are_known_from_results_of_this_daemon() -> None:
    results = (
        result("releaseip", "10.0.0.1", 30.0),
        result("takeip", "10.0.0.1", 20.0),
        result("takeip", "10.0.0.2", 40.0),
        result("takeip", "10.0.0.3", 9.0),
        result("takeip", "10.0.0.4", 50.0, "failed"),
        result("releaseip", "10.0.0.2", 20.0),
    )
    model = Metrics()
    model.apply(attrs.evolve(FINISHED, args=("eth0", "10.9.9.9", "24")))
    model.know_addresses(Overview(results=results, jobs=(), health=()), since=10.0)
    assert model.addresses == {("legacy", "10.0.0.2")}, "of the others one was released, one failed, one is of before"
