"""The client without an event loop, with a broker that does what the test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_broker import EVERYTHING, SOMETHING, UPGRADED, FakeBroker, ReceivedRequest, run_value, running_broker
from interruption import interrupted_while_waiting
from nodes import TIMEOUT

import ctdb_event
from ctdb_event import (
    BrokerError,
    BrokerUnavailable,
    Client,
    EventFailed,
    Finished,
    Gap,
    InvalidRequest,
    LockTimeout,
    MalformedAnswer,
    NotSupported,
    Queued,
    Started,
)
from ctdb_event import core as core_module
from ctdb_event.aio import client

FINISHED = {"outcome": "success", "summary": 0, "waited": 0.0, "seconds": 1.0}
GRANT = {"lock": 7, "waited": 0.5}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[FakeBroker]:
    with running_broker(tmp_path / "s") as running:
        yield running


def answer_if(params: dict[str, Any], value: Any) -> Callable[[ReceivedRequest], None]:
    """A rule that answers these parameters, and shows others."""

    def answer(asked: ReceivedRequest) -> None:
        if asked.params == params:
            asked.result(value)
        else:
            asked.error("EINVAL", f"{asked.params} came")

    return answer


def say(*names: str, outcome: str = "success") -> Callable[[ReceivedRequest], None]:
    """A rule that tells of these kinds of notes and then that the run is over."""

    def tell(asked: ReceivedRequest) -> None:
        for name in names:
            asked.note(name, run="abc-1", **({"waited": 0.5} if name == "started" else {}))
        asked.note("finished", run="abc-1", **{**FINISHED, "outcome": outcome})
        asked.result(run_value(outcome=outcome))

    return tell


def kinds(updates: Any) -> list[str]:
    return [type(update).__name__ for update in updates]


# ---------------------------------------------------------------------- connecting


def test_it_says_hello_and_speaks_the_native_dialect(broker: FakeBroker) -> None:
    with Client(broker.path) as blocking:
        assert (blocking.dialect, blocking.path) == ("native", broker.path)
        assert blocking.hello("test 1.0").pid == 42
    broker.gone()
    with pytest.raises(BrokerUnavailable, match="closed by the client"):
        blocking.ping()
    blocking.close()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable, match="no broker listens on"):
        Client(str(tmp_path / "s"))


def test_the_place_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTDB_TEST_MODE", "1")
    monkeypatch.setenv("CTDB_BASE", str(tmp_path))
    (tmp_path / "run").mkdir()
    with running_broker(tmp_path / "run" / "eventd.socket"), Client() as blocking:
        assert blocking.path == str(tmp_path / "run" / "eventd.socket")


@pytest.mark.parametrize("reads", [0, 4, 1 << 16])
def test_a_daemon_that_hangs_up_at_the_preface_is_asked_in_the_ctdb_dialect(tmp_path: Path, reads: int) -> None:
    with hangs_up(tmp_path / "s", reads):
        with Client(str(tmp_path / "s")) as blocking:
            assert blocking.dialect == "ctdb"
            with pytest.raises(BrokerUnavailable):
                blocking.run("legacy", "monitor")
        with pytest.raises(NotSupported, match="closed the connection at the native dialect's preface"):
            Client(str(tmp_path / "s"), dialect="native")


@contextlib.contextmanager
def hangs_up(path: Path, reads: int) -> Iterator[None]:
    """A daemon that closes every connection after so many bytes."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as connection:
                    if reads:
                        connection.recv(reads)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_broker_that_refuses_hello(broker: FakeBroker) -> None:
    broker.rules["hello"] = lambda asked: asked.error("EIO", "I am ill")
    with pytest.raises(BrokerError, match="I am ill"):
        Client(broker.path)
    broker.gone()


# ---------------------------------------------------------------------- calls


