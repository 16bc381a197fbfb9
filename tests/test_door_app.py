"""The door, as strangers and subscribers use it: over real HTTP, on a store in a file."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from newsletter import package, publication
from newsletter.door.app import Page
from newsletter.door.pages import Pages
from newsletter.door.stamps import EARLIEST, LATEST, MOST, Shown
from newsletter.errors import SettingsError
from newsletter.limits import MESSAGES, USUAL
from newsletter.store.door import LIFETIMES, LetterKind
from newsletter.tokens import Purpose, mint, stamp
from tests.conftest import ROOT, Clock
from tests.door_world import FRAME, KEY, Answer, DoorWorld, door
from tests.store_contract import PACKAGE

READER = "reader@example.org"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorWorld]:
    with door(tmp_path_factory.mktemp("door"), Clock()) as world:
        yield world


@pytest.fixture
def at(running: DoorWorld) -> DoorWorld:
    return running.fresh()


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Iterator[DoorWorld]:
    """A door whose store a test may break."""
    with door(tmp_path, clock) as world:
        yield world


def unsubscribe_token(at: DoorWorld, public_id: bytes) -> str:
    return mint(Purpose.UNSUBSCRIBE, public_id, at.keys)


def my_page(at: DoorWorld, public_id: bytes, address: str = READER) -> str:
    return at.letter(LetterKind.MY_PAGE, address, public_id)


def hidden(page: str, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]*)"', page)
    assert found, page
    return unescape(found[1])


# -- every page × every method × every token


def tokens(at: DoorWorld) -> dict[str, str]:
    """One of each kind: genuine for each purpose, of somebody unknown, tampered with, and none at all."""
    reader = at.subscriber()
    found = {
        "unsubscribe": unsubscribe_token(at, reader),
        "confirm": at.letter(LetterKind.CONFIRM, "new@example.org"),
        "my_page": my_page(at, reader),
        "change": at.letter(LetterKind.CHANGE, "moved@example.org", reader),
        "form": stamp(at.clock(), at.keys),
        **{f"unknown {purpose}": mint(purpose, b"?" * 16, at.keys) for purpose in Purpose},
        **{f"other key {purpose}": mint(purpose, reader, [b"x" * 32]) for purpose in Purpose},
    }
    genuine = found["unsubscribe"]
    found["tampered"] = ("A" if genuine[0] != "A" else "B") + genuine[1:]
    found["cut"] = genuine[:30]
    return found


PLAIN = ("/subscribe", "/me", "/contact", "/health")
WITH_TOKEN = ("/confirm/{}", "/u/{}", "/me/{}", "/change/{}", "/me/{}/data.json")
BOTS = (
    {"Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"},
    {"User-Agent": "Mozilla/5.0 (compatible; SafeLinks)"},
)


def test_looking_at_any_page_with_any_link_changes_nothing(at: DoorWorld) -> None:
    """Scanners follow links, mail programs fetch them before anybody clicks."""
    links = tokens(at)
    before, seen = at.dump(), set()
    for path in [*PLAIN, *(path.format(token) for path in WITH_TOKEN for token in links.values())]:
        for method in ("GET", "HEAD", "OPTIONS"):
            for headers in ({}, *BOTS):
                answer = at.ask(method, path, None, headers)
                seen.add(answer.status)
                assert answer.status in (200, 204, 404), (method, path)
                assert answer.body == "" or method == "GET"
    assert seen == {200, 204, 404}
    assert at.dump() == before


def test_a_page_says_what_can_be_done_with_it(at: DoorWorld) -> None:
    for path, allowed in (
        ("/subscribe", "GET, HEAD, POST, OPTIONS"),
        ("/u/x", "GET, HEAD, POST, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
    ):
        assert at.ask("OPTIONS", path).headers["allow"] == allowed
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
            answer = at.ask(method, path)
            assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert at.post("/health").status == 405
    assert at.get("/").status == at.get("/subscribe/").status == at.get("/u/a/b").status == 404


def test_a_link_does_what_it_was_made_for_and_nothing_else(at: DoorWorld) -> None:
    links = tokens(at)
    before = at.dump()
    forms: tuple[Mapping[str, str], ...] = (
        ONE_CLICK,
        {"action": "unsubscribe"},
        {"action": "erase-now"},
        {"action": "pause", "months": "3"},
        {},
    )
    works = {"/confirm/{}": "confirm", "/u/{}": "unsubscribe", "/me/{}": "my_page", "/change/{}": "change"}
    for path, right in works.items():
        for kind, token in links.items():
            if kind == right or (path == "/u/{}" and kind == "unknown unsubscribe"):
                continue
            for form in forms:
                assert at.post(path.format(token), form).status == 404, (path, kind)
    assert at.dump() == before


# -- signing up


def test_a_sign_up_is_one_letter_and_nobody_is_on_the_list_yet(at: DoorWorld) -> None:
    answer = at.post(
        "/subscribe", {"email": " Reader@Example.org "}, Referer=f"{at.site}/analyses/2020/x/?y=z"
    )
    assert answer.status == 200
    assert "Check your inbox" in answer.body
    assert at.letters() == [("confirm", "Reader@example.org")]
    assert at.rows("SELECT json_extract(words, '$.page'), asked_ip FROM letter") == [
        ("/analyses/2020/x/", "127.0.0.1")
    ]
    assert at.subscription() == ""


@pytest.mark.parametrize(
    "referrer", ["http://[", "//[", "https://briefing.example.org:99999/x", "\x7f", "a" * 5000]
)
def test_where_a_form_was_filled_in_may_be_written_by_anybody(at: DoorWorld, referrer: str) -> None:
    """What is no address is left out of the record of consent, and costs nobody the sign-up."""
    assert at.post("/subscribe", {"email": READER}, Referer=referrer).status == 200
    question = {"name": "A. Visitor", "email": READER, "message": "Hello"}
    assert at.post("/contact", question, Referer=referrer).status == 200
    assert [json.loads(words)["page"] for (words,) in at.rows("SELECT words FROM letter")] == ["", ""]


def test_the_answer_to_a_sign_up_says_nothing_of_who_is_on_the_list(at: DoorWorld) -> None:
    def answer() -> Answer:
        return at.post("/subscribe", {"email": READER})

    new = answer()
    at.letter(LetterKind.CONFIRM, "somebody@example.org")
    pending = answer()
    public_id = at.subscriber()
    confirmed = answer()
    at.store.unsubscribe(public_id, at.clock())
    left = answer()
    at.clock.pause(86_400)
    at.store.suppress(READER, "complaint", at.clock(), "")
    assert new == pending == confirmed == left == answer()
    assert new.status == 200


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "type your email address"),
        ("reader", "must have an @-sign"),
        ("räuber@example.org", "plain letters"),
        ("reader@[192.0.2.1]", "bracketed"),
        ('"a b"@example.org', "quoting"),
        ("a" * 65 + "@example.org", "64"),
        ("a@" + "b" * 260 + ".org", "254"),
        ("reader@example.org\r\nBcc: a@b.org", "cannot be seen"),
        ("reader\u202e@example.org", "cannot be seen"),
        ('"><script>alert(1)</script>@example.org', ""),
    ],
)
def test_an_address_that_cannot_be_mailed_is_said_so_and_kept(at: DoorWorld, typed: str, said: str) -> None:
    answer = at.post("/subscribe", {"email": typed})
    assert answer.status == 422
    alert = re.search(r'role="alert">(.*?)</p>', answer.body)
    assert alert
    assert said.lower() in alert[1].lower()
    assert "aria-invalid" in answer.body
    assert f'value="{typed}"' in unescape(answer.body)
    assert "<script>" not in answer.body
    assert at.letters() == []


def test_a_program_that_fills_in_everything_gets_the_usual_answer_and_no_letter(at: DoorWorld) -> None:
    person, program = (
        at.post("/subscribe", {"email": READER, "homepage": homepage}) for homepage in ("", "http://x")
    )
    assert person == program
    assert len(at.letters()) == 1
    assert at.post("/me", {"email": READER, "homepage": "x"}).status == 200
    message = {"name": "A", "email": READER, "message": "Hello", "homepage": "x"}
    assert at.post("/contact", message).status == 200
    assert len(at.letters()) == 1


def old_browser(at: DoorWorld, path: str, fields: Mapping[str, str]) -> tuple[int, str]:
    """A form of a static page, sent by a browser that only says Origin, or by a program that says so."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": at.site}
    answer = at.ask("POST", path, urlencode(fields), headers)
    return answer.status, answer.body


