"""A small map of a piece's places, drawn from Natural Earth's countries: to say where, and no more.

The countries are TopoJSON (github.com/topojson/topojson-specification, 1.0.0): borders are arcs, kept once and shared
by the countries on both sides of them. The map is equirectangular with the scale true at its middle latitude, which
is as good as any at the size of a few countries.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from newsletter.models import Place

WIDTH, HEIGHT = 320.0, 270.0  # units of the drawing; a page shows it about as many pixels wide
_LEAST = 9.0  # degrees of latitude from top to bottom: nearer, and nobody knows where it is
_ROOM = 1.7  # how much more than the places themselves is shown
_FINE = 1.2  # units: what is finer than that nobody sees
_EDGE = 3.0  # how far the land goes on past the frame, so that its outline does not run along it
_LETTER, _LINE = 8.2, 15.0  # the room a letter and a line of writing take
_COUNTRY = 2_200.0  # square units from which a country is named

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Atlas:
    """Arcs in degrees (longitude, latitude), with how far each reaches; each country's name and rings of arc numbers."""

    arcs: tuple[tuple[Point, ...], ...]
    extents: tuple[Box, ...]
    countries: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...]

    def ring(self, numbers: Iterable[int]) -> list[Point]:
        """A ring's points; a number's complement is its arc the other way round (specification, 2.1.4)."""
        points: list[Point] = []
        for number in numbers:
            points += self.arcs[number] if number >= 0 else reversed(self.arcs[~number])
        return points

    def extent(self, numbers: Iterable[int]) -> Box:
        """How far a ring reaches: west, south, east, north."""
        west, south, east, north = zip(*(self.extents[n if n >= 0 else ~n] for n in numbers), strict=True)
        return min(west), min(south), max(east), max(north)


@dataclass(frozen=True, slots=True)
class Label:
    """A word at a point; `anchor` is SVG's: "start", "middle" or "end"."""

    text: str
    x: float
    y: float
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: the land and the borders as SVG path data in tenths of a unit, dots and labels in units."""

    land: str
    borders: str
    dots: tuple[Point, ...]
    names: tuple[Label, ...]
    countries: tuple[Label, ...]


@cache
def load(file: Path) -> Atlas:
    """Read a TopoJSON file of countries. Raises OSError or ValueError if it is none."""
    topology: dict[str, Any] = json.loads(file.read_bytes())
    (dx, dy), (x0, y0) = topology["transform"]["scale"], topology["transform"]["translate"]

    def degrees(arc: Sequence[Sequence[int]]) -> tuple[Point, ...]:
        xs, ys = accumulate(step[0] for step in arc), accumulate(step[1] for step in arc)
        return tuple((x * dx + x0, y * dy + y0) for x, y in zip(xs, ys, strict=True))

    countries = []
    for shape in topology["objects"]["countries"]["geometries"]:
        polygons = shape.get("arcs", []) if shape["type"] == "MultiPolygon" else [shape.get("arcs", [])]
        rings = tuple(tuple(ring) for polygon in polygons for ring in polygon)
        countries.append((shape["properties"]["name"], rings))
    arcs = tuple(map(degrees, topology["arcs"]))
    return Atlas(arcs, tuple(map(_extent, arcs)), tuple(countries))


def _extent(points: Sequence[Point]) -> Box:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def chart(atlas: Atlas, places: Sequence[Place]) -> Chart:
    """The map of these places, one or more. Pure."""
    project, window = _projection(places)
    land: list[str] = []
    shown: list[tuple[str, list[Point]]] = []
    used: Counter[int] = Counter()
    for name, rings in atlas.countries:
        for ring in rings:
            if not _meet(window, atlas.extent(ring)):
                continue  # most of the world
            clipped = _clipped([project(point) for point in atlas.ring(ring)])
            if len(clipped) > 2:
                used.update(number if number >= 0 else ~number for number in ring)
                land.append(f"{_path(clipped)}Z")
                shown.append((name, clipped))
    borders = [
        _path(run)
        for number, times in sorted(used.items())
        if times > 1
        for run in _inside([project(point) for point in atlas.arcs[number]])
    ]
    dots = tuple(project((place.longitude, place.latitude)) for place in places)
    boxes = [(x - 4, y - 4, x + 4, y + 4) for x, y in dots]
    names = tuple(_named(place.name, dot, boxes) for place, dot in zip(places, dots, strict=True))
    return Chart(
        "".join(land), "".join(borders), tuple(map(_round, dots)), names, tuple(_countries(shown, boxes))
    )


def _projection(places: Sequence[Place]) -> tuple[Callable[[Point], Point], Box]:
    """How degrees become units, and the degrees that are seen: west, south, east, north."""
    west, east = min(p.longitude for p in places), max(p.longitude for p in places)
    south, north = min(p.latitude for p in places), max(p.latitude for p in places)
    middle, centre = (south + north) / 2, (west + east) / 2
    narrower = max(math.cos(math.radians(middle)), 0.1)
    tall = max(_LEAST, _ROOM * (north - south), _ROOM * (east - west) * narrower * HEIGHT / WIDTH)
    scale = HEIGHT / tall

    def project(point: Point) -> Point:
        return (
            WIDTH / 2 + (point[0] - centre) * narrower * scale,
            HEIGHT / 2 - (point[1] - middle) * scale,
        )

    wide = WIDTH / (narrower * scale)
    return project, (centre - wide / 2, middle - tall / 2, centre + wide / 2, middle + tall / 2)


def _meet(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _clipped(points: list[Point]) -> list[Point]:
    """A ring cut to the frame (Sutherland and Hodgman, "Reentrant polygon clipping", 1974), without fine detail."""
    for axis, limit, sign in (
        (0, -_EDGE, 1),
        (0, WIDTH + _EDGE, -1),
        (1, -_EDGE, 1),
        (1, HEIGHT + _EDGE, -1),
    ):
        if not points:
            return []
        found: list[Point] = []
        for before, point in pairwise([points[-1], *points]):
            inside, was = ((each[axis] - limit) * sign >= 0 for each in (point, before))
            if inside != was:
                part = (limit - before[axis]) / (point[axis] - before[axis])
                (left, top), (right, bottom) = before, point
                found.append((left + part * (right - left), top + part * (bottom - top)))
            if inside:
                found.append(point)
        points = found
    return _coarser(points)


def _coarser(points: Sequence[Point]) -> list[Point]:
    kept = list(points[:1])
    for point in points[1:]:
        if math.dist(point, kept[-1]) >= _FINE:
            kept.append(point)
    if len(points) > 1 and kept[-1] != points[-1]:
        kept.append(points[-1])
    return kept


def _inside(points: Sequence[Point]) -> Iterator[list[Point]]:
    """The runs of a line that are within the frame, each with one point more at its ends."""
    run: list[Point] = []
    for before, point in pairwise(points):
        if any(-_EDGE <= x <= WIDTH + _EDGE and -_EDGE <= y <= HEIGHT + _EDGE for x, y in (before, point)):
            run = run or [before]
            run.append(point)
        elif run:
            yield _coarser(run)
            run = []
    if run:
        yield _coarser(run)


def _path(points: Sequence[Point]) -> str:
    """SVG path data in tenths, each point from the one before it: that is shorter by half."""
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    steps = (f"{x - x0} {y - y0}" for (x0, y0), (x, y) in pairwise(tenths))
    return f"M{tenths[0][0]} {tenths[0][1]}l{' '.join(steps)}".replace(" -", "-")


def _named(name: str, dot: Point, boxes: list[Box]) -> Label:
    """A place's name beside its dot, on the first side with room for it; to the right if there is none."""
    x, y = dot
    wide = _LETTER * len(name)
    sides = (
        (Label(name, x + 8, y + 4.5, "start"), (x + 6, y - 8, x + 10 + wide, y + 8)),
        (Label(name, x - 8, y + 4.5, "end"), (x - 10 - wide, y - 8, x - 6, y + 8)),
        (Label(name, x, y - 9), (x - wide / 2, y - 9 - _LINE, x + wide / 2, y - 5)),
        (Label(name, x, y + 19), (x - wide / 2, y + 6, x + wide / 2, y + 8 + _LINE)),
    )
    label, box = next((side for side in sides if _has_room(side[1], boxes)), sides[0])
    boxes.append(box)
    return Label(label.text, round(label.x, 1), round(label.y, 1), label.anchor)


