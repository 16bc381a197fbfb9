"""Lists come in as they are meant, never louder than they were, and go out so that they come in again."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter import address, list_export, tokens
from newsletter.errors import AddressError, ContentError
from newsletter.list_formats import FORMATS
from newsletter.list_import import Fate, Intake
from newsletter.spreadsheet import guard, unguard
from newsletter.store import Store, Subscriber, Subscription, open_store
from newsletter.store.door import Letter, LetterKind, LetterState, form_version
from newsletter.store.lists import Listed
from newsletter.subscriber_list import Line, Refused, SubscriberList
from tests.conftest import NOON

LISTS = Path(__file__).parent / "lists"
KEYS = (b"k" * 32,)
CONFIRMED, PENDING, LEFT = Subscription.CONFIRMED, Subscription.PENDING, Subscription.UNSUBSCRIBED
_numbers = itertools.count()
digests = partial(tokens.digests, keys=KEYS)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens new stores, each in a file of its own."""
    opened: list[Store] = []
    empty = tmp_path / "empty.db"
    open_store(f"sqlite:///{empty}").close()

    def one() -> Store:
        path = tmp_path / f"{next(_numbers)}.db"
        shutil.copy(empty, path)  # which is quicker than to make one
        opened.append(open_store(f"sqlite:///{path}"))
        return opened[-1]

    yield one
    for store in opened:
        store.close()


