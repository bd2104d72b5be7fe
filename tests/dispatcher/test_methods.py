"""The native methods: what each asks of the domain and answers, and that no exception gets past."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgpack
import pytest
from rights import Rights
from run_records import record_of

from ctdb_eventd.dispatcher.domain import Domain, Jobs, ResultDone
from ctdb_eventd.dispatcher.methods import Methods
from ctdb_eventd.dispatcher.peer import Cancellable, Peer
from ctdb_eventd.dispatcher.requests import Dispatcher
from ctdb_eventd.errors import (
    Cancelled,
    ConfigError,
    HistoryUnreadable,
    NeverRan,
    NoSuchComponent,
    NotAllowed,
    UpgradeFailed,
    WouldDeadlock,
)
from ctdb_eventd.feed import KINDS, Feed
from ctdb_eventd.history.records import Wanted
from ctdb_eventd.model import ComponentHealth, EventReport, EventSpec, RunRecord, ScriptReport
from ctdb_eventd.protocol.messages import Call, Failure, Notes, Packed, Reply, Result
from ctdb_eventd.runs import Done, LockDone
from ctdb_eventd.scheduler.snapshot import JobSnapshot, LeftOut, LockSnapshot

REPORT = EventReport(summary=0, scripts=())
MONITOR = record_of("legacy monitor", REPORT, run="t-1")
TAKEIP = record_of("legacy takeip eth0 10.0.0.1 24", REPORT, run="t-2", address="10.0.0.1")
OTHER = record_of("other takeip eth0 10.0.0.2 24", REPORT, run="t-3", address="10.0.0.2")

WAITS = JobSnapshot(
    run="t-5",
    component="legacy",
    event="monitor",
    args=(),
    address=None,
    state="queued",
    queued=1.5,
    age=2.0,
    started=None,
    running=None,
    timeout=30,
    left=None,
    script=None,
    script_seconds=None,
    pid=None,
    waits_for=("t-4",),
    waits_for_more=0,
    waited=0.25,
    script_waits=0.5,
)


class Ongoing:
    """A run or a lock that goes on."""

    run = "t-9"
    spec = EventSpec(component="legacy", event="takeip", args=(), timeout=30, run_all=False)
    number = 7

    def __init__(self, ran: bool = True) -> None:
        self.calls: list[str] = []
        self.ran = ran

    def cancel(self) -> None:
        self.calls.append("cancel")

    def revoke(self) -> bool:
        self.calls.append("revoke")
        return self.ran


class FakeDomain(Rights):
    """Notes what it is asked for; fails with `error` if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.feed = Feed(lambda seconds, callback: None)
        self.asked: list[tuple[object, ...]] = []
        self.error = error
        self.ongoing = Ongoing()
        self.known: dict[str, Ongoing] = {}
        self.jobs_now: list[JobSnapshot] = []
        self.left_out: list[LeftOut] = []
        self.healths: Sequence[ComponentHealth] = ()
        self.latest = {("legacy", "monitor"): MONITOR, ("legacy", "takeip"): TAKEIP, ("other", "takeip"): OTHER}
        self.at_once: tuple[int, Any] | None = None
        self.past: object = [{"run": "t-1"}]

    def ask(self, *what: object) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error

    def run(self, spec: EventSpec, done: Done, peer: Peer, run: str = "", *, detached: bool = False) -> Ongoing | None:
        self.ask("run", spec, peer, run)
        self.detached = detached
        if self.at_once is not None:
            done(*self.at_once)
            return None
        return self.ongoing

    def new_run(self) -> str:
        return "t-9"

    def find_run(self, run: str) -> Ongoing | None:
        return self.known.get(run)

    def former(self, component: str, event: str) -> RunRecord | None:
        return None

    def status(self, component: str, event: str) -> RunRecord:
        try:
            return self.latest[component, event]
        except KeyError:
            raise NeverRan(component, event) from None

    def results(self) -> Iterator[RunRecord]:
        return iter([MONITOR, TAKEIP, OTHER])

    def address_results(self) -> Iterator[RunRecord]:
        return iter([TAKEIP, OTHER])

    @property
    def busy(self) -> bool:
        return bool(self.jobs_now)

    def jobs(self, *wanted: str | None) -> Jobs:
        self.asked.append(("jobs", *wanted))
        return self.jobs_now, self.left_out

    def health(self) -> Sequence[ComponentHealth]:
        return self.healths

    def history(self, view: str, wanted: Wanted, run: str | None, done: ResultDone) -> None:
        self.ask("history", view, wanted, run)
        done(self.past)

    def set_script(self, component: str, script: str, enable: bool) -> None:
        self.ask("set_script", component, script, enable)

    def components(self) -> list[dict[str, Any]]:
        self.ask("components")
        return [{"name": "legacy"}]

    def scripts(self, component: str) -> dict[str, Any]:
        self.ask("scripts", component)
        return {"component": component}

    def events(self) -> list[dict[str, Any]]:
        return [{"name": "init"}]

    def locks(self) -> Iterator[LockSnapshot]:
        yield LockSnapshot("routes", "named", None, (), 0)

    def cancel_run(self, job: Ongoing) -> None:
        job.cancel()

    def revoke_run(self, job: Ongoing, peer: Peer) -> bool:
        return job.revoke()

    def lock(self, names: tuple[str, ...], wait: float | None, done: LockDone, peer: Peer) -> Ongoing:
        self.ask("lock", names, wait, peer)
        if wait == 0:
            done(0.0)
        return self.ongoing

    def hello(self) -> dict[str, Any]:
        return {"server": "x"}

    def stats(self) -> dict[str, Any]:
        return {"pid": 1}

    def reload(self) -> list[str]:
        self.ask("reload")
        return ["careful"]

    def upgrade(self, done: ResultDone, *, cancel: bool) -> None:
        self.ask("upgrade", cancel)
        done(UpgradeFailed("no upgrade is in progress") if cancel else {"former": "1", "version": "2"})