def test_it_has_the_methods_of_the_other_client() -> None:
    def methods(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert methods(Client) == methods(client.AsyncClient)


def test_every_method_asks_what_it_says(broker: FakeBroker) -> None:
    script = {"component": "c", "script": "s"}
    files: dict[str, Any] = {"component": "c", "directory": "/c", "scripts": [], "refused": []}
    with Client(broker.path) as blocking:
        calls: list[tuple[Callable[[], Any], str, dict[str, Any], Any, Any]] = [
            (blocking.ping, "ping", {}, {}, None),
            (lambda: blocking.cancel("r"), "cancel", {"run": "r"}, {"state": "running"}, "running"),
            (blocking.components, "components", {}, [], ()),
            (lambda: blocking.scripts("c").directory, "scripts", {"component": "c"}, files, "/c"),
            (blocking.events, "events", {}, [], ()),
            (blocking.locks, "locks", {}, [], ()),
            (blocking.history, "history", {"view": "runs", **EVERYTHING, "limit": 50}, [], ()),
            (lambda: blocking.slow(limit=7), "history", {"view": "slow", **EVERYTHING, "limit": 7}, [], ()),
            (lambda: blocking.slow(**SOMETHING), "history", {"view": "slow", **SOMETHING, "limit": 50}, [], ()),
            (lambda: blocking.past_run("r"), "history", {"view": "run", "run": "r", "failed": False}, None, None),
            (blocking.reload, "reload", {}, {"warnings": ["odd"]}, ("odd",)),
            (blocking.upgrade, "upgrade", {"cancel": False}, UPGRADED, ctdb_event.Upgrade(**UPGRADED)),
            (lambda: blocking.enable("c", "s"), "enable", script, {}, None),
            (lambda: blocking.disable("c", "s"), "disable", script, {}, None),
        ]
        for call, method, params, value, expected in calls:
            broker.rules[method] = answer_if(params, value)
            assert call() == expected


def test_run_and_status_say_all_their_parameters(broker: FakeBroker) -> None:
    with Client(broker.path) as blocking:
        asked = {"component": "c", "event": "e", "args": ["a b", ""], "timeout": 3, "run_all": True}
        broker.rules["run"] = answer_if({**asked, "stream": False, "detach": False}, run_value(event="e"))
        assert blocking.run("c", "e", "a b", "", timeout=3, run_all=True).event == "e"
        broker.rules["run"] = answer_if({**asked, "stream": False, "detach": True}, {"run": "abc-9"})
        assert blocking.run("c", "e", "a b", "", timeout=3, run_all=True, detach=True) == "abc-9"
        detach = bool(broker.path)  # not known to a type checker
        assert blocking.run("c", "e", "a b", "", timeout=2.5, run_all=True, detach=detach) == "abc-9"
        broker.rules["run"] = answer_if(
            {**asked, "args": [], "timeout": 0, "run_all": False, "stream": False, "detach": False},
            run_value(event="e"),
        )
        assert blocking.run(component="c", event="e").event == "e"
        status = {"component": "c", "event": "e", "address": None, "addresses": False, "output": True}
        broker.rules["status"] = answer_if(status, {"results": [run_value()], "jobs": [], "health": []})
        assert blocking.status("c", "e", output=True).results[0].run == "abc-1"


def test_parameters_that_cannot_be(broker: FakeBroker) -> None:
    with Client(broker.path) as blocking:
        with pytest.raises(InvalidRequest, match="stream and detach exclude each other"):
            blocking.run("c", "e", stream=True, detach=True)  # type: ignore[call-overload]
        with pytest.raises(InvalidRequest, match="accepts 1048576"):
            blocking.run("c", "e", "x" * (1 << 20))
        with pytest.raises(InvalidRequest, match="a list of kinds"):
            blocking.subscribe("health")  # type: ignore[arg-type]


WRONG: list[tuple[str, Callable[[Any], Any]]] = [
    ("component: a text is expected, not None", lambda client: client.run(None, "x")),
    ("component: a text is expected, not 5", lambda client: client.run(5, "x")),
    ("component: a text is expected, not b'legacy'", lambda client: client.run(b"legacy", "x")),
    ("event: a text is expected, not 5", lambda client: client.run("legacy", 5, detach=True)),
    ("args: text that can be encoded is expected, not '\\ud800'", lambda client: client.run("l", "e", "\ud800")),
    ("timeout: a number of seconds", lambda client: client.run("legacy", "x", timeout=float("nan"))),
    ("timeout: a number of seconds", lambda client: client.run("legacy", "x", timeout=True)),
    ("timeout: a number of seconds", lambda client: client.run("legacy", "x", timeout=1 << 32)),
    ("run_all: True or False is expected, not 'yes'", lambda client: client.run("legacy", "x", run_all="yes")),
    ("event: a text is expected, not 5", lambda client: client.status("legacy", 5)),
    ("addresses: True or False", lambda client: client.status("legacy", "x", addresses=1)),
    ("output: True or False", lambda client: client.status("legacy", "x", output=1)),
    ("event: a text is expected, not 5", lambda client: client.history(event=5)),
    ("since: a number of seconds from 0 is expected, not '02:30'", lambda client: client.slow(since="02:30")),
    ("limit: a whole number from 0 is expected, not None", lambda client: client.history(limit=None)),
    ("uid: a whole number from 0 is expected, not 'root'", lambda client: client.history(uid="root")),
    ("run: a text is expected, not 5", lambda client: client.past_run(5)),
    ("script: a text is expected, not None", lambda client: client.enable("legacy", None)),
    ("component: a text is expected", lambda client: client.disable(None, "x")),
    ("component: a text is expected", lambda client: client.scripts(None)),
    ("run: a text is expected", lambda client: client.cancel(7)),
    ("names: a text is expected", lambda client: client.lock("a", 7)),
    ("wait: a number of seconds", lambda client: client.lock("a", wait="5")),
    ("wait: a number of seconds", lambda client: client.lock("a", wait=float("nan"))),
    ("kinds is 7, a list of kinds", lambda client: client.subscribe(7)),
    ("kinds: a text is expected", lambda client: client.subscribe([7])),
    ("lock-acquired, health, upgraded is expected, not 'fialed'", lambda client: client.subscribe(["fialed"])),
    ("client: a text is expected", lambda client: client.hello(7)),
]


@pytest.mark.parametrize("dialect", ["native", "ctdb"])
@pytest.mark.parametrize(("problem", "call"), WRONG)
def test_wrong_types_are_refused_before_anything_is_sent(
    problem: str, call: Callable[[Any], Any], dialect: str, broker: FakeBroker
) -> None:
    with Client(broker.path, dialect) as blocking:
        with pytest.raises(InvalidRequest) as caught:
            call(blocking)
        assert problem in caught.value.message
        assert len(caught.value.message) < 200
    broker.gone()


def test_an_event_that_fails_raises_with_its_run(broker: FakeBroker) -> None:
    broker.rules["run"] = lambda asked: asked.result(run_value(outcome="failed", summary=7))
    with Client(broker.path) as blocking, pytest.raises(EventFailed) as caught:
        blocking.run("legacy", "monitor")
    assert caught.value.run.summary == 7


def test_stats_of_the_wrong_form(broker: FakeBroker) -> None:
    broker.rules["stats"] = lambda asked: asked.result({})
    with Client(broker.path) as blocking, pytest.raises(MalformedAnswer, match=r"stats\.version"):
        blocking.stats()


# ---------------------------------------------------------------------- streams


def test_a_run_is_watched_to_its_end(broker: FakeBroker) -> None:
    broker.rules["run"] = say("queued", "started")
    with Client(broker.path) as blocking:
        stream = blocking.run("legacy", "monitor", stream=True)
        assert kinds(stream) == [Queued.__name__, Started.__name__, Finished.__name__]
        assert stream.result is not None
        assert stream.result.outcome == "success"
        assert list(stream) == []


def test_a_watched_run_that_fails_raises_at_its_end(broker: FakeBroker) -> None:
    broker.rules["run"] = say(outcome="failed")
    with Client(broker.path) as blocking:
        stream = blocking.run("legacy", "monitor", stream=True)
        assert isinstance(next(stream), Finished)
        with pytest.raises(EventFailed) as caught:
            next(stream)
        assert caught.value.run is stream.result


def test_calls_go_on_while_a_run_is_watched(broker: FakeBroker) -> None:
    with Client(broker.path) as blocking, blocking.run("legacy", "monitor", stream=True) as stream:
        asked = broker.next("run")

        def tell_of_the_run_first(ping: ReceivedRequest) -> None:
            say("queued")(asked)
            ping.result({})

        broker.rules["ping"] = tell_of_the_run_first
        blocking.ping()
        broker.rules["run"] = lambda other: other.result(run_value(event="other"))
        assert blocking.run("legacy", "other").event == "other"
        assert kinds(stream) == ["Queued", "Finished"]


def test_leaving_the_loop_cancels_the_run(broker: FakeBroker) -> None:
    broker.rules["run"] = lambda asked: asked.note("queued", run="abc-1")
    with Client(broker.path) as blocking:
        for update in blocking.run("legacy", "monitor", stream=True):
            assert isinstance(update, Queued)
            break
        assert broker.next("cancel").params == {"call": 2}


def test_a_stream_that_is_kept_is_closed_by_its_block(broker: FakeBroker) -> None:
    with Client(broker.path) as blocking:
        with blocking.run("legacy", "monitor", stream=True) as stream:
            asked = broker.next("run")
        assert broker.next("cancel").params == {"call": asked.id}
        assert list(stream) == []
        blocking.run("legacy", "monitor", stream=True).close()
    broker.gone()


def test_a_note_of_the_wrong_form_ends_the_stream_and_the_run(broker: FakeBroker) -> None:
    broker.rules["run"] = lambda asked: asked.note("started", run="abc-1")
    with Client(broker.path) as blocking:
        with pytest.raises(MalformedAnswer):
            list(blocking.run("legacy", "monitor", stream=True))
        assert broker.next("cancel").params == {"call": 2}


def test_updates_that_nobody_takes_are_bounded(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "_MAX_WEIGHT", 2 * 512)
    broker.rules["run"] = say(*["queued"] * 10)
    with Client(broker.path) as blocking, blocking.run("legacy", "monitor", stream=True) as stream:
        blocking.hello()
        gap, *rest = stream
        assert isinstance(gap, Gap)
        assert (gap.lost, kinds(rest)) == (9, ["Queued", "Finished"])


def test_a_subscription_tells_until_it_is_left(broker: FakeBroker) -> None:
    params: dict[str, Any] = {"kinds": ["queued"], "component": "c", "event": "e", "run": "r", "outcomes": ["failed"]}
    params |= {"address": "a", "report": True}
    broker.rules["subscribe"] = lambda asked: asked.note("queued", **{"run": str(asked.params == params)})
    with Client(broker.path) as blocking:
        with blocking.subscribe(["queued"], "c", "e", "r", ["failed"], "a", report=True) as updates:
            assert next(updates).run == "True"
        assert broker.next("cancel").params == {"call": 2}


# ---------------------------------------------------------------------- locks


def test_locks_are_held_for_the_block(broker: FakeBroker) -> None:
    broker.rules["lock"] = answer_if({"names": ["a", "b"], "wait": 0.5}, GRANT)
    unlocked: list[Any] = []

    def unlock(asked: ReceivedRequest) -> None:
        unlocked.append(asked.params)
        asked.result({})

    broker.rules["unlock"] = unlock
    with Client(broker.path) as blocking:
        with blocking.lock("a", "b", wait=0.5) as lock:
            assert (lock.names, lock.number, lock.waited) == (("a", "b"), 7, 0.5)
            assert unlocked == []
        blocking.hello()
        assert (unlocked, lock.number) == ([{"lock": 7}], None)


def test_locks_that_do_not_become_free(broker: FakeBroker) -> None:
    broker.rules["lock"] = lambda asked: asked.error("ETIMEDOUT", "not free", kind="LockTimeout", holder=None)
    with Client(broker.path) as blocking, pytest.raises(LockTimeout), blocking.lock("a"):
        raise AssertionError


@pytest.mark.parametrize("fails", [False, True])
def test_locks_that_were_lost_with_the_connection_are_told(broker: FakeBroker, fails: bool) -> None:
    broker.rules["lock"] = lambda asked: asked.result(GRANT)
    broker.rules["unlock"] = lambda asked: asked.hang_up()

    def hold() -> None:
        with Client(broker.path) as blocking, blocking.lock("a"):
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError if fails else BrokerUnavailable):
        hold()