def test_who_cannot_say_it_is_a_browser_presses_once_more(at: DoorWorld) -> None:
    status, page = old_browser(at, "/subscribe", {"email": READER})
    assert (status, at.letters()) == (409, [])
    assert f'value="{READER}"' in page
    status, page = old_browser(at, "/subscribe", {"email": READER, "stamp": hidden(page, "stamp")})
    assert status == 200
    assert len(at.letters()) == 1


def test_a_form_of_the_door_is_not_taken_at_once_nor_for_ever(at: DoorWorld) -> None:
    made = hidden(at.get("/subscribe").body, "stamp")
    form = {"email": READER, "stamp": made}
    assert at.post("/subscribe", form).status == 409
    at.clock.pause(EARLIEST.total_seconds())
    assert at.post("/subscribe", form).status == 200
    at.clock.pause((LATEST - EARLIEST).total_seconds())
    assert at.post("/subscribe", form).status == 200
    at.clock.pause(1)
    late = at.post("/subscribe", form)
    assert late.status == 409
    assert at.post("/subscribe", {**form, "stamp": hidden(late.body, "stamp")}).status == 200
    for forged in (
        "",
        "x",
        made[:-1] + "_",
        mint(Purpose.CONFIRM, b"\0" * 16, at.keys),
        stamp(at.clock(), [b"x" * 32]),
    ):
        assert at.post("/subscribe", {**form, "stamp": forged}).status == 409
    assert len(at.letters()) == 3