class Client:
    """A connection to the methods."""

    def __init__(self, error: Exception | None = None) -> None:
        self.domain = FakeDomain(error)
        self.methods = Methods(cast(Domain, self.domain))
        self.peer = Peer(pid=4711, uid=0)
        self.replies: list[Reply] = []
        self.number = 0

    def start(self, method: str, **params: Any) -> Cancellable | None:
        self.number += 1
        return self.methods.handle(Call(self.number, method, params), self.replies.append, self.peer)

    def call(self, method: str, **params: Any) -> Any:
        """Carries out a call that is answered at once; returns its result."""
        assert self.start(method, **params) is None
        (answer,) = self.replies
        self.replies.clear()
        assert isinstance(answer, Result), answer
        return unpacked(answer.value.data) if isinstance(answer.value, Packed) else answer.value

    def refused(self, method: str, **params: Any) -> Failure:
        assert self.start(method, **params) is None
        (answer,) = self.replies
        self.replies.clear()
        assert isinstance(answer, Failure), answer
        return answer


def unpacked(data: bytes) -> Any:
    return msgpack.unpackb(data, raw=False, unicode_errors="surrogateescape")


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "ctdb_eventd")


# ---------------------------------------------------------------------- methods at large


def test_the_dispatcher_hands_calls_on() -> None:
    replies: list[Reply] = []
    dispatcher = Dispatcher(cast(Domain, FakeDomain()))
    assert dispatcher.handle(Call(1, "ping", {}), replies.append, Peer(1, 0)) is None
    assert replies == [Result({})]


def test_every_method_that_is_named_is_there_and_no_other() -> None:
    methods = Methods(cast(Domain, FakeDomain()))
    assert sorted([*methods._at_once, *methods._ongoing]) == list(Methods.NAMES)


