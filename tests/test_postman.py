"""The letters of the door, over HTTP to a local SES: who gets one, how often, and what is in it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parseaddr
from functools import partial
from pathlib import Path

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter import publication, tokens
from newsletter.address import Address
from newsletter.correspondence import Correspondence
from newsletter.errors import ContentError
from newsletter.limits import USUAL, counted_as
from newsletter.postman import MOST_UNANSWERED, Postman, in_earnest, judge
from newsletter.publication import Publication
from newsletter.ses.post import Post
from newsletter.ses.submit import PRACTICE
from newsletter.store import Store, Subscription, open_store
from newsletter.store.door import LIFETIMES, Letter, LetterKind, LetterState, Standing, Used
from newsletter.tokens import Purpose, verify
from tests.conftest import ROOT, Clock
from tests.door_contract import DAY, HOUR, KEYS, NOW, READER, joined, letter
from tests.local_ses_world import World, world
from tests.store_contract import PACKAGE
from tests.test_submit import Answer, StandIn

TEMPLATES = ROOT / "theme/templates/email/letters"
FACTS = replace(publication.load(ROOT / "publication.toml"), sender="Cairnwell Risk <briefing@example.com>")
LINKS = {
    LetterKind.CONFIRM: ("confirm", Purpose.CONFIRM),
    LetterKind.MY_PAGE: ("me", Purpose.MY_PAGE),
    LetterKind.CHANGE: ("change", Purpose.CHANGE),
}
NOBODY = Standing(None, "", 0, None)
PERSON = replace(NOBODY, subscription=Subscription.CONFIRMED)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ses"), max_send_rate=10_000.0) as made:
        yield made


@pytest.fixture
def ses(shared: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in {
        "AWS_ENDPOINT_URL_SESV2": shared.server.url,
        "AWS_ACCESS_KEY_ID": "local-ses",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    }.items():
        monkeypatch.setenv(name, value)
    return shared.fresh()


@pytest.fixture
def open_it(tmp_path: Path) -> Callable[[], Store]:
    return lambda: open_store(f"sqlite:///{tmp_path / 'newsletter.db'}")


@pytest.fixture
def store(open_it: Callable[[], Store]) -> Iterator[Store]:
    opened = open_it()
    yield opened
    opened.close()


class _Post(Post):
    read_seconds = 1.0


@pytest.fixture
def postman(ses: World, store: Store, clock: Clock) -> Postman:
    clock.now = NOW
    return made(store, clock)


def made(store: Store, clock: Clock, facts: Publication = FACTS) -> Postman:
    return Postman(
        store,
        _Post("newsletter", "eu-west-1"),
        Correspondence(facts, KEYS, TEMPLATES),
        partial(tokens.digests, keys=KEYS),
        clock,
        clock.pause,
    )


def state(store: Store, one: Letter) -> LetterState:
    found = store.letter(one.id)
    assert found
    return found.state


def parts(mail: EmailMessage) -> tuple[str, str]:
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text
    assert html
    return str(text.get_content()), str(html.get_content())


def links(html: str) -> list[str]:
    return [str(link) for link in lxml.html.document_fromstring(html).xpath("//@href | //@src")]


# -- in time, and in earnest


def test_a_sign_up_that_nobody_confirms_vanishes_after_thirty_days(
    ses: World, store: Store, postman: Postman, clock: Clock
) -> None:
    """While the postman works on, as it does for months; the house's own messages stay until they are mailed."""
    asked = letter()
    store.ask(asked, [])
    days = []

    def another_day(seconds: float) -> None:
        clock.now += DAY / 2
        days.append((clock.now - NOW, store.letter(asked.id) is not None))

    postman._pause = another_day
    postman.attend(lambda: clock.now > NOW + 33 * DAY, lambda words: None)
    assert len(ses.mails()) == 1
    assert all(there for age, there in days if age < 30 * DAY)
    assert not any(there for age, there in days if age > 31 * DAY)