def test_one_network_cannot_ask_for_letters_without_end(at: DoorWorld) -> None:
    for number in range(USUAL.network_hour):
        assert at.post("/subscribe", {"email": f"reader{number}@example.org"}).status == 200
    answer = at.post("/subscribe", {"email": READER})
    assert (answer.status, answer.headers["retry-after"]) == (429, "3600")
    assert f'value="{READER}"' in answer.body
    assert len(at.letters()) == USUAL.network_hour
    at.clock.pause(3600)
    assert at.post("/subscribe", {"email": READER}).status == 200


def crowd(at: DoorWorld, kind: str, count: int, seconds: int = 3600) -> None:
    """So many letters of a kind have been asked for in this hour, from everywhere."""
    with sqlite3.connect(at.folder / "door.db") as db:
        stretch = int(at.clock().timestamp()) // seconds
        db.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?)", (kind, seconds, stretch, count))
    db.close()


def solve(page: str) -> dict[str, str]:
    """What work.js does."""
    made = hidden(page, "stamp")
    challenge = re.search('data-challenge="([0-9a-f]{64})"', page)
    assert challenge
    number = next(n for n in range(MOST) if sha256(f"{made}{n}".encode()).hexdigest() == challenge[1])
    return {"stamp": made, "work": str(number)}


def test_while_too_many_knock_a_browser_works_and_its_reader_is_served(at: DoorWorld) -> None:
    crowd(at, "confirm", USUAL.hour)
    refused = at.post("/subscribe", {"email": READER})
    assert (refused.status, at.letters()) == (409, [])
    assert f'value="{READER}"' in refused.body
    assert "work.js" in refused.body
    solved = solve(refused.body)
    for work in ("", "0", solved["work"] + " ", "x" * 1000):
        if work != solved["work"]:
            assert at.post("/subscribe", {"email": READER, **solved, "work": work}).status == 409
    assert at.post("/subscribe", {"email": READER, **solved}).status == 200
    assert at.letters() == [("confirm", READER)]


def test_one_piece_of_work_is_not_worth_a_thousand_letters(at: DoorWorld) -> None:
    crowd(at, "confirm", USUAL.hour)
    solved = solve(at.post("/subscribe", {"email": READER}).body)
    statuses = [at.post("/subscribe", {"email": f"r{n}@example.org", **solved}).status for n in range(3)]
    assert statuses == [200, 429, 429]


