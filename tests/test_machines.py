"""What SES tells and what it answers, in every order and mixture that Hypothesis can think of.

The first machine plays SES and the sender against one ledger; the second test plays SES's answers against the sender.
Both keep a small account of their own of what must be true, and compare.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from newsletter import invariants, package
from newsletter.aftermath import Aftermath
from newsletter.delivery import Delivery, Links
from newsletter.errors import Ambiguous, Throttled
from newsletter.models import Package
from newsletter.ses.submit import Entry, EntryResult, Quota
from newsletter.states import Evidence, State, proven
from newsletter.store import Claim, Outcome, Sighting, open_store
from newsletter.store.proofs import DECIDED, Kept
from tests.conftest import Clock
from tests.store_contract import PACKAGE, fill

MONTHS = ("2020-10", "2020-11")
READERS = 5
# Tests on a file in memory: what is tested here is what the ledger makes of its rows, not the disk.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
SOUND = replace(PACKAGE, content_hash=package.content_hash(PACKAGE))


@dataclass
class Mail:
    """One mail of one call, as SES knows it: whether it took it, and what of it the ledger has been told."""

    briefing: str
    attempt: str
    number: int
    taken: bool
    told: set[Evidence] = field(default_factory=set)

    @property
    def message_id(self) -> str:
        return f"{self.attempt}-{self.number}"

    def sighting(self, kind: Evidence, clock: Clock, tagged: bool = True) -> Sighting:
        tags = (self.briefing, self.attempt, self.number) if tagged else ("", "", None)
        return Sighting(kind, self.message_id, clock(), *tags)


class EmptyQueue:
    """A queue that has been read; what SES has still to tell is its backlog."""

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog

    def backlog(self) -> tuple[int, int]:
        return self._backlog, 0


class Ledger(RuleBasedStateMachine):
    """Claims, answers, deaths, decisions and events in any order: the states are what the evidence proves."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=IN_MEMORY)
        self.store = open_store(f"sqlite:///{self.folder.name}/newsletter.db")
        self.clock = Clock()
        fill(self.store, READERS)
        for month in MONTHS:
            self.store.freeze(
                replace(SOUND, month=month, content_hash=package.content_hash(SOUND)), self.clock()
            )
        self.open: dict[str, Claim] = {}
        self.mails: list[Mail] = []
        self.calls = 0

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    # -- the sender

    @rule(month=st.sampled_from(MONTHS), limit=st.integers(1, READERS), taken=st.lists(st.booleans(), min_size=READERS, max_size=READERS))  # fmt: skip
    def claim(self, month: str, limit: int, taken: list[bool]) -> None:
        """A call is claimed, and SES takes some of its mails, or all or none; it has not answered yet."""
        if month in self.open:
            self.die(month)
        before = self.kept(month)
        self.calls += 1
        claim = self.store.claim(month, limit, f"a{self.calls}", self.clock())
        pending = [kept for kept in before.values() if kept.state is State.PENDING]
        assert (claim is None) <= all(self.suppressed(kept.address) for kept in pending)
        if claim is None:
            return
        self.open[month] = claim
        for recipient, accepted in zip(claim.recipients, taken, strict=False):
            assert before[recipient.number].state is State.PENDING
            assert not self.told(month, recipient.number), "mailed again though SES has told of its mail"
            assert not self.suppressed(recipient.address), "mailed though its address is suppressed"
            self.mails.append(Mail(month, claim.attempt, recipient.number, accepted))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        month = data.draw(st.sampled_from(sorted(self.open)))
        claim = self.open.pop(month)
        outcomes = []
        for mail in [one for one in self.mails if one.attempt == claim.attempt]:
            said = (State.SUBMITTED,) if mail.taken else (State.PENDING, State.FAILED)
            state = data.draw(st.sampled_from((*said, State.IN_DOUBT)))
            message_id = mail.message_id if state is State.SUBMITTED else ""
            outcomes.append(Outcome(mail.number, state, "said", message_id))
        self.store.record(claim, outcomes, self.clock())

    @rule(month=st.sampled_from(MONTHS))
    def die(self, month: str) -> None:
        """The sender dies; the next one finds its claim."""
        claim = self.open.pop(month, None)
        held = self.store.hold_orphans(month, self.clock())
        untold = [r for r in claim.recipients if not self.told(month, r.number)] if claim else []
        assert held == len(untold)

    @rule(
        month=st.sampled_from(MONTHS),
        state=st.sampled_from((State.SUBMITTED, State.FAILED)),
        which=st.integers(0, 9),
    )
    def resolve(self, month: str, state: State, which: int) -> None:
        """A person decides about one unanswered call."""
        if doubts := self.store.doubts(month):
            doubt = doubts[which % len(doubts)]
            self.store.release(month, doubt.attempt, state, f"{DECIDED}: so", self.clock())

    @rule(month=st.sampled_from(MONTHS))
    def settle(self, month: str) -> None:
        """Nothing that SES took may be released, as long as it is still to tell of it."""
        self.clock.pause(3600)
        self.store.canary_mailed(f"c{self.clock.now:%s}", self.clock())
        self.store.canary_seen(f"c{self.clock.now:%s}", self.clock())
        untold = sum(1 for mail in self.mails if mail.taken and not mail.told)
        doubtful = {kept.number for kept in self.kept(month).values() if kept.state is State.IN_DOUBT}
        queue: Any = EmptyQueue(untold)
        Aftermath(self.store, queue, Path(self.folder.name), self.clock).settle(month)
        after = self.kept(month)
        for number in doubtful:
            if after[number].state is State.PENDING:
                assert not any(m.taken for m in self.mails if (m.briefing, m.number) == (month, number))

    # -- SES

    @precondition(lambda self: any(mail.taken for mail in self.mails))
    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        """SES tells of some of the mails that it took: late, twice, and in any order."""
        taken = [mail for mail in self.mails if mail.taken]
        chosen = data.draw(
            st.lists(
                st.tuples(st.sampled_from(range(len(taken))), st.sampled_from(Evidence)),
                min_size=1,
                max_size=8,
            )
        )
        fresh = {(taken[at].message_id, kind) for at, kind in chosen if kind not in taken[at].told}
        sightings = [taken[at].sighting(kind, self.clock) for at, kind in chosen]
        assert self.store.apply(sightings, self.clock()) == len(fresh)
        for at, kind in chosen:
            taken[at].told.add(kind)
        assert self.store.apply(list(reversed(sightings)), self.clock()) == 0, "told twice, taken in twice"

    @rule(kind=st.sampled_from(Evidence))
    def tell_without_tags(self, kind: Evidence) -> None:
        """Of a mail whose name the ledger has, SES may leave the tags out."""
        for mail in self.mails:
            if self.kept(mail.briefing)[mail.number].message_id == mail.message_id:
                self.store.apply([mail.sighting(kind, self.clock, tagged=False)], self.clock())
                mail.told.add(kind)
                return

    @rule(kind=st.sampled_from(Evidence))
    def tell_of_other_mail(self, kind: Evidence) -> None:
        stranger = Sighting(kind, "of-nobody", self.clock(), "2019-01", "a1", 1)
        assert self.store.apply([stranger, replace(stranger, briefing="", number=None)], self.clock()) == 0

    # -- what must be true whenever one looks

    @invariant()
    def states_are_what_the_evidence_proves(self) -> None:
        for month in MONTHS:
            for number, kept in self.kept(month).items():
                if told := self.told(month, number):
                    assert kept.state is proven(told)
                    assert kept.message_id, "SES has named the mail"

    @invariant()
    def the_suppressed_are_those_who_bounced_or_complained(self) -> None:
        ended = {
            kept.address
            for month in MONTHS
            for number, kept in self.kept(month).items()
            if self.told(month, number) & {Evidence.HARD_BOUNCE, Evidence.COMPLAINT}
        }
        addresses = {kept.address for kept in self.kept(MONTHS[0]).values()}
        assert {address for address in addresses if self.suppressed(address)} == ended

    @invariant()
    def the_ledger_is_sound(self) -> None:
        for month in MONTHS:
            assert invariants.check(self.store, month) == []

    def kept(self, month: str) -> dict[int, Kept]:
        return {kept.number: kept for kept in self.store.kept(month)}

    def told(self, month: str, number: int) -> set[Evidence]:
        mails = [mail for mail in self.mails if (mail.briefing, mail.number) == (month, number)]
        return set().union(*(mail.told for mail in mails))

    def suppressed(self, address: str) -> bool:
        found = self.store.db.execute("SELECT 1 FROM suppression WHERE address_key = ?", (address,))  # type: ignore[attr-defined]
        return found.fetchone() is not None