@pytest.mark.parametrize("what", ["letters", "a briefing"])
def test_letters_asked_for_in_earnest_are_not_mailed_into_the_mailbox_of_this_machine(
    ses: World, store: Store, postman: Postman, clock: Clock, what: str
) -> None:
    if what == "letters":
        store.ask(letter("before@example.org"), [])
        store.next_letter(NOW, through="email.eu-west-1.amazonaws.com")
    else:
        store.freeze(PACKAGE, NOW, "email.eu-west-1.amazonaws.com")
    waits = letter()
    store.ask(waits, [])
    told: list[str] = []
    postman.attend(lambda: clock.now > NOW + timedelta(minutes=1), told.append)
    assert len(told) == 1
    assert "goes through email.eu-west-1.amazonaws.com" in told[0]
    assert "STORE_URL=sqlite:///var/practice.db" in told[0]
    assert (ses.mails(), state(store, waits)) == ([], LetterState.ASKED)


def test_practice_may_become_earnest_and_stays_practice_until_then(
    ses: World, store: Store, postman: Postman
) -> None:
    store.ask(letter(), [])
    postman.begin()
    postman.round()
    assert store.mailed_through() == {PRACTICE}
    postman.begin()
    assert in_earnest(store, PRACTICE) == in_earnest(store, "email.eu-west-1.amazonaws.com") == ""


# -- what is in them


@pytest.mark.parametrize("kind", list(LINKS), ids=str)
def test_a_letter_has_its_link_and_nothing_that_a_visitor_typed(
    ses: World, store: Store, postman: Postman, kind: LetterKind
) -> None:
    public_id = b"" if kind is LetterKind.CONFIRM else joined(store)
    words = {"page": "/VISITOR/", "name": "VISITOR http://evil.example/", "email": "visitor@evil.example"}
    one = letter(kind=kind, at=NOW, words=words, subscriber=public_id, form="")
    store.ask(one, [])
    assert postman.round().counts == {LetterState.SUBMITTED: 1}
    (mail,) = ses.mails()
    text, html = parts(mail)
    path, purpose = LINKS[kind]
    (url,) = links(html)
    head, _, token = url.rpartition("/")
    assert head == f"{FACTS.site_url}/{path}"
    assert verify(token, purpose, KEYS) == one.id
    assert url in text.split()
    assert {name.lower() for name in mail} == {
        *("from", "to", "reply-to", "subject", "message-id", "date"),
        *("auto-submitted", "mime-version", "content-type"),
    }
    assert (mail["To"], mail["Auto-Submitted"]) == (READER, "auto-generated")
    assert mail["Reply-To"] == FACTS.contact
    assert parseaddr(mail["From"])[1] == "briefing@example.com"
    whole = ses.files()[0].read_text().lower()
    assert "visitor" not in whole
    assert "evil.example" not in whole
    shown = " ".join(lxml.html.document_fromstring(html).text_content().split())
    for body in (" ".join(text.split()), shown):
        assert FACTS.postal_address in body
        assert "If it was not you, do nothing" in body
    assert all(len(line) <= 72 or "://" in line for line in text.splitlines())
    assert "$" not in text
    assert "{{" not in html


def test_the_letters_say_how_long_their_links_work(store: Store) -> None:
    written = Correspondence(FACTS, KEYS, TEMPLATES)
    assert "7 days" in written.mail(letter()).text
    assert LIFETIMES[LetterKind.CONFIRM].days == 7
    for kind in (LetterKind.MY_PAGE, LetterKind.CHANGE):
        assert LIFETIMES[kind].days == 1
        assert "one day" in written.mail(letter(kind=kind)).text


def test_a_message_goes_to_the_house_alone_and_its_answer_to_the_visitor(
    ses: World, store: Store, postman: Postman
) -> None:
    words = {
        "email": "Visitor@evil.example",
        "name": "<b>Bcc: x@y.example</b>",
        "desk": "Iraq",
        "region": "Iraq",
        "article": "analyses/claim/",
        "message": "Dear desk,\nwhy “unlikely”? See http://spam.example/\n.\n<script>1</script>\r\n-- \nX",
    }
    store.ask(letter("someone@else.example", LetterKind.CONTACT, words=words), [])
    store.suppress(FACTS.contact, "hard_bounce", NOW, "")
    assert postman.round().counts == {LetterState.SUBMITTED: 1}
    (mail,) = ses.mails()
    assert [one["to"] for one in ses.accepts()] == [FACTS.contact]
    assert (mail["To"], mail["Reply-To"], mail["Cc"]) == (FACTS.contact, "Visitor@evil.example", None)
    text, html = parts(mail)
    for line in (
        "| Dear desk,",
        "| why “unlikely”? See http://spam.example/",
        "| <script>1</script>",
        "| <b>Bcc:",
    ):
        assert line in text
    page = lxml.html.document_fromstring(html)
    assert links(html) == []
    assert page.xpath("//script | //b") == []
    assert "<script>1</script>" in page.text_content()
    assert "none of it is checked" in " ".join(text.split())


