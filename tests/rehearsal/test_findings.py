"""What observations mean, and what is advised."""

from __future__ import annotations

from rehearsals import end_state, event, file_state, observations, rounds, script_run, timed_rounds

from ctdb_node.rehearsal.comparison import differences
from ctdb_node.rehearsal.findings import Trial, candidates, findings, lock_name
from ctdb_node.rehearsal.observed import FEW, TOGETHER, FileState, Leftover, Observations, Wait

_ZONE = "/var/lib/zone"
_RACE = rounds(
    [end_state({_ZONE: file_state("a", "b")})] * 3,
    [end_state({_ZONE: file_state("a")})] * 3,
)


def _one(seen: Observations, *trials: Trial, **more: object) -> tuple[bool, str, str | None, str, str]:
    (found,) = findings(seen, trials, 27.0)
    return found.problem, found.kind, found.script, found.text, found.advice


def test_nothing_odd_is_no_finding() -> None:
    assert findings(observations(event(script_run())), (), 27.0) == ()


def test_a_script_that_fails_in_each_event() -> None:
    for name in ("startrecovery", "recovered", "startup", "startipreallocate", "ipreallocated", "shutdown", "monitor"):
        bad = event(script_run(state="failed", result=7, output="why"), name=name, kind="", address=None)
        problem, kind, script, text, advice = _one(observations(bad, texts={"77.dns": "exit 7"}))
        assert (problem, kind, script) == (True, "fails", "77.dns")
        assert text == f"77.dns fails in `{name}`: exit status 7"
        assert advice == "correct the script, or what it needs: see its output"


def test_a_failure_of_init_would_end_ctdbd() -> None:
    bad = event(script_run(state="failed", result=1), name="init", kind="", address=None)
    assert _one(observations(bad))[4].endswith("ctdbd would end, as init must succeed")


def test_a_script_that_takes_too_long() -> None:
    slow = event(script_run(state="timed-out", result=-62), outcome="timed-out")
    _, _, _, text, advice = _one(observations(slow))
    assert text == "77.dns fails in `takeip eth0 10.0.0.1 24`: timed-out"
    assert advice == "it took more than 30 s (EventScriptTimeout): see what it waits for"


def test_the_same_failure_is_told_once() -> None:
    bad = [event(script_run(state="failed", result=1), address=f"10.0.0.{n}") for n in range(1, 4)]
    assert _one(observations(*bad))[3] == "77.dns fails in `takeip eth0 10.0.0.1 24`: exit status 1, 3 times"


def test_a_monitor_that_looks_at_services_is_no_problem_as_they_are_stubs() -> None:
    bad = event(script_run(state="failed", result=1), name="monitor", kind="", address=None)
    problem, _, _, _, advice = _one(observations(bad, texts={"77.dns": "systemctl is-active dns || exit 1"}))
    assert not problem
    assert "services" in advice


def test_an_event_that_could_not_run() -> None:
    assert _one(observations(event(outcome="EIO", name="init", kind="", address=None)))[3] == (
        "no script can run in `init`: EIO"
    )


def test_failures_side_by_side_are_no_failures_of_their_own() -> None:
    bad = [event(script_run(state="failed"), kind=kind, outcome="failed") for kind in (FEW, TOGETHER)]
    assert findings(observations(*bad), (), 27.0) == ()


def test_a_difference_that_a_lock_mends() -> None:
    seen = observations(event(script_run()), rounds=_RACE)
    problem, kind, script, text, advice = _one(seen, Trial(locks={"77.dns": "dns"}, remaining=()))
    assert (problem, kind, script) == (True, "differs", "77.dns")
    assert text == f"{_ZONE} differs after `takeip` side by side from one after another, in every round"
    assert advice == (
        "add the line `# ctdb-eventd-locks: dns` to the beginning of 77.dns. Tried: then it is the same in every round"
    )


def test_the_trial_with_the_fewest_locks_is_advised() -> None:
    seen = observations(event(script_run()), rounds=_RACE)
    all_of_them = Trial(locks={"77.dns": "dns", "78.dns": "dns"}, remaining=())
    assert _one(seen, all_of_them, Trial(locks={"78.dns": "dns"}, remaining=()))[2] == "78.dns"
    assert "; " in _one(seen, all_of_them)[4]


def test_a_lock_for_a_script_of_ctdb_belongs_into_the_configuration() -> None:
    seen = observations(rounds=_RACE, known=("60.nfs",))
    advice = _one(seen, Trial(locks={"60.nfs": "nfs"}, remaining=()))[4]
    assert advice.startswith("add `nfs = 60.nfs` to `[locks]` in ctdb.conf, as the script is CTDB's own.")


def test_a_difference_that_no_lock_mends() -> None:
    seen = observations(rounds=_RACE)
    remaining = differences(_RACE, [])
    _, _, script, _, advice = _one(seen, Trial(locks={"77.dns": "dns"}, remaining=remaining))
    assert script is None
    assert advice.startswith("a lock doesn't help, tried for 77.dns:")
    assert _one(seen)[4] == "no lock was tried"


def test_other_output_alone_is_no_problem() -> None:
    events = [event(script_run(output="a")), event(script_run(output="b"), kind=TOGETHER)]
    problem, kind, script, _, _ = _one(observations(*events, rounds=rounds([end_state()], [end_state()])))
    assert (problem, kind, script) == (False, "differs", "77.dns")