def written(folder: Path, text: str | bytes, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def intake(store: Store, refused: list[Refused] | None = None) -> Intake:
    return Intake(store, digests, NOON, "import of list.csv", ([] if refused is None else refused).append)


def take(store: Store, path: Path, **how: Any) -> tuple[Intake, list[Refused]]:
    """Import a file."""
    refused: list[Refused] = []
    taking = intake(store, refused)
    for _ in taking.take(SubscriberList(path, refuse=refused.append, **how).lines()):
        pass
    return taking, refused


def standing(store: Store, text: str) -> Subscription | None:
    found = store.known([address.parse(text).key])
    return next(iter(found.values())).subscription if found else None


def exported(store: Store, path: Path) -> bytes:
    list_export.write(path, store.listed())
    return path.read_bytes()


# -- each service's file

SAID = {
    "mailchimp-subscribed": {"desk": CONFIRMED, "Library+News": CONFIRMED, "added-by-hand": PENDING},
    "mailchimp-unsubscribed": {"left": LEFT},
    "mailchimp-cleaned": {"gone": "hard_bounce"},
    "substack": {"desk": CONFIRMED, "payer": CONFIRMED, "left": LEFT, "12345": None},
    "ghost": {"desk": CONFIRMED, "left": LEFT, "deleted": LEFT},
    "listmonk": {"desk": PENDING, "left": LEFT, "blocked": "operator"},
    "buttondown": {
        "desk": CONFIRMED, "payer": CONFIRMED, "waits": PENDING, "left": LEFT, "gone": "hard_bounce",
        "angry": "complaint", "robot": "operator", "new-word": None,
    },
    "beehiiv": {"desk": CONFIRMED, "waits": PENDING, "left": LEFT, "left-too": LEFT, "gone": "hard_bounce"},
}  # fmt: skip


def cells_of(path: Path, delimiter: str = ",") -> list[list[str]]:
    """A file as a spreadsheet divides it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def said(lines: list[Line]) -> dict[str, object]:
    return {
        line.subscriber.address.text.partition("@")[0]: line.suppressed or line.subscriber.subscription
        for line in lines
    }


def test_there_is_a_file_of_each_service_and_no_address_in_it_is_anybody_s() -> None:
    assert {path.stem for path in LISTS.glob("*.csv")} == SAID.keys()
    assert {name.partition("-")[0] for name in SAID} == FORMATS.keys() - {"own", "plain"}
    for path in LISTS.glob("*.csv"):
        for cell in itertools.chain(*cells_of(path)):
            if "@" in cell:
                ours = ("@example.com", "@deletion-request.substack.com")
                assert cell.lower().endswith(ours), cell


@pytest.mark.parametrize("name", SAID)
def test_a_service_s_file_is_recognised_by_its_columns_and_each_status_carried_over(name: str) -> None:
    people = SubscriberList(LISTS / f"{name}.csv")
    assert people.head().form is FORMATS[name.partition("-")[0]]
    assert people.head().signs()
    lines = list(people.lines())
    assert said(lines) == {who: status for who, status in SAID[name].items() if status}
    assert len(people.refused) == list(SAID[name].values()).count(None)
    for line in lines:
        assert (line.subscriber.subscription is LEFT) >= bool(line.suppressed)


@pytest.mark.parametrize("name", SAID)
@given(chance=st.randoms(use_true_random=False), delimiter=st.sampled_from(",;\t"))
@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, database=None
)
def test_neither_the_order_nor_the_case_of_columns_nor_what_divides_them_matters(
    name: str, tmp_path: Path, chance: Any, delimiter: str
) -> None:
    rows = cells_of(LISTS / f"{name}.csv")
    order = [*range(len(rows[0]))]
    chance.shuffle(order)
    path = tmp_path / "shuffled.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.writer(file, delimiter=delimiter, lineterminator=chance.choice(["\n", "\r\n"]))
        out.writerow([rows[0][place].swapcase() for place in order] + ["More"])
        out.writerows([[row[place] for place in order] for row in rows[1:]])
    assert said(list(SubscriberList(path).lines())) == {
        who: status for who, status in SAID[name].items() if status
    }


def test_names_moments_and_origin_are_carried_over() -> None:
    def first(name: str) -> Subscriber:
        return next(iter(SubscriberList(LISTS / f"{name}.csv", origin="imported")))

    mailchimp = first("mailchimp-subscribed")
    assert (mailchimp.name, mailchimp.source) == ("Risk Desk", "imported")
    assert (mailchimp.subscribed_at, mailchimp.confirmed_at) == (
        "2018-02-12T10:54:27Z",
        "2018-02-12T11:02:09Z",
    )
    assert first("substack").subscribed_at == "2018-08-27T15:06:27.713Z"
    assert first("listmonk").subscribed_at == "2021-06-30T11:11:45.123Z"  # written as 13:11:45 +0200 CEST
    assert first("beehiiv").subscribed_at == "2023-03-24T10:23:10Z"  # written as 10:23:10 UTC
    assert (first("beehiiv").name, first("beehiiv").source) == ("Risk Desk", "website; imported")
    assert first("buttondown").source == "organic; imported"


def test_listmonk_s_enabled_are_confirmed_by_the_operator_s_word_alone() -> None:
    """Its export does not say who has left a list: somebody enabled may have unsubscribed long ago."""
    people = SubscriberList(LISTS / "listmonk.csv", vouched=True, origin="imported")
    desk, left, blocked = people.lines()
    assert (desk.subscriber.subscription, desk.vouched) == (CONFIRMED, True)
    assert desk.subscriber.source == "imported, by the operator's word"
    assert {left.subscriber.subscription, blocked.subscriber.subscription} == {LEFT}
    assert not left.vouched


def test_the_operator_s_word_is_asked_for_nobody_whose_consent_the_file_tells(tmp_path: Path) -> None:
    path = written(
        tmp_path, "email,status,confirmed_at\na@x.org,confirmed,\nb@x.org,,2020-01-02\nc@x.org,pending,\n"
    )
    for vouched in (True, False):
        lines = list(SubscriberList(path, vouched=vouched).lines())
        assert [line.subscriber.subscription for line in lines] == [CONFIRMED, CONFIRMED, PENDING]
        assert not any(line.vouched or "word" in line.subscriber.source for line in lines)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("nonsubscribed_email_audience_export_1.csv", (LISTS / "mailchimp-subscribed.csv").read_bytes(), "never asked"),
        ("list.csv", b"PK\x03\x04rest", "archive or a spreadsheet"),
        ("list.csv", "email\na@x.org\n".encode("utf-16"), "not UTF-8"),
        ("list.csv", b"name,status\nA,confirmed\n", "one of them email"),
        ("list.csv", b"", "one of them email"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_list_is_refused_whole_with_what_to_do(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    with pytest.raises(ContentError, match=says):
        list(SubscriberList(written(tmp_path, content, name)).lines())


# -- lines that are refused


@pytest.mark.parametrize(
    ("line", "column", "says"),
    [
        (b"bad,confirmed,N,", "email", "@-sign"),
        ("räuber@x.org,confirmed,N,".encode(), "email", "Amazon SES"),
        (b"a@[127.0.0.1],confirmed,N,", "email", "IP address"),
        (b'"""a b""@x.org",confirmed,N,', "email", "Quoting"),
        (b"b@x.org,maybe,N,", "status", "confirmed, pending or unsubscribed"),
        (b"b@x.org,confirmed,N,31/12/20", "subscribed_at", "Write 2020-12-31"),
        (b"b@x.org,confirmed,N,9999-99-99", "subscribed_at", "Write 2020-12-31"),
        (b"b@x.org,confirmed,N,0001-01-01T00:00:00+05:00", "subscribed_at", "Write 2020-12-31"),
        (b"b@x.org,confirmed,K\xf6ln,", "name", "not UTF-8"),
        (b"b\xf6@x.org,confirmed,N,", "email", "not UTF-8"),
        (b"b@x.org,confirmed," + b"N" * 501 + b",", "name", "too long"),
        (b"b@x.org,confirmed,N,,,", "", "quotation marks"),
    ],
)
def test_a_line_is_refused_with_its_number_field_and_reason_and_the_others_are_taken(
    tmp_path: Path, line: bytes, column: str, says: str
) -> None:
    head = b"email,status,name,subscribed_at\ngood@x.org,confirmed,,\n\n"
    path = written(tmp_path, head + line + b"\nlast@x.org,,\n")
    people = SubscriberList(path)
    assert [person.address.text for person in people] == ["good@x.org", "last@x.org"]
    (refused,) = people.refused
    assert (refused.line, refused.field) == (4, column)
    assert says in refused.reason