@pytest.mark.parametrize("method", ["", "Ping", "ping ", "run\n", "x" * 10_000, "__init__"])
def test_an_unknown_method_is_refused_with_those_there_are(method: str) -> None:
    failure = Client().refused(method)
    assert (failure.code, failure.data["kind"]) == ("ENOSYS", "NoSuchMethod")
    assert failure.data["methods"] == Methods.NAMES
    assert len(failure.message) < 1000


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        ("ping", {}, {}),
        ("ping", {"unknown": b"x"}, {}),
        ("components", {}, [{"name": "legacy"}]),
        ("events", {}, [{"name": "init"}]),
        ("locks", {}, [{"name": "routes", "kind": "named", "holder": None, "waiting": (), "waiting_more": 0}]),
        ("stats", {}, {"pid": 1}),
        ("reload", {}, {"warnings": ["careful"]}),
        ("scripts", {"component": "legacy"}, {"component": "legacy"}),
        ("enable", {"component": "legacy", "script": "10.x"}, {}),
        ("disable", {"component": "legacy", "script": "10.x"}, {}),
        ("hello", {}, {"server": "x", "version": 1, "methods": Methods.NAMES}),
    ],
)
def test_what_is_answered_at_once(method: str, params: dict[str, Any], result: object) -> None:
    assert Client().call(method, **params) == result


def test_a_client_that_says_who_it_is_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    client.call("hello")
    client.call("hello", client="")
    assert caplog.messages == []
    client.call("hello", client="x" * 1000)
    assert caplog.messages == [f"client 4711 (uid 0) is {'x' * 100}"]


@pytest.mark.parametrize(("method", "enable"), [("enable", True), ("disable", False)])
def test_scripts_are_enabled_and_disabled_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture, method: str, enable: bool
) -> None:
    client = Client()
    client.call(method, component="legacy", script="10.x")
    assert client.domain.asked == [("set_script", "legacy", "10.x", enable)]
    assert caplog.messages == [f"legacy: script 10.x {method}d"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("scripts", {}),
        ("scripts", {"component": 1}),
        ("enable", {"component": "legacy"}),
        ("disable", {"script": "10.x"}),
        ("hello", {"client": 1}),
        ("run", {"event": "startup"}),
        ("run", {"component": "legacy", "event": "startup", "stream": 1}),
        ("unlock", {}),
        ("unlock", {"lock": "7"}),
        ("lock", {}),
        ("lock", {"names": []}),
        ("lock", {"names": ["x"] * 101}),
        ("lock", {"names": ["x"], "wait": "long"}),
        ("subscribe", {"kinds": "all"}),
        ("subscribe", {"kinds": []}),
        ("subscribe", {"component": 1}),
        ("subscribe", {"outcomes": []}),
        ("subscribe", {"report": 1}),
        ("subscribe", {"address": 1}),
        ("subscribe", {"outcomes": ["failed", "bad"]}),
        ("cancel", {}),
        ("cancel", {"run": "t-1", "call": 1}),
        ("status", {"event": "monitor"}),
        ("status", {"event": "monitor", "component": None}),
        ("status", {"component": 1, "event": "monitor"}),
        ("status", {"component": "legacy", "event": 7}),
        ("status", {"output": 1}),
    ],
)
def test_parameters_that_can_not_be_used_reach_nobody(method: str, params: dict[str, Any]) -> None:
    client = Client()
    failure = client.refused(method, **params)
    assert (failure.code, failure.data["kind"]) == ("EINVAL", "InvalidParameter")
    assert client.domain.asked == []
    assert (client.peer.calls, client.peer.locks, client.domain.feed.active) == ({}, {}, False)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("scripts", {"component": ".."}),
        ("enable", {"component": "a/b", "script": "10.x"}),
        ("disable", {"component": "legacy", "script": "../x"}),
        ("run", {"component": "", "event": "startup"}),
        ("run", {"component": "legacy", "event": "a/b"}),
        ("run", {"component": "legacy", "event": "startup", "args": ["a", "b\0"]}),
        ("status", {"component": "a/b"}),
        ("status", {"component": "a/b", "event": "monitor"}),
        ("status", {"component": "legacy", "event": "."}),
        ("status", {"component": "legacy", "event": ".", "output": False}),
    ],
)
def test_names_that_can_not_be_reach_nobody_and_are_worth_a_warning(
    caplog: pytest.LogCaptureFixture, method: str, params: dict[str, Any]
) -> None:
    client = Client()
    failure = client.refused(method, **params)
    assert (failure.code, failure.data["kind"]) == ("EINVAL", "InvalidName")
    assert client.domain.asked == []
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, f"{method} refused: {failure.message}")