# ---------------------------------------------------------------------- the end


def test_when_the_broker_goes_the_call_is_told(broker: FakeBroker) -> None:
    broker.rules["run"] = lambda asked: asked.hang_up()
    with Client(broker.path) as blocking:
        with pytest.raises(BrokerUnavailable) as caught:
            blocking.run("legacy", "monitor")
        assert caught.value.fate_unknown
        with pytest.raises(BrokerUnavailable) as late:
            blocking.ping()
        assert not late.value.fate_unknown


def test_a_stream_whose_connection_was_closed_here_ends(broker: FakeBroker) -> None:
    with Client(broker.path) as blocking:
        with blocking.subscribe() as updates:
            broker.next("subscribe")
            blocking._connection.close()
            with pytest.raises(BrokerUnavailable, match="closed by the client"):
                next(updates)


# ---------------------------------------------------------------------- interruptions


def test_an_interruption_ends_the_connection_and_so_the_run(broker: FakeBroker) -> None:
    with Client(broker.path) as blocking:
        with interrupted_while_waiting(lambda: broker.next("run")):
            blocking.run("legacy", "monitor")
        broker.gone()
        with pytest.raises(BrokerUnavailable, match="it was interrupted in the middle of a message"):
            blocking.hello()


def test_an_interruption_while_watching_ends_the_run(broker: FakeBroker) -> None:
    with Client(broker.path) as blocking:
        stream = blocking.run("legacy", "monitor", stream=True)
        with interrupted_while_waiting(lambda: broker.next("run")):
            next(stream)
        broker.gone()
        assert list(stream) == []


