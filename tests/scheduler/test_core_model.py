"""Drives the scheduler's core with anything that can happen, and checks at every step what it promises.

The model keeps books of its own: who arrived when, who was started, which scripts run. It does to the core what the
service does, in any order and with any delay, and knows nothing of how the core decides. Clients take part with locks
of their own, which they claim, hold and give back whenever they like.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ctdb_eventd.errors import WouldDeadlock
from ctdb_eventd.events import Mode, Plan, plan
from ctdb_eventd.scheduler.admission import Admission, Load
from ctdb_eventd.scheduler.core import Core
from ctdb_eventd.scheduler.states import Action, Stage

COMPONENTS = ("legacy", "other")
LOCKS = ("iptables", "routes", "nfs")
# three addresses, one of them in two spellings
ADDRESSES = ("10.0.0.1", "10.0.0.2", "2001:DB8::1", "2001:db8:0:0::1")


def plans(addresses: tuple[str, ...] = ADDRESSES) -> st.SearchStrategy[Plan]:
    """Events of every kind; those of addresses are the most."""
    alone = st.sampled_from([plan("ipreallocated", ()), plan("startup", ()), plan("monitor", ())])
    address = st.builds(
        lambda event, one: plan(event, ("eth0", one, "24")),
        st.sampled_from(["takeip", "releaseip"]),
        st.sampled_from(addresses),
    )
    return st.one_of(address, address, alone)


def parents(asker: int | None) -> frozenset[int]:
    return frozenset(() if asker is None else (asker,))


@attrs.define(eq=False)
class Book:
    """What the model knows of one job."""

    number: int
    component: str
    plan: Plan
    stage: Stage = Stage.QUEUED
    locks: frozenset[str] = frozenset()
    """Of the script that it runs or wants to run."""
    wish: int = 0
    """When it asked for leave to run a script; 0 if it neither runs one nor waits for one."""
    granted: bool = False
    ending: bool = False
    yielding: bool = False
    """It is being ended because another wants its place."""
    waits_for: int | None = None
    """The job that its script asked for, and waits for."""
    asker: int | None = None
    """The job whose script asked for it."""
    refused: bool = False
    """Its last script was: its event is as good as over."""
    lent: bool = False
    """Others have its script's slot, as that waits for what it asked for."""
    borrowed: bool = False
    """Its script runs in the place of its asker's, which does nothing but wait for it."""

    @property
    def mode(self) -> Mode:
        return self.plan.mode


@attrs.define(eq=False)
class Claim:
    """What the model knows of one client's locks."""

    number: int
    """Below zero: no job's."""
    wish: int
    locks: frozenset[str]
    granted: bool
    asker: int | None = None
    """The job from whose script it was asked for, and which waits for it."""


