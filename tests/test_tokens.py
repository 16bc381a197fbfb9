"""The links in mails: nobody but us can make one, change one, or use one for what it is not for."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.tokens import Purpose, digests, keyed_hash, mint, stamp, stamped, verify

NEW, OLD = b"n" * 32, b"o" * 32
LEAVE = Purpose.UNSUBSCRIBE
SUBJECT = bytes(range(0xF0, 0x100))  # its token has both "-" and "_", which other alphabets write otherwise
TOKEN = mint(LEAVE, SUBJECT, [NEW])
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Another(StrEnum):
    """Purposes that a later version could have."""

    SAME_LENGTH = "unsubscribf"
    LONGER = "unsubscribe-all"
    NONE = ""


def test_the_links_in_mails_that_went_out_long_ago_still_work() -> None:
    """This text was made once and stands in somebody's inbox; no later version may void it."""
    old = "7fhOr_Dx8vP09fb3-Pn6-_z9_v8lqqxJK91qXHGRyVEXynSp"
    assert old == TOKEN
    assert verify(old, LEAVE, [NEW]) == SUBJECT


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=80))
def test_a_link_works_for_whom_it_was_made_and_fits_an_address(subject: bytes, key: bytes) -> None:
    token = mint(LEAVE, subject, [key])
    assert verify(token, LEAVE, [key]) == subject
    assert len(token) == 48
    assert set(token) <= set(LETTERS)


@pytest.mark.parametrize("other", Another, ids=lambda purpose: purpose.name)
def test_a_link_for_one_purpose_is_worthless_for_another(other: Another) -> None:
    theirs = mint(other, SUBJECT, [NEW])  # type: ignore[arg-type]
    assert verify(TOKEN, other, [NEW]) is None  # type: ignore[arg-type]
    assert verify(theirs, LEAVE, [NEW]) is None
    assert verify(theirs, other, [NEW]) == SUBJECT  # type: ignore[arg-type]


def test_links_of_before_a_change_of_key_still_work_and_new_ones_have_the_new_key() -> None:
    before = mint(LEAVE, SUBJECT, [OLD])
    assert verify(before, LEAVE, [NEW, OLD]) == SUBJECT
    assert verify(before, LEAVE, [NEW, b"x" * 32, OLD]) == SUBJECT
    after = mint(LEAVE, SUBJECT, [NEW, OLD])
    assert verify(after, LEAVE, [NEW]) == SUBJECT
    assert verify(after, LEAVE, [OLD]) is None


def test_a_key_that_was_withdrawn_opens_nothing() -> None:
    assert verify(TOKEN, LEAVE, [OLD]) is None
    assert verify(TOKEN, LEAVE, []) is None