@pytest.mark.parametrize(
    ("error", "code", "level"),
    [
        (NoSuchComponent("web", "/e/web"), "ENOENT", logging.DEBUG),
        (WouldDeadlock("a", "b"), None, logging.WARNING),
        (PermissionError(errno.EACCES, "Permission denied"), "EACCES", logging.ERROR),
        (ConfigError("/e/ctdb.conf", 1, "x"), "EINVAL", logging.ERROR),
    ],
)
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("components", {}),
        ("reload", {}),
        ("run", {"component": "legacy", "event": "startup"}),
        ("run", {"component": "legacy", "event": "startup", "stream": True}),
        ("run", {"component": "legacy", "event": "startup", "detach": True}),
        ("lock", {"names": ["routes"]}),
    ],
)
def test_every_error_becomes_an_answer(
    caplog: pytest.LogCaptureFixture,
    method: str,
    params: dict[str, Any],
    error: Exception,
    code: str | None,
    level: int,
) -> None:
    client = Client(error)
    failure = client.refused(method, **params)
    assert code in (None, failure.code)
    assert failure.message == str(error)
    assert [record.levelno for record in caplog.records] == [level]
    assert (client.peer.calls, client.peer.locks, client.domain.feed.active) == ({}, {}, False)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("components", {}),
        ("run", {"component": "legacy", "event": "startup", "stream": True}),
        ("lock", {"names": ["x"]}),
    ],
)
def test_a_bug_is_answered_and_logged_with_its_call(
    caplog: pytest.LogCaptureFixture, method: str, params: dict[str, Any]
) -> None:
    client = Client(KeyError("oops"))
    failure = client.refused(method, **params)
    assert (failure.code, failure.data) == ("EIO", {"kind": "Bug"})
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert f"method='{method}'" in record.getMessage()
    assert record.exc_info is not None
    assert (client.peer.calls, client.domain.feed.active) == ({}, False)


# ---------------------------------------------------------------------- runs


def test_a_run_is_asked_for_with_all_that_was_said() -> None:
    client = Client()
    params = {"args": ["a b", ""], "timeout": 30, "run_all": True}
    ongoing = client.start("run", component="legacy", event="startup", **params)
    spec = EventSpec(component="legacy", event="startup", args=("a b", ""), timeout=30, run_all=True)
    assert client.domain.asked == [("run", spec, client.peer, "t-9")]
    assert ongoing is client.peer.calls[1]
    assert client.domain.feed.active is False


def test_defaults_of_a_run() -> None:
    client = Client()
    client.start("run", component="legacy", event="startup", args=None, timeout=None)
    ((_, spec, _, _),) = client.domain.asked
    assert spec == EventSpec(component="legacy", event="startup", args=(), timeout=0, run_all=False)


def test_a_stream_tells_of_its_own_run_all_but_the_nodes() -> None:
    client = Client()
    client.start("run", component="legacy", event="startup", stream=True)
    for kind in KINDS:
        client.domain.feed.publish(kind, "t-9", "legacy", "startup", (), {"output": b""})
        client.domain.feed.publish(kind, "t-8", "legacy", "startup", (), {"output": b""})
    client.domain.feed.flush()
    (notes,) = client.replies
    assert isinstance(notes, Notes)
    assert [note.kind for note in notes.notes] == [kind for kind in KINDS if kind not in ("health", "upgraded")]


def test_a_detached_run_belongs_to_nobody() -> None:
    client = Client()
    assert client.call("run", component="legacy", event="startup", detach=True) == {"run": "t-9"}
    ((_, _, peer, run),) = client.domain.asked
    assert (peer, run, client.domain.detached) == (client.peer, "t-9", True)
    assert client.peer.calls == {}


def test_a_detached_run_can_not_be_streamed_as_nobody_is_left_to_be_told() -> None:
    client = Client()
    failure = client.refused("run", component="legacy", event="startup", detach=True, stream=True)
    assert failure.data["parameter"] == "detach"
    assert client.domain.asked == []


def test_a_detached_run_that_is_over_at_once_is_answered_with_its_id() -> None:
    client = Client()
    client.domain.at_once = (0, MONITOR)
    assert client.call("run", component="legacy", event="startup", detach=True) == {"run": "t-9"}


