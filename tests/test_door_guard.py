"""What never gets as far as the door's pages: other names, other sites' forms, bodies that do not end."""

from __future__ import annotations

import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from newsletter.door import forms, server
from newsletter.door.app import is_door
from newsletter.door.forms import Unreadable
from newsletter.door.guard import visitor
from newsletter.errors import SettingsError
from newsletter.store.door import LetterKind
from newsletter.tokens import Purpose, mint
from tests.conftest import Clock
from tests.door_world import HOST, OURS, Answer, DoorWorld, door

READER = "reader@example.org"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorWorld]:
    with door(tmp_path_factory.mktemp("door"), Clock()) as world:
        yield world


@pytest.fixture
def at(running: DoorWorld) -> DoorWorld:
    return running.fresh()


def post(at: DoorWorld, path: str, **headers: str) -> Answer:
    """A form with these headers and no others."""
    return at.ask(
        "POST",
        path,
        urlencode({"email": READER}),
        {**FORM, **{k.replace("_", "-"): v for k, v in headers.items()}},
    )


# -- under which name


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (HOST, 200),
        (HOST.upper(), 200),
        (f"{HOST}:443", 200),
        (f"{HOST}:8080", 400),
        (f"{HOST}.", 400),
        (f"{HOST}@evil.example", 400),
        ("evil.example", 400),
        (f"evil.example#{HOST}", 400),
        ("127.0.0.1", 400),
        ("", 400),
    ],
)
def test_only_our_own_name_is_answered(at: DoorWorld, host: str, status: int) -> None:
    answer = at.get("/subscribe", Host=host)
    assert answer.status == status
    assert "evil" not in answer.body
    assert at.get("/health", Host=host).status == 200


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL"]
)
def test_no_header_can_put_another_name_into_a_page(at: DoorWorld, name: str) -> None:
    plain = at.get("/u/x")
    assert at.get("/u/x", **{name: "evil.example"}).body == plain.body
    token = mint(Purpose.UNSUBSCRIBE, at.subscriber(), at.keys)
    assert at.get(f"/u/{token}", **{name: "/me"}).body == at.get(f"/u/{token}").body


def test_an_absolute_address_in_the_request_line_opens_nothing(at: DoorWorld) -> None:
    with socket.create_connection(("127.0.0.1", at.port), timeout=5) as line:
        line.sendall(
            f"GET http://evil.example/subscribe HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
        )
        assert line.makefile("rb").readline().split()[1] == b"404"


# -- from whose page


@pytest.mark.parametrize(
    ("headers", "open_page", "token_page"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True, True),
        ({"Sec-Fetch-Site": "none"}, True, True),
        ({"Sec-Fetch-Site": "cross-site"}, False, False),
        ({"Sec-Fetch-Site": "same-site"}, False, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": f"https://{HOST}"}, False, False),
        ({"Origin": f"https://{HOST}"}, True, True),
        ({"Origin": f"http://{HOST}"}, False, False),
        ({"Origin": "https://evil.example"}, False, False),
        ({"Origin": f"https://{HOST}.evil.example"}, False, False),
        ({"Origin": "null"}, False, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, False, False),
        ({"Referer": f"https://{HOST}/"}, False, False),
        ({}, False, False),
    ],
    ids=str,
)
def test_a_form_must_come_from_our_own_page(
    at: DoorWorld, headers: dict[str, str], open_page: bool, token_page: bool
) -> None:
    """A page with a token in its address sends no referrer, so an old browser says "null" of it."""
    confirm = at.letter(LetterKind.CONFIRM)
    before = at.dump()
    for path, wanted in (
        ("/subscribe", open_page),
        ("/me", open_page),
        ("/contact", open_page),
        (f"/confirm/{confirm}", token_page),
    ):
        answer = at.ask("POST", path, urlencode({"email": READER}), {**FORM, **headers})
        assert (answer.status != 403) is wanted, path
    if not token_page:
        assert at.dump() == before


# -- the visitor's address