def test_a_button_pressed_twice_after_the_work_is_answered_alike_and_asks_for_one_letter(
    at: DoorWorld,
) -> None:
    crowd(at, "confirm", USUAL.hour)
    solved = solve(at.post("/subscribe", {"email": READER}).body)
    pressed = [at.post("/subscribe", {"email": READER, **solved}) for _ in range(3)]
    assert [answer.status for answer in pressed] == [200] * 3
    assert len({answer.body for answer in pressed}) == 1
    assert at.letters() == [("confirm", READER)]


def test_the_spellings_of_a_mailbox_are_counted_as_one_when_they_come_by_the_form(at: DoorWorld) -> None:
    for typed in ("victim+1@outlook.com", "victim+2@outlook.com"):
        assert at.post("/subscribe", {"email": typed}).status == 200
    ((mailbox, count),) = at.rows("SELECT mailbox, count(*) FROM letter GROUP BY mailbox")
    assert count == 2
    assert re.fullmatch("[0-9a-f]{32}", mailbox)


def test_when_even_those_who_work_are_too_many_it_is_said_so(at: DoorWorld) -> None:
    crowd(at, "confirm", USUAL.hour)
    crowd(at, "confirm, proven", USUAL.proven)
    solved = solve(at.post("/subscribe", {"email": READER}).body)
    answer = at.post("/subscribe", {"email": READER, **solved})
    assert (answer.status, answer.headers["retry-after"]) == (429, "3600")
    assert f'value="{READER}"' in answer.body


def test_an_operator_can_have_every_form_ask_for_work(tmp_path: Path, clock: Clock) -> None:
    with door(tmp_path, clock, least=Shown.WORK) as at:
        assert at.post("/subscribe", {"email": READER}).status == 409
        solved = solve(at.get("/subscribe").body)
        at.clock.pause(2)
        assert at.post("/subscribe", {"email": READER, **solved}).status == 200


# -- confirming


def test_the_button_makes_a_subscriber_with_proof_of_consent(at: DoorWorld) -> None:
    at.post("/subscribe", {"email": READER}, Referer=f"{at.site}/about/")
    letter = at.store.next_letter(at.clock(), lambda key: ())
    assert letter
    token = mint(Purpose.CONFIRM, letter[0].id, at.keys)
    assert "r…\u2060@example.org" in at.get(f"/confirm/{token}").body
    assert at.subscription() == ""
    welcome = at.post(f"/confirm/{token}")
    assert welcome.status == 200
    assert "You are on the list" in welcome.body
    assert at.subscription() == "confirmed"
    (page, asked_ip, confirmed_ip, text) = at.rows(
        "SELECT page, asked_ip, confirmed_ip, text FROM consent JOIN form ON version = form"
    )[0]
    assert (page, asked_ip, confirmed_ip) == ("/about/", "127.0.0.1", "127.0.0.1")
    assert text.startswith("Cairnwell Risk emails you the Monthly Briefing")
    form = at.get("/subscribe").body
    assert all(line in unescape(form) for line in text.splitlines())


def test_pressed_twice_it_says_so_and_nothing_changes(at: DoorWorld) -> None:
    token = at.letter(LetterKind.CONFIRM)
    at.post(f"/confirm/{token}")
    before = at.dump()
    again = at.post(f"/confirm/{token}")
    assert again.status == 200
    assert "already" in again.body
    assert at.dump() == before


def test_a_link_that_another_has_made_void_says_that_all_is_well(at: DoorWorld) -> None:
    first, second = at.letter(LetterKind.CONFIRM), at.letter(LetterKind.CONFIRM)
    at.post(f"/confirm/{second}")
    before = at.dump()
    for link in (first, second):
        shown = at.get(f"/confirm/{link}")
        assert (shown.status, at.post(f"/confirm/{link}").status) == (200, 200)
        assert "You were on the list already" in shown.body
        assert "r…\u2060@example.org" in shown.body
        assert "<form" not in shown.body
    assert at.dump() == before
    (public_id,) = at.rows("SELECT public_id FROM subscriber")[0]
    at.store.unsubscribe(public_id, at.clock())
    for link in (first, second):
        assert at.get(f"/confirm/{link}").status == at.post(f"/confirm/{link}").status == 404