def test_no_single_bit_of_a_link_can_be_changed() -> None:
    raw = urlsafe_b64decode(TOKEN)
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert verify(urlsafe_b64encode(changed).decode(), LEAVE, [NEW]) is None, bit


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(LETTERS) | st.characters())
def test_no_character_of_a_link_can_be_changed(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    assert verify(changed, LEAVE, [NEW]) == (SUBJECT if changed == TOKEN else None)


@given(st.integers(0, len(TOKEN)), st.text(min_size=1, max_size=4))
def test_nothing_can_be_put_into_a_link(place: int, more: str) -> None:
    assert verify(TOKEN[:place] + more + TOKEN[place:], LEAVE, [NEW]) is None


@pytest.mark.parametrize(
    "written",
    [
        TOKEN.replace("-", "+"),
        TOKEN.replace("_", "/"),
        TOKEN + "\n",
        TOKEN + "=",
        TOKEN + "====",
        " " + TOKEN,
        TOKEN[:20] + "\r\n" + TOKEN[20:],
        TOKEN[:20] + "." + TOKEN[20:],
        TOKEN[:20] + "%" + TOKEN[20:],
    ],
    ids=repr,
)
def test_a_link_can_be_written_in_one_way_only(written: str) -> None:
    """Otherwise whoever counts, blocks or logs links sees one of them as many."""
    assert written != TOKEN
    assert verify(written, LEAVE, [NEW]) is None


@pytest.mark.parametrize("length", [*range(48), 52, 64])
def test_a_link_that_was_cut_off_or_drawn_out_is_none(length: int) -> None:
    """Mail programs break long lines."""
    assert verify((TOKEN + TOKEN)[:length], LEAVE, [NEW]) is None


@pytest.mark.parametrize("length", [0, 1, 15, 17, 32])
def test_a_signature_over_something_else_than_a_subject_opens_nothing(length: int) -> None:
    """Our own key may one day sign other things; none of them is a subscriber's number."""
    assert verify(mint(LEAVE, b"s" * length, [NEW]), LEAVE, [NEW]) is None


@given(st.text(max_size=60) | st.text(LETTERS, min_size=48, max_size=48))
def test_a_made_up_text_is_no_link_and_does_no_harm(text: str) -> None:
    assert text == TOKEN or verify(text, LEAVE, [NEW, OLD]) is None


@given(st.binary(min_size=16, max_size=16).filter(lambda other: other != SUBJECT))
def test_nobody_s_link_works_for_somebody_else(other: bytes) -> None:
    mine, theirs = urlsafe_b64decode(TOKEN), urlsafe_b64decode(mint(LEAVE, other, [NEW]))
    for head, mac in ((theirs[:20], mine[20:]), (mine[:20], theirs[20:])):
        assert verify(urlsafe_b64encode(head + mac).decode(), LEAVE, [NEW]) is None
    assert verify(mint(LEAVE, other, [NEW]), LEAVE, [NEW]) == other


@pytest.mark.parametrize("key", [NEW, OLD])
@pytest.mark.parametrize("purpose", Purpose)
def test_every_link_opens_with_its_own_key_and_for_its_own_purpose_alone(
    purpose: Purpose, key: bytes
) -> None:
    token = mint(purpose, SUBJECT, [key])
    opened = {
        (other, with_key) for other in Purpose for with_key in (NEW, OLD) if verify(token, other, [with_key])
    }
    assert opened == {(purpose, key)}


# -- stamps

AT = datetime(2020, 11, 2, 12, 0, 7, 999_000, tzinfo=UTC)


def test_a_stamp_says_when_it_was_made_to_the_second_and_in_any_time_zone() -> None:
    assert stamped(stamp(AT, [NEW]), [NEW, OLD]) == AT.replace(microsecond=0)
    assert stamped(stamp(AT.astimezone(timezone(timedelta(hours=9))), [OLD]), [NEW, OLD]) == AT.replace(
        microsecond=0
    )


def test_no_two_stamps_are_alike() -> None:
    """So that each can be used up by itself."""
    assert len({stamp(AT, [NEW]) for _ in range(100)}) == 100


def test_no_other_text_is_a_stamp() -> None:
    made = stamp(AT, [NEW])
    assert stamped(made, [OLD]) is None
    for other in ("", TOKEN, made[:-1], made + "=", mint(Purpose.CONFIRM, SUBJECT, [NEW])):
        assert stamped(other, [NEW]) is None
    assert verify(made, LEAVE, [NEW]) is None


# -- hashes of addresses


def test_a_hash_tells_use_text_and_key_apart() -> None:
    made = {keyed_hash(use, text, key) for use in ("a", "b") for text in ("x", "y", "") for key in (NEW, OLD)}
    assert len(made) == 12
    assert all(len(one) == 16 for one in made)


def test_a_hash_of_what_was_erased_is_the_same_for_all_time() -> None:
    """It stands in databases, and what it recognises must not come back. Made once, as the links above."""
    assert digests("reader@example.org", [NEW])[0].hex() == "2ab962eb51ec1bbae32e1e3071c6b297"
    assert digests("reader@example.org", [OLD, NEW])[1] == digests("reader@example.org", [NEW])[0]