@pytest.mark.parametrize(
    ("forwarded", "proxies", "found"),
    [
        ("", 0, "198.51.100.1"),
        ("203.0.113.9", 0, "198.51.100.1"),
        ("203.0.113.9", 1, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", 1, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 192.0.2.7", 2, "203.0.113.9"),
        ("203.0.113.9", 2, "198.51.100.1"),
        ("", 1, "198.51.100.1"),
        ("6.6.6.6, nonsense", 1, "198.51.100.1"),
        ("2001:DB8::1", 1, "2001:db8::1"),
        ("::ffff:203.0.113.9", 1, "203.0.113.9"),
        ("203.0.113.9:443", 1, "198.51.100.1"),
        ("fe80::1%<b>any text</b>", 1, "fe80::1"),
    ],
)
def test_only_what_a_trusted_proxy_says_is_believed(forwarded: str, proxies: int, found: str) -> None:
    assert visitor("198.51.100.1", forwarded, proxies) == found


def test_a_made_up_address_gets_nobody_past_the_limits(at: DoorWorld, tmp_path: Path) -> None:
    statuses = {
        at.post("/subscribe", {"email": f"r{n}@example.org"}, **{"X-Forwarded-For": f"203.0.113.{n}"}).status
        for n in range(11)
    }
    assert statuses == {200, 429}
    assert {ip for (ip,) in at.rows("SELECT asked_ip FROM letter")} == {"127.0.0.1"}
    with door(tmp_path, Clock(), proxies=1) as behind:
        for n in range(11):
            headers = {"X-Forwarded-For": f"6.6.6.6, 203.0.113.{n}"}
            assert behind.post("/subscribe", {"email": f"r{n}@example.org"}, **headers).status == 200
        assert ("203.0.113.10",) in behind.rows("SELECT asked_ip FROM letter")


# -- the headers of every answer

PAGES = [
    "/subscribe",
    "/me",
    "/contact",
    "/health",
    "/u/x",
    "/confirm/x",
    "/me/x",
    "/me/x/data.json",
    "/change/x",
    "/nothing",
]


def safe(answer: Answer, path: str) -> None:
    headers = answer.headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["x-robots-tag"].startswith("noindex")
    assert headers["strict-transport-security"].startswith("max-age=")
    assert "camera=()" in headers["permissions-policy"]
    assert headers["referrer-policy"] == (
        "same-origin" if path in ("/subscribe", "/me", "/contact") else "no-referrer"
    )
    assert not {"set-cookie", "location", "server"} & set(headers)


def test_every_answer_is_headed_safely(at: DoorWorld) -> None:
    genuine = mint(Purpose.UNSUBSCRIBE, at.subscriber(), at.keys)
    for path in [*PAGES, f"/u/{genuine}"]:
        for answer in (
            at.get(path),
            at.ask("HEAD", path),
            at.ask("OPTIONS", path),
            at.ask("DELETE", path),
            at.post(path),
            at.get(path, Host="evil.example"),
            at.ask("POST", path, b"", {"Sec-Fetch-Site": "cross-site"}),
        ):
            safe(answer, path)
    safe(at.post("/subscribe", {"email": READER}), "/subscribe")


def test_nothing_foreign_is_loaded_and_nothing_stands_inline(at: DoorWorld) -> None:
    token = mint(Purpose.UNSUBSCRIBE, at.subscriber(), at.keys)
    me = at.letter(LetterKind.MY_PAGE, READER, at.rows("SELECT public_id FROM subscriber")[0][0])
    for path in ("/subscribe", "/me", "/contact", f"/u/{token}", f"/me/{me}"):
        page = at.get(path).body
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page)
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=\"/theme/)", page)


def test_only_over_https_is_https_demanded(tmp_path: Path) -> None:
    with door(tmp_path, Clock(), site="http://127.0.0.1:8000") as at:
        answer = at.get("/subscribe", Host="127.0.0.1:8000")
        assert answer.status == 200
        assert "strict-transport-security" not in answer.headers