def test_an_old_link_neither_confirms_nor_brings_back_who_has_left(at: DoorWorld) -> None:
    late = at.letter(LetterKind.CONFIRM)
    at.clock.pause(LIFETIMES[LetterKind.CONFIRM].total_seconds())
    assert at.get(f"/confirm/{late}").status == at.post(f"/confirm/{late}").status == 404
    token = at.letter(LetterKind.CONFIRM, "other@example.org")
    at.post(f"/confirm/{token}")
    (public_id,) = at.rows("SELECT public_id FROM subscriber")[0]
    at.store.unsubscribe(public_id, at.clock())
    assert at.post(f"/confirm/{token}").status == 404
    assert at.subscription("other@example.org") == "unsubscribed"


def test_the_welcome_leads_to_the_latest_briefing(at: DoorWorld) -> None:
    for month in ("2020-09", "2020-10"):
        made = replace(
            PACKAGE,
            month=month,
            title=f"The briefing of {month}",
            url=f"{at.site}/briefings/{month}/",
            preheader="A <line>.",
        )
        package.write(replace(made, content_hash=package.content_hash(made)), at.folder / "briefings" / month)
    page = at.post(f"/confirm/{at.letter(LetterKind.CONFIRM)}").body
    assert '<a href="/briefings/2020-10/">The briefing of 2020-10</a>' in page
    assert "A &lt;line&gt;." in page
    assert "2020-09" not in page


# -- leaving

MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
    {"Content-Type": "multipart/form-data; boundary=b"},
)
URLENCODED = (b"List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"})