def test_a_lock_that_a_script_takes_by_itself() -> None:
    waits = tuple(Wait(script="13.routing", what="/run/lock", seconds=each) for each in (0.5, 1.5))
    seen = observations(event(script_run("13.routing"), kind=TOGETHER, waits=waits))
    problem, kind, script, text, advice = _one(seen)
    assert (problem, kind, script) == (False, "waits", "13.routing")
    assert text == "13.routing waits for its own lock on /run/lock: at most 1.5 s, 2.0 s in all"
    assert "add the line `# ctdb-eventd-locks: routing` to the beginning of 13.routing" in advice
    of_ctdb = observations(event(script_run("13.routing"), waits=waits), known=("13.routing",))
    assert _one(of_ctdb)[4].startswith("nothing to do: the script is CTDB's own")


def test_locks_of_the_daemon_and_short_waits_are_not_told() -> None:
    waits = (
        Wait(script="77.dns", what="dns", seconds=9.0),
        Wait(script="77.dns", what="/run/lock", seconds=0.01),
    )
    assert findings(observations(event(script_run(), kind=TOGETHER, waits=waits)), (), 27.0) == ()


def test_processes_left_behind_are_a_problem_but_for_services() -> None:
    left = Leftover(event="takeip", script="77.dns", command="sleep 99", lasting=True, count=4)
    problem, kind, script, text, _ = _one(observations(leftovers=(left,)))
    assert (problem, kind, script) == (True, "leaves", "77.dns")
    assert text == "77.dns leaves a process running in `takeip`: sleep 99 (4 of them)"
    service = Leftover(event="startup", script=None, command="dnsd", lasting=True, count=1)
    problem, _, _, text, advice = _one(observations(leftovers=(service,)))
    assert not problem
    assert text == "a script leaves a process running in `startup`: dnsd"
    assert advice == "nothing to do if that is a service"


def test_a_process_that_ends_by_itself_is_no_problem() -> None:
    left = Leftover(event="takeip", script="60.nfs", command="notify", lasting=False, count=1)
    problem, _, _, text, advice = _one(observations(leftovers=(left,)))
    assert not problem
    assert text == "60.nfs leaves a process running in `takeip`: notify"
    assert advice == "nothing to do if that is meant: it ended by itself, but later than its event"


def test_a_file_of_the_system_that_a_script_removes() -> None:
    gone = FileState(kind="removed", lines=None, count=0, digest="")
    state = end_state({"/bin": gone, "/etc/motd": gone, "/var/lib/x": gone, "/usr/bin/x": file_state("a")})
    problem, kind, _, text, _ = _one(observations(rounds=rounds([state], [state])))
    assert (problem, kind, text) == (True, "removes", "a script removes /bin")


def test_what_lint_says() -> None:
    def linted(check: str, severity: str, line: int | None = 3) -> Observations:
        entry = {"check": check, "severity": severity, "file": "/x/77.dns", "line": line, "script": "77.dns"}
        return observations(lint=({**entry, "message": "odd"},))

    assert _one(linted("syntax", "error"))[:4] == (True, "lint", "77.dns", "/x/77.dns:3: odd")
    assert _one(linted("event", "warning", None))[:4] == (False, "lint", "77.dns", "/x/77.dns: odd")
    assert findings(linted("event", "note"), (), 27.0) == ()
    assert _one(linted("name-bare", "note"))[:2] == (False, "elsewhere")


def test_a_failover_that_does_not_fit() -> None:
    seen = observations(rounds=timed_rounds(None, (60, [30.0, 28.0, 29.0])))
    problem, kind, _, text, _ = _one(seen)
    assert (problem, kind) == (True, "time")
    assert text == "to release and take 60 addresses takes 29.0 s; ctdbd gives 27 s (3 times TakeoverTimeout)"


def test_an_interface_that_is_not_there() -> None:
    (found,) = findings(observations(), (), 27.0, absent=("eth7",))
    assert found.problem
    assert found.text.startswith("public_addresses names the interface eth7, which this machine doesn't have")


def test_what_ctdb_could_not_answer() -> None:
    assert _one(observations(unanswered=("getdbmap",)))[:2] == (False, "unanswered")


def test_problems_come_first() -> None:
    seen = observations(
        event(script_run(state="failed"), name="startup", kind="", address=None), unanswered=("getdbmap",)
    )
    assert [each.problem for each in findings(seen, (), 27.0, absent=("eth7",))] == [True, True, False]


def test_names_of_locks() -> None:
    assert lock_name("77.dns", ()) == "dns"
    assert lock_name("77.dns", ("dns",)) == "77.dns"


def test_the_likeliest_scripts_are_tried_first() -> None:
    names = ("10.interface", "60.other", "70.site", "77.dns")
    seen = observations(
        event(*(script_run(name) for name in names), script_run("80.off", state="disabled")),
        event(script_run("00.ctdb"), name="init", address=None),
        rounds=_RACE,
        known=("10.interface",),
        texts={"77.dns": "cat /var/lib/zone", "10.interface": "", "70.site": ""},
    )
    assert candidates(seen, differences(_RACE, [])) == ("77.dns", "60.other", "70.site", "10.interface")