class Driver:
    """A core, obeyed, and the books about it."""

    def __init__(self, *, processors: int, limit: int) -> None:
        self.core: Core[int] = Core(Admission(processors=processors, limit=limit))
        self.limit = limit
        self.books: dict[int, Book] = {}
        self.claims: dict[int, Claim] = {}
        self.claimed = 0
        self.started: set[int] = set()
        self.over: dict[int, str] = {}
        self.clock = 0

    # ------------------------------------------------------------------ looking

    def select(self, *stages: Stage) -> Iterator[Book]:
        return (book for book in self.books.values() if book.stage in stages)

    def neighbours(self, book: Book) -> list[Book]:
        """Jobs of the same component that are not over, but itself."""
        return [one for one in self.select(*WAITING, Stage.RUNNING) if one.component == book.component and one != book]

    def owners(self) -> list[Book | Claim]:
        """Who has locks or wants some, in the order of asking."""
        wishes: list[Book | Claim] = [
            *(book for book in self.books.values() if book.wish and book.locks),
            *self.claims.values(),
        ]
        return sorted(wishes, key=lambda one: one.wish)

    def check_locks(self) -> None:
        """Who asked for any of the same locks before has them, or goes first; else they are had. No other rule."""
        owners = self.owners()
        having = [
            one
            for index, one in enumerate(owners)
            if all(one.locks.isdisjoint(before.locks) for before in owners[:index])
        ]
        locks = {lock.name: lock for lock in self.core.state.scripts}
        assert locks.keys() == frozenset().union(*(one.locks for one in owners))
        for name, lock in locks.items():
            assert lock.holder == next((one.number for one in having if name in one.locks), None)
            waiting = [one.number for one in owners if name in one.locks and one not in having]
            assert list(lock.waiting) == waiting
        for one in owners:
            if isinstance(one, Claim):
                assert one.granted == (one in having), "a client waits for nothing, or has what it wasn't told of"
            else:
                assert one in having or not one.granted

    def check(self) -> None:
        """What is true at every step."""
        assert self.core.take() is None
        self.check_locks()
        state = self.core.state
        assert {job: stage in WAITING for job, stage in state.stages} == {
            book.number: book.stage in WAITING for book in self.books.values()
        }
        assert [job for job, stage in state.stages if stage is Stage.RELEASED] == [
            book.number for book in self.select(Stage.RELEASED)
        ]
        running = [book for book in self.books.values() if book.granted]
        slots = sum(not (book.borrowed or book.lent) for book in running)
        assert slots == state.admission.running
        assert slots <= self.limit
        assert sum(len(book.locks) for book in running) == len(frozenset().union(*(book.locks for book in running)))
        for component in COMPONENTS:
            here = [book for book in self.select(Stage.RUNNING) if book.component == component]
            assert len(here) <= 1 or all(book.mode is Mode.ADDRESS for book in here), "not alone"
            waiting = [book for book in self.select(*WAITING) if book.component == component]
            assert self.core.idle(component) == (not here and not waiting)
            for monitor in here if waiting else ():
                assert monitor.mode is not Mode.MONITOR or monitor.yielding, "a monitor does not yield"
        for book in self.books.values():
            assert self.core.waits(book.number) == (book.stage in WAITING)
            assert bool(self.core.blockers(book.number)) == (book.stage in WAITING), "waits for nobody"
            assert book.number not in self.core.blockers(book.number)
            assert self.core.first_blocker(book.number) == next(iter(self.core.blockers(book.number)), None)

    # ------------------------------------------------------------------ obeying

    def obey(self) -> None:
        while (step := self.core.take()) is not None:
            what, job = step
            if what is Action.GRANT:
                claim = self.claims[job]
                assert not claim.granted, "told twice"
                claim.granted = True
                continue
            book = self.books[job]
            if what is Action.REFUSE:
                assert book.mode is Mode.MONITOR, "only monitors are refused"
                self.forget(book, "refused")
            elif what is Action.START:
                self.start(book)
            elif what is Action.DEADLOCK:
                assert book.asker in self.books, "taken back though nobody waits for it"
                assert book.stage in WAITING
                self.forget(book, "deadlock")
            elif what is Action.WAIT:
                assert book.plan.resources, "waits for no address"
            elif what is Action.GO:
                assert book.wish
                self.grant(book)
            else:
                assert book.stage is Stage.RUNNING
                assert not (book.yielding if what is Action.YIELD else book.ending), "ended twice"
                assert (what is Action.YIELD) == (book.mode is Mode.MONITOR and bool(self.neighbours(book)))
                book.ending, book.yielding = True, what is Action.YIELD

    def start(self, book: Book) -> None:
        assert book.stage is Stage.QUEUED, "started twice"
        for other in self.neighbours(book):
            if other.number < book.number:
                assert book.mode is Mode.ADDRESS is other.mode, "a barrier was passed"
                assert other.stage is Stage.RUNNING or other.plan != book.plan, "overtaken on its address"
        for other in self.select(Stage.RUNNING, Stage.RELEASED):
            assert not set(other.plan.resources) & set(book.plan.resources), "an address overlaps itself"
        book.stage = Stage.RUNNING
        self.started.add(book.number)

    def grant(self, book: Book) -> None:
        assert not book.granted
        for other in self.owners():
            assert not (other.wish < book.wish and other.locks & book.locks), "overtaken on a lock"
        book.granted = True
        book.borrowed = book.asker in self.books

    def lend(self, asker: int | None) -> None:
        """Notes that those whose scripts wait need no slot for that."""
        while asker in self.books:
            self.books[asker].lent = True
            asker = self.books[asker].asker

    def forget(self, book: Book, fate: str) -> None:
        del self.books[book.number]
        self.over[book.number] = fate
        for other in self.books.values():
            if other.waits_for == book.number:
                other.waits_for = None

    # ------------------------------------------------------------------ what happens

    def submit(self, component: str, its_plan: Plan, asker: int | None = None) -> Book:
        number = len(self.books) + len(self.over)
        book = self.books[number] = Book(number, component, its_plan, asker=asker)
        there = self.neighbours(book)
        monitors = [one for one in there if one.mode is Mode.MONITOR]
        self.core.submit(number, component, its_plan, parents(asker))
        if self.core.waits(number):
            self.lend(asker)
        self.obey()
        if its_plan.mode is Mode.MONITOR and len(monitors) < len(there):
            assert self.over[number] == "refused", "a monitor waits for something else"
        else:
            assert number in self.books, "refused without a reason"
            for monitor in monitors:
                assert monitor.yielding or self.over.get(monitor.number) == "refused", "a monitor did not yield"
        return book

    def want_script(self, book: Book, locks: frozenset[str]) -> None:
        self.clock += 1
        try:
            granted = self.core.want_script(book.number, tuple(sorted(locks)))
        except WouldDeadlock:
            assert book.asker in self.books, "refused though nobody waits for it"
            book.refused = True
            self.obey()
            return
        book.wish, book.locks = self.clock, locks
        if granted:
            self.grant(book)
        elif not self.core.admission.waits(book.number):
            self.lend(book.asker)  # it waits for locks
        self.obey()

    def script_over(self, book: Book) -> None:
        book.wish, book.locks, book.granted, book.lent = 0, frozenset(), False, False
        # nobody waits any more for what it asked for and left behind
        others: list[Book | Claim] = [*self.books.values(), *self.claims.values()]
        for other in others:
            if other.asker == book.number:
                other.asker = None
        self.core.script_over(book.number)
        self.obey()

    def released(self, book: Book) -> None:
        book.stage = Stage.RELEASED
        # whoever asked is answered
        for other in self.books.values():
            if other.waits_for == book.number:
                other.waits_for = None
        self.core.released(book.number)
        self.obey()

    def gone(self, book: Book) -> None:
        self.forget(book, "gone")
        self.core.gone(book.number)
        self.obey()

    def cancel(self, number: int) -> None:
        book = self.books.get(number)
        if book is not None and book.stage in WAITING:
            self.forget(book, "cancelled")
        self.core.cancel(number)
        self.obey()
        assert book is None or book.stage is not Stage.RUNNING or book.ending

    def claim(self, locks: frozenset[str], asker: Book | None = None) -> None:
        """A client asks for locks; one that descends from a script is refused what it would wait for in vain."""
        chain = [] if asker is None else [asker]
        while chain and chain[-1].asker in self.books:
            chain.append(self.books[chain[-1].asker])
        number = -1 - self.claimed
        hangs = bool(chain) and self.claim_would_hang(locks, {one.number for one in chain})
        try:
            granted = self.core.request_locks(
                number, tuple(sorted(locks)), parents(None if asker is None else asker.number)
            )
        except WouldDeadlock:
            # Who gets an address first is open while nobody has it, and so is when what is being ended will be gone;
            # what may well come to a deadlock is refused then.
            assert hangs or any(
                (book.plan.resources and book.stage in WAITING) or book.ending or book.stage is Stage.RELEASED
                for book in self.books.values()
            ), "refused without need"
        else:
            assert not hangs, "it waits for itself"
            self.clock += 1
            self.claimed += 1
            self.claims[number] = Claim(number, self.clock, locks, granted, None if asker is None else asker.number)
            if not granted and asker is not None:
                self.lend(asker.number)
        self.obey()

    def claim_would_hang(self, locks: frozenset[str], chain: set[int]) -> bool:
        """Tries it out, on a copy, with everything but those who wait for it coming to its end."""
        attempt = copy.deepcopy(self)
        number = -1 - attempt.claimed
        attempt.claims[number] = claim = Claim(number, attempt.clock + 1, locks, granted=False)
        claim.granted = attempt.core.request_locks(number, tuple(sorted(locks)))
        if not claim.granted:
            for one in chain:
                attempt.books[one].lent = True
                attempt.core.admission.release(one)
            attempt.core.admit_free()
        attempt.obey()
        while not claim.granted and attempt.advance(but=chain):
            pass
        return not claim.granted

    def drop(self, claim: Claim) -> None:
        """A client gives back its locks, or takes back its wish for them."""
        del self.claims[claim.number]
        self.core.drop_locks(claim.number)
        self.obey()

    def admit_one(self, runnable: int) -> None:
        self.core.admit_one(Load(runnable))
        self.obey()

    def advance(self, *, but: Collection[int] = ()) -> bool:
        """Lets every run get on as far as it can; those in `but` never do. Returns whether anything happened."""
        before = self.progress
        for book in [*self.select(Stage.RUNNING)]:
            if book.number in but or (self.waits_for_answer(book) and not book.ending):
                continue
            if book.ending or book.granted or not book.wish:
                if book.granted and not book.ending:
                    self.script_over(book)
                self.released(book)
        for book in [*self.select(Stage.RELEASED)]:
            self.gone(book)
        for claim in [one for one in self.claims.values() if one.granted]:
            self.drop(claim)
        return before != self.progress

    def waits_for_answer(self, book: Book) -> bool:
        """Returns whether a job's script waits for an event or a lock that it asked for."""
        return book.waits_for is not None or any(
            claim.asker == book.number and not claim.granted for claim in self.claims.values()
        )

    @property
    def progress(self) -> tuple[int, ...]:
        granted = sum(book.granted for book in self.books.values())
        return self.clock, len(self.over), len(self.books), granted, len(self.claims)

    def drain(self) -> None:
        """Only ends from here on: whatever waits must get its turn, without any idle processor."""
        while self.books or self.claims:
            assert self.advance(), "deadlock"
            self.check()
        assert all(fate in ("gone", "cancelled", "refused", "deadlock") for fate in self.over.values())
        assert self.started == {number for number, fate in self.over.items() if fate == "gone"}
        state = self.core.state
        assert (state.stages, state.addresses, state.scripts) == ((), (), ())
        assert (state.admission.running, state.admission.waiting) == (0, 0)
        assert self.core.jobs == ()


