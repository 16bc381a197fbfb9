"""The site in its bucket: whatever happens to a publish, visitors find a site that hangs together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from newsletter.errors import PublishError
from newsletter.publish.lease import Lease
from tests.conftest import Project
from tests.ministack_world import Ministack
from tests.publish_world import (
    Cut,
    Place,
    after,
    before,
    contents,
    killed,
    proxy,
    publish,
    start,
)


@pytest.fixture
def make_place(ministack: Ministack, request: pytest.FixtureRequest) -> Callable[..., Place]:
    """Makes buckets of this test's own."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())[-40:].strip(
        "-"
    )
    return lambda number=0: Place.make(ministack, f"{name}-{number}")


@pytest.fixture(scope="module")
def distribution(ministack: Ministack) -> str:
    origin = {"Id": "site", "DomainName": "example.org", "CustomOriginConfig": {
        "HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}}  # fmt: skip
    config = {
        "CallerReference": "test", "Comment": "", "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {"TargetOriginId": "site", "ViewerProtocolPolicy": "redirect-to-https"},
    }  # fmt: skip
    made = ministack.client("cloudfront").create_distribution(DistributionConfig=config)
    return str(made["Distribution"]["Id"])


@pytest.fixture
def cutting(ministack: Ministack) -> Iterator[tuple[str, list[Cut]]]:
    with proxy(ministack.url) as (address, cuts):
        yield address, cuts


def invalidated(ministack: Ministack, distribution: str) -> list[set[str]]:
    """What CloudFront was told to forget, oldest first."""
    cloudfront = ministack.client("cloudfront")
    listed = cloudfront.list_invalidations(DistributionId=distribution)["InvalidationList"].get("Items", [])
    batches = [
        cloudfront.get_invalidation(DistributionId=distribution, Id=one["Id"])["Invalidation"]
        for one in listed
    ]
    batches.sort(key=lambda one: one["CreateTime"])
    return [set(one["InvalidationBatch"]["Paths"]["Items"]) for one in batches]


def test_the_bucket_holds_the_site_as_browsers_want_it(
    ministack: Ministack, make_place: Callable[..., Place], built: Project
) -> None:
    place, output = make_place(), built.path / "output"
    done = built.newsletter("publish", **ministack.environment, SITE_BUCKET=place.name)
    assert done.returncode == 0, done.stderr
    files = {path: body for path, body in contents(output).items() if path != ".made-by-monthly-briefing"}
    assert place.files() == files
    assert not place.dead_ends("index.html", "feed.xml", "404.html")
    for path, content_type, encoding, cache in (
        ("index.html", "text/html; charset=utf-8", "gzip", "public, max-age=300"),
        ("theme/css/site.css", "text/css; charset=utf-8", "gzip", "public, max-age=300"),
        ("feed.xml", "application/rss+xml", None, "public, max-age=300"),
        ("atom.xml", "application/atom+xml", None, "public, max-age=300"),
        ("feed.json", "application/feed+json", None, "public, max-age=300"),
        ("sitemap.xml", "application/xml", None, "public, max-age=300"),
        ("robots.txt", "text/plain; charset=utf-8", None, "public, max-age=300"),
        (".well-known/security.txt", "text/plain; charset=utf-8", None, "public, max-age=300"),
    ):
        _, answer = place.get(path)
        found = answer["ContentType"], answer.get("ContentEncoding"), answer["CacheControl"]
        assert found == (content_type, encoding, cache), path
    hashed = next(path for path in files if path.endswith(".pf_fragment"))
    assert place.get(hashed)[1]["CacheControl"] == "public, max-age=31536000, immutable"


def test_a_second_publish_uploads_what_an_edit_has_changed_and_nothing_else(
    make_place: Callable[..., Place], ministack: Ministack, tmp_path: Path, distribution: str
) -> None:
    place, old, new = make_place(), before(tmp_path / "old"), after(tmp_path / "new")
    assert publish(ministack.url, place.name, old, distribution) == 10
    assert publish(ministack.url, place.name, old, distribution) == 0
    told = len(invalidated(ministack, distribution))
    uploads = publish(ministack.url, place.name, new, distribution)
    was, is_now = contents(old), contents(new)
    assert uploads == sum(was.get(path) != body for path, body in is_now.items())
    assert place.files() == is_now
    [forgotten] = invalidated(ministack, distribution)[told:]
    # The home page, what was changed and what is gone; not what is new, nor what has its hash in its name.
    assert forgotten == {
        "/", "/index.html", "/a/", "/a/index.html", "/b/", "/b/index.html", "/theme/site.css", "/theme/old.png", "/feed.xml",
    }  # fmt: skip


def test_headers_that_change_are_uploaded_though_the_file_is_the_same(
    make_place: Callable[..., Place], ministack: Ministack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, folder = make_place(), before(tmp_path / "site")
    publish(ministack.url, place.name, folder)
    from newsletter.publish import piece

    # A later version of this program, which gives texts out in another way.
    monkeypatch.setitem(piece._TYPES, ".txt", "text/plain")
    assert publish(ministack.url, place.name, folder) == 1
    assert place.get("robots.txt")[1]["ContentType"] == "text/plain"


def test_what_somebody_else_changed_in_the_bucket_is_mended_and_what_is_not_ours_is_left(
    make_place: Callable[..., Place], ministack: Ministack, tmp_path: Path
) -> None:
    place, folder = make_place(), before(tmp_path / "site")
    publish(ministack.url, place.name, folder)
    s3 = ministack.client("s3")
    s3.put_object(Bucket=place.name, Key="site/index.html", Body=b"defaced")
    s3.delete_object(Bucket=place.name, Key="site/theme/site.css")
    s3.put_object(Bucket=place.name, Key="site/google1234.html", Body=b"theirs")
    assert publish(ministack.url, place.name, folder) == 2
    assert place.files() == contents(folder) | {"google1234.html": b"theirs"}


@pytest.mark.parametrize(
    ("first", "later"),
    [
        pytest.param(
            first, later, marks=[] if (first, later) in {(0, False), (1, True)} else [pytest.mark.long]
        )
        for first in range(3)
        for later in (False, True)
    ],
)
def test_a_publish_that_is_killed_at_any_request_leaves_a_site_and_the_next_finishes_it(
    make_place: Callable[..., Place], ministack: Ministack, tmp_path: Path,
    cutting: tuple[str, list[Cut]], distribution: str, first: int, later: bool,
) -> None:  # fmt: skip
    address, cuts = cutting
    old, new = before(tmp_path / "old"), after(tmp_path / "new")
    deaths, at = 0, 1 + first
    while True:
        place = make_place(at)
        publish(ministack.url, place.name, old)
        told = len(invalidated(ministack, distribution))
        status = killed(cuts, at, later, address, place.name, new, distribution)
        # Whoever was on any page of the old site, or comes in by the front door or a feed, finds what is led to.
        doors = [path for path in contents(old) if path.endswith((".html", ".xml"))]
        assert not place.dead_ends(*doors), f"killed at request {at}"
        if status == 0:
            break  # it was done by then
        assert status == -9
        deaths += 1
        publish(ministack.url, place.name, new, distribution, 0.05)
        assert place.files() == contents(new), f"killed at request {at}"
        assert place.keys("state/") == {"lease.json", "manifest.json.gz"}
        # Whoever may hold an old copy was told, once all was there.
        forgotten = set().union(*invalidated(ministack, distribution)[told:])
        assert {"/index.html", "/a/", "/b/", "/theme/site.css", "/feed.xml"} <= forgotten, (
            f"killed at request {at}"
        )
        assert publish(ministack.url, place.name, new, distribution, 0.05) == 0
        at += 3
    assert deaths >= 8


def test_a_first_publish_that_is_killed_has_opened_no_door_to_what_is_not_there(
    make_place: Callable[..., Place], ministack: Ministack, tmp_path: Path, cutting: tuple[str, list[Cut]]
) -> None:
    address, cuts = cutting
    folder, at, statuses = before(tmp_path / "site"), 5, []
    while not statuses or statuses[-1] == -9:
        place = make_place(at)
        statuses.append(killed(cuts, at, at % 2 == 0, address, place.name, folder))
        assert not place.dead_ends("index.html"), f"killed at request {at}"
        publish(ministack.url, place.name, folder, "", 0.05)
        assert place.files() == contents(folder)
        at += 2
    assert len(statuses) > 6


def test_an_answer_that_is_lost_is_asked_for_again(
    make_place: Callable[..., Place], ministack: Ministack, tmp_path: Path, cutting: tuple[str, list[Cut]]
) -> None:
    """Even of the lease, where the second asking meets what the first has written."""
    address, cuts = cutting
    folder = before(tmp_path / "site")
    for at in (2, 4, 6, 9, 18, 20, 22):
        place = make_place(at)
        cuts.append(Cut(at, after=True))
        publish(address, place.name, folder)
        assert place.files() == contents(folder)


def test_two_publishers_at_once_take_turns(
    make_place: Callable[..., Place], ministack: Ministack, tmp_path: Path
) -> None:
    place = make_place()
    publish(ministack.url, place.name, before(tmp_path / "old"))
    sites = [after(tmp_path / colour, colour) for colour in ("red", "green", "blue")]
    children = [start(ministack.url, place.name, folder) for folder in sites]
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert place.files() in [contents(folder) for folder in sites]
    last = next(folder for folder in sites if contents(folder) == place.files())
    assert publish(ministack.url, place.name, last) == 0


def test_a_publisher_that_was_thought_dead_changes_nothing_more(
    make_place: Callable[..., Place], ministack: Ministack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from newsletter.publish.bucket import Bucket

    for name, text in ministack.environment.items():
        monkeypatch.setenv(name, text)
    shelf = Bucket(make_place().name)
    waits: list[str] = []
    sleeper, heir = Lease(shelf, "a sleeper"), Lease(shelf, "an heir", silent=0.05, tell=waits.append)
    sleeper.take()
    sleeper.hold(now=True)
    heir.take()
    assert "a sleeper" in waits[0]
    with pytest.raises(PublishError, match="Another publish has begun"):
        sleeper.hold(now=True)
    sleeper.release()
    heir.hold(now=True)


def test_a_publisher_that_packs_for_too_long_writes_over_nobodys_intent(
    make_place: Callable[..., Place], ministack: Ministack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from newsletter.publish.bucket import Bucket
    from newsletter.publish.piece import read
    from newsletter.publish.publishing import INTENT, Publisher

    for name, text in ministack.environment.items():
        monkeypatch.setenv(name, text)
    shelf = Bucket(make_place().name)
    heir = Lease(shelf, "an heir", silent=0.05)
    slow = Publisher(shelf, Lease(shelf, "a slow one"))
    with pytest.raises(PublishError, match="Another publish has begun"):
        slow.publish(read(before(tmp_path / "site")), planned=lambda plan: heir.take())
    assert shelf.get(INTENT) is None
    assert shelf.listing("site/") == {}
    heir.hold(now=True)


def test_too_many_deletions_and_a_folder_that_is_no_site_are_refused(
    make_place: Callable[..., Place], ministack: Ministack, project: Project
) -> None:
    place = make_place()
    environment = {**ministack.environment, "SITE_BUCKET": place.name}
    refused = project.newsletter("publish", **environment)
    assert refused.returncode == 1
    assert "make html" in refused.stderr
    output = before(project.path / "output")
    assert project.newsletter("publish", **environment).returncode == 0
    whole = place.files()
    for path in ("b/index.html", "c/index.html", "a/a.pdf"):
        (output / path).unlink()
    for words in (("publish",), ("publish", "--dry-run")):
        refused = project.newsletter(*words, **environment)
        assert refused.returncode == 1
        assert "--force" in refused.stderr
        assert place.files() == whole
    forced = project.newsletter("publish", "--force", **environment)
    assert forced.returncode == 0, forced.stderr
    assert place.files() == contents(output)


def test_what_is_held_back_is_not_published(
    make_place: Callable[..., Place], ministack: Ministack, project: Project
) -> None:
    """A build with --drafts is for the desk, and one mistyped folder away from everybody."""
    place = make_place()
    project.analysis("held-back", status="draft")
    built = project.newsletter("build", "--drafts", "--output", "build/preview")
    assert built.returncode == 0, built.stderr
    refused = project.newsletter(
        "publish", "--site", "build/preview", **ministack.environment, SITE_BUCKET=place.name
    )
    assert refused.returncode == 1
    assert "--drafts" in refused.stderr
    assert not place.keys("")


def test_a_dry_run_shows_the_plan_in_its_order_and_changes_nothing(
    make_place: Callable[..., Place], ministack: Ministack, project: Project, tmp_path: Path
) -> None:
    place = make_place()
    publish(ministack.url, place.name, before(tmp_path / "old"))
    after(project.path / "output")
    project.write(f"output/analyses/{'a-long-slug-' * 6}end/index.html", "<p>wider than a terminal</p>")
    whole, state = place.files(), place.keys("")
    shown = project.newsletter(
        "publish", "--dry-run", "--force", **ministack.environment, SITE_BUCKET=place.name
    )
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    order = ["new.png", "d/index.html", "d/feed.xml", "a/index.html", " feed.xml", "b/index.html", "/b/"]
    places = [next(number for number, line in enumerate(lines) if word in line) for word in order]
    assert places == sorted(places), shown.stdout
    assert "1. upload" in shown.stdout  # a long address takes a second line, and no other column's room
    assert "1.…" not in shown.stdout
    assert place.files() == whole
    assert place.keys("") == state


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SITE_BUCKET": ""}, "SITE_BUCKET: not set"),
        ({"SITE_BUCKET": "there-is-none"}, "Is SITE_BUCKET right?"),
        ({"SITE_BUCKET": "any", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "is something answering there?"),
    ],
)
def test_what_is_missing_is_said(
    ministack: Ministack, project: Project, environment: dict[str, str], words: str
) -> None:
    before(project.path / "output")
    done = project.newsletter("publish", **{**ministack.environment, **environment})
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