def test_a_quotation_mark_that_is_never_closed_hides_no_line(tmp_path: Path) -> None:
    """Everything behind it would be one field: the operator must know that those lines are missing."""
    rest = "".join(f"p{number}@x.org,N\n" for number in range(30))
    people = SubscriberList(written(tmp_path, f'email,name\na@x.org,N\nb@x.org,"N\n{rest}'))
    assert [person.address.text for person in people] == ["a@x.org"]
    (refused,) = people.refused
    assert refused.line == 3
    assert "30 more lines" in refused.reason
    assert "quotation mark" in refused.reason
    rest = "".join(
        f"p{number}@x.org,N\n" for number in range(20_000)
    )  # more than a field of the csv module holds
    people = SubscriberList(written(tmp_path, f'email,name\na@x.org,N\nb@x.org,"N\n{rest}'))
    taken = [person.address.text for person in people]
    assert taken[0] == "a@x.org"
    assert "quotation mark" in people.refused[0].reason
    assert people.refused[0].line == 3


# -- addresses


def test_one_person_is_one_subscriber_in_whatever_case_and_alphabet(tmp_path: Path, fresh: Any) -> None:
    names = ("Reader@Bücher.example", "reader@xn--bcher-kva.example", "READER@BÜCHER.EXAMPLE")
    store = fresh()
    taking, refused = take(
        store, written(tmp_path, "email,status\n" + "".join(f"{name},confirmed\n" for name in names))
    )
    assert (taking.fates, refused) == ({Fate.ADDED: 1, Fate.KNOWN: 2}, [])
    (kept,) = store.listed()
    assert kept.email == "Reader@xn--bcher-kva.example"  # as typed; the domain as it is mailed


def test_dots_and_tags_make_other_people(tmp_path: Path, fresh: Any) -> None:
    names = ("a.b@gmail.com", "ab@gmail.com", "ab+news@gmail.com")
    store = fresh()
    take(store, written(tmp_path, "email\n" + "".join(f"{name}\n" for name in names)))
    assert [kept.email for kept in store.listed()] == list(names)