def test_messages_of_strangers_do_not_become_one_conversation(store: Store) -> None:
    written = Correspondence(FACTS, KEYS, TEMPLATES)
    words = {"email": "visitor@evil.example", "message": "Hello"}
    subjects = {
        written.mail(letter(kind=LetterKind.CONTACT, words=words, id=bytes([n]) * 16)).subject for n in (1, 2)
    }
    assert len(subjects) == 2


@pytest.mark.parametrize(
    "typed",
    ["", FACTS.contact, FACTS.contact.upper(), FACTS.reply_to, "briefing@example.com", "=?UTF-8?Q?=0A?=@x.example",
     "a@b.example, c@d.example", "a@b.example\nBcc: c@d.example", "größe@x.example", '"a b"@x.example'],
)  # fmt: skip
def test_no_answer_goes_in_a_circle_or_to_more_than_one(
    ses: World, store: Store, postman: Postman, typed: str
) -> None:
    store.ask(letter(kind=LetterKind.CONTACT, words={"email": typed, "message": "Hello"}), [])
    postman.round()
    (mail,) = ses.mails()
    assert mail["Reply-To"] is None


HOSTILE = st.text(max_size=200) | st.sampled_from(
    [
        "=?UTF-8?Q?=0A?=Bcc: x@y.z",
        "a\r\nBcc: x@y.z",
        "\u2028\u202eevil",
        "{{ 7*7 }}",
        "${house}",
        "<img src=x>",
        "\x00",
    ]
)


TYPED = ("name", "desk", "region", "article", "page", "message")


@given(st.fixed_dictionaries(dict.fromkeys(TYPED, HOSTILE)))
def test_whatever_a_visitor_types_is_only_text_of_the_body(words: dict[str, str]) -> None:
    """The same headers as of a tame message, and the same elements with the same links."""
    written = Correspondence(FACTS, KEYS, TEMPLATES)
    tame = letter(kind=LetterKind.CONTACT, words={**dict.fromkeys(words, "x"), "email": "v@x.example"})
    wild = replace(tame, words={**words, "email": "v@x.example"})
    one, other = written.mail(tame), written.mail(wild)
    assert replace(one, text="", html="") == replace(other, text="", html="")
    shown = lxml.html.document_fromstring(other.html)
    assert links(other.html) == []
    kinds = {element.tag for element in shown.iter()}
    assert kinds <= {element.tag for element in lxml.html.document_fromstring(one.html).iter()} | {"br"}
    assert "\x00" not in other.text
    assert "\u202e" not in other.text + other.html
    for typed in other.text.split("typed.")[-1].split("-" * 72)[0].splitlines()[1:]:
        assert not typed or typed[0] == "|" or typed in ("Name", "Address", "To", "Region", "About", "Message",
                                                         "Written on the page")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (None, "not found"),
        ("= nonsense", "TOML"),
        ('[confirm]\nsubject = "x"', "confirm: needs the texts subject, heading, button"),
        ("$unknown", "unknown"),
    ],
)
def test_a_theme_with_a_faulty_letter_is_told_before_anybody_asks(
    tmp_path: Path, text: str | None, word: str
) -> None:
    folder = tmp_path / "email"
    shutil.copytree(TEMPLATES.parent, folder)
    file = folder / "letters" / "letters.toml"
    if text is None:
        file.unlink()
    elif text.startswith("$"):
        file.write_text(file.read_text().replace("$house", text))
    else:
        file.write_text(text)
    with pytest.raises(ContentError, match=r"letters\.toml") as told:
        Correspondence(FACTS, KEYS, folder / "letters")
    assert word in str(told.value)


