"""The event catalogue, and what it makes of a request: alone or beside others, and for which address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctdb_eventd import events
from ctdb_eventd.events import CATALOGUE, Mode, Plan, plan

NETWORK_EVENTS = ["takeip", "releaseip", "updateip"]


def arguments(event: str, address: str = "10.0.0.1", bits: str = "24") -> tuple[str, ...]:
    """Arguments that fit an address event."""
    return ("eth0", "eth1", address, bits) if event == "updateip" else ("eth0", address, bits)


def warning_of(event: str, *args: str) -> str:
    its_plan = plan(event, args)
    assert (its_plan.mode, its_plan.resources) == (Mode.EXCLUSIVE, ())
    return its_plan.warning


def test_the_catalogue_has_every_event_of_ctdb() -> None:
    assert list(CATALOGUE) == [
        *("init", "setup", "startup", "shutdown", "monitor", "startrecovery", "recovered"),
        *("takeip", "startipreallocate", "releaseip", "updateip", "ipreallocated"),
    ]
    assert all(kind.name == name for name, kind in CATALOGUE.items())


def test_only_address_events_have_arguments() -> None:
    assert [name for name, kind in CATALOGUE.items() if kind.arguments] == NETWORK_EVENTS
    assert [name for name, kind in CATALOGUE.items() if kind.mode is Mode.ADDRESS] == NETWORK_EVENTS


def test_what_is_remembered_is_small() -> None:
    """A client may make up as many and as long arguments as it likes."""
    before = events._known_plan.cache_info().currsize
    for args in (("eth0", "10.0.0.1", "9" * 65), ("x" * 1_000_000,) * 3, ("a",) * 10_000):
        assert plan("takeip", args).mode is Mode.EXCLUSIVE
        assert plan("startup", args) == plan("anything", args) == Plan(Mode.EXCLUSIVE)
    assert events._known_plan.cache_info().currsize == before
    assert plan("takeip", ("eth0", "10.9.9.9", "24")) is plan("takeip", ("eth0", "10.9.9.9", "24"))


def test_monitor_yields() -> None:
    assert plan("monitor", ()) == Plan(Mode.MONITOR)


@pytest.mark.parametrize("event", ["startup", "shutdown", "ipreallocated", "startipreallocate", "recovered"])
def test_events_that_concern_the_whole_node_run_alone(event: str) -> None:
    assert plan(event, ()) == Plan(Mode.EXCLUSIVE)


@pytest.mark.parametrize("event", ["reconfigure", "made-up", "Monitor", "TAKEIP", ""])
def test_an_event_of_which_nothing_is_known_runs_alone_and_that_is_no_warning(event: str) -> None:
    assert plan(event, ("eth0", "10.0.0.1", "24")) == Plan(Mode.EXCLUSIVE)


@pytest.mark.parametrize("event", ["startup", "monitor"])
def test_arguments_of_other_events_are_their_own_business(event: str) -> None:
    assert plan(event, ("whatever", "10.0.0.1")) == plan(event, ())


# ---------------------------------------------------------------------- address events


@pytest.mark.parametrize("event", NETWORK_EVENTS)
@pytest.mark.parametrize(("address", "bits"), [("10.0.0.1", "0"), ("10.0.0.1", "32"), ("fd00::1", "128")])
def test_an_address_event_holds_its_address(event: str, address: str, bits: str) -> None:
    assert plan(event, arguments(event, address, bits)) == Plan(Mode.ADDRESS, (f"address:{address}",))


@pytest.mark.parametrize("spelling", ["2001:DB8::1", "2001:db8:0:0::1", "2001:0db8:0000::0000:1", "2001:db8::0.0.0.1"])
def test_an_address_is_one_however_it_is_spelt(spelling: str) -> None:
    assert plan("takeip", arguments("takeip", spelling, "64")).resources == ("address:2001:db8::1",)


def test_the_same_address_on_another_interface_or_network_is_the_same_resource() -> None:
    resources = {
        plan("takeip", ("eth0", "10.0.0.1", "24")).resources,
        plan("releaseip", ("eth1", "10.0.0.1", "16")).resources,
        plan("updateip", ("__none__", "eth1", "10.0.0.1", "24")).resources,
    }
    assert resources == {("address:10.0.0.1",)}


@given(st.ip_addresses())
def test_any_address_can_be_taken(address: object) -> None:
    assert plan("takeip", ("eth0", str(address), "8")) == Plan(Mode.ADDRESS, (f"address:{address}",))


# ---------------------------------------------------------------------- arguments that don't fit

TAKEIP = "expected: takeip <interface> <address> <netmask bits>. It runs alone"
UPDATEIP = "expected: updateip <old interface> <new interface> <address> <netmask bits>. It runs alone"


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_an_address_event_with_another_number_of_arguments_runs_alone_with_a_warning(count: int) -> None:
    assert warning_of("takeip", *("10.0.0.1",) * count) == f"{count} arguments instead of 3; {TAKEIP}"


def test_the_arguments_of_another_address_event_do_not_fit() -> None:
    assert warning_of("updateip", "eth0", "10.0.0.1", "24") == f"3 arguments instead of 4; {UPDATEIP}"
    assert warning_of("updateip", "eth0", "10.0.0.1", "24", "x") == f'"24" is not an IP address; {UPDATEIP}'


@pytest.mark.parametrize("address", ["", "eth0", "10.0.0", "10.0.0.256", "010.0.0.1", "1", "10.0.0.1/24", "::g"])
def test_what_is_no_address_makes_the_event_run_alone_with_a_warning(address: str) -> None:
    assert warning_of("takeip", "eth0", address, "24") == f'"{address}" is not an IP address; {TAKEIP}'


@pytest.mark.parametrize(
    ("address", "bits", "most"),
    [
        ("10.0.0.1", "33", 32),
        ("::1", "129", 128),
        *(("10.0.0.1", bits, 32) for bits in ("", "-1", "255.255.255.0", "\u0662\u0664", "\u00b2")),
    ],
)
def test_netmask_bits_out_of_bounds_make_the_event_run_alone_with_a_warning(address: str, bits: str, most: int) -> None:
    expected = f'"{bits}" is not a number of netmask bits from 0 to {most}; {TAKEIP}'
    assert warning_of("takeip", "eth0", address, bits) == expected


def test_more_digits_than_python_converts_do_not_fit_either() -> None:
    assert warning_of("takeip", "eth0", "10.0.0.1", "1" * 5000)


@given(st.sampled_from([*CATALOGUE, "other"]), st.lists(st.text(max_size=12), max_size=5))
def test_whatever_the_arguments_are_there_is_a_plan(event: str, args: list[str]) -> None:
    its_plan = plan(event, tuple(args))
    assert bool(its_plan.resources) == (its_plan.mode is Mode.ADDRESS)
    assert not (its_plan.warning and its_plan.resources)


@pytest.mark.parametrize("which", ["address", "netmask bits"])
def test_what_a_warning_repeats_is_short(which: str) -> None:
    address, bits = ("fe80::1%" + "x" * 5000, "64") if which == "address" else ("fe80::1", "6" * 5000)
    planned = plan("takeip", ("eth0", address, bits))
    assert planned.mode is Mode.EXCLUSIVE
    assert len(planned.warning) < 300