def test_a_detached_run_that_is_refused_at_once_is_an_error() -> None:
    client = Client()
    client.domain.at_once = (errno.ECANCELED, Cancelled("it"))
    assert client.refused("run", component="legacy", event="startup", detach=True).data["kind"] == "Cancelled"


# ---------------------------------------------------------------------- cancel


@pytest.mark.parametrize(("ran", "state"), [(True, "running"), (False, "queued")])
def test_a_run_is_cancelled_by_its_id(ran: bool, state: str) -> None:
    client = Client()
    client.domain.known["t-5"] = Ongoing(ran)
    assert client.call("cancel", run="t-5") == {"state": state}
    assert client.domain.known["t-5"].calls == ["revoke"]


@pytest.mark.parametrize("run", ["t-5", "", "x" * 1000])
def test_a_run_that_is_not_there_can_not_be_cancelled(run: str) -> None:
    failure = Client().refused("cancel", run=run)
    assert (failure.code, failure.data["kind"], failure.data["run"]) == ("ENOENT", "NoSuchRun", run)
    assert len(failure.message) < 400


@pytest.mark.parametrize(
    ("method", "params", "state"),
    [
        ("run", {"component": "legacy", "event": "startup"}, "running"),
        ("lock", {"names": ["routes"]}, "running"),
    ],
)
def test_a_call_is_cancelled_by_its_id(method: str, params: dict[str, Any], state: str) -> None:
    client = Client()
    client.start(method, **params)
    assert client.call("cancel", call=1) == {"state": state}
    assert client.domain.ongoing.calls == ["revoke"]


def test_a_subscription_that_is_cancelled_is_answered_before_the_cancelling_is() -> None:
    client = Client()
    client.start("subscribe")
    client.start("cancel", call=1)
    assert client.replies == [Result({"notes": 0}), Result({"state": "running"})]
    client.replies.clear()
    assert client.refused("cancel", call=1).data == {"kind": "NoSuchCall", "call": 1}


def test_a_call_can_not_cancel_itself_nor_another_connections() -> None:
    client = Client()
    client.start("subscribe")
    stranger = Client()
    for number in (0, 1, 2, -1, 1 << 63):
        assert stranger.refused("cancel", call=number).data == {"kind": "NoSuchCall", "call": number}


def test_a_call_is_not_there_any_more_from_within_its_own_answer() -> None:
    client = Client()
    said: list[Reply] = []

    def reply(reply: Reply) -> None:
        said.append(reply)
        client.start("cancel", call=77)

    client.methods.handle(Call(77, "subscribe", {}), reply, client.peer)
    client.start("cancel", call=77)
    assert said == [Result({"notes": 0})]
    inner, outer = client.replies
    assert isinstance(inner, Failure)
    assert inner.data["kind"] == "NoSuchCall"
    assert outer == Result({"state": "running"})


# ---------------------------------------------------------------------- locks


def test_a_lock_is_asked_for_and_given_back() -> None:
    client = Client()
    assert client.call("lock", names=["routes", "routes"], wait=0) == {"lock": 7, "waited": 0.0}
    assert client.domain.asked == [("lock", ("routes", "routes"), 0.0, client.peer)]
    assert client.call("unlock", lock=7) == {}
    assert (client.domain.ongoing.calls, client.peer.locks) == (["cancel"], {})
    assert client.refused("unlock", lock=7).data == {"kind": "NoSuchLock", "lock": 7}


def test_a_lock_may_be_waited_for_without_limit() -> None:
    client = Client()
    ongoing = client.start("lock", names=["x"] * 100)
    assert ongoing is client.peer.calls[1]
    assert client.domain.asked == [("lock", ("x",) * 100, None, client.peer)]


def test_a_wait_is_no_lock_yet() -> None:
    client = Client()
    client.start("lock", names=["x"])
    assert client.refused("unlock", lock=7).code == "ENOENT"


# ---------------------------------------------------------------------- subscribe