def test_a_house_whose_name_is_not_ascii_can_write_letters(ses: World, store: Store, clock: Clock) -> None:
    clock.now = NOW
    facts = replace(FACTS, house="Größe & Söhne", sender="Größe & Söhne <briefing@example.com>")
    store.ask(letter(), [])
    assert made(store, clock, facts).round().counts == {LetterState.SUBMITTED: 1}
    (mail,) = ses.mails()
    assert str(mail["From"]) == "Größe & Söhne <briefing@example.com>"


# -- who gets one


@pytest.mark.parametrize(
    ("kind", "standing", "hours", "why"),
    [
        (LetterKind.CONFIRM, NOBODY, 0, ""),
        (LetterKind.CONFIRM, replace(NOBODY, subscription=Subscription.PENDING), 0, ""),
        (LetterKind.CONFIRM, replace(NOBODY, subscription=Subscription.UNSUBSCRIBED), 0, ""),
        (LetterKind.CONFIRM, replace(NOBODY, suppressed="complaint"), 0, "suppressed: complaint"),
        (LetterKind.CONFIRM, replace(NOBODY, unanswered=2, newest=NOW - DAY), 0, ""),
        (LetterKind.CONFIRM, replace(NOBODY, newest=NOW - DAY + HOUR), 0, "within 24 hours"),
        (
            LetterKind.CONFIRM,
            replace(NOBODY, newest=NOW + HOUR),
            0,
            "within 24 hours",
        ),  # the clock was set back
        (
            LetterKind.CONFIRM,
            replace(NOBODY, unanswered=3, newest=NOW - 9 * DAY),
            0,
            "3 confirmation letters",
        ),
        (LetterKind.CONFIRM, NOBODY, 4 * 24, "too long ago"),
        (LetterKind.MY_PAGE, NOBODY, 0, "nobody's"),
        (LetterKind.MY_PAGE, PERSON, 0, ""),
        (LetterKind.MY_PAGE, replace(PERSON, subscription=Subscription.UNSUBSCRIBED), 0, ""),
        (LetterKind.MY_PAGE, replace(PERSON, today=2), 0, ""),
        (LetterKind.MY_PAGE, replace(PERSON, today=3), 0, "had 3 such letters"),
        (LetterKind.MY_PAGE, replace(PERSON, suppressed="hard_bounce"), 0, "suppressed"),
        (LetterKind.MY_PAGE, PERSON, 13, "too long ago"),
        (LetterKind.CHANGE, PERSON, 0, ""),
        (LetterKind.CHANGE, NOBODY, 0, "nobody's"),
        (LetterKind.CHANGE, replace(PERSON, suppressed="complaint"), 0, "suppressed"),
        (LetterKind.CHANGE, replace(PERSON, today=3), 0, "had 3 such letters"),
        (LetterKind.CONTACT, replace(NOBODY, suppressed="complaint", today=99), 24 * 90, ""),
    ],
)
def test_the_postman_mails_only_what_its_reader_would_want(
    kind: LetterKind, standing: Standing, hours: int, why: str
) -> None:
    reason = judge(letter(kind=kind, form=""), standing, NOW + hours * HOUR)
    assert (why in reason) if why else reason == ""


def test_a_stranger_can_have_a_subscriber_told_once_a_day_and_no_more() -> None:
    """By the sign-up form. The form for one's own page is for who wants it."""
    assert judge(letter(kind=LetterKind.MY_PAGE), PERSON, NOW) == ""
    assert judge(letter(kind=LetterKind.MY_PAGE), replace(PERSON, today=1), NOW)


def test_an_address_that_is_an_encoded_word_is_written_to_nobody() -> None:
    """No form takes it any more, but a store may hold one: Python's own email package would make a second line of it."""
    text = "=?UTF-8?Q?=0A?=@example.org"
    assert judge(replace(letter(), to=Address(text, text.lower())), NOBODY, NOW)


def test_whoever_is_bombed_gets_three_letters_a_day_apart(
    ses: World, store: Store, postman: Postman, clock: Clock
) -> None:
    """A request an hour, for ten days, each with another spelling."""
    store.db.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]
    at = []
    for number in range(240):
        clock.now = NOW + number * HOUR
        spelling = READER.upper() if number % 2 else READER
        store.ask(letter(spelling, at=clock.now), [])
        if postman.round().counts.get(LetterState.SUBMITTED):
            at.append(number)
    assert at == [0, 24, 48]
    assert len(at) == MOST_UNANSWERED == len(ses.mails())


