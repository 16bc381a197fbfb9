"""Each accepted mail is one RFC 5322 message in the mailbox and one line per recipient in the log."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.local_ses.message import Attachment, Mail, build, merge, one_line
from tests.local_ses_world import SENDER, World, entry, headers, world

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ses"), max_send_rate=10_000) as one:
        yield one


@pytest.fixture
def own(server: World) -> World:
    return server.fresh()


def read_back(raw: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


def test_a_bulk_mail_has_everything_and_one_recipient(own: World) -> None:
    own.template("t", Subject="Für {{name}}", Text="Liebe {{name}}\n", Html="<p>Liebe {{name}}</p>")
    (result, _) = own.bulk(
        ReplyToAddresses=["desk@example.com"],
        DefaultContent={
            "Template": {
                "TemplateName": "t",
                "Headers": headers(("List-Id", "<b.example.com>"), ("list-unsubscribe", "<https://x/all>")),
            }
        },
        BulkEmailEntries=[
            entry("a@x.org", name="Ana")
            | {"ReplacementHeaders": headers(("List-Unsubscribe", "<https://x/a>"), ("X-Own", "1"))},
            entry("b@x.org", name="Bo"),
        ],
    )
    mail, other = own.mails()
    assert mail["From"] == SENDER
    assert mail["To"] == "a@x.org"
    assert mail["Reply-To"] == "desk@example.com"
    assert mail["Subject"] == "Für Ana"
    assert mail["Message-ID"] == f"<{result['MessageId']}@local.amazonses.com>"
    assert abs((mail["Date"].datetime - datetime.now(UTC)).total_seconds()) < 60
    assert mail["List-Id"] == "<b.example.com>"
    assert mail.get_all("List-Unsubscribe") == ["<https://x/a>"]
    assert mail["X-Own"] == "1"
    assert other["List-Unsubscribe"] == "<https://x/all>"
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content() for part in mail.iter_parts()] == [
        "Liebe Ana\r\n",
        "<p>Liebe Ana</p>\r\n",
    ]
    assert result["MessageId"] in own.files()[0].name


def test_the_bytes_are_ascii_lines_of_legal_length(own: World) -> None:
    own.template("t", Subject="ü" * 300, Text="ü" * 5000, Html="<p>" + "x" * 5000)
    own.bulk("a@x.org")
    raw = own.files()[0].read_bytes()
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert read_back(raw)["Subject"] == "ü" * 300


def test_every_recipient_has_a_line_in_the_log_before_the_answer(own: World) -> None:
    own.template()
    results = own.bulk(BulkEmailEntries=[entry("a@x.org", tags={"rcpt": "1"}), entry("b@x.org")])
    own.simple("c@x.org", "d@x.org")
    lines = own.accepts()
    bulk, single = own.server.calls("SendBulkEmail"), own.server.calls("SendEmail")
    assert [(line["operation"], line["call"], line["entry"], line["to"]) for line in lines] == [
        ("SendBulkEmail", bulk, 0, "a@x.org"),
        ("SendBulkEmail", bulk, 1, "b@x.org"),
        ("SendEmail", single, 0, "c@x.org"),
        ("SendEmail", single, 0, "d@x.org"),
    ]
    assert [line["message_id"] for line in lines[:2]] == [result["MessageId"] for result in results]
    assert lines[0]["tags"] == {"rcpt": "1"}
    assert lines[0]["template"] == "t"
    assert lines[0]["body_sha256"] == lines[1]["body_sha256"] != lines[2]["body_sha256"]


def test_bcc_is_accepted_and_not_shown(own: World) -> None:
    own.simple(
        Destination={"ToAddresses": ["a@x.org"], "CcAddresses": ["c@x.org"], "BccAddresses": ["b@x.org"]}
    )
    assert {line["to"] for line in own.accepts()} == {"a@x.org", "b@x.org", "c@x.org"}
    assert own.mails()[0]["Cc"] == "c@x.org"
    assert b"b@x.org" not in own.files()[0].read_bytes()


def test_a_raw_mail_gets_a_new_date_and_id_and_loses_bcc(own: World) -> None:
    raw = (
        b"From: briefing@example.com\r\nTo: a@x.org\r\nBcc: b@x.org\r\nMessage-ID: <mine>\r\n"
        b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nSubject: Raw\r\n\r\nBody.\r\n"
    )
    message_id = own.ses.send_email(Content={"Raw": {"Data": raw}})["MessageId"]
    (mail,) = own.mails()
    assert mail["Message-ID"] == f"<{message_id}@local.amazonses.com>"
    assert mail["Date"].datetime.year > 2020
    assert (mail["Subject"], mail["Bcc"]) == ("Raw", None)
    assert {line["to"] for line in own.accepts()} == {"a@x.org", "b@x.org"}


def test_an_attachment_is_attached(own: World) -> None:
    content = {
        "Subject": {"Data": "s"},
        "Body": {"Text": {"Data": "t"}},
        "Attachments": [
            {"FileName": "Größe.txt", "RawContent": b"\x00\xff" * 100, "ContentType": "text/x-own"}
        ],
    }
    own.simple("a@x.org", Content={"Simple": content})
    (attached,) = own.mails()[0].iter_attachments()
    assert attached.get_payload(decode=True) == b"\x00\xff" * 100
    assert attached.get_content_type() == "text/x-own"


def test_names_of_files_sort_in_the_order_of_accepting(own: World) -> None:
    own.template()
    own.bulk(*(f"a{number:02}@x.org" for number in range(50)))
    assert [mail["To"] for mail in own.mails()] == [f"a{number:02}@x.org" for number in range(50)]


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\r\n\t"), max_size=300)


@given(TEXT, TEXT, TEXT)
def test_any_content_comes_back_from_the_bytes(subject: str, text: str, html: str) -> None:
    """Subject, text and HTML survive encoding; only line ends become the system's own."""
    mail = Mail("a@example.com", ("b@x.org",), (), (), subject, text, html)
    parsed = read_back(build(mail, "id", NOON).raw)
    assert set(parsed.keys()) == {
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Date",
        "MIME-Version",
        "Content-Type",
    }
    # A reader may unfold white space at the edge of an encoded word; characters are never lost.
    assert "".join(str(parsed["Subject"]).split()) == "".join(one_line(subject).split())
    for part, given_text in zip(parsed.iter_parts(), (text, html), strict=True):
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        expected = given_text.replace("\r\n", "\n").replace("\r", "\n")
        assert payload.decode().replace("\r\n", "\n").removesuffix("\n") == expected.removesuffix("\n")