def test_an_interruption_while_waiting_for_a_lock_gives_it_back(broker: FakeBroker) -> None:
    with Client(broker.path) as blocking:
        with interrupted_while_waiting(lambda: broker.next("lock")), blocking.lock("a"):
            raise AssertionError
        broker.gone()


def test_an_interruption_outside_of_any_method_changes_nothing(broker: FakeBroker) -> None:
    broker.rules["lock"] = lambda asked: asked.result(GRANT)
    broker.rules["unlock"] = lambda asked: asked.result({})
    with Client(broker.path) as blocking:
        with pytest.raises(KeyboardInterrupt), blocking.lock("a"):
            raise KeyboardInterrupt
        assert blocking.hello().pid == 42


def test_an_interruption_in_the_middle_of_a_request_ends_the_connection(broker: FakeBroker) -> None:
    broker.rules["ping"] = broker.stall
    with Client(broker.path) as blocking:
        # a request of which nobody waits for the answer, so that the broker reads no more
        blocking._connection.start("ping", {})
        assert broker.stalled.wait(TIMEOUT)
        with interrupted_while_waiting():
            blocking.run("legacy", "monitor", "x" * 1_000_000)
        with pytest.raises(BrokerUnavailable, match="it was interrupted in the middle of a message"):
            blocking.hello()
        broker.resume.set()
    broker.gone()