def test_one_mailbox_is_not_bombed_through_its_spellings(
    ses: World, store: Store, postman: Postman, clock: Clock
) -> None:
    """Fifty a day, all of them let in, for as long as a sign-up is remembered."""
    store.db.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]
    for day in range(5):
        clock.now = NOW + day * DAY
        for n in range(50):
            one = letter(f"victim+{day}.{n}@outlook.com", at=clock.now)
            store.ask(replace(one, mailbox=counted_as(one, KEYS[0])), [])
        postman.round()
    assert len(ses.mails()) == MOST_UNANSWERED


def test_however_many_sign_ups_are_let_in_an_hours_mails_have_a_ceiling(
    ses: World, store: Store, postman: Postman, clock: Clock
) -> None:
    """Oldest first; what is not about a sign-up does not wait behind them."""
    assert postman.most_an_hour == USUAL.mailed_hour < USUAL.proven
    postman.most_an_hour = 3
    for n in range(8):
        store.ask(letter(f"r{n}@example.org"), [])
    store.ask(letter(kind=LetterKind.CONTACT, words={"email": READER, "message": "Hello"}), [])
    mailed = []
    for hour in (0, 0.5, 1.1, 2.2):
        clock.now = NOW + hour * HOUR
        postman.round()
        mailed.append(len(ses.mails()))
    assert mailed == [4, 4, 7, 9]
    readers = [mail["To"] for mail in ses.mails() if mail["To"] != FACTS.contact]
    assert readers == [f"r{n}@example.org" for n in range(8)]


def test_what_has_waited_too_long_for_its_turn_is_dropped_and_keeps_nobody_waiting(
    ses: World, store: Store, postman: Postman, clock: Clock
) -> None:
    postman.most_an_hour = 1
    for n in range(5):
        store.ask(letter(f"r{n}@example.org"), [])
    clock.now = NOW + 4 * DAY
    store.ask(letter("young@example.org", at=clock.now), [])
    assert postman.round().counts == {LetterState.DROPPED: 5, LetterState.SUBMITTED: 1}


def test_many_who_ask_for_one_address_at_once_get_one_letter(
    ses: World, store: Store, postman: Postman, open_it: Callable[[], Store]
) -> None:
    def ask() -> None:
        mine = open_it()
        mine.ask(letter(), [])
        mine.close()

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert postman.round().counts == {LetterState.SUBMITTED: 1, LetterState.DROPPED: 31}
    assert len(ses.mails()) == 1


def test_the_letter_is_all_there_is_between_a_form_and_a_subscriber(
    ses: World, store: Store, postman: Postman
) -> None:
    """From the mail that arrived, through its own link, to a subscriber, and through it again to nothing new."""
    store.ask(letter(), [])
    postman.round()
    (url,) = links(parts(ses.mails()[0])[1])
    letter_id = verify(url.rpartition("/")[2], Purpose.CONFIRM, KEYS)
    assert letter_id
    assert store.confirm(letter_id, NOW, "192.0.2.7") is Used.DONE
    assert store.confirm(letter_id, NOW, "192.0.2.7") is Used.ALREADY
    assert store.subscription_counts() == {Subscription.CONFIRMED: 1}
    found = store.letter(letter_id)
    assert found
    (consent,) = store.data_of(found.subscriber)["consent"]
    assert consent["message_id"] == ses.accepts()[0]["message_id"]


def test_who_is_on_the_list_already_is_told_so_in_the_mailbox_alone(
    ses: World, store: Store, postman: Postman, clock: Clock
) -> None:
    public_id = joined(store)
    store.ask(letter(), [])
    assert postman.round().counts == {LetterState.SUBMITTED: 1}
    (url,) = links(parts(ses.mails()[0])[1])
    letter_id = verify(url.rpartition("/")[2], Purpose.MY_PAGE, KEYS)
    assert letter_id
    found = store.letter(letter_id)
    assert found
    assert found.subscriber == public_id
    assert found.usable(NOW)


def test_nobody_is_written_to_whose_page_there_is_not(ses: World, store: Store, postman: Postman) -> None:
    store.ask(letter(kind=LetterKind.MY_PAGE), [])
    assert postman.round().counts == {LetterState.DROPPED: 1}
    assert ses.mails() == []