@pytest.mark.parametrize("name", ["ü@x.org", "あ@x.org", "a\u200bb@x.org", "K\u212aa@x.org"])
def test_an_address_that_ses_cannot_write_to_is_refused_in_a_sentence_that_says_so(name: str) -> None:
    with pytest.raises(AddressError, match="Amazon SES.*can write only to plain letters"):
        address.parse(name)


# -- taking in: no status is ever raised

RANK = {LEFT: 0, PENDING: 1, CONFIRMED: 2}
WORDS = ["confirmed", "pending", "unsubscribed", "bounced", "complained", "blocklisted", ""]
PEOPLE = [f"p{number}@example.org" for number in range(4)]
files = st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(WORDS)), max_size=8)
befores = st.lists(
    st.sampled_from([None, *Subscription, "suppressed", "erased"]), min_size=len(PEOPLE), max_size=len(PEOPLE)
)


@given(before=befores, lines=files, vouched=st.booleans())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
def test_no_file_raises_a_status_and_a_dry_run_tells_just_what_would_happen(
    tmp_path: Path, fresh: Any, before: list[Any], lines: list[tuple[str, str]], vouched: bool
) -> None:
    store = fresh()
    for text, state in zip(PEOPLE, before, strict=True):
        who = address.parse(text)
        if state in (*Subscription, "erased"):
            store.import_subscribers([Subscriber(who, CONFIRMED if state == "erased" else state)])
        if state == "suppressed":
            store.suppress(who.key, "complaint", NOON, "x")
        if state == "erased":
            assert store.erase_address(who.key, digests, NOON)
    path = written(tmp_path, "email,status\n" + "".join(f"{who},{word}\n" for who, word in lines))
    refused: list[Refused] = []
    weighing = intake(store, refused)
    assert list(weighing.weigh(SubscriberList(path, vouched=vouched).lines())) or not lines
    untouched = list(store.listed())
    taking, really_refused = take(store, path, vouched=vouched)
    for text, state in zip(PEOPLE, before, strict=True):
        mine = [word for who, word in lines if who == text]
        now = standing(store, text)
        if state == "erased":
            assert now is None
        elif state in RANK:
            assert now in RANK
            raised = RANK[now] > RANK[state]
            assert not raised or (state is PENDING and vouched and "" in mine)
            if set(mine) - {"confirmed", "pending", ""}:
                assert now is LEFT
        suppressed = store.suppression(address.parse(text).key, digests)
        bad = {"bounced", "complained", "blocklisted"} & set(mine)
        assert bool(suppressed) is (state == "suppressed" or (bool(bad) and state != "erased"))
    counts = (weighing.fates, weighing.added, weighing.suppressed, refused)
    assert counts == (taking.fates, taking.added, taking.suppressed, really_refused)
    again, _ = take(store, path, vouched=vouched)
    assert set(again.fates) <= {Fate.KNOWN}
    assert len(untouched) <= len(list(store.listed()))


def test_who_bounced_or_complained_elsewhere_is_suppressed_here_with_the_evidence(
    tmp_path: Path, fresh: Any
) -> None:
    store = fresh()
    take(store, written(tmp_path, "email,status\nreader@example.org,confirmed\n"))
    take(store, LISTS / "mailchimp-cleaned.csv")
    take(store, written(tmp_path, "email,status\nreader@example.org,complained\n"))
    found = {text: store.suppression(text, digests) for text in ("gone@example.com", "reader@example.org")}
    assert {text: (kept.reason, kept.evidence) for text, kept in found.items()} == {
        "gone@example.com": ("hard_bounce", "import of list.csv"),
        "reader@example.org": ("complaint", "import of list.csv"),
    }
    assert (standing(store, "reader@example.org"), standing(store, "gone@example.com")) == (LEFT, LEFT)


def test_a_second_file_with_the_operator_s_word_confirms_whom_the_first_left_pending(
    tmp_path: Path, fresh: Any
) -> None:
    store, path = fresh(), written(tmp_path, "email\na@example.org\nb@example.org\n")
    take(store, path)
    known = store.known(["b@example.org"])["b@example.org"]
    store.unsubscribe(known.public_id, NOON)
    taking, _ = take(store, path, vouched=True, origin="imported")
    assert taking.fates == {Fate.VOUCHED: 1, Fate.KNOWN: 1}
    assert (standing(store, "a@example.org"), standing(store, "b@example.org")) == (CONFIRMED, LEFT)
    assert next(iter(store.listed())).source == "imported, by the operator's word"