@pytest.mark.parametrize(
    ("params", "kinds"),
    [
        ({}, [kind for kind in KINDS if kind != "output"]),
        ({"kinds": None}, [kind for kind in KINDS if kind != "output"]),
        ({"kinds": ["output", "output", "health"]}, ["output", "health"]),
        ({"run": "t-1", "component": "legacy", "event": "startup", "kinds": ["queued"]}, ["queued"]),
        ({"component": "other"}, []),
        ({"run": "t-2"}, []),
        ({"event": "monitor"}, []),
        ({"address": "10.0.0.1"}, [kind for kind in KINDS if kind != "output"]),
        ({"address": "10.0.0.2"}, []),
    ],
)
def test_subscriptions(params: dict[str, Any], kinds: list[str]) -> None:
    client = Client()
    assert client.start("subscribe", **params) is client.peer.calls[1]
    for kind in KINDS:
        client.domain.feed.publish(kind, "t-1", "legacy", "startup", (), {"output": b""}, address="10.0.0.1")
    client.domain.feed.flush()
    told = [note.kind for notes in client.replies if isinstance(notes, Notes) for note in notes.notes]
    assert told == kinds


def test_an_unknown_kind_is_refused() -> None:
    failure = Client().refused("subscribe", kinds=["started", "tired", "bored"])
    assert failure.message == f"parameter kinds: some of {', '.join(KINDS)} is expected, not 'bored'"


# ---------------------------------------------------------------------- status


def runs(answer: dict[str, Any]) -> list[str]:
    return [result["run"] for result in answer["results"]]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["t-1", "t-2", "t-3"]),
        ({"component": "legacy"}, ["t-1", "t-2"]),
        ({"component": "nowhere"}, []),
        ({"component": "legacy", "event": "takeip"}, ["t-2"]),
        ({"component": "legacy", "event": "takeip", "output": False}, ["t-2"]),
        ({"addresses": True}, ["t-2", "t-3"]),
        ({"component": "other", "addresses": True}, ["t-3"]),
        ({"address": "10.0.0.1"}, ["t-2"]),
        ({"address": "10.0.0.9"}, []),
        ({"component": "legacy", "event": "takeip", "address": "10.0.0.1"}, ["t-2"]),
        ({"component": "legacy", "event": "takeip", "address": "10.0.0.2"}, []),
        ({"component": "legacy", "event": "monitor", "addresses": True}, []),
    ],
)
def test_which_results_a_status_has(params: dict[str, Any], expected: list[str]) -> None:
    answer = Client().call("status", **params)
    assert runs(answer) == expected
    assert (answer["jobs"], answer["health"]) == ([], [])


def test_jobs_and_health_are_filtered_too() -> None:
    client = Client()
    client.domain.jobs_now = [WAITS]
    client.domain.left_out = [LeftOut(component="legacy", running=0, queued=7, oldest=1.5)]
    client.domain.healths = tuple(
        ComponentHealth(component=name, healthy=True, since=1.0, script=None, result=0) for name in ("legacy", "other")
    )

    def seen(**params: Any) -> tuple[tuple[object, ...], list[str]]:
        answer = client.call("status", **params)
        assert [job["run"] for job in answer["jobs"]] == ["t-5"]
        assert answer["more"] == [{"component": "legacy", "running": 0, "queued": 7, "oldest": 1.5}]
        return client.domain.asked[-1][1:], [health["component"] for health in answer["health"]]

    assert seen() == ((None, None, None), ["legacy", "other"])
    assert seen(component="legacy") == (("legacy", None, None), ["legacy"])
    assert seen(component="legacy", event="takeip") == (("legacy", "takeip", None), ["legacy"])
    assert seen(address="2001:DB8::1") == ((None, None, "2001:db8::1"), ["legacy", "other"])


def test_health_has_every_key() -> None:
    client = Client()
    client.domain.healths = (ComponentHealth(component="legacy", healthy=False, since=1.5, script="10.x", result=7),)
    assert client.call("status")["health"] == [
        {"component": "legacy", "healthy": False, "since": 1.5, "script": "10.x", "result": 7}
    ]


def test_the_usual_answer_is_put_together_once_until_something_changes() -> None:
    client = Client()

    def ask() -> Reply:
        client.start("status", component="legacy", event="monitor")
        return client.replies.pop()

    first = ask()
    assert ask() is first
    client.domain.jobs_now = [WAITS]
    assert ask() is not first, "something runs"
    client.domain.jobs_now = []
    assert ask() is first
    client.domain.healths = (ComponentHealth(component="legacy", healthy=True, since=1.0, script=None, result=0),)
    second = ask()
    assert second is not first, "health has changed"
    assert ask() is second
    client.domain.latest["legacy", "monitor"] = record_of("legacy monitor", REPORT, run="t-4")
    third = ask()
    assert isinstance(third, Result)
    assert runs(unpacked(third.value.data)) == ["t-4"]


