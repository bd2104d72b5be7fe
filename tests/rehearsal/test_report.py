"""The report as text and as JSON."""

from __future__ import annotations

import json

from rehearsals import end_state, event, file_state, observations, rounds, script_run, timed_rounds

from ctdb_node.rehearsal.findings import Trial, findings
from ctdb_node.rehearsal.observed import TOGETHER, Observations, Public, Request, from_json, to_json
from ctdb_node.rehearsal.report import Rehearsed, as_json, as_text


def _result(seen: Observations, *trials: Trial, addresses: int = 40) -> Rehearsed:
    public = tuple(
        Public(address=f"10.0.0.{n}", bits=24, interface="eth0", interfaces=("eth0",)) for n in range(addresses)
    )
    request = Request(config_dir="/etc/ctdb", addresses=public, interfaces=("eth0",))
    return Rehearsed(request=request, seen=seen, findings=findings(seen, trials, 27.0), budget=27.0)


_GOOD = observations(
    event(script_run(), kind=TOGETHER),
    rounds=timed_rounds((10, 2.0), (40, [5.0])),
    texts={"77.dns": ""},
    calls={f"service {n} start": n for n in range(1, 13)},
    read_only=("/cluster",),
)


def test_a_node_that_is_ready() -> None:
    text = as_text([_result(_GOOD)])
    assert text.startswith(
        "READY\nRehearsed: 1 enabled scripts, 40 addresses on eth0, 3 rounds one after another and side by side.\n"
    )
    assert "A failover of both takes 5.00 s of the 27 s that ctdbd gives it.\n  About 260 addresses would fit." in text
    assert "    77.dns                   takeip          500 ms   100%\n" in text
    assert "      12 times service 12 start\n" in text
    assert "and 2 more; --json has all" in text
    assert "writes to /cluster: no writable layer can be put over them, so they are read-only here" in text
    assert "Problems" not in text


def test_a_problem_with_its_advice_and_what_shows_it() -> None:
    race = rounds([end_state({"/var/lib/zone": file_state("a", "b")})], [end_state({"/var/lib/zone": file_state("a")})])
    text = as_text([_result(observations(rounds=race), Trial(locks={"77.dns": "dns"}, remaining=()))])
    assert text.startswith("NOT READY\n")
    assert "      missing: b\n   -> add the line `# ctdb-eventd-locks: dns` to the beginning of 77.dns." in text


def test_without_addresses_it_says_so() -> None:
    text = as_text([_result(observations(), addresses=0)])
    assert "0 enabled scripts; no address, as public_addresses has none (--addresses N makes some up)." in text
    assert "were not called" in text
    assert "Time:" not in text


def test_one_address_says_nothing_of_more() -> None:
    text = as_text([_result(observations(rounds=timed_rounds(None, (1, [1.0]))), addresses=1)])
    assert "One address is not enough to estimate how that grows." in text


def test_against_another_daemon() -> None:
    other = observations(
        event(script_run(state="failed"), name="startup", kind="", address=None),
        rounds=timed_rounds((10, 20.0), (40, [50.0])),
    )
    text = as_text([_result(_GOOD), _result(other)])
    assert "  take 40 addresses               2.50 s       25.00 s\n" in text
    assert "  With the other: 77.dns fails in `startup`" in text
    assert text.startswith("READY\n")


def test_json_has_it_all() -> None:
    document = json.loads(json.dumps(as_json([_result(_GOOD), _result(observations())])))
    assert (document["format"], document["ready"], document["addresses"]) == (1, True, 40)
    assert document["time"]["total"] == 5.0
    assert len(document["calls"]) == 12
    assert document["against"][0]["time"] is None


def test_observations_come_back_from_json() -> None:
    assert from_json(Observations, json.loads(json.dumps(to_json(_GOOD)))) == _GOOD
