"""The door behind CloudFront and an HTTP API.

The API has an address of its own, at which anybody can knock. Only CloudFront knows the origin key, and only what it
says of a visitor is believed: the address in CloudFront-Viewer-Address goes before everything a visitor says itself.

Sources: CloudFront developer guide, "Add CloudFront request headers" and "Add custom headers to origin requests"; API
Gateway developer guide, "AWS Lambda proxy integrations for HTTP APIs" (payload 2.0).
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

from mangum import Mangum
from starlette.types import Receive, Scope, Send

from newsletter.aws import ground
from newsletter.door.app import create_app
from newsletter.door.desk import Desk
from newsletter.door.guard import Place
from newsletter.door.latest import PACKAGES
from newsletter.door.pages import Pages
from newsletter.door.porter import Porter
from newsletter.door.stamps import Shown
from newsletter.store import open_store


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one request (payload 2.0)."""
    said = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    key = ground.settings().origin_key
    if not key or not hmac.compare_digest(said.pop("x-origin-key", "").encode(), key.encode()):
        return {"statusCode": 403, "headers": {"content-type": "text/plain"}, "body": "Not this way.\n"}
    site = urlsplit(ground.facts().site_url)
    said["host"] = site.netloc
    said["x-forwarded-for"] = _viewer(said.get("cloudfront-viewer-address", ""))
    answer: dict[str, Any] = _application()({**event, "headers": said}, context)
    # CloudFront shows the site's page for "not found" in place of every 403: S3 says so of a file that is not there.
    if answer["statusCode"] == 403:
        answer["statusCode"] = 400
    return answer


@cache
def _application() -> Mangum:
    """The door, as `newsletter web` has it. Raises SettingsError, StoreError."""
    settings, facts = ground.settings(), ground.facts()
    place = Place(facts.site_url, proxies=1)
    porter = Porter(
        facts=facts,
        place=place,
        keys=settings.secret_keys(),
        desk=Desk(lambda: open_store(settings.store_url)),
        pages=Pages(facts, place.root),
        clock=partial(datetime.now, UTC),
        packages=PACKAGES,
        least=Shown.WORK if settings.always_work else Shown.STAMP,
    )
    app = create_app(porter)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return Mangum(served, lifespan="off")


def _viewer(address: str) -> str:
    """The address without its port: "198.51.100.10:46532", or an IPv6 one in the same way."""
    return address.rpartition(":")[0].strip("[]")
