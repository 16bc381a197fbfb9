"""An address is taken, refused and written as email-validator has it, by whichever way it is checked."""

from __future__ import annotations

import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter import address
from newsletter.address import Address
from newsletter.errors import AddressError

LOCAL = st.text(st.sampled_from("aZ09.!#$%&'*+-/=?^_`{|}~ \"(),:;<>[\\]é\u0301\n\0"), max_size=70)
NAMES = st.sampled_from(["postmaster", "Info", "WWW", "reader", "Reader", "READER1", "x" * 64, "X" * 65])
LABEL = st.text(st.sampled_from("abzABZ019-_éßſKŁ中。"), min_size=1, max_size=8) | st.sampled_from(
    ["xn--strae-oqa", "xn--ls8h", "XN--BCHER-KVA", "xn--a", "l" * 63, "l" * 64]
)
TOP = st.sampled_from(
    ["org", "ORG", "Com", "xn--p1ai", "рф", "test", "local", "localhost", "invalid", "arpa", "1", "o"]
)
DOMAIN = st.lists(LABEL, max_size=4).flatmap(lambda labels: TOP.map(lambda top: ".".join([*labels, top])))


def by_the_book(text: str) -> Address | None:
    try:
        valid = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        return None
    if len(valid.local_part) > 64:
        return None
    whole = f"{valid.local_part}@{valid.ascii_domain}"
    return Address(whole, whole.lower())


@settings(max_examples=400, deadline=None)
@given(st.emails() | st.builds("{}@{}".format, NAMES | LOCAL, DOMAIN) | st.text(max_size=30))
@example("Postmaster@Example.ORG")
@example("reader@example.org\n")
@example("x" * 65 + "@example.org")
@example("x" * 64 + "@" + ".".join(["l" * 60] * 4) + ".org")
@example("reader@[127.0.0.1]")
@example("a..b@example.org")
@example("reader@example.org.")
def test_each_address_is_what_email_validator_makes_of_it(text: str) -> None:
    expected = by_the_book(text)
    if expected is None:
        with pytest.raises(AddressError):
            address.parse(text)
    else:
        assert address.parse(text) == expected


def test_a_person_is_the_same_in_capitals_and_by_another_mailbox_another() -> None:
    assert address.parse(" Jane.Doe@Example.ORG ") == Address("Jane.Doe@example.org", "jane.doe@example.org")
    assert address.parse("jane.doe+briefing@example.org").key != address.parse("jane.doe@example.org").key


def test_a_domain_in_other_letters_is_mailed_in_its_ascii_form() -> None:
    assert address.parse("leser@bücher.example").text == "leser@xn--bcher-kva.example"


@pytest.mark.parametrize("name", SPECIAL_USE_DOMAIN_NAMES)
def test_names_that_nobody_can_be_reached_at_are_refused(name: str) -> None:
    """Also those that the library will know tomorrow."""
    with pytest.raises(AddressError):
        address.parse(f"reader@mail.{name}")
