"""What could make the DynamoDB store mail somebody twice, forget somebody, or keep what it was to forget."""

from __future__ import annotations

import json
import secrets
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest

from newsletter import invariants
from newsletter.errors import StoreError
from newsletter.finding import Verdict
from newsletter.package import content_hash
from newsletter.states import Evidence, State
from newsletter.store import Outcome, Store, open_store
from newsletter.store.door import LetterKind, Used
from newsletter.store.dynamodb import batch, lease
from newsletter.store.dynamodb.item import Item
from newsletter.store.dynamodb.journal import SUFFIX, Journal
from newsletter.store.dynamodb.table import Table
from newsletter.store.journal import Line
from tests.door_contract import digests, joined, letter, mailed
from tests.dynamo_proxy import Proxy, between
from tests.dynamo_world import CREDENTIALS, REGION, fresh
from tests.ministack_world import Ministack
from tests.store_contract import NOW, PACKAGE, fill, sighting

WHOLE = replace(PACKAGE, content_hash=content_hash(PACKAGE))
MONTH = WHOLE.month


@pytest.fixture
def proxy(ministack: Ministack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with between(ministack.url) as served:
        yield served
        assert "Scan" not in served.calls


@pytest.fixture
def url(proxy: Proxy) -> str:
    return fresh(proxy.url)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def addresses(store: Store) -> list[str]:
    return sorted(kept.address for kept in store.kept(MONTH))


def test_workers_that_claim_at_once_mail_everybody_once_though_answers_are_lost(
    store: Store, url: str, proxy: Proxy
) -> None:
    """Four of them, and of every seventh call nobody learns that it was done."""
    fill(store, 230)
    store.freeze(WHOLE, NOW)
    proxy.lost, proxy.throttled = 7, 5
    mails: list[str] = []

    def work() -> None:
        with closing(open_store(url)) as mine:
            while taken := mine.claim(MONTH, 20, secrets.token_hex(16), NOW):
                mails.extend(one.address for one in taken.recipients)
                mine.record(
                    taken,
                    [Outcome(one.number, State.SUBMITTED, "accepted", f"id-{one.number}") for one in taken.recipients],
                    NOW,
                )  # fmt: skip

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(mails) == addresses(store)
    assert len(set(mails)) == len(mails) == 230
    assert store.counts(MONTH).states == {State.SUBMITTED: 230}
    assert invariants.check(store, MONTH) == []


def test_a_batch_that_a_worker_is_told_of_twice_is_mailed_once(store: Store) -> None:
    fill(store, 120)
    store.freeze(WHOLE, NOW)
    names = list(store.batches_open(MONTH))  # type: ignore[attr-defined]
    claims = [
        store.claim_batch(MONTH, name, 50, f"a{place}", NOW)  # type: ignore[attr-defined]
        for place, name in enumerate([*names, *names, "SEND#of another", ""])
    ]
    assert [len(taken.recipients) if taken else 0 for taken in claims] == [50, 50, 20, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_freezer_that_dies_has_frozen_nothing_and_the_next_one_freezes_everybody_once(
    store: Store, url: str, proxy: Proxy, writes: int
) -> None:
    fill(store, 130)
    done = 0

    def dies(operation: str) -> bool:
        nonlocal done
        done += operation in ("PutItem", "BatchWriteItem")
        return done >= writes

    proxy.before = dies
    with pytest.raises(StoreError):
        store.freeze(WHOLE, NOW)
    proxy.before = lambda operation: None
    assert store.frozen(MONTH) is None
    assert store.claim(MONTH, 50, "a1", NOW) is None
    assert store.counts(MONTH).recipients == 0
    with closing(open_store(url)) as again:
        assert again.freeze(WHOLE, NOW)
        assert again.counts(MONTH).states == {State.PENDING: 130}
        assert len(set(addresses(again))) == 130
        assert invariants.check(again, MONTH) == []


def test_of_two_that_freeze_at_once_one_has_frozen_it(store: Store, url: str) -> None:
    fill(store, 300)
    froze: list[bool] = []

    def freeze() -> None:
        with closing(open_store(url)) as mine, suppress(StoreError):
            froze.append(mine.freeze(WHOLE, NOW))

    threads = [threading.Thread(target=freeze) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert froze.count(True) == 1
    assert store.counts(MONTH).states == {State.PENDING: 300}
    assert len(set(addresses(store))) == 300


def moves(store: Store, public_id: bytes, to: str) -> None:
    one = mailed(store, to, LetterKind.CHANGE, subscriber=public_id)
    assert store.change_address(one.id, NOW) is Used.DONE


def test_an_address_that_changes_hands_during_the_freeze_stands_in_it_once(
    store: Store, ministack: Ministack, url: str, proxy: Proxy
) -> None:
    first, second = joined(store, "first@example.org"), joined(store, "second@example.org")
    behind = open_store(url.replace(proxy.url, ministack.url))
    proxy.page = True
    queries = 0

    def between_the_two(operation: str) -> None:
        nonlocal queries
        if operation == "Query":
            queries += 1
        if queries == 18:  # sixteen partitions of suppressions, and then the first subscriber
            queries += 1
            moves(behind, first, "third@example.org")
            moves(behind, second, "first@example.org")

    proxy.before = between_the_two
    assert store.freeze(WHOLE, NOW)
    assert queries > 18
    assert addresses(store) == ["first@example.org", "third@example.org"]
    assert invariants.check(store, MONTH) == []


def test_nobody_follows_to_an_address_that_has_had_the_briefing(store: Store) -> None:
    """B has had it at its old address, which A then takes: that mailbox gets it once."""
    a, b = joined(store, "a@example.org"), joined(store, "b@example.org")
    store.freeze(WHOLE, NOW)
    known = store.known(["b@example.org"])
    assert known["b@example.org"].public_id == b
    taken = store.claim(MONTH, 1, "a1", NOW, first=["b@example.org"])
    assert taken
    assert [one.address for one in taken.recipients] == ["b@example.org"]
    moves(store, b, "new@example.org")
    moves(store, a, "b@example.org")
    rest = store.claim(MONTH, 50, "a2", NOW)
    assert rest
    assert [one.address for one in rest.recipients] == ["a@example.org"]


def everything(url: str, endpoint: str) -> Iterator[str]:
    """Every item of both tables as text, the compressed parts opened."""
    name = Table(url).name
    client: Any = boto3.client("dynamodb", region_name=REGION, endpoint_url=endpoint)
    for table in (name, name + SUFFIX):
        for page in client.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                yield repr(item)
                for value in item.values():
                    if "B" in value:
                        with suppress(zlib.error):
                            yield zlib.decompress(value["B"]).decode()


def test_nothing_of_an_erased_address_is_left_in_either_table(
    store: Store, url: str, ministack: Ministack
) -> None:
    public_id = joined(store, "Forget.Me@example.org")
    other = joined(store, "stays@example.org")
    store.freeze(WHOLE, NOW)
    taken = store.claim(MONTH, 50, "a1", NOW)
    assert taken
    store.record(taken, [Outcome(one.number, State.SUBMITTED, "ok", f"id-{one.number}") for one in taken.recipients], NOW)  # fmt: skip
    number = next(one.number for one in taken.recipients if one.public_id == public_id)
    bounced = sighting(number, Evidence.HARD_BOUNCE)
    store.apply([replace(bounced, detail="550 <forget.me@example.org> unknown")], NOW, digests)
    moves(store, public_id, "mid.me@example.org")
    moves(store, public_id, "now.me@example.org")
    mailed(store, "now.me@example.org", LetterKind.MY_PAGE)
    words = {"email": "stays@example.org", "message": "Is forget.me@example.org on it? Now.Me@example.org?"}
    store.ask(letter("desk@example.org", LetterKind.CONTACT, words=words), [])
    before = "\n".join(everything(url, ministack.url)).lower()
    assert "forget.me@" in before
    assert "mid.me@" in before
    assert "now.me@" in before
    assert store.erase(public_id, digests, NOW)
    after = "\n".join(everything(url, ministack.url)).lower()
    assert "forget.me" not in after
    assert "mid.me" not in after
    assert "now.me" not in after
    assert "stays@example.org" in after
    assert store.person(other)
    assert store.suppression("forget.me@example.org", digests)
    assert invariants.check(store, MONTH) == []


def test_who_left_or_was_erased_stays_so_in_a_table_that_was_put_back(store: Store, url: str) -> None:
    """Point-in-time recovery restores one table; the journal is another."""
    stays, leaves, goes = (joined(store, f"{name}@example.org") for name in ("stays", "leaves", "goes"))
    table = Table(url)
    kept = [item for pk in partitions(stays, leaves, goes) for item in table.query(pk)]
    store.unsubscribe(leaves, NOW, "one-click")
    store.erase(goes, digests, NOW)
    store.block("bad@example.org", digests, NOW, "by letter")
    assert store.lagging(digests) == 0
    for pk in partitions(stays, leaves, goes):  # as it was before
        table.delete_all([(pk, str(item["sk"])) for item in table.query(pk)])
    table.put_all(kept)
    table.delete_all([("SUPPRESSED#" + digit, "bad@example.org") for digit in "0123456789abcdef"])
    assert store.person(goes)
    assert store.lagging(digests) == 3
    assert store.replay(NOW, digests) == 3
    assert store.person(goes) is None
    assert store.suppression("bad@example.org", digests)
    assert not store.unsubscribe(goes, NOW)
    left = store.person(leaves)
    assert left
    assert left.subscription == "unsubscribed"
    assert store.lagging(digests) == 0


def test_whoever_is_leaving_at_this_moment_is_not_forgotten(store: Store, url: str) -> None:
    """The journal has the line and the table not yet the change: a sending begun just then is not refused."""
    public_id = joined(store, "leaves@example.org")
    Journal(Table(url)).write([Line(NOW.isoformat(), public_id, "unsubscribed", "one-click", ())])
    leaving = threading.Timer(0.2, lambda: open_store(url).unsubscribe(public_id, NOW, "one-click"))
    leaving.start()
    forgotten = store.lagging(digests)
    leaving.join()
    assert forgotten == 0


def partitions(*people: bytes) -> list[str]:
    return [
        "SUBSCRIBER#000000000000",
        *(f"PERSON#{one.hex()}" for one in people),
        *(f"HISTORY#{digit}" for digit in "0123456789abcdef"),
        *(f"ADDRESS#{name}@example.org" for name in ("stays", "leaves", "goes")),
    ]


def test_a_lease_ends_with_its_time_and_its_last_holder_takes_nothing_from_the_next(url: str) -> None:
    table = Table(url)
    dead, next_one = lease.Lease(table, "sending", "held."), lease.Lease(table, "sending", "held.")
    dead.__enter__()
    with pytest.raises(StoreError, match=r"held\. If it has died, its right ends at \d\d:\d\d:\d\d UTC"):
        next_one.__enter__()
    item = table.get(("LEASE", "sending"))
    assert item
    table.put_all([{**item, "until": 0}])  # its minute is over
    with next_one:
        dead.__exit__(None, None, None)
        assert table.get(("LEASE", "sending"))
    assert table.get(("LEASE", "sending")) is None


def lie(url: str, change: str) -> None:
    """Make the ledger say what is not so."""
    table = Table(url)
    (sending,) = table.query("SEND")
    (item,) = (
        one
        for one in table.query(f"SEND#{MONTH}#{sending['draft']!s}#000000000000")
        if str(one["sk"]).startswith(batch.PREFIX)
    )
    opened = batch.opened(item)
    one = opened.entries[0]
    match change:
        case "doubled":
            opened.entries[1].key = one.key
        case "forgotten":
            del opened.entries[2]
        case "not called":
            opened.calls.clear()
        case "not told":
            one.state = State.DELIVERED
        case "not suppressed":
            one.told.append(
                batch.Told("complaint", one.message_id, one.attempt, "2020-11-02T09:00:00.000Z", "")
            )
            one.state = State.COMPLAINED
        case "two mails":
            one.told.append(batch.Told("send", "another", one.attempt, "2020-11-02T09:00:00.000Z", ""))
    changed: Item = batch.closed(opened)
    table.put_all([changed])


@pytest.mark.parametrize(
    ("change", "number"),
    [("doubled", 1), ("forgotten", 2), ("not called", 3), ("not told", 3), ("not suppressed", 7), ("two mails", 1)],
)  # fmt: skip
def test_the_invariants_see_each_lie(store: Store, url: str, change: str, number: int) -> None:
    fill(store, 5)
    store.freeze(WHOLE, NOW)
    taken = store.claim(MONTH, 50, "a1", NOW + timedelta(minutes=1))
    assert taken
    store.record(taken, [Outcome(one.number, State.SUBMITTED, "ok", f"id-{one.number}") for one in taken.recipients], NOW)  # fmt: skip
    assert invariants.check(store, MONTH) == []
    lie(url, change)
    assert number in {broken.number for broken in invariants.check(store, MONTH)}


class _Empty(BaseHTTPRequestHandler):
    """A DynamoDB that has nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *words: object) -> None:
        pass


def test_a_dynamodb_that_is_out_of_reach_for_a_moment_is_asked_again(proxy: Proxy) -> None:
    def serving(port: int) -> HTTPServer:
        server = HTTPServer(("127.0.0.1", port), _Empty)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def gone(server: HTTPServer) -> None:
        server.shutdown()
        server.server_close()

    server = serving(0)
    port = server.server_port
    table = Table(f"dynamodb://somewhere?region={REGION}&endpoint=http://127.0.0.1:{port}")
    assert table.get(("a", "b")) is None
    gone(server)
    with pytest.raises(
        StoreError, match="cannot be asked"
    ):  # to whom nobody has ever answered: a wrong address
        Table(f"dynamodb://somewhere?region={REGION}&endpoint=http://127.0.0.1:{port}").get(("a", "b"))
    back: list[HTTPServer] = []
    later = threading.Timer(0.3, lambda: back.append(serving(port)))
    later.start()
    assert table.get(("a", "b")) is None
    later.join()
    gone(back[0])


def test_a_table_that_is_not_there_is_named_with_what_makes_it(proxy: Proxy) -> None:
    store = open_store(f"dynamodb://not-there?region={REGION}&endpoint={proxy.url}")
    with pytest.raises(StoreError, match=r"not-there: there is no such table.*newsletter migrate --make"):
        store.counts(MONTH)
    assert [finding.name for finding in store.health()] == ["table", "journal"]


def test_the_health_of_a_table_says_that_it_is_there_and_can_be_put_back(store: Store) -> None:
    assert [finding.verdict for finding in store.health()] == [Verdict.SOUND] * 5


def test_a_package_of_ninety_kilobytes_fits_into_an_item_with_room(store: Store, url: str) -> None:
    """DynamoDB's limit for an item is 400 KB."""
    noise = secrets.token_hex(60_000)  # nothing to compress but that each byte is a digit
    fill(store, 1)
    big = replace(WHOLE, html=noise[:90_000], text=noise[90_000:])
    store.freeze(big, NOW)
    assert store.frozen(MONTH) == big
    table = Table(url)
    (sending,) = table.query("SEND")
    item = table.get((f"SEND#{MONTH}#{sending['draft']!s}", "PACKAGE"))
    assert item
    assert len(bytes(item["package"])) < 100_000  # type: ignore[arg-type]
    assert json.loads(zlib.decompress(bytes(item["package"])))  # type: ignore[arg-type]