WAITING = (Stage.QUEUED, Stage.LOCKING)


class Machine(RuleBasedStateMachine):
    """What both machines below share."""

    driver: Driver

    def pick(self, data: st.DataObject, fits: Callable[[Book], bool]) -> Book | None:
        found = [book for book in self.driver.books.values() if fits(book)]
        return data.draw(st.sampled_from(found), label="job") if found else None

    @rule(data=st.data(), locks=st.frozensets(st.sampled_from(LOCKS), min_size=1))
    def claim_from_a_script(self, data: st.DataObject, locks: frozenset[str]) -> None:
        self.driver.claim(locks, self.pick(data, lambda one: one.granted))

    @precondition(lambda self: self.driver.claims)
    @rule(data=st.data())
    def end_claim(self, data: st.DataObject) -> None:
        self.driver.drop(data.draw(st.sampled_from([*self.driver.claims.values()]), label="claim"))

    @invariant()
    def promises_are_kept(self) -> None:
        if hasattr(self, "driver"):
            self.driver.check()

    def teardown(self) -> None:
        if hasattr(self, "driver"):
            self.driver.drain()


class AnythingHappens(Machine):
    """Arrivals, scripts and clients with any locks, ends, timeouts, cancellations, loads."""

    @initialize(limit=st.sampled_from([1, 2, 3, 256]), free=st.integers(1, 3))
    def begin(self, limit: int, free: int) -> None:
        self.driver = Driver(processors=1, limit=limit)
        # as many as there really are would hardly ever be taken
        self.driver.core.admission.free_limit = min(free, limit)

    @rule(component=st.sampled_from(COMPONENTS), its_plan=plans(), times=st.integers(1, 3))
    def submit(self, component: str, its_plan: Plan, times: int) -> None:
        for _ in range(times):
            self.driver.submit(component, its_plan)

    @rule(component=st.sampled_from(COMPONENTS), event=st.sampled_from(["takeip", "releaseip", "updateip"]))
    def submit_a_failover(self, component: str, event: str) -> None:
        before = ("eth1",) if event == "updateip" else ()
        for address in ADDRESSES:
            self.driver.submit(component, plan(event, (*before, "eth0", address, "24")))

    @rule(data=st.data(), locks=st.frozensets(st.sampled_from(LOCKS)))
    def want_script(self, data: st.DataObject, locks: frozenset[str]) -> None:
        book = self.pick(data, lambda one: one.stage is Stage.RUNNING and not one.wish and not one.ending)
        if book is not None:
            self.driver.want_script(book, locks)

    @rule(needs=st.lists(st.frozensets(st.sampled_from(LOCKS), max_size=2), min_size=2, max_size=6))
    def many_want_scripts(self, needs: list[frozenset[str]]) -> None:
        idle = [book for book in self.driver.select(Stage.RUNNING) if not (book.wish or book.ending)]
        for book, locks in zip(idle, needs, strict=False):
            self.driver.want_script(book, locks)

    @rule(locks=st.frozensets(st.sampled_from(LOCKS), min_size=1))
    def claim(self, locks: frozenset[str]) -> None:
        self.driver.claim(locks)

    @rule(data=st.data())
    def script_over(self, data: st.DataObject) -> None:
        book = self.pick(data, lambda one: one.stage is Stage.RUNNING and one.granted and not one.ending)
        if book is not None:
            self.driver.script_over(book)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        book = self.pick(data, lambda one: one.stage is Stage.RUNNING and (one.ending or not one.wish))
        if book is not None:
            self.driver.released(book)
            self.driver.gone(book)

    @rule(data=st.data())
    def time_out(self, data: st.DataObject) -> None:
        book = self.pick(data, lambda one: one.stage is Stage.RUNNING and (one.granted or one.ending or not one.wish))
        if book is not None:
            self.driver.released(book)

    @rule(data=st.data())
    def be_gone_at_last(self, data: st.DataObject) -> None:
        book = self.pick(data, lambda one: one.stage is Stage.RELEASED)
        if book is not None:
            self.driver.gone(book)

    @precondition(lambda self: self.driver.books or self.driver.over)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.driver.cancel(data.draw(st.sampled_from([*self.driver.books, *self.driver.over]), label="job"))

    @rule(runnable=st.sampled_from([0, 1, 100]))
    def look_at_load(self, runnable: int) -> None:
        self.driver.admit_one(runnable)