def test_an_import_that_is_cut_off_goes_on_and_adds_nobody_twice(tmp_path: Path, fresh: Any) -> None:
    rows = "".join(f"p{number}@example.org,{WORDS[number % 4]}\n" for number in range(5_000))
    path = written(tmp_path, f"email,status\n{rows}")
    store, whole = fresh(), fresh()
    lines = SubscriberList(path).lines()
    cut = itertools.islice(lines, 3_000)

    def broken() -> Iterator[Line]:
        yield from cut
        raise KeyboardInterrupt

    taking = intake(store)
    taking.step = 2_000
    with pytest.raises(KeyboardInterrupt):
        list(taking.take(broken()))
    assert sum(store.subscription_counts().values()) == 2_000  # whole steps, and no half one
    take(store, path)
    take(whole, path)
    assert [line._replace(id="") for line in store.listed()] == [
        line._replace(id="") for line in whole.listed()
    ]


def test_a_step_that_fails_leaves_nobody_half_taken_in(fresh: Any) -> None:
    """Whoever bounced elsewhere must not be on the list without the suppression."""
    store = fresh()
    people = [Subscriber(address.parse(f"{name}@example.org"), CONFIRMED) for name in "ab"]
    broken = Listed("b@example.org", "unsubscribed", suppressed="complaint", suppressed_at="no moment")
    with pytest.raises(ValueError, match="no moment"):
        list(intake(store).take([Line(2, people[0]), Line(3, people[1], "complaint", kept=broken)]))
    assert list(store.listed()) == []


def test_who_left_by_a_file_stays_gone_when_an_older_database_is_put_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'newsletter.db'}"
    store = open_store(url)
    take(store, written(tmp_path, "email,status\na@example.org,confirmed\nb@example.org,confirmed\n"))
    store.close()
    shutil.copy(tmp_path / "newsletter.db", tmp_path / "backup.db")
    store = open_store(url)
    take(store, written(tmp_path, "email,status\na@example.org,unsubscribed\n"))
    store.close()
    shutil.copy(tmp_path / "backup.db", tmp_path / "newsletter.db")
    store = open_store(url)
    assert standing(store, "a@example.org") is CONFIRMED
    assert (store.lagging(), store.replay(NOON)) == (1, 1)
    assert (standing(store, "a@example.org"), standing(store, "b@example.org")) == (LEFT, CONFIRMED)
    store.close()


# -- going out, and coming in again