class TestLedger(Ledger.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.long
class TestLedgerAtLength(Ledger.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=1500, stateful_step_count=40, deadline=None)


@settings(max_examples=40, deadline=None)
@given(st.permutations([(month, twice) for month in ("2020-08", "2020-09", "2020-10") for twice in (1, 2)]))
def test_soft_bounces_in_three_briefings_end_the_mail_in_whatever_order_they_come(
    told: list[tuple[str, int]],
) -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        store = open_store(f"sqlite:///{folder}/newsletter.db")
        fill(store, 2)
        for month in ("2020-08", "2020-09", "2020-10"):
            store.freeze(replace(SOUND, month=month), clock())
            claim = store.claim(month, 50, month, clock())
            assert claim
            store.record(
                claim,
                [Outcome(r.number, State.SUBMITTED, "", f"{month}-{r.number}") for r in claim.recipients],
                clock(),
            )
        seen = set()
        for month, _ in told:
            bounce = Sighting(Evidence.SOFT_BOUNCE, f"{month}-1", clock(), month, month, 1)
            store.apply([bounce], clock())
            seen.add(month)
            excluded = store.audience(clock()).exclusions
            assert excluded == ({"suppressed: soft_bounces": 1} if len(seen) == 3 else {})
        store.close()


# -- SES's answers against the sender

GOOD = "SUCCESS"
AGAIN = ("ACCOUNT_THROTTLED", "TRANSIENT_FAILURE")
FINAL = ("MESSAGE_REJECTED", "INVALID_PARAMETER", "INVALID_PARAMETER_VALUE")
STOP = ("ACCOUNT_DAILY_QUOTA_EXCEEDED", "ACCOUNT_SUSPENDED", "ACCOUNT_SENDING_PAUSED", "TEMPLATE_NOT_FOUND",
        "CONFIGURATION_SET_NOT_FOUND", "MAIL_FROM_DOMAIN_NOT_VERIFIED")  # fmt: skip
# In doubt: no word of SES's that is known, or one that contradicts itself.
ODD = ("SOMETHING_NEW", "", "success", "SUCCESS without a message id", "MESSAGE_REJECTED with a message id")
STATUSES = st.sampled_from((GOOD, *AGAIN, *FINAL, *STOP, *ODD, "FAILED"))
WHOLE = st.sampled_from(("", "", "", "", "throttled", "unanswered"))


class Script:
    """An SES that answers each recipient with the words written down for it, and then with success."""

    def __init__(self, words: Sequence[Sequence[str]], whole: Sequence[str]) -> None:
        self.words = [list(each) for each in words]
        self.whole = list(whole)
        self.calls: list[list[tuple[int, str]]] = []
        self.accepted: Counter[int] = Counter()

    def quota(self) -> Quota:
        return Quota(per_second=1e9, per_day=-1, used=0, enabled=True, production=True)

    def store_template(self, name: str, package: Package) -> None: ...

    def create_turn(self, name: str, owner: str) -> str | None:
        return owner

    def submit(
        self, template: str, package: Package, entries: Sequence[Entry], tags: dict[str, str]
    ) -> list[EntryResult]:
        numbers = [int(entry.tags["recipient"]) for entry in entries]
        whole = self.whole.pop(0) if self.whole else ""
        if whole == "throttled":
            raise Throttled("TooManyRequestsException", "Maximum sending rate exceeded.")
        if whole == "unanswered":
            self.calls.append([(number, "unanswered") for number in numbers])
            raise Ambiguous("no answer")
        said = [(n, self.words[n - 1].pop(0) if self.words[n - 1] else GOOD) for n in numbers]
        self.calls.append(said)
        self.accepted.update(n for n, word in said if word == GOOD)
        return [self._result(n, word) for n, word in said]

    @staticmethod
    def _result(number: int, word: str) -> EntryResult:
        status, _, about_id = word.partition(" with")
        named = word == GOOD or (bool(about_id) and not about_id.startswith("out"))
        return EntryResult(status, f"id-{number}" if named else "")


@settings(max_examples=250, deadline=None)
@given(
    words=st.lists(st.lists(STATUSES, max_size=4), min_size=1, max_size=50), whole=st.lists(WHOLE, max_size=4)
)
@example(words=[["FAILED"] * 3, ["FAILED", "FAILED"], []], whole=[])
@example(words=[["MESSAGE_REJECTED"]] * 4, whole=[])
@example(words=[[], ["FAILED"], ["SOMETHING_NEW"], ["ACCOUNT_THROTTLED"]] * 12, whole=["unanswered"])
def test_each_status_of_each_entry_does_to_its_recipient_what_it_says_and_no_more(
    words: list[list[str]], whole: list[str]
) -> None:
    script = Script(words, whole)
    clock = Clock()
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        store = open_store(f"sqlite:///{folder}/newsletter.db")
        fill(store, len(words))
        links = Links("https://briefing.example.org", (b"k" * 32,))
        while True:  # an operator who starts it again until there is nothing left to do
            before = len(script.calls)
            report = Delivery(store, script, links, clock, clock.pause).run(SOUND)
            for call in script.calls[before:-1]:
                assert not {word for _, word in call} & set(STOP), "mailed on after SES had said stop"
            if not report.counts.of(State.PENDING):
                break
            assert report.stopped
        kept = {each.number: each for each in store.kept(SOUND.month)}
        assert invariants.check(store, SOUND.month) == []
        store.close()
    assert max(script.accepted.values(), default=0) <= 1
    for number, one in kept.items():
        heard = [(dict(call)[number], call) for call in script.calls if number in dict(call)]
        said = [word for word, _ in heard]
        # Refused along with everybody else of a call says nothing of the one recipient.
        own = [word for word, call in heard if len(call) == 1 or GOOD in {each for _, each in call}]
        match said[-1]:
            case "SUCCESS":
                assert (one.state, one.message_id) == (State.SUBMITTED, f"id-{number}")
            case "FAILED":
                assert one.state is State.FAILED
                assert said.count("FAILED") >= 3
            case last if last in FINAL:
                assert one.state is State.FAILED
            case last:
                assert one.state is State.IN_DOUBT
                assert last in (*ODD, "unanswered")
        assert not set(said[:-1]) & {GOOD, *ODD, "unanswered"}, (
            "asked again after its mail was or may be taken"
        )
        assert not set(own[:-1]) & set(FINAL), "asked again after SES had refused it for good"
        assert own.count("FAILED") <= 3