class ScriptsAsk(Machine):
    """Scripts ask for events and wait for them; what would hang is refused, and nothing else is."""

    @initialize()
    def begin(self) -> None:
        self.driver = Driver(processors=1, limit=1000)

    @rule(component=st.sampled_from(COMPONENTS), its_plan=plans())
    def submit(self, component: str, its_plan: Plan) -> None:
        book = self.driver.submit(component, its_plan)
        if book.stage is Stage.RUNNING:
            self.driver.want_script(book, frozenset())

    @rule(data=st.data(), locks=st.frozensets(st.sampled_from(LOCKS)))
    def want_script(self, data: st.DataObject, locks: frozenset[str]) -> None:
        book = self.pick(data, lambda one: one.stage is Stage.RUNNING and not one.wish and not one.ending)
        if book is not None:
            self.driver.want_script(book, locks)

    @rule(data=st.data(), component=st.sampled_from(COMPONENTS), its_plan=plans())
    def ask(self, data: st.DataObject, component: str, its_plan: Plan) -> None:
        asker = self.pick(
            data,
            # whatever ends a monitor ends its script too
            lambda one: (
                one.granted
                and not one.ending
                and one.waits_for is None
                and one.stage is Stage.RUNNING
                and one.mode is not Mode.MONITOR
            ),
        )
        if asker is None:
            return
        refused = self.driver.core.would_deadlock(component, its_plan, parents(asker.number))
        hangs = self.would_hang(component, its_plan, asker.number)
        assert refused or not hangs, "a deadlock was not seen"
        # Who gets an address first is open while nobody has it; what may well come to a deadlock is refused then.
        addresses = any(book.plan.resources for book in self.driver.books.values())
        assert hangs or addresses or not refused, "refused without need"
        if not refused:
            book = self.driver.submit(component, its_plan, asker.number)
            asker.waits_for = book.number if book.number in self.driver.books else None

    def would_hang(self, component: str, its_plan: Plan, asker: int) -> bool:
        """Tries it out, on a copy, with everything else coming to its end."""
        attempt = copy.deepcopy(self.driver)
        book = attempt.submit(component, its_plan)
        while attempt.advance(but={asker}):
            pass
        return book.number not in attempt.started and book.number not in attempt.over

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        book = self.pick(data, lambda one: one.stage is Stage.RUNNING and (one.ending or one.waits_for is None))
        if book is not None and (book.granted or book.ending or not book.wish):
            self.driver.released(book)
            self.driver.gone(book)


TestAnythingHappens = AnythingHappens.TestCase
TestAnythingHappens.settings = settings(
    deadline=None, max_examples=150, stateful_step_count=50, suppress_health_check=[HealthCheck.too_slow]
)
TestScriptsAsk = ScriptsAsk.TestCase
TestScriptsAsk.settings = settings(
    deadline=None, max_examples=100, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
