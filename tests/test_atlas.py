"""The map of a piece's places: the right land, the right countries, each name where it can be read."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter import atlas
from newsletter.atlas import HEIGHT, WIDTH
from newsletter.models import Place
from tests.conftest import Project

WORLD = atlas.load(Path(__file__).parent.parent / "theme/atlas/countries-50m.json")


def _rings(path: str) -> list[list[atlas.Point]]:
    """SVG path data of M and l, in tenths, as points in units."""
    rings = []
    for part in path.replace("Z", "").split("M")[1:]:
        x = y = 0
        points = []
        numbers = [int(number) for number in re.findall(r"-?\d+", part)]
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            points.append((x / 10, y / 10))
        rings.append(points)
    return rings


def _is_land(chart: atlas.Chart, point: atlas.Point) -> bool:
    """Whether a point lies within a ring (by the rule of even and odd)."""
    x, y = point
    crossings = 0
    for ring in _rings(chart.land):
        for (x1, y1), (x2, y2) in pairwise([*ring, ring[0]]):
            crossings += (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1
    return crossings % 2 == 1


@pytest.mark.parametrize(
    ("name", "latitude", "longitude", "countries"),
    [
        ("Baghdad", 33.31, 44.37, {"Iraq", "Iran"}),
        ("Sabha", 27.04, 14.43, {"Libya"}),  # far from any border
        ("Canberra", -35.28, 149.13, {"Australia"}),
        ("Bogotá", 4.71, -74.07, {"Colombia"}),
    ],
)
def test_a_city_stands_on_the_land_of_its_country(
    name: str, latitude: float, longitude: float, countries: set[str]
) -> None:
    chart = atlas.chart(WORLD, [Place(name, latitude, longitude)])
    assert countries <= {label.text for label in chart.countries}
    assert _is_land(chart, chart.dots[0])
    assert [label.text for label in chart.names] == [name]


def test_the_sea_is_no_land_and_what_lies_north_and_west_is_drawn_there() -> None:
    sea, city = Place("At sea", 34.5, 18.0), Place("Tripoli", 32.89, 13.19)
    chart = atlas.chart(WORLD, [sea, city])
    (sea_x, sea_y), (city_x, city_y) = chart.dots
    assert not _is_land(chart, (sea_x, sea_y))
    assert sea_x > city_x
    assert sea_y < city_y


def test_two_countries_have_their_border_between_them() -> None:
    chart = atlas.chart(WORLD, [Place("Tijuana", 32.51, -117.04), Place("Mexicali", 32.62, -115.45)])
    assert chart.borders
    assert {"Mexico"} <= {label.text for label in chart.countries}


@settings(deadline=None, max_examples=40)  # what is promised is where, not how fast
@given(
    st.lists(
        st.tuples(st.floats(-60, 70), st.floats(-175, 175)).map(lambda at: Place("A place", *at)),
        min_size=1,
        max_size=5,
    )
)
def test_wherever_the_places_are_they_are_seen(places: list[Place]) -> None:
    chart = atlas.chart(WORLD, places)
    for x, y in chart.dots:
        assert 0 < x < WIDTH
        assert 0 < y < HEIGHT
    for ring in _rings(chart.land):
        assert all(-4 <= x <= WIDTH + 4 and -4 <= y <= HEIGHT + 4 for x, y in ring)


def test_the_page_has_the_map_with_its_words(project: Project) -> None:
    project.analysis(
        "a", places='[{name: Sirte, lat: 31.2, lon: 16.59, text: "The <front>."}, {name: Jufra, lat: 29.2, lon: 16}]'
    )  # fmt: skip
    assert project.newsletter("build").returncode == 0
    page = project.read("output/analyses/2020/a/index.html")
    assert 'role="img" aria-label="Map: Sirte, Jufra"' in page
    assert "<b>Sirte</b> The &lt;front&gt;." in page
    assert len(page.encode()) < 40_000


@pytest.mark.parametrize(
    "place", ["{name: Sirte}", "{name: Sirte, lat: 131, lon: 16}", "Sirte", "{lat: 1, lon: 2}"]
)
def test_a_place_that_is_nowhere_is_named(project: Project, place: str) -> None:
    project.analysis("a", places=f"[{place}]")
    done = project.newsletter("check")
    assert done.returncode == 1
    assert "places[1]" in done.stdout + done.stderr