@pytest.mark.parametrize(
    "sent", [MULTIPART, URLENCODED, (URLENCODED[0], {})], ids=["multipart", "urlencoded", "bare"]
)
@pytest.mark.parametrize(
    "origin",
    [
        {},
        {"Origin": "https://mail.example.com", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Cookie": "a=b", "Referer": "https://mail.example.com/"},
    ],
    ids=["no origin", "foreign", "null", "cookie"],
)
def test_one_click_leaves_from_anywhere(
    at: DoorWorld, sent: tuple[bytes, dict[str, str]], origin: dict[str, str]
) -> None:
    """RFC 8058: no cookies, no page in between, no redirect; a mail program has no more than the link."""
    token = unsubscribe_token(at, at.subscriber())
    for _ in range(2):
        answer = at.ask("POST", f"/u/{token}", sent[0], {**sent[1], **origin})
        assert answer.status == 200
        assert not {"location", "set-cookie"} & set(answer.headers)
    assert at.subscription() == "unsubscribed"


def test_one_click_answers_well_whoever_is_unknown_and_whichever_key_signed(
    tmp_path: Path, clock: Clock
) -> None:
    new, old = b"n" * 32, KEY
    with door(tmp_path, clock, keys=(new, old)) as at:
        public_id = at.subscriber()
        for token in (
            mint(Purpose.UNSUBSCRIBE, b"?" * 16, [new]),
            mint(Purpose.UNSUBSCRIBE, public_id, [old]),
        ):
            assert at.ask("POST", f"/u/{token}", *URLENCODED).status == 200
        assert at.subscription() == "unsubscribed"


def test_a_link_from_years_ago_still_lets_its_reader_leave(at: DoorWorld) -> None:
    token = unsubscribe_token(at, at.subscriber())
    at.clock.now += timedelta(days=3650)
    assert at.post(f"/u/{token}", ONE_CLICK).status == 200
    assert at.subscription() == "unsubscribed"


def test_the_visible_link_has_a_button_and_a_break_beside_it(at: DoorWorld) -> None:
    token = unsubscribe_token(at, at.subscriber())
    page = at.get(f"/u/{token}").body
    assert page.count('value="unsubscribe"') == 1
    paused = at.post(f"/u/{token}", {"action": "pause", "months": "3"})
    assert "2 February 2021" in paused.body
    assert at.rows("SELECT paused_until FROM subscriber") == [("2021-02-02T00:00:00.000Z",)]
    assert at.subscription() == "confirmed"
    assert "You are unsubscribed" in at.post(f"/u/{token}", {"action": "unsubscribe"}).body
    assert at.subscription() == "unsubscribed"
    assert 'value="pause"' not in at.get(f"/u/{token}").body


@pytest.mark.parametrize(
    "form",
    [{}, {"action": "erase-now"}, {"action": "pause", "months": "-1"}, {"List-Unsubscribe": "no"}],
    ids=str,
)
def test_a_post_that_does_not_say_what_it_wants_changes_nothing(at: DoorWorld, form: dict[str, str]) -> None:
    token = unsubscribe_token(at, at.subscriber())
    before = at.dump()
    answer = at.post(f"/u/{token}", form)
    assert answer.status == 422
    assert 'role="alert"' in answer.body
    assert at.dump() == before


# -- one's own page


def test_asking_for_the_link_says_nothing_of_who_is_on_the_list(at: DoorWorld) -> None:
    unknown = at.post("/me", {"email": READER})
    at.subscriber()
    assert at.post("/me", {"email": READER}) == unknown
    assert unknown.status == 200
    assert ("my_page", READER) in at.letters()
    assert at.post("/me", {"email": "nobody"}).status == 422


def test_the_page_shows_what_is_kept_and_the_proof_of_consent(at: DoorWorld) -> None:
    at.post("/subscribe", {"email": READER}, Referer=f"{at.site}/about/")
    letter = at.store.next_letter(at.clock(), lambda key: ())
    assert letter
    at.post(f"/confirm/{mint(Purpose.CONFIRM, letter[0].id, at.keys)}")
    (public_id,) = at.rows("SELECT public_id FROM subscriber")[0]
    page = unescape(at.get(f"/me/{my_page(at, public_id)}").body)
    for words in (
        READER,
        "2 November 2020, 12:00, from 127.0.0.1, on the page /about/",
        "emails you the Monthly Briefing",
    ):
        assert words in page


def test_its_link_works_for_a_day(at: DoorWorld) -> None:
    token = my_page(at, at.subscriber())
    assert at.get(f"/me/{token}").status == 200
    at.clock.now += LIFETIMES[LetterKind.MY_PAGE]
    assert at.get(f"/me/{token}").status == at.get(f"/me/{token}/data.json").status == 404
    assert at.post(f"/me/{token}", {"action": "erase-now"}).status == 404
    assert at.subscription() == "confirmed"


def test_a_break_begins_and_ends_there(at: DoorWorld) -> None:
    token = my_page(at, at.subscriber())
    assert "before 2 December 2020" in at.post(f"/me/{token}", {"action": "pause", "months": "1"}).body
    assert "Paused until 2 December 2020" in at.get(f"/me/{token}").body
    at.post(f"/me/{token}", {"action": "resume"})
    assert at.rows("SELECT paused_until FROM subscriber") == [("",)]


def test_an_address_changes_when_the_new_one_says_so(at: DoorWorld) -> None:
    public_id = at.subscriber()
    token = my_page(at, public_id)
    assert at.post(f"/me/{token}", {"action": "change", "email": "bad"}).status == 422
    assert at.post(f"/me/{token}", {"action": "change", "email": READER}).status == 422
    assert at.post(f"/me/{token}", {"action": "change", "email": "Moved@example.org"}).status == 200
    assert at.letters()[-1] == ("change", "Moved@example.org")
    assert at.subscription() == "confirmed"
    letter = at.store.next_letter(at.clock(), lambda key: ())
    assert letter
    link = mint(Purpose.CHANGE, letter[0].id, at.keys)
    assert at.get(f"/change/{link}").status == 200
    assert at.subscription("moved@example.org") == ""
    assert at.post(f"/change/{link}").status == 200
    assert (at.subscription(), at.subscription("moved@example.org")) == ("", "confirmed")
    assert "already" in at.post(f"/change/{link}").body


def test_an_address_that_is_another_subscriber_s_is_not_taken_over(at: DoorWorld) -> None:
    at.subscriber("other@example.org")
    link = at.letter(LetterKind.CHANGE, "other@example.org", at.subscriber())
    answer = at.post(f"/change/{link}")
    assert answer.status == 409
    assert at.subscription() == at.subscription("other@example.org") == "confirmed"


def test_leaving_there_is_leaving(at: DoorWorld) -> None:
    token = my_page(at, at.subscriber())
    assert "You are unsubscribed" in at.post(f"/me/{token}", {"action": "unsubscribe"}).body
    assert at.subscription() == "unsubscribed"
    page = at.get(f"/me/{token}").body
    assert 'value="erase"' in page
    assert 'value="change"' not in page


def test_the_data_are_one_s_own_and_whole(at: DoorWorld) -> None:
    at.subscriber("other@example.org")
    token = my_page(at, at.subscriber())
    answer = at.get(f"/me/{token}/data.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].startswith("attachment")
    kept = json.loads(answer.body)
    assert kept["subscriber"][0]["address"] == READER
    assert {"subscriber", "letter", "consent", "history"} <= set(kept)
    assert "other@example.org" not in answer.body


def test_erasing_asks_twice_and_leaves_no_byte_of_the_address_in_any_file(at: DoorWorld) -> None:
    public_id = at.subscriber("Somebody.To.Forget@example.org")
    token = my_page(at, public_id, "Somebody.To.Forget@example.org")
    at.post("/subscribe", {"email": "somebody.to.forget@EXAMPLE.org"})
    for aside in at.porter.aside:
        aside.mkdir()
        (aside / "theirs").write_text("what SES told of Somebody.To.Forget@example.org")
        (aside / "another's").write_text("what SES told of somebody@example.org")
    before = at.dump()
    page = at.post(f"/me/{token}", {"action": "erase"})
    assert 'value="erase-now"' in page.body
    assert at.dump() == before
    assert "You are erased" in at.post(f"/me/{token}", {"action": "erase-now"}).body
    for file in at.folder.rglob("*"):
        assert not file.is_file() or b"to.forget" not in file.read_bytes().lower(), file
    assert [path.name for aside in at.porter.aside for path in aside.iterdir()] == ["another's"] * 2
    assert at.get(f"/me/{token}").status == 404
    assert at.post(f"/u/{unsubscribe_token(at, public_id)}", ONE_CLICK).status == 200


# -- contact

QUESTION = {
    "name": "A. Visitor",
    "email": "visitor@example.com",
    "message": "First line.\r\nSecond.\x00\x1b[31m \u202edekcah",
    "article": "analyses/2020/x/",
    "region": "Iraq",
    "desk": "Iraq desk",
}


def test_a_question_goes_to_the_house_alone_with_what_it_is_about(at: DoorWorld) -> None:
    answer = at.post("/contact", {**QUESTION, "to": "victim@example.org", "email_to": "victim@example.org"})
    assert answer.status == 200
    assert '<a href="/analyses/2020/x/">' in answer.body
    assert at.letters() == [("contact", "desk@example.org")]
    (words,) = at.rows("SELECT words FROM letter")[0]
    kept = json.loads(words)
    assert kept["message"] == "First line.\nSecond.[31m dekcah"
    assert {name: kept[name] for name in ("name", "email", "article", "region", "desk")} == {
        name: QUESTION[name] for name in ("name", "email", "article", "region", "desk")
    }
    assert "victim" not in words


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "A\nBcc: x@example.org"}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"email": "nobody"}, "email"),
        ({"message": " \n "}, "message"),
        ({"message": "x" * 5001}, "message"),
    ],
    ids=str,
)
def test_a_question_that_is_incomplete_is_not_lost(at: DoorWorld, wrong: dict[str, str], field: str) -> None:
    answer = at.post("/contact", {**QUESTION, "message": "A long thought.", **wrong})
    assert answer.status == 422
    assert f'id="contact.{field}.error"' in answer.body
    assert (answer.body.count('role="alert"'), answer.body.count("autofocus")) == (1, 1)
    for name in {"name", "email", "message", "desk", "article"} - {field}:
        assert {**QUESTION, "message": "A long thought."}[name] in answer.body
    assert at.letters() == []


