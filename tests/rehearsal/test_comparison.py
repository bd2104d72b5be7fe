"""What counts as a difference between one after another and side by side."""

from __future__ import annotations

from rehearsals import end_state, event, file_state, one_round, rounds, script_run

from ctdb_node.rehearsal.comparison import differences, masked
from ctdb_node.rehearsal.observed import ALONE, TOGETHER, FileState

_ZONE = "/var/lib/zone"


def test_what_is_the_same_is_no_difference() -> None:
    state = end_state({_ZONE: file_state("a", "b")}, addresses=("a on eth0",))
    assert differences(rounds([state] * 3, [state] * 3), []) == ()


def test_without_rounds_of_both_kinds_nothing_is_compared() -> None:
    state = end_state({_ZONE: file_state("a")})
    assert differences(rounds([state], []), []) == ()
    assert differences(rounds([], [state]), []) == ()


def test_lines_that_are_missing_from_a_file() -> None:
    good, bad = end_state({_ZONE: file_state("a", "b")}), end_state({_ZONE: file_state("b")})
    (found,) = differences(rounds([good] * 3, [good, bad, bad]), [])
    assert (found.what, found.when, found.script) == (_ZONE, "takeip", None)
    assert (found.rounds, found.of, found.missing, found.added) == (2, 3, ("a",), ())


def test_the_order_of_lines_is_no_difference() -> None:
    one, other = end_state({_ZONE: file_state("a", "b")}), end_state({_ZONE: file_state("b", "a")})
    assert differences(rounds([one], [other]), []) == ()


def test_a_line_that_is_there_twice_is_one_too_many() -> None:
    one, other = end_state({_ZONE: file_state("a")}), end_state({_ZONE: file_state("a", "a")})
    assert differences(rounds([one], [other]), [])[0].added == ("a",)


def test_a_file_that_differs_from_round_to_round_is_compared_by_its_length() -> None:
    alone = [end_state({_ZONE: file_state("a", pid)}) for pid in ("1", "2", "3")]
    assert differences(rounds(alone, [end_state({_ZONE: file_state("a", "4")})]), []) == ()
    assert len(differences(rounds(alone, [end_state({_ZONE: file_state("a")})]), [])) == 1


def test_the_first_round_may_find_less_than_the_others() -> None:
    first, other = end_state({_ZONE: file_state("a")}), end_state({_ZONE: file_state("a", "left")})
    assert differences(rounds([first, other, other], [other]), []) == ()
    assert len(differences(rounds([first, other, other], [first]), [])) == 1


def test_a_file_whose_length_differs_too_is_not_compared() -> None:
    alone = [end_state({_ZONE: file_state(*["a"] * length)}) for length in (1, 2, 3)]
    assert differences(rounds(alone, [end_state({_ZONE: file_state(*["a"] * 9)})]), []) == ()


def test_a_file_without_lines_is_compared_by_its_digest() -> None:
    def binary(digest: str) -> FileState:
        return FileState(kind="file", lines=None, count=9, digest=digest)

    same, other = end_state({_ZONE: binary("a")}), end_state({_ZONE: binary("b")})
    assert differences(rounds([same, same], [same]), []) == ()
    assert len(differences(rounds([same, same], [other]), [])) == 1
    assert differences(rounds([same, other], [end_state({_ZONE: binary("c")})]), []) == ()


def test_a_file_that_is_missing_and_one_too_many() -> None:
    alone, together = end_state({_ZONE: file_state("a")}), end_state({"/var/lib/lost": file_state("a")})
    missing, new = differences(rounds([alone] * 2, [together] * 2), [])
    assert (missing.what, missing.text, missing.rounds) == (_ZONE, "the file isn't there", 2)
    assert (new.what, new.text) == ("/var/lib/lost", "the file is there only if events run side by side")


def test_files_with_a_process_id_in_their_name_are_none_too_many() -> None:
    alone, together = end_state({"/run/x.123": file_state("a")}), end_state({"/run/x.4567": file_state("a")})
    assert differences(rounds([alone, end_state()], [together]), []) == ()


def test_a_file_that_was_removed_and_one_that_was_not() -> None:
    removed = FileState(kind="removed", lines=None, count=0, digest="")
    alone, together = end_state({_ZONE: removed}), end_state({_ZONE: file_state()})
    assert [each.what for each in differences(rounds([alone], [together]), [])] == [_ZONE]


def test_addresses_that_are_missing_or_wrong() -> None:
    alone = end_state(addresses=("a on eth0", "b on eth0"))
    together = end_state(addresses=("a on eth1", "b on eth0"))
    (found,) = differences(rounds([alone], [together]), [])
    assert (found.what, found.missing, found.added) == ("addresses", ("a on eth0",), ("a on eth1",))


def test_rules_that_differ_anyhow_are_counted() -> None:
    alone = [end_state(rules=("r", each)) for each in "12"]
    assert differences(rounds(alone, [end_state(rules=("r", "3"))]), []) == ()
    assert differences(rounds(alone, [end_state(rules=("r",))]), [])[0].what == "rules"


def test_what_is_left_after_releaseip_counts_too() -> None:
    left = [one_round(ALONE), one_round(TOGETHER, released=end_state(rules=("r",)))]
    (found,) = differences(left, [])
    assert (found.what, found.when, found.added) == ("rules", "releaseip", ("r",))


def test_a_script_that_fails_side_by_side_only() -> None:
    bad = script_run(state="failed", result=3, output="no room\nhere")
    events = [
        event(script_run()),
        event(bad, kind=TOGETHER, number=1, outcome="failed"),
        event(bad, kind=TOGETHER, number=2, outcome="failed"),
    ]
    (found,) = differences(rounds([end_state()], [end_state()] * 3), events)
    assert (found.what, found.when, found.script, found.rounds, found.of) == ("exit status", "takeip", "77.dns", 2, 3)
    assert found.text == "2 times, for instance `takeip eth0 10.0.0.1 24`: exit status 3; it printed: no room here"


def test_a_script_that_fails_alone_too_is_no_difference() -> None:
    bad = script_run(state="failed", result=3)
    events = [event(bad, outcome="failed"), event(bad, kind=TOGETHER, outcome="failed")]
    assert differences(rounds([end_state()], [end_state()]), events) == ()


def test_other_output_is_told_unless_it_is_another_time_or_order() -> None:
    def found(output: str) -> list[str]:
        events = [
            event(script_run(output="a at 10:11:12\nb")),
            event(script_run(output=output), kind=TOGETHER),
        ]
        return [each.what for each in differences(rounds([end_state()], [end_state()]), events)]

    assert found("a at 10:11:13\nb") == []
    assert found("b\na at 10:11:13") == []
    assert found("c") == ["output"]


def test_output_that_differs_anyhow_is_not_compared() -> None:
    events = [
        event(script_run(output="a")),
        event(script_run(output="b"), number=2),
        event(script_run(output="c"), kind=TOGETHER),
    ]
    assert differences(rounds([end_state()] * 2, [end_state()]), events) == ()


def test_points_in_time_are_masked() -> None:
    assert masked("1700000000 2026-01-02 03:04 x") == masked("1700000009 2026-01-03 03:05 x")
    assert masked("12345") != masked("12346")
