"""The facts of the publication: what is missing or cannot be is named with the file and the key."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.errors import SettingsError
from newsletter.publication import Publication, load
from tests.conftest import ROOT

FACTS = "".join(
    line for line in (ROOT / "publication.toml").read_text().splitlines(keepends=True)
    if not line.startswith(("testers", "lateness", "#"))
)  # fmt: skip


def loaded(folder: Path, *more: str) -> Publication:
    path = folder / "publication.toml"
    path.write_text("\n".join([FACTS, *more]))
    return load(path)


def test_nobody_is_a_tester_and_an_hour_is_not_too_late_unless_it_is_said(tmp_path: Path) -> None:
    usual = loaded(tmp_path)
    assert (usual.testers, usual.lateness) == ((), timedelta(hours=1))
    told = loaded(tmp_path, 'testers = ["a@example.org", " b@example.org "]', "lateness = 15")
    assert (told.testers, told.lateness) == (("a@example.org", "b@example.org"), timedelta(minutes=15))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('testers = "a@example.org"', "mail.testers: must be a list"),
        ("testers = [1]", "mail.testers: must be a list"),
        ('testers = ["no address"]', 'mail.testers: "no address" is no email address'),
        ("lateness = 0", "mail.lateness: must be a whole number of minutes"),
        ("lateness = -5", "mail.lateness"),
        ("lateness = true", "mail.lateness"),
        ('lateness = "60"', "mail.lateness"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(SettingsError, match=r"publication\.toml: " + says):
        loaded(tmp_path, line)
