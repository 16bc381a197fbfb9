"""A reader gets a picture in the size of the screen, upright, with room kept for it, and without the camera's notes."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from newsletter.errors import ContentError
from newsletter.pictures import Picture, measure, offer, resized
from tests.conftest import Project


def _photo(width: int = 2000, height: int = 1000, orientation: int = 1, form: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "A camera"
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(out, form, exif=exif)
    return out.getvalue()


def test_the_page_offers_every_form_and_each_is_there(project: Project) -> None:
    project.write("content/images/a map.jpg", _photo())
    project.write("content/images/small.png", _photo(300, 200, form="PNG"))
    project.analysis(
        "one",
        body="![Inside]({static}/images/small.png)\n\n![Again]({static}/images/a%20map.jpg)",
        image='{path: "images/a map.jpg", alt: "A map of the corridor"}',
    )
    done = project.newsletter("build")
    assert done.returncode == 0, done.stderr
    page = project.read("output/analyses/2020/one/index.html")
    assert page.count("<picture>") == 3
    assert page.count('loading="lazy"') == 2
    assert 'width="2000" height="1000"' in page
    for srcset in re.findall(r'srcset="([^"]+)"', page):
        for entry in srcset.split(", "):
            address, width = entry.split(" ")
            file = project.path / "output" / address.replace("%20", " ").lstrip("/")
            with Image.open(file) as image:
                assert image.width == int(width.removesuffix("w"))
                assert image.format == {"avif": "AVIF", "webp": "WEBP"}[address.rpartition(".")[2]]
                assert not image.getexif()


def test_the_browser_takes_the_small_one_on_a_phone_and_nothing_jumps(
    project: Project, browser: Browser
) -> None:
    project.write("content/images/map.jpg", _photo())
    project.analysis("one", body="Text.", image='{path: images/map.jpg, alt: "A map"}')
    assert project.newsletter("build").returncode == 0
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.route(
        "http://site.test/**",
        lambda route: route.fulfill(path=_file(project.path / "output", route.request.url)),
    )
    page.goto("http://site.test/analyses/2020/one/")
    taken = page.locator("picture img").evaluate("i => i.decode().then(() => i.currentSrc)")
    shown = page.locator("picture img").bounding_box()
    page.close()
    assert taken == "http://site.test/images/map.480.avif"
    assert shown
    assert shown["width"] == pytest.approx(2 * shown["height"], rel=0.02)


def _file(output: Path, url: str) -> Path:
    path = output / url.removeprefix("http://site.test/")
    return path / "index.html" if path.is_dir() else path


def test_a_photo_taken_sideways_stands_upright(tmp_path: Path) -> None:
    file = tmp_path / "x.jpg"
    file.write_bytes(_photo(1000, 500, orientation=6))
    picture = measure(file, "images/x.jpg")
    assert (picture.width, picture.height) == (500, 1000)
    with Image.open(io.BytesIO(resized(picture, 480, "webp"))) as image:
        assert image.size == (480, 960)


@pytest.mark.parametrize("data", [b"", b"no picture", _photo()[:200]])
def test_what_is_no_picture_is_named_and_the_site_stays(project: Project, data: bytes) -> None:
    project.write("content/images/broken.jpg", data)
    project.analysis("one")
    done = project.newsletter("build")
    assert done.returncode == 1
    assert "content/images/broken.jpg: is no picture that can be shown" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_picture_is_never_made_larger_than_it_is() -> None:
    assert Picture(Path("x.jpg"), "x.jpg", 700, 10).widths == (480, 700)
    assert Picture(Path("x.jpg"), "x.jpg", 5000, 10).widths == (480, 960, 1440)


def test_pictures_of_others_are_left_alone() -> None:
    html = '<p><img src="https://elsewhere.example/x.jpg" alt="x"></p>'
    assert offer(html, {}) == html


def test_too_many_pixels_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    Image.new("1", (9_000, 9_000)).save(file)
    with pytest.raises(ContentError, match="9000 by 9000"):
        measure(file, "x.png")
