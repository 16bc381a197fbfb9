"""The mailbox pages show hostile mail safely, and stay quick with many mails."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.local_ses.letters import LetterBox
from tests.local_ses_world import World, world

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Elements(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("mailbox"), max_send_rate=10_000) as one:
        one.template("t", Subject="October in {{name}}", Text="Dear {{name}}", Html="<p>Dear {{name}}</p>")
        for batch in range(3):
            one.bulk(*(f"reader{batch * 39 + number:03}@x.org" for number in range(39)))
        content = {
            "Subject": {"Data": HOSTILE},
            "Body": {"Text": {"Data": HOSTILE}, "Html": {"Data": HOSTILE}},
        }
        one.simple(
            "evil@x.org", Content={"Simple": content | {"Headers": [{"Name": "X-Evil", "Value": HOSTILE}]}}
        )
        yield one


def get(one: World, path: str) -> tuple[str, dict[str, str]]:
    with urllib.request.urlopen(f"{one.server.url}/mailbox/{path}", timeout=5) as answer:
        return answer.read().decode(), {name.lower(): value for name, value in answer.headers.items()}


def newest(one: World) -> str:
    return one.files()[-1].name


def test_lists_the_newest_first_in_pages(own: World) -> None:
    page, _ = get(own, "")
    assert "118 mails" in page
    assert page.index("evil@x.org") < page.index("reader116@x.org") < page.index("reader115@x.org")
    assert "Page 1 of 3" in page
    last, _ = get(own, "?page=3")
    assert "reader000@x.org" in last
    assert "Older" not in last


def test_groups_and_filters_by_subject(own: World) -> None:
    page, _ = get(own, "")
    assert re.search(
        r'href="\./\?subject=October\+in\+reader">October in reader</a> <span class="count">117<', page
    )
    filtered, _ = get(own, "?subject=October+in+reader")
    assert "evil@x.org" not in filtered
    found, _ = get(own, "?q=READER042")
    assert re.findall(r'class="to">([^<]+)', found) == ["reader042@x.org"]
    nothing, _ = get(own, "?q=nobody")
    assert "No mail matches" in nothing


def test_a_mail_shows_frames_text_headers_and_source(own: World) -> None:
    name = own.files()[0].name
    page, _ = get(own, f"{name}/")
    assert [attributes["src"] for tag, attributes in Elements(page).found if tag == "iframe"] == [
        "html",
        "html",
    ]
    assert '<pre class="text">Dear reader\n</pre>' in get(own, f"{name}/?view=text")[0].replace("\r", "")
    assert '<th scope="row">Message-ID</th>' in get(own, f"{name}/?view=headers")[0]
    assert "multipart/alternative" in get(own, f"{name}/?view=source")[0]
    raw, sent = get(own, f"{name}/raw")
    assert raw.encode() == own.files()[0].read_bytes()
    assert sent["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("path", ["", "?q=<script>", "?subject=%22><script>"])
def test_the_list_escapes_hostile_mail(own: World, path: str) -> None:
    page, sent = get(own, path)
    _harmless(page, sent)


@pytest.mark.parametrize("view", ["both", "phone", "desktop", "text", "headers", "source", "<script>"])
def test_the_mails_page_escapes_hostile_mail(own: World, view: str) -> None:
    page, sent = get(own, f"{newest(own)}/?view={urllib.request.quote(view)}")
    _harmless(page, sent)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def _harmless(page: str, sent: dict[str, str]) -> None:
    for tag, attributes in Elements(page).found:
        assert tag not in ("script", "style", "img", "object", "embed", "base")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert "default-src 'none'; style-src 'self'" in sent["content-security-policy"]
    assert sent["x-content-type-options"] == "nosniff"


def test_frames_are_sandboxed_without_scripts_or_origin(own: World) -> None:
    page, _ = get(own, f"{newest(own)}/")
    frames = [attributes for tag, attributes in Elements(page).found if tag == "iframe"]
    assert len(frames) == 2
    for frame in frames:
        allowed = set((frame["sandbox"] or "").split())
        assert allowed == {"allow-popups", "allow-popups-to-escape-sandbox"}


def test_the_html_of_a_mail_may_run_and_load_nothing(own: World) -> None:
    """Opened outside the frame too: the policy comes with the document itself."""
    page, sent = get(own, f"{newest(own)}/html")
    assert "<script>alert(1)</script>" in page
    policy = sent["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "img-src data:;" in policy
    assert "script-src" not in policy
    assert "form-action 'none'" in policy
    assert re.search(r"sandbox(?!.*allow-(scripts|same-origin|forms|top-navigation))", policy)
    assert (
        "img-src data: https: http:;"
        in get(own, f"{newest(own)}/html?images=1")[1]["content-security-policy"]
    )


@pytest.mark.parametrize("name", ["..%2faccepts.jsonl", "%2e%2e", ".hidden.eml", "none.eml", "notes.txt"])
@pytest.mark.parametrize("part", ["", "html", "raw"])
def test_only_mails_of_the_folder_are_served(own: World, name: str, part: str) -> None:
    for other in (".hidden.eml", "notes.txt"):
        (own.config.mailbox / other).write_bytes(b"Content-Type: text/html\r\n\r\nNot a mail.")
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(own, f"{name}/{part}")
    with caught.value as answer:
        assert answer.status in (403, 404)


def test_no_name_leads_out_of_the_folder(own: World) -> None:
    (own.config.mailbox.parent / "secret.eml").write_bytes(b"Subject: secret\r\n\r\n")
    box = LetterBox(own.config.mailbox)
    assert box.raw("../secret.eml") is None
    assert box.letter(str(own.config.mailbox.parent / "secret.eml")) is None
    assert box.raw(own.files()[0].name)


def test_an_empty_mailbox_says_what_to_do(tmp_path: Path) -> None:
    with world(tmp_path) as empty:
        assert "Send a briefing" in get(empty, "")[0]


def test_many_mails_do_not_hang_the_list(tmp_path: Path) -> None:
    """20,000 files: no request reads all of them, and a few have read everything."""
    raw = b"From: a@x.org\r\nTo: b@x.org\r\nSubject: =?utf-8?B?SGFsbMO2Y2hlbg==?=\r\n\r\n" + b"x" * 2000
    for number in range(20_000):
        (tmp_path / f"20201101T000000.{number:06}Z-id.eml").write_bytes(raw)
    box = LetterBox(tmp_path)
    unread = [20_000]
    while unread[-1]:
        listing = box.listing()
        assert [mail.name[16:22] for mail in listing.mails[:1]] in ([], ["019999"])
        assert len(listing.mails) + listing.unread == 20_000
        assert listing.unread <= unread[-1]
        unread.append(listing.unread)
    assert unread[1], "the first request has read it all"
    assert listing.mails[0].subject == "Hallöchen"


@pytest.mark.parametrize("charset", ["idna", "undefined", "a\\0b", "utf-7", "nothing", '"'])
def test_no_charset_can_break_the_reader(tmp_path: Path, charset: str) -> None:
    head = f"Subject: x\nContent-Type: text/html; charset={charset}\n\n".encode()
    (tmp_path / "a.eml").write_bytes(head + b"<p>+2AA- \xff</p>" * 3)
    letter = LetterBox(tmp_path).letter("a.eml")
    assert letter
    assert (letter.html or "").encode("utf-8")


def test_a_mail_nested_three_thousandfold_is_shown_as_what_it_is(tmp_path: Path) -> None:
    head = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3_000))
    (tmp_path / "a.eml").write_bytes(f"Subject: deep\n{head}".encode())
    letter = LetterBox(tmp_path).letter("a.eml")
    assert letter
    assert letter.raw.startswith(b"Subject: deep")


@given(
    st.binary(max_size=400)
    | st.text(max_size=200).map(lambda t: f"Subject: {t}\nContent-Type: {t}\n\n".encode("utf-8", "replace"))
)
def test_no_mail_can_break_the_reader(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "broken"
    folder.mkdir(exist_ok=True)
    (folder / "a.eml").write_bytes(raw)
    box = LetterBox(folder)
    assert len(box.listing().mails) == 1
    assert box.letter("a.eml") is not None