@pytest.mark.parametrize(
    "article", ["/evil.example/", "//evil.example", "javascript:alert(1)", "a//b", "..", "https://x"]
)
def test_no_link_of_a_visitor_s_making_is_given_back(at: DoorWorld, article: str) -> None:
    answer = at.post("/contact", {**QUESTION, "article": article})
    assert answer.status == 200
    assert article not in answer.body.replace('href="/"', "")


def test_a_long_question_in_any_script_fits(at: DoorWorld) -> None:
    fields = {**QUESTION, "message": "問" * 5000}
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    )
    sent = {"Content-Type": "multipart/form-data; boundary=b", "Sec-Fetch-Site": "same-origin"}
    assert at.ask("POST", "/contact", f"{parts}--b--\r\n".encode(), sent).status == 200
    (words,) = at.rows("SELECT words FROM letter")[0]
    assert json.loads(words)["message"] == "問" * 5000


def test_a_flood_of_questions_does_not_bury_the_house(at: DoorWorld) -> None:
    statuses = [
        at.post("/contact", {**QUESTION, "email": f"v{n}@example.com"}).status
        for n in range(MESSAGES.network_hour + 1)
    ]
    assert statuses == [200] * MESSAGES.network_hour + [429]


# -- when something is wrong


def test_what_was_typed_is_kept_when_the_store_fails(own: DoorWorld) -> None:
    with sqlite3.connect(own.folder / "door.db") as db:
        db.execute("ALTER TABLE letter RENAME TO gone")
    answer = own.post("/subscribe", {"email": READER})
    assert (answer.status, answer.headers["retry-after"]) == (503, "60")
    assert f'value="{READER}"' in answer.body
    answer = own.post("/contact", {**QUESTION, "message": "A long thought."})
    assert answer.status == 503
    assert "A long thought." in answer.body
    with sqlite3.connect(own.folder / "door.db") as db:
        db.execute("ALTER TABLE gone RENAME TO letter")
    db.close()
    assert own.post("/subscribe", {"email": READER}).status == 200


