"""The folder between site and mail: whole or not there, and what it claims to be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter import message, package
from newsletter.errors import PackageError
from newsletter.models import Package
from tests.briefing_sample import BRIEFING, PUBLICATION, TEMPLATES

FILES = ["briefing.json", "email.html", "email.txt"]


@pytest.fixture(scope="module")
def october() -> Package:
    return message.compose(BRIEFING, PUBLICATION, TEMPLATES, "95dfd49")


@pytest.fixture
def folder(tmp_path: Path, october: Package) -> Path:
    package.write(october, tmp_path / "2020-10")
    return tmp_path / "2020-10"


def refused(folder: Path) -> str:
    with pytest.raises(PackageError) as caught:
        package.read(folder)
    assert "newsletter briefing 2020-10" in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read(folder: Path, october: Package) -> None:
    assert package.read(folder) == october
    assert sorted(os.listdir(folder)) == FILES
    assert os.listdir(folder.parent) == ["2020-10"]


def test_the_facts_have_the_names_the_mail_half_knows(folder: Path) -> None:
    text = (folder / "briefing.json").read_text(encoding="utf-8")
    facts = json.loads(text)
    assert list(facts) == [
        *("briefing", "title", "subject", "preheader", "sender", "reply_to", "list_headers", "placeholders"),
        *("content_hash", "commit", "url", "items"),
    ]
    assert facts["briefing"] == "2020-10"
    assert facts["items"][0]["shortened"] is False
    assert text.endswith("}\n")
    assert "–" not in json.dumps(facts["list_headers"])


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PACKAGES = st.builds(
    Package,
    month=st.just("2020-10"),
    title=TEXT,
    subject=TEXT,
    preheader=TEXT,
    sender=TEXT,
    reply_to=TEXT,
    html=TEXT,
    text=TEXT,
    headers=st.dictionaries(TEXT, TEXT, max_size=3),
    placeholders=st.lists(TEXT, max_size=3).map(tuple),
    content_hash=st.just(""),
    url=TEXT,
    commit=st.none() | TEXT,
    items=st.lists(st.dictionaries(TEXT, TEXT | st.booleans(), max_size=3), max_size=3).map(tuple),
).map(lambda each: replace(each, content_hash=package.content_hash(each)))


@settings(max_examples=60, deadline=None)
@given(PACKAGES)
def test_any_text_survives_the_folder(each: Package) -> None:
    """Line ends, controls and all: what is mailed is what was composed."""
    with TemporaryDirectory() as place:
        package.write(each, Path(place) / "2020-10")
        assert package.read(Path(place) / "2020-10") == each


def test_an_equal_package_leaves_the_folder_alone(folder: Path, october: Package) -> None:
    before = [(folder / name).stat() for name in FILES]
    package.write(october, folder)
    assert [(folder / name).stat() for name in FILES] == before
    package.write(replace(october, commit="another"), folder)
    assert package.read(folder).commit == "another"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name}: is missing" in refused(folder)


def test_a_missing_package_says_what_to_type(tmp_path: Path) -> None:
    assert "there is no package" in refused(tmp_path / "2020-10")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("email.html", "Baghdad", "Bagdad"),
        ("email.html", "{{unsubscribe_url}}", "https://example.org/"),
        ("email.txt", "\n", "\r\n"),
        ("briefing.json", BRIEFING.subject, "Another"),
        ("briefing.json", "briefing@example.org", "other@example.org"),
        ("briefing.json", '"unsubscribe_url"', '"unsubscribe_url", "name"'),
        ("briefing.json", '"Precedence": "bulk"', '"Precedence": "list"'),
        ("briefing.json", '"briefing": "2020-10"', '"briefing": "2020-11"'),
    ],
)
def test_what_was_changed_by_hand_is_not_mailed(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    data = path.read_bytes()
    assert old.encode() in data
    path.write_bytes(data.replace(old.encode(), new.encode()))
    refused(folder)


def change(key: str, value: object) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), key: value})


def drop(key: str) -> Callable[[str], str]:
    return lambda text: json.dumps({name: value for name, value in json.loads(text).items() if name != key})


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (drop("sender"), "lacks sender"),
        (drop("items"), "lacks items"),
        (change("subject", 1), "subject must be a text"),
        (change("commit", 1), "commit must be a text or null"),
        (change("items", [1]), "items must be"),
        (change("placeholders", "unsubscribe_url"), "placeholders must be"),
        (change("list_headers", ["List-Id"]), "list_headers must"),
        (lambda text: text[:-20], "briefing.json: "),
        (lambda text: "[]", "is not an object"),
        (lambda text: "", "briefing.json: "),
    ],
)
def test_facts_that_are_none_are_named(folder: Path, edit: Callable[[str], str], words: str) -> None:
    path = folder / "briefing.json"
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert words in refused(folder)


def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path, october: Package) -> None:
    """A mistyped path may be somebody's home folder."""
    (tmp_path / "letter.doc").write_text("mine")
    with pytest.raises(PackageError, match=r"letter\.doc"):
        package.write(october, tmp_path)
    assert os.listdir(tmp_path) == ["letter.doc"]


KILLED = """
import os, sys
from dataclasses import replace
from pathlib import Path
from newsletter import package

folder, when, count = Path(sys.argv[1]), int(sys.argv[2]), 0

def counted(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global count
        count += 1
        if count == when:
            os._exit(9)  # no finally, no exit handler: as SIGKILL
        return real(*args, **kwargs)
    setattr(os, name, call)

old = package.read(folder)
new = replace(old, html=old.html + "<!-- new -->", text=old.text + "new", subject="New")
new = replace(new, content_hash=package.content_hash(new))
for name in ("fsync", "rename", "mkdir", "unlink", "rmdir"):
    counted(name)
package.write(new, folder)
"""


def test_a_killed_run_leaves_the_old_the_new_or_nothing(tmp_path: Path, october: Package) -> None:
    """Killed at each of its calls to the disk in turn, until one run goes through; the next run mends."""
    folder = tmp_path / "2020-10"
    seen = set()
    for when in range(1, 40):
        package.write(october, folder)
        run = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(when)], check=False)
        seen.add(package.read(folder).subject if folder.exists() else "nothing")
        if run.returncode == 0:
            break
        assert run.returncode == 9
    assert run.returncode == 0
    assert seen == {october.subject, "New", "nothing"}
    package.write(october, folder)
    assert package.read(folder) == october


def test_the_mail_half_reads_without_the_site_half() -> None:
    """`newsletter send` must work where neither Pelican nor lxml nor a template engine is installed."""
    code = (
        "import sys; from newsletter import package;"
        "sys.exit(bool({'lxml', 'jinja2', 'mjml', 'pelican'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