def test_a_site_below_a_path_has_its_door_there(tmp_path: Path) -> None:
    with door(tmp_path, Clock(), site=f"https://{HOST}/briefing") as at:
        assert at.get("/subscribe").status == 404
        page = at.get("/briefing/subscribe")
        assert 'action="/briefing/subscribe"' in page.body
        assert page.headers["referrer-policy"] == "same-origin"
        token = mint(Purpose.UNSUBSCRIBE, b"?" * 16, at.keys)
        assert at.ask("POST", f"/briefing/u/{token}", b"List-Unsubscribe=One-Click", FORM).status == 200


# -- bodies


def raw(at: DoorWorld, head: str, *chunks: bytes, pause: float = 0) -> bytes:
    """What comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", at.port), timeout=60) as line:
        line.sendall(head.format(host=HOST).encode())
        try:
            for chunk in chunks:
                time.sleep(pause)
                line.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while piece := line.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


HEAD = "POST /subscribe HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def test_a_body_that_is_too_long_is_not_read(at: DoorWorld) -> None:
    # What was announced never comes: whoever waited for it would say 408.
    answer = raw(at, f"{HEAD}Content-Length: 100000000\r\n\r\n", b"x" * 1000)
    assert answer.split()[1] == b"413"
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    answer = raw(at, f"{HEAD}Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 100)
    assert answer.split()[1:2] in ([b"413"], [])  # the connection may be shut before the answer is read
    assert at.letters() == []


def test_a_body_that_does_not_come_is_not_waited_for(at: DoorWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "_PATIENCE", 0.2)
    answer = raw(at, f"{HEAD}Content-Length: 100\r\n\r\n", b"email=")
    assert answer.split()[1] == b"408"
    assert b"connection: close" in answer.lower()


def test_a_request_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 0.3)
    with door(tmp_path, Clock()) as at:
        # Each line is shut from there; whoever asks would wait without end.
        assert raw(at, "GET /subscribe HTTP/1.1\r\nHost: ") == b""
        assert raw(at, "") == b""
        assert raw(at, "GET /nothing HTTP/1.1\r\nX-A: ", *[b"a"] * 20, pause=0.05) == b""
        assert at.get("/health").status == 200


def test_a_head_that_is_too_long_is_refused(at: DoorWorld) -> None:
    assert at.get("/health", **{"X-A": "x" * 9000}).status == 200
    assert raw(at, "GET /health HTTP/1.1\r\nX-A: " + "x" * 40_000 + "\r\n\r\n").split()[1] == b"400"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"email=a%40example.org", "application/x-www-form-urlencoded", 200),
        (b"email=a%40example.org", "application/x-www-form-urlencoded; charset=utf-8", 200),
        (b'{"email": "a@example.org"}', "application/json", 415),
        (b"email=a@example.org", "text/plain", 415),
        (b"email=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"email=\xff", "application/x-www-form-urlencoded", 400),
        (b"email=a&email=b", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"f%d=x" % n for n in range(21)), "application/x-www-form-urlencoded", 400),
        (b"x" * 41 + b"=y", "application/x-www-form-urlencoded", 400),
        (
            b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na@example.org\r\n--b--',
            'multipart/form-data; boundary="b"',
            200,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na@example.org',
            "multipart/form-data; boundary=b",
            400,
        ),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\na\r\n--b--", "multipart/form-data; boundary=b", 400),
        (b"--b--", "multipart/form-data", 400),
    ],
    ids=range(13),
)
def test_only_forms_are_read(at: DoorWorld, body: bytes, kind: str, status: int) -> None:
    assert at.ask("POST", "/subscribe", body, {**OURS, "Content-Type": kind}).status == status


def test_what_comes_compressed_is_not_unpacked(at: DoorWorld) -> None:
    sent = {**OURS, **FORM, "Content-Encoding": "gzip"}
    assert at.ask("POST", "/subscribe", b"\x1f\x8b", sent).status == 415


# -- whatever comes

TEXTS = st.text(max_size=40) | st.sampled_from(
    [READER, "=?UTF-8?Q?=0A?=Bcc: x@y.zz", "' OR 1=1 --", "{{ 7*7 }}", "<svg onload=x>"]
)
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "email",
            "action",
            "months",
            "stamp",
            "work",
            "homepage",
            "name",
            "message",
            "article",
            "List-Unsubscribe",
        ]
    )
    | st.text(max_size=10),
    TEXTS,
    max_size=8,
)
PATHS = st.sampled_from(
    ["/subscribe", "/me", "/contact", "/confirm/", "/u/", "/me/", "/change/", "/health", "/"]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "POST", "POST", "PUT", "HEAD", "OPTIONS"]),
    path=PATHS,
    more=st.sampled_from(["", "unsubscribe", "confirm", "my_page", "change"]) | st.text(max_size=30),
    sent=FIELDS | st.binary(max_size=200),
    kind=st.sampled_from(
        ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/html", ""]
    ),
)
@example("POST", "/me/", "my_page", {"action": "pause", "months": "٣"}, "application/x-www-form-urlencoded")
def test_whatever_is_sent_the_door_does_not_fall(
    running: DoorWorld, method: str, path: str, more: str, sent: dict[str, str] | bytes, kind: str
) -> None:
    at = running
    links = LINKS.setdefault(at.port, {}) or LINKS[at.port]
    if not links:
        reader = at.fresh().subscriber()
        links["unsubscribe"] = mint(Purpose.UNSUBSCRIBE, reader, at.keys)
        links["confirm"] = at.letter(LetterKind.CONFIRM, "new@example.org")
        links["my_page"] = at.letter(LetterKind.MY_PAGE, READER, reader)
        links["change"] = at.letter(LetterKind.CHANGE, "moved@example.org", reader)
    body = sent if isinstance(sent, bytes) else urlencode(sent).encode()
    where = path + quote(links.get(more, more), safe="") if path.endswith("/") else path
    answer = at.ask(method, where, body, {**OURS, "Content-Type": kind})
    assert answer.status < 500
    assert "set-cookie" not in answer.headers
    assert "<svg onload" not in answer.body
    with sqlite3.connect(at.folder / "door.db") as db:
        db.execute("DELETE FROM tally")  # so that limits do not turn everything away
    db.close()


LINKS: dict[int, dict[str, str]] = {}


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), st.text(max_size=100), max_size=10
    )
)
def test_a_form_is_read_as_it_was_written(fields: dict[str, str]) -> None:
    assert forms.urlencoded(urlencode(fields).encode()) == fields


@given(st.binary(max_size=300), st.text(max_size=30))
def test_bytes_that_are_no_form_are_none(body: bytes, kind: str) -> None:
    for read in (
        lambda: forms.urlencoded(body),
        lambda: forms.multipart(body, f"multipart/form-data; boundary={kind}"),
    ):
        try:
            assert all(isinstance(text, str) for text in read().values())
        except Unreadable as error:
            assert error.status == 400


# -- beside the site


@pytest.mark.parametrize(
    ("path", "root", "door_s"),
    [
        ("/subscribe", "", True),
        ("/u/x", "", True),
        ("/u", "", True),
        ("/", "", False),
        ("/about/", "", False),
        ("/subscribers/", "", False),
        ("/b/me", "/b", True),
        ("/me", "/b", False),
        ("/me/", "", True),
    ],
)
def test_the_door_answers_for_its_own_pages(path: str, root: str, door_s: bool) -> None:
    assert is_door(path, root) is door_s


def test_a_door_without_a_built_site_says_what_to_type(tmp_path: Path) -> None:
    frame = tmp_path / "frame.html"
    with pytest.raises(SettingsError, match="make html"), door(tmp_path, Clock(), frame=frame):
        pass
    frame.write_text("<title>@@title@@</title>")
    with pytest.raises(SettingsError, match="marks"), door(tmp_path, Clock(), frame=frame):
        pass


def test_accents_in_heaps_are_refused_before_they_cost_anything() -> None:
    """Composing them takes time that grows with their square (an 8 KB heap: a twentieth of a second)."""
    heap = "a" + "\u0301" * 40 + "\u0316" * 40
    for read in (forms.line, forms.paragraphs):
        with pytest.raises(ValueError, match="type it anew"):
            read({"message": heap}, "message", 5_000)
        with pytest.raises(ValueError, match="longer than"):
            read({"message": "x" * 21_000}, "message", 5_000)
    assert forms.line({"name": "Ho\u0302\u0300ng"}, "name", 10) == "Hồng"
