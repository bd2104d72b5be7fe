"""The client for event loops, under asyncio and trio, with a broker that does what the test wants."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from backends import on_both_backends
from fake_broker import EVERYTHING, HELLO, SOMETHING, UPGRADED, FakeBroker, ReceivedRequest, run_value, running_broker
from nodes import TIMEOUT
from threaded_listener import ThreadedListener

import ctdb_event
from ctdb_event import (
    AsyncClient,
    BrokerError,
    BrokerUnavailable,
    EventFailed,
    Finished,
    Gap,
    InvalidRequest,
    LockTimeout,
    MalformedAnswer,
    NotSupported,
    Queued,
    Started,
    Update,
    connect,
)
from ctdb_event import core as core_module
from ctdb_event.aio import connection as connection_module
from ctdb_event.aio import streams as streams_module
from ctdb_event.decoding import decode
from ctdb_eventd.protocol import frames

FINISHED = {"outcome": "success", "summary": 0, "waited": 0.0, "seconds": 1.0}
GRANT = {"lock": 7, "waited": 0.5}
STATS = {
    **{"version": "1", "pid": 1, "started": 1.5, "uptime": 2.5, "processor_seconds": 0.5, "memory": 1},
    **{"descriptors": 12, "clients": 2, "subscribers": 1, "requests": 9, "notes_lost": 0, "runs": {}},
    **{"scripts_started": 5, "queued": 3, "running": 2},
    "slots": {"running": 2, "waiting": 1, "free_limit": 18, "limit": 64},
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[FakeBroker]:
    with running_broker(tmp_path / "s") as running:
        yield running


def say(*names: str) -> Callable[[ReceivedRequest], None]:
    """A rule that tells of these kinds of notes and then that the run succeeded."""

    def tell(asked: ReceivedRequest) -> None:
        for name in names:
            asked.note(name, run="abc-1", **({"waited": 0.5} if name == "started" else {}))
        asked.note("finished", run="abc-1", **FINISHED)
        asked.result(run_value())

    return tell


async def cancelled_when(ready: Callable[[], Awaitable[Any]], work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Does `work`, and cancels it when `ready` has come; returns what `ready` did."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        value = await ready()
        tasks.cancel_scope.cancel()
    return value


async def stats_of(client: AsyncClient) -> int:
    return (await client.stats()).descriptors


async def listed(updates: Any) -> list[Update]:
    return [update async for update in updates]


# ---------------------------------------------------------------------- connecting


@on_both_backends
async def test_it_says_hello_and_speaks_the_native_dialect(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:
        assert (client.dialect, client.path) == ("native", broker.path)
        hello = await client.hello("test 1.0")
        assert (hello.pid, hello.limits.requests) == (42, 16384)
    await broker.gone_async()


@on_both_backends
async def test_nobody_listens(tmp_path: Path) -> None:
    client = connect(str(tmp_path / "s"))
    with pytest.raises(BrokerUnavailable, match=f"no broker listens on {tmp_path}/s: No such file"):
        async with client:
            raise AssertionError
    with pytest.raises(BrokerUnavailable, match="it was never opened; use the client as"):
        await client.ping()
    await client.close()


@on_both_backends
async def test_the_place_comes_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    environ = {"CTDB_TEST_MODE": "1", "CTDB_BASE": str(tmp_path)}
    with running_broker(tmp_path / "run" / "eventd.socket"):
        async with connect(environ=environ) as client:
            await client.hello()
    with pytest.raises(InvalidRequest, match="CTDB_BASE must name the directory"):
        connect(environ={"CTDB_TEST_MODE": "1"})


def test_a_dialect_that_is_none() -> None:
    with pytest.raises(InvalidRequest, match="unknown dialect 'klingon', expected one of auto, native, ctdb"):
        connect("/s", dialect="klingon")


@on_both_backends
async def test_a_client_connects_once(broker: FakeBroker) -> None:
    client = connect(broker.path)
    async with client:
        await client.hello()
    with pytest.raises(BrokerUnavailable, match="can connect only once; create a new one"):
        await client.__aenter__()


class HangsUp:
    """A daemon that closes every connection after so many bytes, and counts them."""

    def __init__(self, path: Path, reads: int) -> None:
        self.path, self.reads = str(path), reads
        self._listener = ThreadedListener(path, self._serve)

    @property
    def connections(self) -> int:
        return len(self._listener.connections)

    def _serve(self, connection: socket.socket) -> None:
        if self.reads:
            connection.recv(self.reads)

    def __enter__(self) -> HangsUp:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.close()


@on_both_backends
@pytest.mark.parametrize("reads", [0, 4, 1 << 16])
async def test_a_daemon_that_hangs_up_at_the_preface_is_asked_in_the_ctdb_dialect(tmp_path: Path, reads: int) -> None:
    with HangsUp(tmp_path / "s", reads) as daemon:
        async with connect(daemon.path) as client:
            assert client.dialect == "ctdb"
            with pytest.raises(BrokerUnavailable) as caught:
                await client.run("legacy", "monitor")
            assert caught.value.message.startswith(f"the connection to the broker at {daemon.path} has ended: ")
        assert daemon.connections == 2


@on_both_backends
async def test_a_dialect_that_must_be_native_is_not_replaced(tmp_path: Path) -> None:
    with HangsUp(tmp_path / "s", 4) as daemon:
        with pytest.raises(NotSupported, match="closed the connection at the native dialect's preface, as CTDB's own"):
            async with connect(daemon.path, dialect="native"):
                raise AssertionError
        assert daemon.connections == 1


@on_both_backends
async def test_a_broker_that_refuses_hello_is_not_asked_again(broker: FakeBroker) -> None:
    broker.rules["hello"] = lambda asked: asked.error("EIO", "I am ill")
    with pytest.raises(BrokerError, match="I am ill"):
        async with connect(broker.path):
            raise AssertionError
    assert broker.connections == 1


@on_both_backends
async def test_connecting_can_be_cancelled(broker: FakeBroker) -> None:
    del broker.rules["hello"]

    async def enter() -> None:
        async with connect(broker.path):
            raise AssertionError

    await cancelled_when(lambda: broker.next_async("hello"), enter)
    await broker.gone_async()


# ---------------------------------------------------------------------- calls


@on_both_backends
async def test_every_method_asks_what_it_says(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:
        calls: list[tuple[Callable[[], Awaitable[Any]], str, dict[str, Any], Any, Any]] = [
            (client.ping, "ping", {}, {}, None),
            (lambda: client.cancel("r"), "cancel", {"run": "r"}, {"state": "queued"}, "queued"),
            (client.components, "components", {}, [], ()),
            (client.events, "events", {}, [], ()),
            (client.locks, "locks", {}, [], ()),
            (client.history, "history", {"view": "runs", **EVERYTHING, "limit": 50}, [], ()),
            (lambda: client.slow(limit=7), "history", {"view": "slow", **EVERYTHING, "limit": 7}, [], ()),
            (lambda: client.slow(**SOMETHING), "history", {"view": "slow", **SOMETHING, "limit": 50}, [], ()),
            (lambda: client.past_run("r"), "history", {"view": "run", "run": "r", "failed": False}, None, None),
            (lambda: stats_of(client), "stats", {}, STATS, 12),
            (client.reload, "reload", {}, {"warnings": ["odd"]}, ("odd",)),
            (client.upgrade, "upgrade", {"cancel": False}, UPGRADED, ctdb_event.Upgrade(**UPGRADED)),
            (lambda: client.upgrade(cancel=True), "upgrade", {"cancel": True}, {}, None),
            (lambda: client.enable("c", "s"), "enable", {"component": "c", "script": "s"}, {}, None),
            (lambda: client.disable("c", "s"), "disable", {"component": "c", "script": "s"}, {}, None),
        ]
        for call, method, params, value, expected in calls:
            broker.rules[method] = answer_if(params, value)
            assert await call() == expected


def answer_if(params: dict[str, Any], value: Any) -> Callable[[ReceivedRequest], None]:
    """A rule that answers these parameters, and shows others."""

    def answer(asked: ReceivedRequest) -> None:
        if asked.params == params:
            asked.result(value)
        else:
            asked.error("EINVAL", f"{asked.params} came")

    return answer


@on_both_backends
async def test_run_and_status_say_all_their_parameters(broker: FakeBroker) -> None:
    empty: dict[str, Any] = {"results": [], "jobs": [], "health": []}
    async with connect(broker.path) as client:
        asked = {"component": "c", "event": "e", "args": ["a b", ""], "timeout": 3, "run_all": True}
        broker.rules["run"] = answer_if({**asked, "stream": False, "detach": False}, run_value(event="e"))
        assert (await client.run("c", "e", "a b", "", timeout=3, run_all=True)).event == "e"
        broker.rules["run"] = answer_if({**asked, "stream": False, "detach": True}, {"run": "abc-9"})
        assert await client.run("c", "e", "a b", "", timeout=3, run_all=True, detach=True) == "abc-9"
        nothing = {"component": None, "event": None, "address": None, "addresses": False}
        broker.rules["status"] = answer_if(nothing, empty)
        assert (await client.status()).results == ()
        broker.rules["status"] = answer_if(
            {"component": "c", "event": "e", "address": "10.0.0.1", "addresses": True, "output": False}, empty
        )
        assert (await client.status("c", "e", address="10.0.0.1", addresses=True, output=False)).jobs == ()
        broker.rules["scripts"] = answer_if(
            {"component": "c"}, {"component": "c", "directory": "/c", "scripts": [], "refused": []}
        )
        assert (await client.scripts("c")).directory == "/c"


@on_both_backends
async def test_parameters_that_cannot_be(broker: FakeBroker) -> None:
    wrong: Any = 24
    async with connect(broker.path) as client:
        with pytest.raises(InvalidRequest, match="parameter args: a text is expected, not 24"):
            await client.run("c", "takeip", wrong)
        with pytest.raises(InvalidRequest, match="stream and detach exclude each other"):
            client.run("c", "e", stream=True, detach=True)  # type: ignore[call-overload]
        with pytest.raises(InvalidRequest, match=r"a list of kinds was expected, such as \['health'\]"):
            client.subscribe("health")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match=r"some of queued, started, .*, upgraded is expected, not 'fialed'"):
            client.subscribe(["fialed"])  # type: ignore[list-item]
        with pytest.raises(InvalidRequest, match=r"run takes \d+ bytes, the broker accepts 1048576"):
            await client.run("c", "e", "x" * (1 << 20))


@on_both_backends
async def test_an_event_that_fails_raises_with_its_run(broker: FakeBroker) -> None:
    broker.rules["run"] = lambda asked: asked.result(run_value(outcome="failed", summary=7))
    async with connect(broker.path) as client:
        with pytest.raises(EventFailed) as caught:
            await client.run("legacy", "monitor")
        assert (caught.value.run.summary, caught.value.run.run) == (7, "abc-1")


@on_both_backends
async def test_exceptions_leave_the_block_as_they_are(broker: FakeBroker) -> None:
    broker.rules["run"] = lambda asked: asked.result(run_value(outcome="failed"))
    with pytest.raises(EventFailed):
        async with connect(broker.path) as client:
            await client.run("legacy", "monitor")
    with pytest.raises(ZeroDivisionError):
        async with connect(broker.path):
            raise ZeroDivisionError


@on_both_backends
async def test_an_answer_of_the_wrong_form(broker: FakeBroker) -> None:
    broker.rules["run"] = lambda asked: asked.result({"run": "abc-1"})
    async with connect(broker.path) as client:
        with pytest.raises(MalformedAnswer, match=r"run\.component in the broker's answer is missing"):
            await client.run("legacy", "monitor")
        await client.hello()


@on_both_backends
async def test_many_requests_at_once_each_with_its_own_answer(broker: FakeBroker) -> None:
    count = 300
    answers: dict[int, str] = {}

    async def ask(number: int) -> None:
        answers[number] = (await client.run("legacy", "e", str(number))).args[0]

    async with connect(broker.path) as client, anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(ask, number)
        asked = [await broker.next_async("run") for _ in range(count)]
        for each in reversed(asked):
            value = run_value(args=each.params["args"])
            await anyio.to_thread.run_sync(each.result, value)  # the client must read meanwhile
    assert answers == {number: str(number) for number in range(count)}


# ---------------------------------------------------------------------- cancelling


@on_both_backends
async def test_cancelling_a_call_cancels_it_on_the_broker(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:
        asked = await cancelled_when(lambda: broker.next_async("run"), lambda: client.run("legacy", "monitor"))
        cancel = await broker.next_async("cancel")
        assert cancel.params == {"call": asked.id}
        asked.result(run_value(outcome="cancelled"))
        cancel.result({"state": "running"})
        await client.hello()


@on_both_backends
async def test_a_call_whose_time_is_over_is_cancelled(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.run("legacy", "monitor")
        assert scope.cancelled_caught
        assert (await broker.next_async("run")).id == (await broker.next_async("cancel")).params["call"]
        await client.hello()


async def stalled(broker: FakeBroker, client: AsyncClient) -> None:
    """Makes a call at which the broker stands still; it returns when the broker goes on, or has gone."""
    broker.rules["ping"] = broker.stall
    with contextlib.suppress(BrokerUnavailable):
        await client.ping()


async def until_stalled(broker: FakeBroker) -> None:
    assert await anyio.to_thread.run_sync(broker.stalled.wait, TIMEOUT)


@on_both_backends
async def test_cancelling_while_its_bytes_are_written_leaves_whole_frames(broker: FakeBroker) -> None:
    big = "x" * 900_000  # more than a socket takes at once
    async with connect(broker.path) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(stalled, broker, client)
        await until_stalled(broker)
        await cancelled_when(anyio.wait_all_tasks_blocked, lambda: client.run("legacy", "first", big))
        await cancelled_when(anyio.wait_all_tasks_blocked, lambda: client.run("legacy", "second", big))
        broker.resume.set()
        for event in ("first", "second"):
            asked = await broker.next_async("run")
            assert (asked.params["event"], asked.params["args"]) == (event, [big])
            if event == "first":
                assert (await broker.next_async("cancel")).params == {"call": asked.id}
        assert (await broker.next_async("cancel")).params == {"call": asked.id}
        await client.hello()


@on_both_backends
async def test_cancelling_before_there_is_room_sends_nothing(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_MAX_UNSENT", 0)
    big = "x" * 900_000
    async with connect(broker.path) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(stalled, broker, client)
        await until_stalled(broker)
        for event in ("first", "second"):
            tasks.start_soon(lambda event=event: client.run("legacy", event, big))  # type: ignore[misc]
            await anyio.wait_all_tasks_blocked()
        assert client._connection.core.unsent > 0
        await cancelled_when(anyio.wait_all_tasks_blocked, lambda: client.run("legacy", "third"))
        broker.resume.set()
        for event in ("first", "second"):
            asked = await broker.next_async("run")
            assert asked.params["event"] == event
            asked.result(run_value())


@on_both_backends
async def test_cancelling_when_the_answer_is_there_gives_a_lock_back(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:

        async def hold() -> None:
            async with client.lock("a"):
                await anyio.sleep_forever()

        async def granted() -> None:
            asked = await broker.next_async("lock")
            # in one step with the cancellation: the task was told, and has not gone on
            client._connection.core.receive_data(frames.result(asked.id, frames.packed(GRANT)))

        unlocked: list[Any] = []

        def unlock(asked: ReceivedRequest) -> None:
            unlocked.append(asked.params)
            asked.result({})

        broker.rules["unlock"] = unlock
        await cancelled_when(granted, hold)
        await client.hello()
        assert unlocked == [{"lock": 7}]


@on_both_backends
async def test_a_lock_that_is_granted_after_it_was_given_up_is_given_back(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:

        async def hold() -> None:
            async with client.lock("a"):
                raise AssertionError

        asked = await cancelled_when(lambda: broker.next_async("lock"), hold)
        (await broker.next_async("cancel")).error("ENOENT", "too late", kind="NoSuchCall")
        asked.result(GRANT)
        assert (await broker.next_async("unlock")).params == {"lock": 7}


# ---------------------------------------------------------------------- watching runs


@on_both_backends
async def test_a_run_is_watched_to_its_end(broker: FakeBroker) -> None:
    broker.rules["run"] = say("queued", "started")
    async with connect(broker.path) as client:
        stream = client.run("legacy", "monitor", stream=True)
        updates = await listed(stream)
        assert [type(update) for update in updates] == [Queued, Started, Finished]
        assert stream.result is not None
        assert stream.result.outcome == "success"
        assert await listed(stream) == []


@on_both_backends
async def test_a_watched_run_that_fails_raises_at_its_end(broker: FakeBroker) -> None:
    def tell(asked: ReceivedRequest) -> None:
        asked.note("finished", run="abc-1", **{**FINISHED, "outcome": "failed"})
        asked.result(run_value(outcome="failed"))

    broker.rules["run"] = tell
    async with connect(broker.path) as client:
        stream = client.run("legacy", "monitor", stream=True)
        assert type(await anext(stream)) is Finished
        with pytest.raises(EventFailed) as caught:
            await anext(stream)
        assert caught.value.run is stream.result


@on_both_backends
async def test_leaving_the_loop_cancels_the_run(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:

        async def answer() -> None:
            (await broker.next_async("run")).note("queued", run="abc-1")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            async for update in client.run("legacy", "monitor", stream=True):
                assert isinstance(update, Queued)
                break
        assert (await broker.next_async("cancel")).params == {"call": 2}


@on_both_backends
@pytest.mark.parametrize("way", ["block", "aclose", "exception"])
async def test_closing_a_stream_that_is_kept_cancels_the_run(broker: FakeBroker, way: str) -> None:
    async with connect(broker.path) as client:
        stream = client.run("legacy", "monitor", stream=True)
        try:
            async with stream as entered:
                assert entered is stream
                asked = await broker.next_async("run")
                if way == "aclose":
                    await stream.aclose()
                    await stream.aclose()
                if way == "exception":
                    raise ZeroDivisionError
        except ZeroDivisionError:
            assert way == "exception"
        assert (await broker.next_async("cancel")).params == {"call": asked.id}
        assert await listed(stream) == []


@on_both_backends
async def test_cancelling_whoever_watches_cancels_the_run(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:
        stream = client.run("legacy", "monitor", stream=True)
        asked = await cancelled_when(lambda: broker.next_async("run"), lambda: listed(stream))
        assert (await broker.next_async("cancel")).params == {"call": asked.id}


@on_both_backends
async def test_a_stream_that_was_never_begun_asks_nothing(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:
        stream = client.run("legacy", "monitor", stream=True)
        await stream.aclose()
        assert await listed(stream) == []
        del stream
        gc.collect()
    await broker.gone_async()


@on_both_backends
async def test_a_stream_that_another_thread_drops_is_left_alone(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:
        streams = [client.run("legacy", "monitor", stream=True)]
        await streams[0].__aenter__()
        (await broker.next_async("run")).note("queued", run="abc-1")
        thread = threading.Thread(target=streams.clear)
        thread.start()
        thread.join()
    await broker.gone_async()


@on_both_backends
async def test_a_note_of_the_wrong_form_ends_the_stream_and_the_run(broker: FakeBroker) -> None:
    broker.rules["run"] = lambda asked: asked.note("started", run="abc-1")
    async with connect(broker.path) as client:
        with pytest.raises(MalformedAnswer, match=r"started\.waited"):
            await listed(client.run("legacy", "monitor", stream=True))
        assert (await broker.next_async("cancel")).params == {"call": 2}


@on_both_backends
async def test_who_reads_too_slowly_is_told_of_the_gap(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "_MAX_WEIGHT", 4 * 512)
    broker.rules["run"] = say(*["queued"] * 10)
    async with connect(broker.path) as client:
        async with client.run("legacy", "monitor", stream=True) as stream:
            await client.hello()  # behind all of them
            updates = await listed(stream)
        assert [type(update) for update in updates] == [Gap, Queued, Queued, Queued, Finished]
        assert isinstance(updates[0], Gap)
        assert updates[0].lost == 7
        assert [update.number for update in updates] == [7, 8, 9, 10, 11]


@on_both_backends
async def test_a_slow_consumer_keeps_nobody_waiting(broker: FakeBroker) -> None:
    def flood(asked: ReceivedRequest) -> None:
        for _ in range(200):
            asked.note("output", run="abc-1", script="10.a", output=b"x" * 100_000)

    broker.rules["run"] = flood
    async with connect(broker.path) as client, client.run("legacy", "monitor", stream=True) as stream:
        await client.hello()
        first = await anext(stream)
        assert isinstance(first, Gap)
        assert first.lost > 100
    await broker.gone_async()


# ---------------------------------------------------------------------- subscriptions and locks


@on_both_backends
async def test_a_subscription_tells_until_it_is_left(broker: FakeBroker) -> None:
    broker.rules["subscribe"] = lambda asked: asked.note(
        "health", component="legacy", healthy=True, script=None, result=0
    )
    async with connect(broker.path) as client:
        async with client.subscribe(["health"], component="legacy", run="r") as updates:
            update = await anext(updates)
            assert isinstance(update, ctdb_event.Health)
            assert update.healthy
        assert (await broker.next_async("cancel")).params == {"call": 2}


@on_both_backends
async def test_a_subscription_says_what_it_is_about(broker: FakeBroker) -> None:
    params: dict[str, Any] = {"kinds": ["health"], "component": "c", "event": "e", "run": "r", "outcomes": ["failed"]}
    params |= {"address": "a", "report": True}
    broker.rules["subscribe"] = answer_if(params, {"notes": 0})
    async with connect(broker.path) as client:
        assert await listed(client.subscribe(("health",), "c", "e", "r", ("failed",), "a", report=True)) == []
        broker.rules["subscribe"] = answer_if(dict.fromkeys(params), {"notes": 0})
        assert await listed(client.subscribe()) == []


@on_both_backends
async def test_locks_are_held_for_the_block(broker: FakeBroker) -> None:
    broker.rules["lock"] = answer_if({"names": ["a", "b"], "wait": 5}, GRANT)
    async with connect(broker.path) as client:
        async with anyio.create_task_group() as tasks:

            async def hold() -> None:
                async with client.lock("a", "b", wait=5) as lock:
                    assert (lock.names, lock.number, lock.waited) == (("a", "b"), 7, 0.5)
                assert lock.number is None

            tasks.start_soon(hold)
            unlock = await broker.next_async("unlock")
            assert unlock.params == {"lock": 7}
            unlock.result({})


@on_both_backends
async def test_locks_that_do_not_become_free(broker: FakeBroker) -> None:
    holder = {"run": None, "lock": 3, "pid": 4712, "text": "backup", "since": 1.5, "seconds": 2.5}
    broker.rules["lock"] = lambda asked: asked.error("ETIMEDOUT", "not free", kind="LockTimeout", holder=holder)
    async with connect(broker.path) as client:
        with pytest.raises(LockTimeout) as caught:
            async with client.lock("a", wait=0):
                raise AssertionError
        assert caught.value.holder is not None
        assert caught.value.holder.text == "backup"


@on_both_backends
async def test_cancelling_the_block_releases_its_locks(broker: FakeBroker) -> None:
    broker.rules["lock"] = lambda asked: asked.result(GRANT)
    held = anyio.Event()
    released: list[bool] = []

    async with connect(broker.path) as client:

        async def hold() -> None:
            try:
                async with client.lock("a"):
                    held.set()
                    await anyio.sleep_forever()
            finally:
                released.append(asked.is_set())

        asked = threading.Event()

        def unlock(request: ReceivedRequest) -> None:
            asked.set()
            request.result({})

        broker.rules["unlock"] = unlock
        await cancelled_when(held.wait, hold)
    assert released == [True]


@on_both_backends
@pytest.mark.parametrize("fails", [False, True])
async def test_locks_that_were_lost_with_the_connection_are_told(broker: FakeBroker, fails: bool) -> None:
    broker.rules["lock"] = lambda asked: asked.result(GRANT)
    broker.rules["unlock"] = lambda asked: asked.hang_up()

    async def hold() -> None:
        async with client.lock("a"):
            if fails:
                raise ZeroDivisionError

    async with connect(broker.path) as client:
        with pytest.raises(ZeroDivisionError if fails else BrokerUnavailable):
            await hold()


@on_both_backends
async def test_a_broker_that_is_stopped_keeps_no_lock_block_for_ever(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_UNLOCK_TIMEOUT", 0.05)
    broker.rules["lock"] = lambda asked: asked.result(GRANT)
    async with connect(broker.path) as client:
        async with client.lock("a") as lock:
            pass
        assert lock.number is None
        assert (await broker.next_async("unlock")).params == {"lock": 7}


# ---------------------------------------------------------------------- the end


@on_both_backends
async def test_when_the_broker_goes_everything_that_waits_is_told(broker: FakeBroker) -> None:
    told: list[BrokerUnavailable] = []

    async def run() -> None:
        with pytest.raises(BrokerUnavailable) as caught:
            await client.run("legacy", "monitor")
        told.append(caught.value)

    async def watch() -> None:
        with pytest.raises(BrokerUnavailable) as caught:
            await listed(client.subscribe())
        told.append(caught.value)

    async with connect(broker.path) as client:
        async with anyio.create_task_group() as tasks:
            for each in (run, run, watch):
                tasks.start_soon(each)
                await anyio.wait_all_tasks_blocked()
            for method in ("run", "run"):
                await broker.next_async(method)
            (await broker.next_async("subscribe")).hang_up()
        assert [problem.fate_unknown for problem in told] == [True, True, True]
        with pytest.raises(BrokerUnavailable, match="has ended") as caught:
            await client.ping()
        assert not caught.value.fate_unknown
        with pytest.raises(BrokerUnavailable):
            await listed(client.subscribe())


@on_both_backends
async def test_who_waits_for_room_when_the_broker_goes_is_told(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_MAX_UNSENT", 0)
    async with connect(broker.path) as client:

        async def run(event: str) -> None:
            with pytest.raises(BrokerUnavailable):
                await client.run("legacy", event, "x" * 900_000)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stalled, broker, client)
            await until_stalled(broker)
            for event in ("first", "second", "third"):
                tasks.start_soon(run, event)
                await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(broker.close)


@on_both_backends
async def test_closing_ends_what_is_under_way(broker: FakeBroker) -> None:
    async with connect(broker.path) as client:

        async def run() -> None:
            with pytest.raises(BrokerUnavailable, match="closed by the client"):
                await client.run("legacy", "monitor")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await broker.next_async("run")
            await client.close()
            await client.close()
        await broker.gone_async()
        with pytest.raises(BrokerUnavailable, match="closed by the client"):
            await client.ping()


@on_both_backends
async def test_cancelling_the_client_s_own_block(broker: FakeBroker) -> None:
    async def inside() -> None:
        async with connect(broker.path) as client:
            await client.run("legacy", "monitor")

    await cancelled_when(lambda: broker.next_async("run"), inside)
    await broker.gone_async()


@on_both_backends
async def test_nonsense_ends_the_connection(broker: FakeBroker) -> None:
    broker.rules["ping"] = lambda asked: asked.raw(b"\0\0\0\x01\xc1")
    async with connect(broker.path) as client:
        with pytest.raises(BrokerUnavailable, match="violates the native dialect"):
            await client.ping()
    await broker.gone_async()


def test_hello_is_what_the_fake_broker_says() -> None:
    assert decode(ctdb_event.Hello, HELLO).server == "ctdb-eventd 9.9.9"