@given(st.text(max_size=200))
def test_no_subject_can_begin_another_header(subject: str) -> None:
    mail = Mail("a@example.com", ("b@x.org",), (), (), subject, "t", None)
    head = build(mail, "id", NOON).raw.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert sorted(names) == [
        b"Content-Transfer-Encoding",
        b"Content-Type",
        b"Date",
        b"From",
        b"MIME-Version",
        b"Message-ID",
        b"Subject",
        b"To",
    ]


HEADER = st.tuples(st.sampled_from(["X-A", "x-a", "X-B", "X-b", "X-C"]), st.sampled_from(["1", "2", "3"]))


@given(st.lists(HEADER), st.lists(HEADER))
def test_replacement_headers_win_by_name(
    common: list[tuple[str, str]], own_ones: list[tuple[str, str]]
) -> None:
    """Every replacement is there, nothing replaced is left, nothing else is lost; case does not count."""
    merged = merge(common, own_ones)
    replaced = {name.lower() for name, _ in own_ones}
    assert sorted(merged) == sorted([*own_ones, *(one for one in common if one[0].lower() not in replaced)])


def test_an_attachments_name_cannot_begin_a_header() -> None:
    attachment = Attachment('a"\r\nX-Evil: 1', b"x", content_type="text/plain\r\nX-Evil: 1")
    raw = build(Mail("a@example.com", (), (), (), "s", "t", None, (), (attachment,)), "id", NOON).raw
    assert b"\nX-Evil" not in raw
