"""A reader of one piece is led to the pieces nearest to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from newsletter.likeness import alike
from newsletter.models import Analysis
from newsletter.related import HOW_MANY, related
from tests.conftest import Project

START = datetime(2020, 1, 1, tzinfo=UTC)


def _piece(number: int, region: str, *topics: str, day: int = 0) -> Analysis:
    return Analysis(
        f"analyses/{number}.md",
        f"Piece {number}",
        str(number),
        START + timedelta(days=day),
        "",
        region,
        topics,
    )


PIECES = st.lists(
    st.tuples(st.sampled_from(["Iraq", "Gulf", ""]), st.sets(st.sampled_from("abcd")), st.integers(0, 900)),
    max_size=25,
).map(
    lambda rows: [_piece(n, region, *sorted(topics), day=day) for n, (region, topics, day) in enumerate(rows)]
)


@given(PIECES)
def test_never_itself_never_twice_and_as_many_as_there_are(pieces: list[Analysis]) -> None:
    for index, others in enumerate(related(pieces)):
        assert index not in others
        assert len(set(others)) == len(others) == min(HOW_MANY, len(pieces) - 1)


@given(PIECES, st.randoms(use_true_random=False))
def test_the_order_of_the_files_changes_nothing(pieces: list[Analysis], random: object) -> None:
    shuffled = pieces[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before = {
        p.source: [pieces[i].source for i in others]
        for p, others in zip(pieces, related(pieces), strict=True)
    }
    after = {
        p.source: [shuffled[i].source for i in others]
        for p, others in zip(shuffled, related(shuffled), strict=True)
    }
    assert before == after


def test_region_and_topics_come_before_mere_newness() -> None:
    pieces = [
        _piece(0, "Iraq", "oil", day=100),
        _piece(1, "Iraq", "oil", day=90),
        _piece(2, "Gulf", "oil", day=95),
        _piece(3, "Iraq", day=95),
        *(_piece(n, "Levant", day=99) for n in range(4, 9)),
    ]
    assert related(pieces)[0][:3] == [1, 3, 2]


def test_a_piece_that_says_the_same_comes_before_one_that_is_merely_newer() -> None:
    def piece(number: int, summary: str, day: int) -> Analysis:
        return replace(_piece(number, "Gulf" if number % 2 else "Iraq", day=day), summary=summary)

    pieces = [
        piece(0, "The militias of Basra will fight over the pipeline to Aqaba.", 100),
        piece(1, "A pipeline from Basra to Aqaba stays a drawing, whatever the militia says.", 20),
        *(piece(2 * n + 1, f"Parliament number {n} votes on its budget.", 99 - n) for n in range(1, 9)),
    ]
    assert related(pieces)[0][0] == 1


@given(st.lists(st.text(st.sampled_from("oil gas war vote bank"), max_size=40), max_size=12))
def test_likeness_is_mutual_and_never_with_itself(texts: list[str]) -> None:
    for index, others in enumerate(alike(texts)):
        assert index not in others
        for other, how_far in others.items():
            assert 0 < how_far <= 1 + 1e-9
            assert alike(texts)[other][index] == pytest.approx(how_far)


def test_a_new_piece_elsewhere_changes_nothing_for_a_reader_of_this_one() -> None:
    pieces = [_piece(n, "Iraq", "oil", day=n) for n in range(6)]
    before = related(pieces)[0]
    assert related([*pieces, _piece(9, "Sahel", "mining", day=3)])[0] == before


@pytest.fixture(scope="module")
def led_on(built: Project) -> dict[str, list[str]]:
    """Of the house's own pieces: to which others the page of each leads, by their slugs."""
    leads = {}
    for page in built.path.glob("output/analyses/*/*/index.html"):
        (section,) = html.parse(str(page)).xpath("//section[@aria-labelledby='page.related']")
        leads[page.parent.name] = [link.split("/")[-2] for link in section.xpath(".//h3/a/@href")]
    return leads


@pytest.mark.parametrize(
    ("piece", "others"),
    [
        ("beirut-port-blast-government", {"lebanon-hariri-returns"}),
        ("libya-ceasefire-sirte", {"libya-oil-restart"}),
        ("us-embassy-baghdad-threat", {"kadhimi-early-elections", "iraq-oil-revenue-opec"}),
        ("iran-arms-embargo-expiry", {"uae-israel-normalisation", "gulf-succession-kuwait"}),
        ("cyprus-varosha-vote", {"eastern-mediterranean-standoff"}),
        ("ethiopia-tigray-rift", {"sudan-terror-list"}),
    ],
)
def test_a_person_would_choose_the_same(led_on: dict[str, list[str]], piece: str, others: set[str]) -> None:
    assert set(led_on[piece][: len(others)]) == others


def test_whoever_follows_a_piece_to_another_can_mostly_come_back(led_on: dict[str, list[str]]) -> None:
    assert len(led_on) > HOW_MANY
    for piece, others in led_on.items():
        assert piece in led_on[others[0]], f"{piece} leads to {others[0]} first, which does not lead back"
    steps = [(piece, other) for piece, others in led_on.items() for other in others]
    back = [step for step in steps if step[0] in led_on[step[1]]]
    assert len(back) >= 2 / 3 * len(steps)