def test_a_store_that_cannot_be_read_is_told_to_whoever_watches(
    own: DoorWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    assert own.get("/health").body == "ok\n"
    token = own.letter(LetterKind.CONFIRM)
    with sqlite3.connect(own.folder / "door.db") as db:
        db.execute("ALTER TABLE letter RENAME TO gone")
    db.close()
    assert own.get("/health").status == 503
    answer = own.get(f"/confirm/{token}")
    assert (answer.status, answer.headers["retry-after"]) == (503, "60")
    assert "try again in a minute" in answer.body


def test_neither_address_nor_token_is_in_any_log(
    own: DoorWorld, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    token = own.letter(LetterKind.CONFIRM)
    own.get(f"/confirm/{token}?email={READER}")
    own.post("/subscribe", {"email": READER})
    with sqlite3.connect(own.folder / "door.db") as db:
        db.execute("ALTER TABLE letter RENAME TO gone")
    db.close()
    own.post("/subscribe", {"email": READER})
    own.post(f"/confirm/{token}")
    said = caplog.text + "".join(capfd.readouterr())
    assert "newsletter.door" in said
    assert READER not in said
    assert token not in said


def test_our_own_mistakes_are_owned_up_to_and_say_nothing_of_the_visitor(
    at: DoorWorld, caplog: pytest.LogCaptureFixture
) -> None:
    async def mistaken(request: Request) -> Response:
        raise ValueError(f"{READER} at {request.url}")

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    path = f"/confirm/{READER}"
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
        "server": ("x", 80),
    }
    # In a thread of its own: the browser that other tests open has a loop in this one.
    one = threading.Thread(target=lambda: asyncio.run(Page(at.porter, mistaken)(scope, receive, send)))
    one.start()
    one.join()
    assert sent[0]["status"] == 500
    said = caplog.text + sent[1]["body"].decode()
    assert "ValueError in " in said
    assert "It is our mistake" in said
    assert READER not in said


def test_a_template_that_is_not_sound_is_told_when_the_door_opens(tmp_path: Path, clock: Clock) -> None:
    templates = tmp_path / "templates/door"
    templates.mkdir(parents=True)
    (templates / "me.html").write_text("one\n{% if %}")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME)
    with pytest.raises(SettingsError, match=r"me\.html:2: "):
        Pages(publication.load(ROOT / "publication.toml"), "", templates.parent, frame).read()
