"""One address shows the site, the mailbox, and answers as SES: in a real browser and over real boto3."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from playwright.sync_api import Browser, expect

from newsletter import front
from newsletter.errors import SettingsError
from newsletter.local_ses.config import LocalSesConfig, RunningSes
from newsletter.local_ses.server import running
from newsletter.store import open_store
from tests.conftest import NOON, Project
from tests.store_contract import PACKAGE


@pytest.fixture(scope="module")
def served(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSes]:
    folder = tmp_path_factory.mktemp("serve")
    config = LocalSesConfig(folder / "mailbox", folder / "ses.sqlite", None, identities=("example.org",))
    with running(config, site=front.site(built.path / "output")) as ses:
        yield ses


def _ask(served: RunningSes, method: str, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, {name.lower(): value for name, value in answer.getheaders()}


def test_a_mail_sent_through_it_can_be_opened_in_its_mailbox(served: RunningSes, browser: Browser) -> None:
    client = boto3.client(
        "sesv2", endpoint_url=served.url, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    client.send_email(
        FromEmailAddress="a@example.org",
        Destination={"ToAddresses": ["reader@example.org"]},
        Content={
            "Simple": {
                "Subject": {"Data": "A subject to find"},
                "Body": {"Html": {"Data": "<p>Found it</p>"}},
            }
        },
    )
    page = browser.new_page()
    page.goto(f"{served.url}/")
    expect(page.locator("h1")).to_have_count(1)
    page.goto(f"{served.url}/mailbox/")
    page.get_by_text("reader@example.org").first.click()
    expect(page.locator("h1")).to_have_text("A subject to find")
    expect(page.frame_locator("iframe").first.get_by_text("Found it")).to_be_visible()
    page.close()


def test_an_unknown_address_gets_the_sites_own_page(served: RunningSes) -> None:
    status, body, _ = _ask(served, "GET", "/no/such/page/")
    assert status == 404
    assert "<h1" in body


def test_pages_come_with_the_headers_they_are_made_for(served: RunningSes) -> None:
    _, _, headers = _ask(served, "GET", "/")
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/../pelicanconf.py", "/%2e%2e/publication.toml", "/..%2f..%2fetc/passwd"])
def test_nothing_outside_the_site_is_given_out(served: RunningSes, path: str) -> None:
    assert _ask(served, "GET", path)[0] == 404


def test_a_strangers_page_cannot_reach_it_by_another_name(served: RunningSes) -> None:
    assert _ask(served, "GET", "/mailbox/", Host="evil.example")[0] == 403


def test_a_form_posted_where_only_pages_are_says_so(served: RunningSes) -> None:
    status, body, _ = _ask(served, "POST", "/subscribe")
    assert status == 405
    assert "Nothing of what you typed was kept" in body


def test_an_unsigned_call_of_the_api_is_refused_as_aws_does(served: RunningSes) -> None:
    status, body, _ = _ask(served, "GET", "/v2/email/account")
    assert status == 403
    assert "Missing Authentication Token" in json.loads(body)["message"]


def test_nobody_practises_with_a_list_that_is_mailed_in_earnest(project: Project) -> None:
    store = open_store(f"sqlite:///{project.path / 'var/newsletter.db'}")
    store.freeze(PACKAGE, NOON, "email.eu-west-1.amazonaws.com")
    store.close()
    done = project.newsletter("serve")
    assert done.returncode == 1
    assert "STORE_URL=sqlite:///var/practice.db" in done.stderr


def test_serving_before_building_says_what_to_type(project: Project) -> None:
    with pytest.raises(SettingsError, match="make html"):
        front.site(project.path / "output")