# -- once


@pytest.mark.parametrize("action", ["drop", "reset", "hang", "unavailable", "html", "truncated", "error"])
def test_a_letter_whose_call_was_not_answered_is_in_doubt_and_posted_once(
    ses: World, store: Store, postman: Postman, clock: Clock, action: str
) -> None:
    rule: dict[str, object] = {"action": action, "call": 1, "operation": "SendEmail"}
    ses.plan(calls=[rule if action == "truncated" else {**rule, "when": "after"}])
    one = letter()
    store.ask(one, [])
    before = ses.server.calls("SendEmail")
    assert postman.round().counts == {LetterState.IN_DOUBT: 1}
    assert not postman.round().counts
    assert ses.server.calls("SendEmail") - before == 1
    assert len(ses.mails()) == 1
    store.ask(letter(at=NOW + HOUR), [])
    assert postman.round().counts == {LetterState.DROPPED: 1}
    clock.now = NOW + DAY
    store.ask(letter(at=clock.now), [])
    assert postman.round().counts == {LetterState.SUBMITTED: 1}
    assert store.confirm(one.id, clock.now, "") is Used.DONE  # it has arrived, and its link works


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from newsletter import publication, tokens
from newsletter.correspondence import Correspondence
from newsletter.postman import Postman
from newsletter.ses.post import Post
from newsletter.ses.submit import PRACTICE
from newsletter.store import open_store

class Dying(Post):
    def mail(self, mail, tags):
        super().mail(mail, tags)
        os.kill(os.getpid(), signal.SIGKILL)