@pytest.mark.parametrize("more", [{}, {"output": False}, {"addresses": True}])
def test_an_event_that_never_ran_is_an_error(more: dict[str, Any]) -> None:
    failure = Client().refused("status", component="legacy", event="startup", **more)
    assert (failure.code, failure.data) == (
        "EINVAL",
        {"kind": "NeverRan", "component": "legacy", "event": "startup"},
    )


def test_output_is_there_if_it_is_asked_for_or_an_event_is_named() -> None:
    client = Client()
    asked: list[bool] = []

    def has_output(**params: Any) -> bool:
        answer = client.call("status", **params)
        return bool(answer["results"][0]["scripts"][0]["output"])

    script = ScriptReport(name="10.x", begin=1, end=2, result=0, output=b"x")
    printed = record_of("legacy monitor", EventReport(summary=0, scripts=(script,)))
    client.domain.latest["legacy", "monitor"] = printed
    client.domain.results = lambda: iter([printed])  # type: ignore[method-assign]
    questions: list[dict[str, Any]] = [{}, {"component": "legacy"}, {"output": True}]
    for params in (*questions, {"component": "legacy", "event": "monitor"}):
        asked.append(has_output(**params))
    assert asked == [False, False, True, True]
    assert not has_output(component="legacy", event="monitor", output=False)


# ---------------------------------------------------------------------- history


def test_the_history_is_asked_for_what_is_wanted() -> None:
    client = Client()
    assert client.call("history") == [{"run": "t-1"}]
    wanted: dict[str, Any] = {
        **{"component": "legacy", "event": "takeip", "address": "10.0.0.1", "failed": True, "since": 1.5, "until": 2},
        **{"slower": 0.5, "uid": 7, "by_ctdbd": True, "limit": 1000},
    }
    client.call("history", view="slow", **wanted)
    client.call("history", view="run", run="t-1")
    client.call("history", view="ended", run="t-1", limit=2)
    assert client.domain.asked == [
        ("history", "runs", Wanted(limit=50), None),
        ("history", "slow", Wanted(**wanted), None),
        ("history", "run", Wanted(limit=50), "t-1"),
        ("history", "ended", Wanted(limit=2), "t-1"),
    ]


def test_what_ended_after_a_run_that_is_not_known_is_an_error() -> None:
    client = Client()
    client.domain.past = None
    failure = client.refused("history", view="ended", run="t-1")
    assert (failure.code, failure.data) == ("ENOENT", {"kind": "NoSuchPastRun", "run": "t-1"})
    assert client.call("history", view="run", run="t-1") is None


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"view": "all"}, "one of runs, run, slow, ended"),
        ({"view": "ended"}, "the id of the run after whose end the others ended"),
        ({"limit": 0}, "a number from 1 to 1000"),
        ({"limit": 1001}, "a number from 1 to 1000"),
        ({"since": "now"}, "a number of seconds from 0"),
    ],
)
def test_what_the_history_can_not_be_asked(params: dict[str, Any], expected: str) -> None:
    failure = Client().refused("history", **params)
    assert (failure.code, failure.data["expected"]) == ("EINVAL", expected)


def test_a_history_that_can_not_be_read_is_an_error() -> None:
    client = Client()
    client.domain.past = HistoryUnreadable("/v/history.db: disk I/O error")
    failure = client.refused("history")
    assert (failure.code, failure.message) == ("EIO", "can't read the history /v/history.db: disk I/O error")


# ---------------------------------------------------------------------- who may what


def test_upgrade_answers_what_came_of_it() -> None:
    client = Client()
    assert client.call("upgrade") == {"former": "1", "version": "2"}
    failure = client.refused("upgrade", cancel=True)
    assert (failure.code, failure.data) == ("EAGAIN", {"kind": "UpgradeFailed", "reason": "no upgrade is in progress"})
    assert client.domain.asked == [("upgrade", False), ("upgrade", True)]
    assert client.domain.audited == ["upgrade", "cancel of the upgrade"]


