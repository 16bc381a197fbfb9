"""`newsletter doctor --dns`: what to set at the domain's provider, as SES has it, whole and ready to be copied."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from newsletter.doctor.dns import records, zone_line
from newsletter.ses.account import IdentityFacts
from tests.conftest import Project
from tests.local_ses_world import world

_LINE = re.compile(r"(\S+)\. 3600 IN (CNAME|MX|TXT|CAA) (.+)")


@pytest.mark.parametrize("columns", ["60", "200"])
def test_each_record_is_printed_whole_however_narrow_the_window(
    make_project: Callable[..., Project], tmp_path: Path, columns: str
) -> None:
    project = make_project("publication.toml", "plugins")
    with world(tmp_path, identities=("example.org",)) as own:
        tokens = own.ses.get_email_identity(EmailIdentity="example.org")["DkimAttributes"]["Tokens"]
        shown = project.newsletter("doctor", "--dns", **own.server.environment, COLUMNS=columns)
    assert shown.returncode == 0, shown.stderr
    lines = [match.groups() for line in shown.stdout.splitlines() if (match := _LINE.fullmatch(line))]
    assert len(tokens) == 3
    assert lines == [
        *((f"{token}._domainkey.example.org", "CNAME", f"{token}.dkim.amazonses.com.") for token in tokens),
        ("bounce.example.org", "MX", "10 feedback-smtp.eu-west-1.amazonses.com."),
        ("bounce.example.org", "TXT", '"v=spf1 include:amazonses.com ~all"'),
        ("_dmarc.example.org", "TXT", '"v=DMARC1; p=none; rua=mailto:desk@example.org"'),
        ("briefing.example.org", "CAA", '0 issue "amazon.com"'),
    ]
    for name, _, value in lines:
        assert re.search(rf"^\S* +{re.escape(name)}$", shown.stdout, re.MULTILINE), name
        assert re.search(rf"^ +{re.escape(value.removesuffix('.'))}$", shown.stdout, re.MULTILINE), value


def test_programs_get_json(make_project: Callable[..., Project], tmp_path: Path) -> None:
    project = make_project("publication.toml", "plugins")
    with world(tmp_path, identities=("example.org",)) as own:
        shown = project.newsletter("doctor", "--dns", "--json", **own.server.environment)
    document = json.loads(shown.stdout)
    assert document["identity"] == "example.org"
    assert [one["type"] for one in document["records"]] == ["CNAME"] * 3 + ["MX", "TXT", "TXT", "CAA"]


def test_without_an_identity_it_says_how_to_make_one(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    project = make_project("publication.toml", "plugins")
    with world(tmp_path, identities=("elsewhere.example",)) as own:
        shown = project.newsletter("doctor", "--dns", **own.server.environment)
    assert shown.returncode == 1
    assert "create-email-identity --email-identity example.org" in shown.stderr


def test_the_zone_and_the_mail_from_domain_are_those_that_ses_names() -> None:
    """Newer regions keep DKIM keys in zones of their own."""
    facts = IdentityFacts(
        name="example.org", verified=False, status="PENDING", dkim="PENDING", signing=True,
        mail_from="mail.example.org", tokens=("abc",), zone="dkim.af-south-1.amazonses.com",
    )  # fmt: skip
    found = records(facts, "af-south-1", "desk@example.org", "briefing.example.org")
    assert zone_line(found[0]) == (
        "abc._domainkey.example.org. 3600 IN CNAME abc.dkim.af-south-1.amazonses.com."
    )
    assert {one.name for one in found if one.type in ("MX", "TXT")} == {
        "mail.example.org",
        "_dmarc.example.org",
    }


def test_an_identity_that_is_one_address_needs_no_record_for_its_mail() -> None:
    facts = IdentityFacts(name="desk@example.org", verified=True, status="SUCCESS", dkim="", signing=False)
    found = records(facts, "eu-west-1", "desk@example.org", "briefing.example.org")
    assert [one.type for one in found] == ["CAA"]