keys = (b"k" * 32,)
letters = Correspondence(publication.load(Path(sys.argv[2])), keys, Path(sys.argv[3]))
at = datetime.fromisoformat(sys.argv[4])
Postman(open_store(sys.argv[1]), Dying("", "eu-west-1"), letters, partial(tokens.digests, keys=keys), lambda: at, print).round()
"""


def test_a_postman_killed_after_the_call_does_not_mail_again(
    ses: World, store: Store, postman: Postman, tmp_path: Path
) -> None:
    one = letter()
    store.ask(one, [])
    facts = tmp_path / "publication.toml"
    facts.write_text(
        (ROOT / "publication.toml").read_text().replace("briefing@example.org", "briefing@example.com")
    )
    url = f"sqlite:///{tmp_path / 'newsletter.db'}"
    words = [sys.executable, "-c", KILLED, url, str(facts), str(TEMPLATES), NOW.isoformat()]
    assert subprocess.run(words, check=False, timeout=60).returncode == -signal.SIGKILL
    assert len(ses.mails()) == 1
    assert postman.begin() == 1
    assert not postman.round().counts
    assert state(store, one) is LetterState.IN_DOUBT
    assert len(ses.mails()) == 1


def test_a_letter_refused_for_now_is_mailed_later_and_in_its_turn(
    ses: World, store: Store, postman: Postman, clock: Clock
) -> None:
    ses.plan(calls=[{"action": "throttle", "operation": "SendEmail", "to_call": 3}])
    first, second = letter("first@example.org"), letter("second@example.org")
    store.ask(first, [])
    store.ask(second, [])
    assert postman.round().counts == {LetterState.ASKED: 3, LetterState.SUBMITTED: 2}
    assert [mail["To"] for mail in ses.mails()] == ["first@example.org", "second@example.org"]
    assert clock.now > NOW


def test_a_round_ends_when_ses_keeps_refusing_and_loses_nothing(
    ses: World, store: Store, postman: Postman
) -> None:
    ses.plan(calls=[{"action": "throttle", "operation": "SendEmail"}])
    one = letter()
    store.ask(one, [])
    assert "keeps refusing" in postman.round().stopped
    assert state(store, one) is LetterState.ASKED
    ses.plan()
    assert postman.round().counts == {LetterState.SUBMITTED: 1}


def test_two_calls_without_an_answer_end_a_round(ses: World, store: Store, postman: Postman) -> None:
    ses.plan(calls=[{"action": "reset", "operation": "SendEmail"}])
    for number in range(5):
        store.ask(letter(f"reader{number}@example.org"), [])
    done = postman.round()
    assert done.counts == {LetterState.IN_DOUBT: 2}
    assert "unanswered" in done.stopped
    assert READER not in done.stopped


@pytest.mark.parametrize(
    ("status", "code", "expected", "stops"),
    [
        (400, "BadRequestException", LetterState.FAILED, False),
        (400, "MessageRejected", LetterState.ASKED, True),
        (403, "AccessDeniedException", LetterState.ASKED, True),
        (400, "AccountSuspendedException", LetterState.ASKED, True),
        (404, "NotFoundException", LetterState.ASKED, True),
    ],
)
def test_only_a_refusal_that_blames_the_letter_gives_it_up(
    ses: World, store: Store, postman: Postman, status: int, code: str, expected: LetterState, stops: bool
) -> None:
    words = f"Email address is not verified: {READER.upper()}"
    ses.plan(calls=[{"action": "error", "operation": "SendEmail", "call": 1, "status": status, "code": code,
                     "message": words}])  # fmt: skip
    one = letter()
    store.ask(one, [])
    done = postman.round()
    assert state(store, one) is expected
    assert bool(done.stopped) is stops
    assert READER.lower() not in done.stopped.lower()  # it goes into a log
    if stops:
        assert "(the address)" in done.stopped
        assert postman.round().counts == {LetterState.SUBMITTED: 1}


def test_letters_wait_while_ses_cannot_be_asked_at_all(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    clock.now = NOW
    one = letter()
    store.ask(one, [])
    assert made(store, clock).round().stopped
    assert state(store, one) is LetterState.ASKED


@pytest.mark.parametrize("answer", [b"{}", b'{"MessageId": ""}', b'{"MessageId": 7}', b"[]"])
def test_an_answer_that_names_no_mail_is_no_answer(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    quota = b'{"SendQuota": {"MaxSendRate": 1000, "Max24HourSend": -1}, "SendingEnabled": true}'
    server.answer = lambda asked: Answer(body=answer if asked.method == "POST" else quota)
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        clock.now = NOW
        store.ask(letter(), [])
        assert made(store, clock).round().counts == {LetterState.IN_DOUBT: 1}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_events_about_a_letter_find_it_by_its_tags(ses: World, store: Store, postman: Postman) -> None:
    one = letter("complaint@simulator.amazonses.com")
    store.ask(one, [])
    postman.round()
    told = [event["mail"]["tags"] for event in ses.events(wait=2)]
    assert told
    assert all(tags["briefing"] == ["letter"] and tags["attempt"] == [one.id.hex()] for tags in told)


# -- all day


def test_the_postman_works_until_it_is_over_and_one_at_a_time(
    ses: World, store: Store, open_it: Callable[[], Store], clock: Clock
) -> None:
    over, told, waited = threading.Event(), list[str](), threading.Event()

    def work(seconds_until_over: Callable[[float], None]) -> None:
        mine = open_it()
        man = made(mine, clock)
        man._pause = seconds_until_over
        man.attend(over.is_set, told.append)
        mine.close()

    clock.now = NOW
    store.ask(letter("first@example.org"), [])

    def wait_a_little(seconds: float) -> None:
        waited.set()
        over.wait(min(seconds, 0.02))

    threads = [threading.Thread(target=work, args=(wait_a_little,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert waited.wait(10)
    store.ask(letter("second@example.org"), [])
    end = 10.0
    while len(ses.mails()) < 2 and end > 0:
        threading.Event().wait(0.05)
        end -= 0.05
    over.set()
    for thread in threads:
        thread.join()
    assert sorted(mail["To"] for mail in ses.mails()) == ["first@example.org", "second@example.org"]
    assert told == ["Another process mails the door's letters already."]


def test_an_operator_is_told_once_why_letters_wait(ses: World, store: Store, clock: Clock) -> None:
    clock.now = NOW
    man = made(store, clock)
    ses.plan(calls=[{"action": "error", "operation": "SendEmail", "status": 403, "code": "AccessDeniedException",
                     "message": "not allowed"}])  # fmt: skip
    store.ask(letter(), [])
    told: list[str] = []
    man.attend(lambda: clock.now > NOW + timedelta(minutes=3), told.append)
    assert told == ["The letters wait: AccessDeniedException: not allowed"]