def _countries(shown: Sequence[tuple[str, list[Point]]], boxes: list[Box]) -> Iterator[Label]:
    """The names of the countries that take up much of the map, where nothing else is written."""
    largest: dict[str, tuple[float, Point]] = {}
    for name, ring in shown:
        area, middle = _weight(ring)
        if area > largest.get(name, (0.0, middle))[0]:
            largest[name] = (area, middle)
    for name, (area, (x, y)) in sorted(largest.items(), key=lambda item: -item[1][0]):
        wide = _LETTER * 0.8 * len(name)
        # Where its middle is taken, a little higher or lower will do.
        for shift in (0, -18, 18, -34, 34):
            box = (x - wide / 2, y + shift - _LINE / 2, x + wide / 2, y + shift + _LINE / 2)
            if area >= _COUNTRY and _has_room(box, boxes):
                boxes.append(box)
                yield Label(name, round(x, 1), round(y + shift + 4, 1))
                break


def _weight(ring: Sequence[Point]) -> tuple[float, Point]:
    """A ring's area and its centre of gravity."""
    doubled = x = y = 0.0
    for (x1, y1), (x2, y2) in pairwise([*ring, ring[0]]):
        cross = x1 * y2 - x2 * y1
        doubled += cross
        x += (x1 + x2) * cross
        y += (y1 + y2) * cross
    if abs(doubled) < 1e-9:
        return 0.0, ring[0]
    return abs(doubled) / 2, (x / (3 * doubled), y / (3 * doubled))


def _has_room(box: Box, boxes: Iterable[Box]) -> bool:
    left, top, right, bottom = box
    if left < 4 or right > WIDTH - 4 or top < 4 or bottom > HEIGHT - 4:
        return False
    return all(right < l or left > r or bottom < t or top > b for l, t, r, b in boxes)  # noqa: E741 - left, top, right, bottom


def _round(point: Point) -> Point:
    return round(point[0], 1), round(point[1], 1)