EVERY_METHOD: dict[str, tuple[str, dict[str, Any]]] = {
    "cancel": ("operate", {"run": "t-9"}),
    "components": ("read", {}),
    "disable": ("operate", {"component": "legacy", "script": "10.x"}),
    "enable": ("operate", {"component": "legacy", "script": "10.x"}),
    "events": ("read", {}),
    "hello": ("read", {}),
    "history": ("read", {}),
    "lock": ("operate", {"names": ["a", "b"]}),
    "locks": ("read", {}),
    "ping": ("read", {}),
    "reload": ("operate", {}),
    "run": ("operate", {"component": "legacy", "event": "takeip"}),
    "scripts": ("read", {"component": "legacy"}),
    "stats": ("read", {}),
    "status": ("read", {}),
    "subscribe": ("read", {}),
    "unlock": ("read", {"lock": 7}),
    "upgrade": ("operate", {}),
}
REFUSAL = NotAllowed(1000, "alice", "run it", "operate", "/etc/ctdb/ctdb.conf")


@pytest.mark.parametrize("method", Methods.NAMES)
def test_each_method_needs_its_right(method: str) -> None:
    right, params = EVERY_METHOD[method]
    client = Client()
    client.domain.known["t-9"] = Ongoing()
    client.start(method, **params)
    assert {found for found, *_ in client.domain.checked} == ({"read", right} if method == "cancel" else {right})


@pytest.mark.parametrize("method", [name for name, (right, _) in EVERY_METHOD.items() if right == "operate"])
def test_what_a_peer_may_not_is_refused_and_reaches_nobody(method: str) -> None:
    client = Client()
    client.domain.known["t-9"] = run = Ongoing()
    client.domain.refusal = REFUSAL
    failure = client.refused(method, **EVERY_METHOD[method][1])
    assert (failure.code, failure.data["kind"], failure.message) == ("EACCES", "NotAllowed", str(REFUSAL))
    assert (client.domain.asked, client.domain.audited, run.calls) == ([], [], [])


def test_rights_are_looked_at_for_the_event_that_it_is_about() -> None:
    client = Client()
    client.domain.known["t-9"] = run = Ongoing()
    client.start("run", component="web", event="monitor")
    client.start("cancel", run="t-9")
    specs = [spec for right, _, spec in (check for check in client.domain.checked if check[0] == "operate")]
    assert [str(spec) for spec in specs] == ["web monitor", str(run.spec)]


def test_what_is_done_and_changed_is_told_to_the_log() -> None:
    client = Client()
    client.domain.known["t-9"] = Ongoing()
    for method, (_, params) in EVERY_METHOD.items():
        client.start(method, **params)
    assert client.domain.audited == [
        "cancel legacy/takeip t-9",
        "disable legacy/10.x",
        "enable legacy/10.x",
        "lock a,b",
        "reload",
        "upgrade",
    ]


def test_what_a_peer_began_it_may_end_and_that_is_told_to_the_log_unless_it_only_looked() -> None:
    client = Client()
    client.start("run", component="legacy", event="takeip")
    client.start("lock", names=["a", "b"])
    client.start("subscribe")
    client.domain.audited.clear()
    client.domain.refusal = REFUSAL
    for call in (1, 2, 3):
        client.start("cancel", call=call)
    assert client.domain.audited == ["cancel legacy/takeip t-9", "cancel lock a,b"]


ANY_PARAMS: list[dict[str, Any]] = [
    {name: value}
    for name in ("component", "event", "args", "names", "wait", "kinds", "run", "call", "lock", "timeout", "address")
    for value in (b"\xff", -1, 1.5, [None], {"a": 1}, True, "\udcff", "", 1 << 63)
]


@pytest.mark.parametrize("method", Methods.NAMES)
def test_no_parameters_whatever_are_taken_for_a_bug(caplog: pytest.LogCaptureFixture, method: str) -> None:
    for params in ANY_PARAMS:
        client = Client()
        client.start(method, **params)
        assert len(client.replies) <= 1
    assert "this is a bug" not in caplog.text
