"""The judgements by their day: readers see which are open, which have fallen due, and what came of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

from newsletter.forecasts import forecasts
from newsletter.models import Analysis, KeyJudgement
from tests.conftest import Project


def _piece(*due: date | None) -> Any:
    judgements = tuple(KeyJudgement(f"By {day}.", due=day) for day in due)
    return SimpleNamespace(
        analysis=Analysis(
            "a.md", "A", "a", datetime(2020, 1, 1, tzinfo=UTC), "S", "Iraq", key_judgements=judgements
        )
    )


def test_a_judgement_is_open_until_its_day_is_over() -> None:
    today = date(2020, 12, 31)
    sorted_out = forecasts([_piece(date(2020, 12, 30), today, date(2021, 1, 20), None)], today)
    assert [f.due for f in sorted_out.open] == [today, date(2021, 1, 20)]
    assert [f.due for f in sorted_out.past] == [date(2020, 12, 30)]


def test_the_newest_to_fall_due_and_the_soonest_to_come_stand_first() -> None:
    today = date(2021, 1, 1)
    days = [date(2020, 1, 1), date(2021, 6, 1), date(2020, 6, 1), date(2021, 2, 1)]
    sorted_out = forecasts([_piece(day) for day in days], today)
    assert [f.due.month for f in sorted_out.open] == [2, 6]
    assert [f.due.month for f in sorted_out.past] == [6, 1]


def test_the_page_names_each_with_its_piece_and_its_outcome(project: Project) -> None:
    judgements = (
        '\n  - {text: "It holds.", likelihood: likely, horizon: 2020-12-31, outcome: "It held."}'
        '\n  - {text: "It falls.", horizon: 2999-12-31}\n  - {text: "Undated.", horizon: the election}'
    )
    project.analysis("one", key_judgements=judgements)
    assert project.newsletter("build").returncode == 0
    page = project.read("output/forecasts/index.html")
    assert page.index("It falls.") < page.index("It holds.") < page.index("It held.")
    assert "Undated." not in page
    assert 'href="/analyses/2020/one/"' in page
    assert "It held." in project.read("output/analyses/2020/one/index.html")