# What a spreadsheet takes for a formula, and what it drops before it looks.
FORMULAS = ("=", "+", "-", "@", "|", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@given(st.text())
def test_a_guarded_cell_is_no_formula_and_comes_back_exactly(cell: str) -> None:
    assert not guard(cell).startswith(FORMULAS)
    assert unguard(guard(cell)) == cell


@given(st.sampled_from(FORMULAS), st.integers(0, 3), st.text(max_size=5))
def test_apostrophes_before_a_formula_come_back_exactly(sign: str, apostrophes: int, rest: str) -> None:
    cell = "'" * apostrophes + sign + rest
    assert not guard(cell).startswith(FORMULAS)
    assert unguard(guard(cell)) == cell


words = st.text("abÄ語 =+-@|'＝＋－＠;,\"", max_size=12).map(str.strip)
local = st.text(st.sampled_from("abAB=+-|'{"), min_size=1, max_size=6)
moments = st.datetimes(min_value=NOON.replace(tzinfo=None)).map(
    lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
)
people = st.lists(
    st.fixed_dictionaries({
        "email": local, "status": st.sampled_from(Subscription), "name": words, "source": words.map(lambda w: w or "x"),
        "at": moments, "sign_up": st.booleans(), "page": words, "text": st.text("aé=;\"'\n\r\t ", min_size=1, max_size=12),
        "suppressed": st.sampled_from(["", "hard_bounce", "complaint", "operator", "soft_bounces"]), "evidence": words,
        "paused": st.booleans(), "nobody": st.booleans(),
    }),
    max_size=5, unique_by=lambda one: one["email"].lower(),
)  # fmt: skip


def live(store: Store, one: dict[str, Any]) -> None:
    """Put one into a store as it comes about: by a list or by signing up; paused, suppressed."""
    try:
        who = address.parse(f"{one['email']}@example.org")
    except AddressError:
        return
    if one["nobody"]:
        store.suppress(who.key, one["suppressed"] or "operator", NOON, one["evidence"])
        return
    if one["sign_up"]:
        form, text = form_version(one["text"]), one["text"]
        number = next(_numbers).to_bytes(16, "big")
        letter = Letter(
            number, LetterKind.CONFIRM, who, NOON, "203.0.113.9", form, words={"page": one["page"]}
        )
        store.ask(letter, (), text)
        while taken := store.next_letter(NOON):
            store.letter_done(taken[0].id, LetterState.SUBMITTED, "", NOON, "message-1")
        store.confirm(letter.id, NOON + timedelta(seconds=1), "203.0.113.10")
    else:
        store.import_subscribers(
            [Subscriber(who, one["status"], one["name"], one["at"], one["at"], one["source"])]
        )
    known = store.known([who.key])[who.key]
    if one["paused"]:
        store.pause(known.public_id, NOON + timedelta(days=60), NOON)
    if one["suppressed"]:
        store.suppress(who.key, one["suppressed"], NOON, one["evidence"])


@given(people)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
def test_an_export_comes_back_exactly_and_is_safe_in_a_spreadsheet(
    tmp_path: Path, fresh: Any, everybody: list[dict[str, Any]]
) -> None:
    store, other = fresh(), fresh()
    with store.together():
        for one in everybody:
            live(store, one)
    path, again = tmp_path / "export.csv", tmp_path / "again.csv"
    exported(store, path)
    assert SubscriberList(path).head().form is FORMATS["own"]
    taking, refused = take(other, path)
    assert refused == []
    before, after = list(store.listed()), list(other.listed())
    assert taking.fates == ({Fate.ADDED: len(before)} if before else {})
    # Whoever was nobody is somebody now: unsubscribed, and suppressed as before.
    assert before == [
        new._replace(id=new.id if old.id else "") for old, new in zip(before, after, strict=True)
    ]
    exported(other, again)
    assert again.read_bytes() == path.read_bytes() or any(not line.id for line in before)
    for delimiter in ",;\t":  # what a spreadsheet divides by depends on where it runs
        cells = itertools.chain(*cells_of(path, delimiter))
        assert not [cell for cell in cells if cell.startswith(FORMULAS)]


def test_the_proof_of_consent_goes_with_the_list(tmp_path: Path, fresh: Any) -> None:
    store, other = fresh(), fresh()
    one = {
        "email": "reader",
        "sign_up": True,
        "page": "/subscribe/",
        "text": "I agree.\nReally.",
        "paused": True,
    }
    live(store, {"nobody": False, "suppressed": "", "evidence": "", **one})
    exported(store, tmp_path / "list.csv")
    take(other, tmp_path / "list.csv")
    public_id = other.known(["reader@example.org"])["reader@example.org"].public_id
    data = other.data_of(public_id)
    (consent,), (form,) = data["consent"], data["form"]
    assert form == {"version": form_version("I agree.\nReally."), "text": "I agree.\nReally."}
    assert (consent["asked_ip"], consent["confirmed_ip"]) == ("203.0.113.9", "203.0.113.10")
    assert (consent["page"], consent["message_id"]) == ("/subscribe/", "message-1")
    assert consent["confirmed_at"] == data["subscriber"][0]["confirmed_at"] == "2020-11-02T12:00:01.000Z"
    assert data["subscriber"][0]["paused_until"] == "2021-01-01T12:00:00.000Z"


def test_the_links_of_mails_that_are_out_work_after_the_list_has_moved(tmp_path: Path, fresh: Any) -> None:
    """An unsubscribe link never expires, and it carries the public id."""
    store, other = fresh(), fresh()
    take(store, written(tmp_path, "email,status\na@example.org,confirmed\nb@example.org,confirmed\n"))
    linked = store.known(["a@example.org"])["a@example.org"].public_id
    exported(store, tmp_path / "export.csv")
    take(other, written(tmp_path, "email,status\nb@example.org,confirmed\n"))
    before = other.known(["b@example.org"])["b@example.org"].public_id
    take(other, tmp_path / "export.csv")
    assert (
        other.known(["b@example.org"])["b@example.org"].public_id == before
    )  # whoever was here stays who they are
    assert other.unsubscribe(linked, NOON)
    assert (standing(other, "a@example.org"), standing(other, "b@example.org")) == (LEFT, CONFIRMED)


def test_the_proof_of_a_subscription_that_ended_is_not_given_to_the_next(fresh: Any) -> None:
    store = fresh()
    for at, page in ((NOON, "/first/"), (NOON + timedelta(days=40), "/second/")):
        who = address.parse("reader@example.org")
        letter = Letter(next(_numbers).to_bytes(16, "big"), LetterKind.CONFIRM, who, at, words={"page": page})
        store.ask(letter, ())
        assert store.next_letter(at)
        store.confirm(letter.id, at, "")
        store.unsubscribe(store.known([who.key])[who.key].public_id, at)
    (kept,) = store.listed()
    assert (kept.page, kept.status) == ("/second/", "unsubscribed")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("suppressed", "whim"), ("suppressed_at", "soon"), ("paused_until", "2020"), ("asked_at", "x"),
        ("form_text", "Other words"), ("name", "a\x1bb"), ("status", "maybe"), ("id", "12"), ("asked_ip", "1\n2"),
    ],
)  # fmt: skip
def test_a_line_of_our_own_export_that_was_spoilt_is_refused(
    tmp_path: Path, fresh: Any, column: str, value: str
) -> None:
    good = Listed("a@example.org", "confirmed", form=form_version("Words"), form_text="Words")
    list_export.write(tmp_path / "list.csv", [good, good._replace(email="b@example.org", **{column: value})])
    taking, (refused,) = take(fresh(), tmp_path / "list.csv")
    assert (taking.fates, refused.field, refused.number) == ({Fate.ADDED: 1}, column, 3)


