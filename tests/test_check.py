"""What an editor counts on: the check finds what its pages say, is silent on clean text, and mends only what is certain."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from newsletter import publication, reader, yardstick
from newsletter.check import desk, engine, fixing, front, pages, report
from newsletter.check.cache import Cache, digest, edition
from newsletter.check.document import Kind
from newsletter.check.house import house_of
from newsletter.errors import Finding, Fix, Severity
from tests.check_corpus import FOLDER, HOUSE, NOW, compare, findings, marks
from tests.conftest import ROOT, Project

CODES = [rule.code for rule in pages.rules()]
EXAMPLE = re.compile(r"```(markdown|yaml) (found|clean)\n(.*?)\n```", re.DOTALL)
SOUND = {
    "title": "The ports will stay open until the pay runs out",
    "date": "2020-10-16",
    "summary": "Whoever pays the guards holds the ports.",
    "region": "Iraq",
}


def piece(body: str = "The port was quiet.", head: str = "") -> str:
    """A sound piece with that body, and with those lines in its head."""
    stated = {line.partition(":")[0] for line in head.split("\n")}
    lines = [f"{key}: {value}" for key, value in SOUND.items() if key not in stated]
    return "\n".join(["---", *lines, *([head] if head else []), "---", body, ""])


def codes(text: str) -> list[str]:
    return [finding.code for finding in findings(text)]


# -- the rules


@pytest.mark.parametrize("code", CODES)
def test_every_rule_has_a_page_that_says_what_it_is_and_how_grave(code: str) -> None:
    rule = next(rule for rule in pages.rules() if rule.code == code)
    page = pages.page(code)
    assert page
    assert page.lower().startswith(f"# {code.lower()} · {rule.name.lower()}\n")
    assert page.split("\n")[2].startswith("Error." if rule.severity is Severity.ERROR else "Warning.")
    assert len(page.split()) > 25


@pytest.mark.parametrize("code", CODES)
def test_the_examples_of_every_page_are_found_and_let_pass_as_it_says(code: str) -> None:
    for kind, what, example in EXAMPLE.findall(pages.page(code) or ""):
        text = piece(head=example) if kind == "yaml" else piece(example)
        assert (code in codes(text)) if what == "found" else codes(text) == [], example


def test_there_is_no_page_without_a_rule_and_the_list_names_them_all() -> None:
    there = {path.stem for path in (ROOT / "plugins/newsletter/check/pages").glob("*.md")}
    assert there == set(CODES)
    listed = re.findall(
        r"^\| \[([A-Z]\d{3})\]\(\.\./plugins/newsletter/check/pages/\1\.md\) \| (\w+) \| (.*) \|$",
        (ROOT / "docs/rules.md").read_text(),
        re.MULTILINE,
    )
    assert listed == [(rule.code, str(rule.severity), rule.name) for rule in pages.rules()]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.md")), ids=lambda file: file.stem)
def test_the_corpus_is_found_and_nothing_else(file: Path) -> None:
    _, surplus, missing = compare(file.read_text(encoding="utf-8"), file.stem)
    assert surplus == []
    assert missing == [] or file.stem == "beyond", [str(one) for one in missing]


def test_the_samples_of_this_repository_are_clean() -> None:
    content = ROOT / "content"
    house = house_of(publication.load(ROOT / "publication.toml"), content)
    readings = [desk.read_file(file, content, house) for file in desk.files(content)]
    assert len(readings) > 20
    assert engine.conclude(readings, house, datetime.now(UTC), desk.size_of(content)) == []


def test_every_field_that_the_build_reads_is_known() -> None:
    known = {field for fields in front.FIELDS.values() for field in fields}
    assert known >= reader._OWN_FIELDS - {"category", "tags", "author", "modified"}  # the classic header's


def test_a_finding_stands_at_its_words() -> None:
    text, _ = marks((FOLDER / "text-words.md").read_text(encoding="utf-8"))
    lines = text.split("\n")
    found = findings(text)
    assert len(found) > 5
    for finding in found:
        start = finding.column - 1
        assert lines[finding.line - 1][start : start + len(finding.words)] == finding.words


def test_places_are_counted_in_characters_behind_letters_of_several_bytes() -> None:
    text = piece("Die Übergabe — „später“ — an the the [hier](nowhere.md) 🕊 [here](https://example.org/).")
    doubled, link, here = findings(text)
    line = text.split("\n")[doubled.line - 1]
    for finding in (doubled, link, here):
        assert line[finding.column - 1 :].startswith(finding.words)
    assert [finding.code for finding in (doubled, link, here)] == ["T207", "T209", "T203"]


@pytest.mark.parametrize(
    ("name", "word", "bracket"),
    [("ICD 203", "unlikely", "20–45\u00a0%"), ("PHIA", "unlikely", "25–35\u00a0%"), ("PHIA", "realistic possibility", "40–50\u00a0%")],
)  # fmt: skip
def test_a_word_has_the_range_of_its_yardstick(name: str, word: str, bracket: str) -> None:
    band = yardstick.load(name).band(word)
    assert band
    assert band.bracket == bracket


def test_phia_has_other_words_than_icd_203_and_no_rows() -> None:
    house = replace(HOUSE, yardstick=yardstick.load("PHIA"))
    head = (
        'key_judgements:\n  - text: "A deal is highly likely."\n    likelihood: highly likely\n    horizon: 2021-01-31\n'
        '  - text: "A strike is probable."\n    likelihood: likely\n    horizon: 2021-01-31'
    )
    assert findings(piece(head=head), house=house) == []
    assert set(codes(piece(head=head))) == {"E402", "E405", "E410"}
    assert "highly likely" in findings(piece(head=head.replace("highly", "very")), house=house)[0].mend


def test_links_between_pieces_are_followed_to_the_heading() -> None:
    def told(body: str, other: str = "## The price\n\nHigh.", **fields: str) -> list[str]:
        head = "\n".join(f"{key}: {value}" for key, value in fields.items())
        pieces = {"a": piece(body), "b": piece(other, head)}
        readings = [
            engine.read(text, f"{name}.md", PurePosixPath(f"analyses/2020/{name}.md"), HOUSE)
            for name, text in pieces.items()
        ]
        return [f"{f.code} {f.mend}" for f in engine.conclude(readings, HOUSE, NOW, lambda path: None)]

    assert (
        told("[x]({filename}b.md#the-price), [y]({filename}/analyses/2020/b.md), [z](/analyses/2020/b/)")
        == []
    )
    assert told("[x]({filename}b.md#the-prize)") == ["T202 Did you mean #the-price?"]
    assert told("[x]({filename}../2019/b.md)") == ["T201 Did you mean {filename}/analyses/2020/b.md?"]
    assert told("[x](/analyses/2020/bb/)") == ["T201 Did you mean {filename}/analyses/2020/b.md?"]
    assert told("[x]({filename}b.md)", status="draft") == ["T201 Take the link out until it is published."]
    assert told("[x]({filename}b.md)", date="2022-01-01") == ["T201 Take the link out until it is published."]
    assert told("x", slug="a") == ["F105 Give one of them another slug."] * 2


# -- mending


def test_what_is_certain_is_mended_and_every_other_byte_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    before = (
        b"\xef\xbb\xbf---\r\ntitle: The ports\r\ndate: 2020-10-16\r\nsumary: x   \r\nregion: Iraq\r\nkey_judgements:\r\n"
        b'  - text: "A strike is unlikely."\r\n    horizon: 2021-03-31\r\n---\r\nThe the\tminister \xe2\x80\x94 was was seen in  \r\nin May.\r\n\r\n'
        b"The resistance groups (RGs) and RGS.\r\n\r\nNo end of line at the end"
    )
    file.write_bytes(before)
    path = str(file)

    def told() -> list[Finding]:
        reading = desk.read_bytes(file.read_bytes(), path, PurePosixPath("analyses/2020/a.md"), HOUSE)
        return engine.conclude([reading], HOUSE, NOW, lambda below: None)

    assert fixing.fix(told()) == 5
    assert file.read_bytes() == (
        before.replace(b"sumary", b"summary")
        .replace(b'unlikely."\r\n', b'unlikely."\r\n    likelihood: unlikely\r\n')
        .replace(b"was was", b"was")
        .replace(b"The the", b"The")
        .replace(b"RGS", b"RGs")
    )
    assert fixing.fix(told()) == 0
    assert [finding.code for finding in told()] == [
        "T207"
    ]  # over the end of a line: how that is mended is the editor's
    assert [each.name for each in tmp_path.iterdir()] == ["a.md"]


def test_a_fix_whose_words_are_not_there_any_more_writes_nothing() -> None:
    text = "one two three\n"
    assert fixing.fixed(text, [Fix(1, 5, "2wo", "zwei")]) == (text, 0)
    assert fixing.fixed(text, [Fix(9, 1, "one", "eins")]) == (text, 0)
    assert fixing.fixed(text, [Fix(1, 1, "one two", "a"), Fix(1, 5, "two", "b")]) == ("one b three\n", 1)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.md")), ids=lambda file: file.stem)
def test_mending_leaves_nothing_to_mend_and_finds_nothing_new(file: Path) -> None:
    text, _ = marks(file.read_text(encoding="utf-8"))
    before = findings(text)
    for _ in range(3):
        text, _ = fixing.fixed(text, [finding.fix for finding in findings(text) if finding.fix])
    after = findings(text)
    assert not [finding for finding in after if finding.fix]
    assert len(after) <= len(before)


# -- telling


def test_github_gets_a_command_a_line_with_its_signs_escaped() -> None:
    finding = Finding(
        "content/a,b.md",
        3,
        "",
        "50 % of it\nis wrong",
        7,
        "T207",
        Severity.WARNING,
        "the the",
        "Mend: it",
        None,
        "doubled",
    )
    assert report.github([finding]) == (
        "::warning file=content/a%2Cb.md,title=T207 doubled,line=3,endLine=3,col=7,endColumn=14::50 %25 of it%0Ais wrong Mend: it"
    )


def test_a_file_cannot_write_over_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    line = "a \x1b[2Jb \u202eevil the the"
    finding = Finding("a.md", 1, "", "twice", line.index("the") + 1, "T207", words="the the", name="doubled")
    report.show([finding], lambda path, number: line)
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
    assert "the the" in shown


def test_the_command_tells_mends_and_ends_as_it_promises(project: Project) -> None:
    project.write("content/analyses/2020/a.md", piece("It was the the minister."))
    done = project.newsletter("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "content/analyses/2020/a.md:7:8  T207 doubled word" in done.stdout
    assert "1 file: 1 warning" in done.stdout
    assert project.newsletter("check", "--strict").returncode == 1
    told = json.loads(project.newsletter("check", "--format", "json").stdout)
    assert (told["errors"], told["warnings"]) == (0, 1)
    assert told["findings"][0]["words"] == "the the"
    assert "1 mended, nothing to mend" in project.newsletter("check", "--fix").stdout
    assert "It was the minister." in project.read("content/analyses/2020/a.md")
    project.write("content/analyses/2020/b.md", piece(head="slug: a"))
    done = project.newsletter("check", "--format", "github")
    assert done.returncode == 1
    assert [line.partition(",col")[0] for line in done.stdout.splitlines()] == [
        "::error file=content/analyses/2020/a.md,title=F105 address taken,line=1,endLine=1",
        "::error file=content/analyses/2020/b.md,title=F105 address taken,line=6,endLine=6",
    ]
    project.write("content/analyses/2020/c.md", piece())
    assert project.newsletter("check", "content/analyses/2020/c.md").returncode == 0
    assert project.newsletter("check", "--explain", "X999").returncode == 2
    assert "the the minister" in project.newsletter("check", "--explain", "t207").stdout


def test_a_change_that_readers_are_not_told_is_found_in_gits_past(project: Project) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", project.path, *words], check=True, capture_output=True)

    git("init", "-q")
    git("config", "user.name", "Editor")
    git("config", "user.email", "editor@example.org")
    project.write("content/analyses/2020/a.md", piece("The port will close in March."))
    git("add", "content")
    git("commit", "-qm", "A piece")
    assert project.findings() == []
    project.write("content/analyses/2020/a.md", piece("The port will close in May."))
    (finding,) = project.findings()
    assert finding.startswith("content/analyses/2020/a.md:7: The piece says something else")
    assert "“March.” is gone and “May.” is new" in finding
    project.write(
        "content/analyses/2020/a.md",
        piece("The port will close in May.", 'updates:\n  - {date: 2020-11-02, text: "It closes later."}'),
    )
    assert project.findings() == []


def test_the_range_of_the_publications_yardstick_is_printed_everywhere(project: Project) -> None:
    facts = project.read("publication.toml")
    project.write("publication.toml", facts.replace('yardstick = "ICD 203"', 'yardstick = "PHIA"'))
    head = (
        'key_judgements:\n  - text: "A strike is a realistic possibility."\n    likelihood: realistic possibility\n'
        "    horizon: 2021-03-31"
    )
    project.write("content/analyses/2020/a.md", piece(head=head))
    project.briefing()
    assert project.newsletter("build").returncode == 0
    package = "build/briefings/2020-10"
    mail = json.loads(project.read(f"{package}/briefing.json"))
    for name in (
        "output/analyses/2020/a/index.html",
        "output/feed.xml",
        "output/briefings/2020-10/index.html",
    ):
        assert "40–50" in project.read(name), name
    texts = [
        path.read_text() for path in (project.path / package).iterdir() if path.suffix in (".html", ".txt")
    ]
    assert mail
    assert len(texts) == 2
    assert all("40–50" in text for text in texts)


# -- remembering


def _check(content: Path, cache: Path | None) -> list[Finding]:
    """Read `content` with what is remembered, as the desk does, without asking git and the build."""
    kept = Cache(cache, edition(HOUSE))
    readings = []
    for file in desk.files(content):
        data = file.read_bytes()
        known = kept.reading(str(file), digest(data))
        readings.append(
            known or desk.read_bytes(data, str(file), PurePosixPath(file.relative_to(content)), HOUSE)
        )
        if not known:
            kept.keep(readings[-1], digest(data))
    kept.save()
    return engine.conclude(readings, HOUSE, NOW, lambda below: None)


def test_what_is_remembered_tells_the_same_as_what_is_read_anew(tmp_path: Path) -> None:
    content, cache = tmp_path / "content", tmp_path / "var/check.json"
    (content / "analyses").mkdir(parents=True)
    for file in FOLDER.glob("*.md"):
        (content / "analyses" / file.name).write_text(
            marks(file.read_text(encoding="utf-8"))[0], encoding="utf-8"
        )
    first = _check(content, cache)
    assert len(first) > 80
    assert first == _check(content, cache) == _check(content, None)
    (content / "analyses/text-words.md").write_text(piece("It was the the end."), encoding="utf-8")
    (content / "analyses/numbers.md").unlink()
    assert _check(content, cache) == _check(content, None) != first


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"edition": 1}', "kept"])
def test_a_damaged_memory_costs_nothing_but_time(tmp_path: Path, damage: str) -> None:
    content, cache = tmp_path / "content", tmp_path / "check.json"
    (content / "analyses").mkdir(parents=True)
    (content / "analyses/a.md").write_text(piece("It was the the end."), encoding="utf-8")
    first = _check(content, cache)
    if damage == "kept":
        stored = json.loads(cache.read_text())
        (entry,) = stored["kept"].values()
        entry[1] = [None, "x"]
        cache.write_text(json.dumps(stored))
    else:
        cache.write_text(damage)
    assert _check(content, cache) == first


def test_another_house_or_other_rules_remember_nothing_of_each_other() -> None:
    assert edition(HOUSE) == edition(replace(HOUSE))
    assert edition(HOUSE) != edition(replace(HOUSE, yardstick=yardstick.load("PHIA")))
    assert edition(HOUSE) != edition(replace(HOUSE, glossary={"KH": "Kings Head"}))
    assert Kind.ANALYSIS in front.FIELDS