def test_an_export_appears_whole_or_not_at_all_and_for_its_owner_s_eyes_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "as it was")

    def broken() -> Iterator[Listed]:
        yield Listed("a@example.org", "confirmed")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        list_export.write(path, broken())
    assert path.read_text() == "as it was"
    assert [one.name for one in tmp_path.iterdir()] == ["list.csv"]
    assert list_export.write(path, [Listed("a@example.org", "confirmed")]) == 1
    assert path.stat().st_mode & 0o777 == 0o600


# -- size

_MILLION = """
import json, resource, sys, time
from functools import partial
from pathlib import Path
from newsletter import list_export, tokens
from newsletter.list_import import Intake
from newsletter.store import open_store
from newsletter.subscriber_list import SubscriberList
from tests.conftest import NOON
folder = Path(sys.argv[1])
store = open_store(f"sqlite:///{folder / 'newsletter.db'}")
taking = Intake(store, partial(tokens.digests, keys=(b"k" * 32,)), NOON, "import", print)
start = time.monotonic()
for _ in taking.take(SubscriberList(folder / "list.csv").lines()):
    pass
took = time.monotonic() - start
lines = list_export.write(folder / "export.csv", store.listed())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"fates": taking.fates, "seconds": took, "lines": lines, "kilobytes": peak}))
"""


@pytest.mark.long
def test_a_million_lines_come_in_and_go_out_in_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "list.csv").open("w") as file:
        file.write("email,status,name,subscribed_at\n")
        for number in range(1_000_000):
            file.write(
                f"reader{number}@mail{number % 5000}.example.org,confirmed,Reader {number},2019-01-10T11:59:03Z\n"
            )
    done = subprocess.run(
        [sys.executable, "-c", _MILLION, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=900,
    )
    told = json.loads(done.stdout)
    assert (told["fates"], told["lines"]) == ({"added": 1_000_000}, 1_000_000)
    assert told["kilobytes"] < 400_000
